"""MATLAB's classes of values: their names, tests for them, conversions from one to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyconvnet.port.runtime.operators import not_
from pyconvnet.port.runtime.values import cast as converted
from pyconvnet.port.runtime.values import is_array, matrix, size_of, value
from pyconvnet.records import StructArray

CLASSES = {
    "double": np.float64, "single": np.float32, "logical": np.bool_, "uint8": np.uint8, "uint16": np.uint16,
    "uint32": np.uint32, "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64, "uint64": np.uint64,
}  # fmt: skip


def class_(x: Any) -> str:
    """MATLAB's name of the class of x."""
    if isinstance(x, str):
        return "char"
    if isinstance(x, (dict, StructArray)):
        return "struct"
    if isinstance(x, list) or (isinstance(x, np.ndarray) and x.dtype == object):
        return "cell"
    if is_array(x):
        dtype = matrix(x).dtype
        return next((name for name, d in CLASSES.items() if dtype == d), "double")
    if callable(x) and not isinstance(x, type) and type(x).__module__ == "builtins":
        return "function_handle"
    kind = type(x)
    if kind.__module__.startswith("pyconvnet.layers") or kind.__module__.startswith("pyconvnet.dagnn"):
        return f"dagnn.{kind.__name__}"
    return kind.__name__


def isa(x: Any, name: str) -> bool:
    """Whether x is of a class, or of 'numeric', 'float', 'integer', or of a class derived from it."""
    kind = class_(x)
    numeric = {"numeric": isnumeric(x), "float": kind in ("single", "double"), "integer": "int" in kind}
    if name in numeric:
        return numeric[name]
    return kind == name or name.removeprefix("dagnn.") in [c.__name__ for c in type(x).__mro__]


def isnumeric(x: Any) -> bool:
    """Whether x is a number or an array of them, not logical, not text."""
    return is_array(x) and matrix(x).dtype != bool


def islogical(x: Any) -> bool:
    """Whether x is logical."""
    return is_array(x) and matrix(x).dtype == bool


def ischar(x: Any) -> bool:
    """Whether x is text."""
    return isinstance(x, str)


isstr = ischar


def iscell(x: Any) -> bool:
    """Whether x is a cell."""
    return class_(x) == "cell"


def iscellstr(x: Any) -> bool:
    """Whether x is a cell of texts."""
    return iscell(x) and all(isinstance(item, str) for item in matrix(x).ravel())


def isstruct(x: Any) -> bool:
    """Whether x is a struct or struct array."""
    return class_(x) == "struct"


def isobject(x: Any) -> bool:
    """Whether x is an object of a class."""
    return (
        not isinstance(x, (str, dict, list)) and not is_array(x) and not isinstance(x, np.ndarray) and not callable(x)
    )


def isreal(x: Any) -> bool:
    """Whether x has no imaginary part."""
    return not np.iscomplexobj(x)


def isfloat(x: Any) -> bool:
    """Whether x is single or double."""
    return isa(x, "float")


def isinteger(x: Any) -> bool:
    """Whether x is of an integer class."""
    return isa(x, "integer")


def isscalar(x: Any) -> bool:
    """Whether x is 1 x 1."""
    return size_of(x) == (1, 1)


def isvector(x: Any) -> bool:
    """Whether x is 1 x n or n x 1."""
    return len(size_of(x)) == 2 and 1 in size_of(x)


def isrow(x: Any) -> bool:
    """Whether x is 1 x n."""
    return len(size_of(x)) == 2 and size_of(x)[0] == 1


def iscolumn(x: Any) -> bool:
    """Whether x is n x 1."""
    return len(size_of(x)) == 2 and size_of(x)[1] == 1


def ismatrix(x: Any) -> bool:
    """Whether x has two dimensions."""
    return len(size_of(x)) == 2


def isfield(s: Any, names: Any) -> Any:
    """Whether a struct has a field; of a cell of names an array."""
    fields = s.fields if isinstance(s, StructArray) else s if isinstance(s, dict) else ()
    if isinstance(names, str):
        return names in fields
    return value(np.array([[n in fields for n in names]], bool))


def isprop(x: Any, name: str) -> bool:
    """Whether an object has a property."""
    return hasattr(x, name)


def ishandle(x: Any) -> bool:
    """Whether x is an object rather than a value."""
    return isobject(x)


def _convert(name: str) -> Callable[[Any], Any]:
    def convert(x: Any) -> Any:
        return value(converted(matrix(x), CLASSES[name]))

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"x in class {name}; integers round and saturate."
    return convert


double, single = _convert("double"), _convert("single")
uint8, uint16, uint32, uint64 = (_convert(n) for n in ("uint8", "uint16", "uint32", "uint64"))
int8, int16, int32, int64 = (_convert(n) for n in ("int8", "int16", "int32", "int64"))


def logical(x: Any) -> Any:
    """x as true and false."""
    return not_(not_(x))


def cast(x: Any, name: str) -> Any:
    """cast(x, 'single')."""
    return value(converted(matrix(x), CLASSES[name]))


def intmax(name: str = "int32") -> Any:
    """The largest number of an integer class."""
    return CLASSES[name](np.iinfo(CLASSES[name]).max)


def intmin(name: str = "int32") -> Any:
    """The smallest number of an integer class."""
    return CLASSES[name](np.iinfo(CLASSES[name]).min)


def realmax(name: str = "double") -> float:
    """The largest finite number."""
    return float(np.finfo(CLASSES[name]).max)


def realmin(name: str = "double") -> float:
    """The smallest normal number."""
    return float(np.finfo(CLASSES[name]).tiny)


def eps(x: Any = 1.0) -> Any:
    """The distance from x to the next larger number; eps('single') that of 1 in single precision."""
    if isinstance(x, str):
        return float(np.finfo(CLASSES[x]).eps)
    return value(np.spacing(np.abs(matrix(x).astype(float))))
