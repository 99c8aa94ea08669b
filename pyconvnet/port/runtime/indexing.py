"""Indexing with MATLAB's meaning: from 1, column by column, with `end`, growth by assignment and deletion.

at(x)[2, :]                  x(2, :)
at(x)[END - 1]               x(end - 1)
at(x)[1:3], at(x)[END:1:-1]  x(1:3), x(end:-1:1): first, last (included), step
x = into(x)[3, :].put(v)     x(3, :) = v
x = into(x)[2].delete()      x(2) = []
x = assign(x, ("a", paren[2], "b", brace[END + 1]), v)     x.a(2).b{end + 1} = v
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyconvnet.port.runtime.values import as_cell, is_array, matrix, span, value
from pyconvnet.records import StructArray

ALL = slice(None)


class End:
    """`end` within an index, with numbers added, subtracted, multiplied or divided."""

    def __init__(self, of: Callable[[int], Any] = lambda n: n) -> None:
        self.of = of

    def __add__(self, k: Any) -> End:
        return End(lambda n: self.of(n) + k)

    __radd__ = __add__

    def __sub__(self, k: Any) -> End:
        return End(lambda n: self.of(n) - k)

    def __mul__(self, k: Any) -> End:
        return End(lambda n: self.of(n) * k)

    __rmul__ = __mul__

    def __truediv__(self, k: Any) -> End:
        return End(lambda n: self.of(n) / k)


END = End()


class Step:
    def __init__(self, braces: bool, index: tuple[Any, ...] = ()) -> None:
        self.braces, self.index = braces, index

    def __getitem__(self, index: Any) -> Step:
        return Step(self.braces, index if isinstance(index, tuple) else (index,))


paren, brace = Step(False), Step(True)


class at:
    """at(x)[i, j]: x(i, j). A function is called instead, as MATLAB does with a handle."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __getitem__(self, index: Any) -> Any:
        index = index if isinstance(index, tuple) else (index,)
        if callable(self.x) and not hasattr(self.x, "__getitem__"):
            return self.x(*index)
        return get(self.x, index)


class inside:
    """inside(c)[i]: c{i}, one item of a cell; several as a list, for `*`."""

    def __init__(self, c: Any) -> None:
        self.c = c

    def __getitem__(self, index: Any) -> Any:
        index = index if isinstance(index, tuple) else (index,)
        c = self.c
        if type(c) is list and len(index) == 1 and isinstance(index[0], (int, np.integer)) and index[0] >= 1:
            return c[int(index[0]) - 1]
        if not (isinstance(c, list) or (isinstance(c, np.ndarray) and c.dtype == object)):
            if hasattr(c, "__getitem__") and not is_array(c) and not isinstance(c, (str, dict)):
                return c[index[0]]
            raise TypeError(f"{{}} is for cells, got {type(c).__name__}")
        picked = get(matrix(c), index)
        items = list(picked) if isinstance(picked, list) else list(picked.ravel(order="F"))
        plain = all(not isinstance(i, slice) and np.size(resolved(i, 1)) == 1 for i in index)
        return items[0] if plain and len(items) == 1 else items

    def __setitem__(self, index: Any, v: Any) -> None:
        """inside(c)[i] = v: c{i} = v, where the cell is a list, which grows, or has the place already."""
        from pyconvnet.port.runtime.assignment import put

        if put(self.c, index if isinstance(index, tuple) else (index,), v, braces=True) is not self.c:
            raise IndexError("c{i} = v needs another cell; c = assign(c, (brace[i],), v) makes one")


def resolved(i: Any, n: int) -> Any:
    """An index with `end` known to be n."""
    if isinstance(i, End):
        return i.of(n)
    if isinstance(i, slice):
        return slice(resolved(i.start, n), resolved(i.stop, n), resolved(i.step, n))
    return i(n) if callable(i) else i


def positions(i: Any, n: int) -> np.ndarray:
    """0-based positions of an index into a dimension of n elements, with the shape of the index."""
    i = resolved(i, n)
    if isinstance(i, slice):
        if i == ALL:
            return np.arange(n).reshape(1, -1)
        i = span(1 if i.start is None else i.start, n if i.stop is None else i.stop, 1 if i.step is None else i.step)
    if isinstance(i, str):
        if i == ":":
            return np.arange(n).reshape(1, -1)
        i = matrix(i)
    a = np.asarray(i)
    if a.dtype == bool:
        if a.ndim < 2:
            a = a.reshape(1, -1)
        flat = np.flatnonzero(a.ravel(order="F"))
        return flat.reshape((1, -1) if a.shape[0] == 1 else (-1, 1))
    whole = a.astype(np.int64) if a.dtype.kind in "fiu" else None
    if whole is None or np.any(whole != a) or (a.size and whole.min() < 1):
        raise IndexError(f"an index must be whole numbers from 1, or logical; got {i!r}")
    return (whole - 1) if a.ndim >= 2 else (whole - 1).reshape(1, -1)


def is_all(i: Any) -> bool:
    return (isinstance(i, slice) and i == ALL) or (isinstance(i, str) and i == ":")


def get(x: Any, index: tuple[Any, ...]) -> Any:
    """x(index): of an array, text, cell (again a cell), struct array (one struct where the index is one number)."""
    if isinstance(x, str):
        if not index:
            return x
        at_ = positions(index[-1], len(x)).ravel()
        _inside(at_, len(x), x)
        return "".join(x[k] for k in at_)
    if isinstance(x, list) and type(x) is not list:
        at_ = positions(index[-1], len(x)).ravel()
        _inside(at_, len(x), x)
        picked = [list.__getitem__(x, int(k)) for k in at_]
        one = len(picked) == 1
        return (
            picked[0]
            if one
            else StructArray(picked, getattr(x, "fields", ()))
            if isinstance(x, StructArray)
            else picked
        )
    if type(x) is list:
        return as_cell(_get_array(matrix(x), index))
    if isinstance(x, np.ndarray) and x.dtype == object:
        return as_cell(_get_array(matrix(x), index))
    if is_array(x):
        return value(_get_array(matrix(x), index))
    if hasattr(x, "__getitem__") and not isinstance(x, dict):  # containers.Map
        return x[index[0]]
    if all(is_all(i) or np.array_equal(np.ravel(positions(i, 1)), [0]) for i in index):
        return x  # a struct or an object is 1 x 1
    raise IndexError(f"a {type(x).__name__} has one element, got an index beyond it")


def _inside(at_: np.ndarray, n: int, x: Any) -> None:
    if at_.size and at_.max() >= n:
        raise IndexError(f"index {int(at_.max()) + 1} is beyond the {n} elements")


def _get_array(a: np.ndarray, index: tuple[Any, ...]) -> np.ndarray:
    if not index:
        return a
    if len(index) == 1:
        if is_all(index[0]):
            return a.reshape(-1, 1, order="F")
        i = index[0]
        mask = isinstance(i, (np.ndarray, np.bool_, bool)) and np.asarray(i).dtype == bool
        at_ = positions(i, a.size)
        _inside(at_, a.size, a)
        picked = a[np.unravel_index(at_, a.shape, order="F")] if a.size else a.reshape(-1)[at_]
        vector = a.ndim == 2 and 1 in a.shape and a.size != 1
        if vector and (1 in at_.shape or mask) and at_.ndim == 2:
            return picked.reshape((1, -1) if a.shape[0] == 1 else (-1, 1))
        return picked
    shape = folded(a.shape, len(index))
    if shape != a.shape:
        a = a.reshape(shape, order="F")
    for axis, i in enumerate(index):
        if is_all(i):
            continue
        at_ = positions(i, a.shape[axis]).ravel(order="F")
        _inside(at_, a.shape[axis], a)
        if at_.size and at_[-1] - at_[0] == at_.size - 1 and np.all(np.diff(at_) == 1):
            a = a[(ALL,) * axis + (slice(int(at_[0]), int(at_[-1]) + 1),)]
        else:
            a = np.take(a, at_, axis=axis)
    return a


def folded(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The shape as `count` indexes see it: the last one runs over all dimensions that are left."""
    if count >= len(shape):
        return shape + (1,) * (count - len(shape))
    return (*shape[: count - 1], int(np.prod(shape[count - 1 :])))
