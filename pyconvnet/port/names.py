"""Names: where a MATLAB function is found here, what kind of value it gives, and how a name is written in Python."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable
from typing import Any

# Names of the translated files' own: a variable of such a name gets a `_`.
RESERVED = set("rt ml pcn at into inside assign paren brace END Struct Path end l O I".split())
USED_BUILTINS = {"range", "list", "len", "super", "locals", "str"}
DICT_METHODS = {name for name in dir(dict) if not name.startswith("_")}

_KINDS = {
    "int": "numel length ndims nnz",
    "num": "norm eps toc now det pi Inf inf NaN nan realmax realmin str2double",
    "bool": "isempty ischar iscell iscellstr isstruct isnumeric islogical isa isequal isscalar isvector isrow iscolumn "
    "ismatrix isfloat isinteger isreal isobject isprop isdir isfile isfolder strcmp strcmpi strncmp strncmpi ishandle",
    "str": "sprintf num2str int2str mat2str fullfile func2str class strjoin pwd datestr regexprep strtrim",
    "float": "zeros ones rand randn eye linspace logspace mean std",
    "cell": "strsplit fieldnames",
}
KINDS = {name: kind for kind, names in _KINDS.items() for name in names.split()}
# Functions whose result shares nothing with their arguments.
FRESH = set(KINDS) | set(
    "cell vl_simplenn vl_nnsoftmax "
    "sum prod max min any all find size plus minus times rdivide power mtimes randperm randi floor ceil fix round "
    "sqrt exp log mod rem cellfun arrayfun unique histc accumarray imresize imread load vl_nnconv vl_nnpool vl_nnrelu "
    "median var true false uint8 im2single rgb2gray isfield ismember setdiff".split()
)
# Functions whose result may be their first argument in another form.
VIEWS = set("reshape squeeze permute single double gather gpuArray fliplr flipud im2single repmat logical".split())
# Fields of MatConvNet that always hold cells.
CELL_FIELDS = {"layers", "weights", "inputs", "outputs"}
# Functions here that return all of MATLAB's values, always.
TUPLES = {
    "cnn_train",
    "cnn_train_dag",
    "vl_nnbnorm",
    "vl_nndropout",
    "vl_argparse",
    "meshgrid",
    "ndgrid",
    "fileparts",
    "ind2sub",
}
BACKWARD_TUPLES = {"vl_nnconv": 3, "vl_nnconvt": 3, "vl_nnbilinearsampler": 2, "vl_nnpdist": 3}
# Functions that give nothing, so that a statement of one prints nothing of its own.
VOID = set(
    "disp display fprintf error warning assert figure clf close subplot plot imagesc imshow image axis hold colormap "
    "colorbar drawnow grid title xlabel ylabel xlim ylim legend print vl_setupnn addpath rmpath save delete rng mkdir "
    "vl_simplenn_display tic rethrow parpool vl_compilenn imwrite format clc more gpuDevice wait "
    "vl_tightsubplot".split()
)
INDEX_METHODS = {"getVarIndex", "getParamIndex", "getLayerIndex"}
METHODS = INDEX_METHODS | set(
    "addLayer removeLayer eval move initParams reset rebuild renameVar renameLayer renameParam setLayerInputs "
    "setLayerOutputs setLayerParams getVar getParam getLayer getInputs getOutputs getVarSizes getVarReceptiveFields "
    "print saveobj loadobj copy forward backward forwardAdvanced backwardAdvanced getOutputSizes getReceptiveFields "
    "accumulateAverage attach load save toSimpleNN fromSimpleNN getLayerExecutionOrder isKey keys values "
    "getReport".split()
)
# Element by element: of numbers a number, of floating-point arrays another one.
ELEMENTWISE = set("mod rem floor ceil round fix abs exp sin cos tan tanh atan sign max min hypot".split())
# Floating-point arrays of floating-point arrays.
OF_FLOATS = ELEMENTWISE | set(
    "sum mean reshape squeeze permute repmat cumsum prod median std var single double".split()
)
UNTRANSLATED = {"eval", "evalin", "evalc", "assignin", "inputname", "mex", "system", "unix", "input", "keyboard"}


def identifier(name: str) -> str:
    """A MATLAB name as a Python name."""
    return name + "_" if keyword.iskeyword(name) or name in RESERVED or name in USED_BUILTINS else name


def importable(name: str) -> str:
    """The name of a file or folder as Python imports it: 1x is x1x, as matlab.lang.makeValidName has it."""
    name = "".join(c if f"x{c}".isidentifier() else "_" for c in name)
    name = name if name.isidentifier() else f"x{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def attribute(code: str, name: str, of_object: bool = False) -> str:
    """code.name, or code["name"] where Python reads the former otherwise and it may be a struct."""
    if not of_object and (keyword.iskeyword(name) or name in DICT_METHODS):
        return f'{code}["{name}"]'
    return f"{code}.{name}"


_MODULES = "algebra classes functions matconvnet operators surroundings text"
_HOMES = {f"pyconvnet.port.runtime.{name}" for name in _MODULES.split()}


def function(name: str) -> tuple[str, Callable[..., Any]] | None:
    """(code, the function) of a MATLAB function that pyconvnet has; None where there is none."""
    import pyconvnet as pcn
    from pyconvnet.compat import matlab as ml
    from pyconvnet.port import runtime as rt

    known = name + "_" if keyword.iskeyword(name) or hasattr(rt, name + "_") else name
    if name.startswith("_") or name in UNTRANSLATED:
        return None
    found = getattr(rt, known, None)
    if callable(found) and (known in ("cell", "struct") or getattr(found, "__module__", "") in _HOMES):
        return f"rt.{known}", found
    if name in pcn.__all__ and not inspect.isclass(getattr(pcn, name)):
        return f"pcn.{name}", getattr(pcn, name)
    if name in getattr(ml, "__all__", ()):
        return f"ml.{name}", getattr(ml, name)
    return None


def accepts_nargout(f: Callable[..., Any]) -> bool:
    """Whether a function here is told how many values are wanted."""
    try:
        return "nargout" in inspect.signature(f).parameters
    except (TypeError, ValueError):
        return False


def block(parts: list[str]) -> str | None:
    """The code of dagnn.Conv, dagnn.DagNN.loadobj, solver.adam: of MatConvNet's packages; None of others."""
    import pyconvnet as pcn

    if parts[0] == "dagnn" and len(parts) > 1 and hasattr(pcn.dagnn, parts[1]):
        head = "pcn.DagNN" if parts[1] == "DagNN" else f"pcn.dagnn.{parts[1]}"
        return ".".join([head, *parts[2:]])
    if parts[0] == "solver" and len(parts) == 2 and hasattr(pcn.solver, parts[1]):
        return f"pcn.solver.{parts[1]}"
    if parts[0] == "containers" and parts[1:] == ["Map"]:
        return "ml.containers.Map"
    return None
