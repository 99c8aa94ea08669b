"""How arguments are read and results are given: what the help of pyconvnet.compat.matlab promises, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from pyconvnet.compat.imresize import as_class
from pyconvnet.options import read_pairs
from pyconvnet.values import as_array, choice, number, whole_number

Cells = list[Any] | tuple[Any, ...] | np.ndarray


def is_number(value: Any) -> bool:
    """Whether a value is a plain number: of Python, or an array without dimensions."""
    return isinstance(value, (bool, int, float, np.generic)) or (isinstance(value, np.ndarray) and not value.ndim)


def matrix(name: str, value: Any) -> np.ndarray:
    """Numbers or logicals as an array of at least two dimensions; a list or an array of one dimension is a row."""
    a = as_array(value)
    if a.size == 0 and a.dtype.kind in "fO":
        return np.zeros(a.shape if a.ndim > 1 else (0, 0))
    if a.dtype.kind not in "biufc":
        raise TypeError(f"{name} must be numbers or logicals, got {type(value).__name__}: {value!r}")
    return np.atleast_2d(a)


def floats(name: str, value: Any) -> np.ndarray:
    """Real numbers or logicals in double precision, in the dimensions that come."""
    a = as_array(value)
    if a.dtype.kind not in "biuf" and a.size:
        raise TypeError(f"{name} must be numbers, got {type(value).__name__}: {value!r}")
    return np.zeros(a.shape) if a.dtype.kind not in "biuf" else a.astype(float)


def text(name: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, got {type(value).__name__}: {value!r}")
    return value


def texts(name: str, given: Any) -> list[str]:
    """One text, or a list of them, as a list."""
    found = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    if not all(isinstance(t, str) for t in found):
        raise TypeError(f"{name} must be a text or a list of texts, got {given!r}")
    return found


def integers(name: str, value: Any) -> list[int]:
    """Whole numbers, as many as come."""
    a = as_array(value)
    if a.size and (a.dtype.kind not in "biuf" or not np.all(np.isfinite(a)) or np.any(a != np.floor(a))):
        raise ValueError(f"{name} must be whole numbers, got {value!r}")
    return [int(v) for v in a.ravel()]


def pair(name: str, value: Any) -> tuple[int, int]:
    """Two whole numbers, or one that stands for both."""
    given = integers(name, value)
    if len(given) not in (1, 2):
        raise ValueError(f"{name} must be 1 or 2 whole numbers, got {value!r}")
    return given[0], given[-1]


def as_given(result: np.ndarray, *arguments: Any) -> Any:
    """A result of one element as a number, where all arguments were plain numbers."""
    return result.reshape(-1)[0].item() if result.size == 1 and all(map(is_number, arguments)) else result


def axis_of(name: str, a: np.ndarray, dim: Any = None) -> int:
    """The axis that MATLAB's 1-based `dim` means; without one, the first whose size is not 1."""
    if dim is None:
        return next((i for i, n in enumerate(a.shape) if n != 1), 0)
    return whole_number(f"{name}: dim", dim, 1) - 1


def matlab_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of two dimensions or more as MATLAB's size has it: without the ones at its end beyond two."""
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def with_dimensions(a: np.ndarray, count: int) -> np.ndarray:
    """The array with further dimensions of size 1 at the end, so that there are `count`."""
    return a.reshape(a.shape + (1,) * (count - a.ndim))


def is_integer_class(a: np.ndarray) -> bool:
    """Whether MATLAB would say so; int64, which numpy makes of any whole numbers, counts as double."""
    return a.dtype.kind in "iu" and a.dtype != np.int64


def computed(f: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """f of arrays, computed in double precision, of the class that MATLAB gives: integer, else single, else double."""
    kinds = {a.dtype for a in arrays if is_integer_class(a)}
    if len(kinds) > 1:
        raise TypeError(f"integers must be of one class, got {', '.join(sorted(map(str, kinds)))}")
    y = f(*(a.astype(np.float64) if a.dtype.kind in "biuf" else a for a in arrays))
    if y.dtype != np.float64:  # comparisons
        return y
    if kinds:
        return as_class(y, kinds.pop())
    return y.astype(np.float32) if any(a.dtype == np.float32 for a in arrays) else y


def cells(name: str, value: Any) -> tuple[list[Any], tuple[int, ...]]:
    """A cell's values, column by column, and its size."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        a = np.atleast_2d(value)
        return list(a.ravel(order="F")), a.shape
    if isinstance(value, (list, tuple)):
        return list(value), (1, len(value)) if len(value) else (0, 0)
    raise TypeError(f"{name} must be a cell (a list, or an array of objects), got {type(value).__name__}")


def cell(values: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """A cell of that size: a list where it is a row or empty, else an array of objects."""
    if len(shape) == 2 and (shape[0] == 1 or not len(values)):
        return list(values)
    out = np.empty(len(values), object)
    out[:] = values
    return out.reshape(shape, order="F")


def outputs(fn: str, values: Sequence[Any], nargout: int) -> Any:
    """The first value, or with nargout above 1 a tuple of as many."""
    accepted = f"a whole number from 1 to {len(values)}"
    count = int(number(f"{fn}: nargout", nargout, accepted, lambda n: n in range(1, len(values) + 1)))
    return values[0] if count == 1 else tuple(values[:count])


def named_options(
    fn: str, pairs: Sequence[Any], accepted: Sequence[str], keywords: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Options given as 'Name', value pairs or keywords, by their names as in `accepted`."""
    items = [*pairs, *(item for pair in (keywords or {}).items() for item in pair)]
    return read_pairs(fn, items, {name.lower(): name for name in accepted}, ignored={})


def flags(fn: str, given: Sequence[Any], accepted: Sequence[str]) -> set[str]:
    """Trailing words such as 'stable', in any letter case."""
    return {choice(f"{fn}: the option", word, accepted) for word in given}
