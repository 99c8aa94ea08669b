"""MatConvNet networks without MATLAB.

Functions have MATLAB's names and argument order: vl_nnconv, vl_simplenn, DagNN, cnn_train; load and save read and write
`.mat` networks. Further parts: pyconvnet.dagnn (blocks), models (the standard networks), view (pictures), solver,
jitter, augment, crossvalidation, imdb, images, compat.matlab (imresize and its like).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyconvnet._checkout  # noqa: F401
from pyconvnet._version import __version__ as __version__

if TYPE_CHECKING:
    from pyconvnet.caches import clear_caches
    from pyconvnet.compat.imreadjpeg import vl_imreadjpeg
    from pyconvnet.compat.option_parser import vl_argparse
    from pyconvnet.compat.tidy import vl_simplenn_tidy
    from pyconvnet.crossvalidation import cross_validate
    from pyconvnet.dagnn import DagNN
    from pyconvnet.deployment import deploy, merge_bnorm
    from pyconvnet.derivatives import check_derivatives
    from pyconvnet.devices import gather, gpuArray
    from pyconvnet.display import vl_simplenn_display
    from pyconvnet.extraction import features
    from pyconvnet.formats import load, load_checkpoint, save
    from pyconvnet.formats.caffe import CaffeFileError, from_caffe
    from pyconvnet.formats.mat.matfile import MatFileError
    from pyconvnet.formats.onnx import compare_onnx, from_onnx, to_onnx
    from pyconvnet.formats.pytorch import from_torch, to_torch
    from pyconvnet.ops.vl_nnbilinearsampler import vl_nnbilinearsampler
    from pyconvnet.ops.vl_nnbnorm import vl_nnbnorm
    from pyconvnet.ops.vl_nnconcat import vl_nnconcat
    from pyconvnet.ops.vl_nnconv import vl_nnconv
    from pyconvnet.ops.vl_nnconvt import vl_nnconvt
    from pyconvnet.ops.vl_nncrop import vl_nncrop
    from pyconvnet.ops.vl_nndropout import vl_nndropout
    from pyconvnet.ops.vl_nneuclideanloss import vl_nneuclideanloss
    from pyconvnet.ops.vl_nnloss import vl_nnloss
    from pyconvnet.ops.vl_nnnoffset import vl_nnnoffset
    from pyconvnet.ops.vl_nnnormalize import vl_nnnormalize
    from pyconvnet.ops.vl_nnnormalizelp import vl_nnnormalizelp
    from pyconvnet.ops.vl_nnpdist import vl_nnpdist
    from pyconvnet.ops.vl_nnpool import vl_nnpool
    from pyconvnet.ops.vl_nnrelu import vl_nnrelu
    from pyconvnet.ops.vl_nnroipool import vl_nnroipool
    from pyconvnet.ops.vl_nnsigmoid import vl_nnsigmoid
    from pyconvnet.ops.vl_nnsmoothL1loss import vl_nnsmoothL1loss
    from pyconvnet.ops.vl_nnsoftmax import vl_nnsoftmax
    from pyconvnet.ops.vl_nnsoftmaxloss import vl_nnsoftmaxloss
    from pyconvnet.ops.vl_nnspnorm import vl_nnspnorm
    from pyconvnet.ops.vl_nnSubP import vl_nnSubP
    from pyconvnet.precision import autocast, local_precision, set_deterministic, set_precision
    from pyconvnet.prediction import best_classes, classify, predict
    from pyconvnet.records import Opaque, Struct
    from pyconvnet.simplenn import SimpleNN, vl_simplenn, vl_simplenn_diagnose, vl_simplenn_move
    from pyconvnet.threads import num_threads, set_num_threads
    from pyconvnet.training import cnn_train, cnn_train_dag
    from pyconvnet.view import vl_imarray, vl_imarraysc


_OPERATORS = (
    "vl_nnSubP vl_nnbilinearsampler vl_nnbnorm vl_nnconcat vl_nnconv vl_nnconvt vl_nncrop vl_nndropout "
    "vl_nneuclideanloss vl_nnloss vl_nnnoffset vl_nnnormalize vl_nnnormalizelp vl_nnpdist vl_nnpool vl_nnrelu "
    "vl_nnroipool vl_nnsigmoid vl_nnsmoothL1loss vl_nnsoftmax vl_nnsoftmaxloss vl_nnspnorm"
).split()
# Where the names of this package are defined: each module is imported when one of its names is first used.
_HOMES = {
    "compat.option_parser": "vl_argparse",
    "compat.imreadjpeg": "vl_imreadjpeg",
    "compat.tidy": "vl_simplenn_tidy",
    "crossvalidation": "cross_validate",
    "dagnn": "DagNN",
    "deployment": "deploy merge_bnorm",
    "derivatives": "check_derivatives",
    "devices": "gather gpuArray",
    "display": "vl_simplenn_display",
    "extraction": "features",
    "formats": "load load_checkpoint save",
    "formats.caffe": "CaffeFileError from_caffe",
    "formats.mat.matfile": "MatFileError",
    "formats.onnx": "compare_onnx from_onnx to_onnx",
    "formats.pytorch": "from_torch to_torch",
    "precision": "autocast local_precision set_deterministic set_precision",
    "caches": "clear_caches",
    "prediction": "best_classes classify predict",
    "records": "Opaque Struct",
    "simplenn": "SimpleNN vl_simplenn vl_simplenn_diagnose vl_simplenn_move",
    "threads": "num_threads set_num_threads",
    "training": "cnn_train cnn_train_dag",
    "view": "vl_imarray vl_imarraysc",
    **{f"ops.{name}": name for name in _OPERATORS},
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Names of this package, and its further modules: pyconvnet.view, pyconvnet.models ..."""
    if name in _HOME_OF:
        value = getattr(import_module("." + _HOME_OF[name], __name__), name)
        globals()[name] = value
        return value
    if not name.startswith("_"):  # __main__ is a module too, and runs
        try:
            return import_module("." + name, __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "CaffeFileError",
    "DagNN",
    "MatFileError",
    "Opaque",
    "SimpleNN",
    "Struct",
    "autocast",
    "best_classes",
    "check_derivatives",
    "classify",
    "clear_caches",
    "cnn_train",
    "cnn_train_dag",
    "compare_onnx",
    "cross_validate",
    "deploy",
    "features",
    "from_caffe",
    "from_onnx",
    "from_torch",
    "gather",
    "gpuArray",
    "load",
    "load_checkpoint",
    "local_precision",
    "merge_bnorm",
    "num_threads",
    "predict",
    "save",
    "set_deterministic",
    "set_num_threads",
    "set_precision",
    "to_onnx",
    "to_torch",
    "vl_argparse",
    "vl_imarray",
    "vl_imarraysc",
    "vl_imreadjpeg",
    "vl_nnSubP",
    "vl_nnbilinearsampler",
    "vl_nnbnorm",
    "vl_nnconcat",
    "vl_nnconv",
    "vl_nnconvt",
    "vl_nncrop",
    "vl_nndropout",
    "vl_nneuclideanloss",
    "vl_nnloss",
    "vl_nnnoffset",
    "vl_nnnormalize",
    "vl_nnnormalizelp",
    "vl_nnpdist",
    "vl_nnpool",
    "vl_nnrelu",
    "vl_nnroipool",
    "vl_nnsigmoid",
    "vl_nnsmoothL1loss",
    "vl_nnsoftmax",
    "vl_nnsoftmaxloss",
    "vl_nnspnorm",
    "vl_simplenn",
    "vl_simplenn_diagnose",
    "vl_simplenn_display",
    "vl_simplenn_move",
    "vl_simplenn_tidy",
]
