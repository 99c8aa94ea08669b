"""MatConvNet networks without MATLAB."""

from importlib import import_module

# Development table; becomes plain imports once every module is there.
_HOME = {
    "records": ["Struct", "Opaque"],
    "ops.vl_nnconv": ["vl_nnconv"],
    "ops.vl_nnconvt": ["vl_nnconvt"],
    "ops.vl_nnpool": ["vl_nnpool"],
    "ops.vl_nnrelu": ["vl_nnrelu"],
    "ops.vl_nnsigmoid": ["vl_nnsigmoid"],
    "ops.vl_nncrop": ["vl_nncrop"],
    "ops.vl_nnconcat": ["vl_nnconcat"],
    "ops.vl_nndropout": ["vl_nndropout"],
    "ops.vl_nnloss": ["vl_nnloss"],
    "ops.vl_nnsoftmax": ["vl_nnsoftmax"],
    "ops.vl_nnsoftmaxloss": ["vl_nnsoftmaxloss"],
    "ops.vl_nnbnorm": ["vl_nnbnorm"],
    "ops.vl_nnnormalize": ["vl_nnnormalize"],
    "ops.vl_nnnormalizelp": ["vl_nnnormalizelp"],
    "ops.vl_nnspnorm": ["vl_nnspnorm"],
    "ops.vl_nnnoffset": ["vl_nnnoffset"],
    "ops.vl_nnpdist": ["vl_nnpdist"],
    "ops.vl_nnbilinearsampler": ["vl_nnbilinearsampler"],
    "ops.vl_nnroipool": ["vl_nnroipool"],
    "simplenn": ["SimpleNN", "vl_simplenn", "vl_simplenn_diagnose", "vl_simplenn_move"],
    "compat.tidy": ["vl_simplenn_tidy"],
    "display": ["vl_simplenn_display"],
    "files": ["load", "load_checkpoint", "save"],
    "compat.argparse": ["vl_argparse"],
    "compat.imreadjpeg": ["vl_imreadjpeg"],
    "view": ["vl_imarraysc", "vl_imarray"],
    "dagnn": ["DagNN"],
    "training": ["cnn_train", "cnn_train_dag"],
    "threads": ["set_num_threads", "num_threads"],
    "precision": ["set_precision"],
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted(_WHERE)
__version__ = "0.1.0"


def __getattr__(name):
    if name in _WHERE:
        value = getattr(import_module("." + _WHERE[name], __name__), name)
        globals()[name] = value
        return value
    try:
        return import_module("." + name, __name__)
    except ModuleNotFoundError as e:
        if e.name != f"{__name__}.{name}":
            raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
