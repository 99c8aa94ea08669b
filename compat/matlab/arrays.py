"""Arrays put together, taken apart and turned: sizes, order of dimensions, subscripts, grids."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pyconvnet.arrays import size_text
from pyconvnet.compat.imresize import as_class
from pyconvnet.compat.matlab.conventions import (
    as_given,
    axis_of,
    cell,
    cells,
    computed,
    integers,
    is_integer_class,
    is_number,
    matrix,
    with_dimensions,
)
from pyconvnet.records import StructArray
from pyconvnet.values import as_array, number, whole_number

__all__ = [
    "bsxfun",
    "cat",
    "circshift",
    "cumsum",
    "flip",
    "fliplr",
    "flipud",
    "horzcat",
    "ind2sub",
    "kron",
    "linspace",
    "logspace",
    "meshgrid",
    "ndgrid",
    "permute",
    "repmat",
    "rot90",
    "squeeze",
    "sub2ind",
    "vertcat",
]


def modulo(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """MATLAB's mod: of the sign of y, and x where y is 0."""
    return np.where(y == 0, x, np.mod(x, np.where(y == 0, 1, y)))


_FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "plus": np.add,
    "minus": np.subtract,
    "times": np.multiply,
    "rdivide": np.true_divide,
    "ldivide": lambda a, b: np.true_divide(b, a),
    "power": np.power,
    "max": np.fmax,
    "min": np.fmin,
    "rem": np.fmod,
    "mod": modulo,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "xor": np.logical_xor,
}


def bsxfun(fun: Any, A: Any, B: Any) -> Any:
    """fun(A, B), element by element, where a dimension of size 1 is repeated to the size that the other has.

    fun  a name ("plus", "@minus", "rdivide", "eq", ...) or a function of two arrays. Sizes are compared from the first
         dimension on, as in MATLAB; numpy compares them from the last, so that x - mean of unequal dimensions differs.

    >>> bsxfun("minus", [[1, 2], [3, 4]], [[1], [2]])
    array([[0., 1.],
           [1., 2.]])
    """
    a, b = matrix("bsxfun: A", A), matrix("bsxfun: B", B)
    count = max(a.ndim, b.ndim)
    a, b = with_dimensions(a, count), with_dimensions(b, count)
    if any(m != n and 1 not in (m, n) for m, n in zip(a.shape, b.shape)):
        raise ValueError(f"bsxfun: A is {size_text(a.shape)}, B is {size_text(b.shape)}; sizes must be equal or 1")
    if isinstance(fun, str):
        name = fun.removeprefix("@")
        if name not in _FUNCTIONS:
            raise ValueError(f"bsxfun: fun must be a function or one of {', '.join(_FUNCTIONS)}, got {fun!r}")
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return as_given(computed(_FUNCTIONS[name], a, b), A, B)
    if not callable(fun):
        raise TypeError(f"bsxfun: fun must be a name or a function, got {type(fun).__name__}")
    return as_given(np.asarray(fun(a, b)), A, B)


def repmat(A: Any, *sizes: Any) -> Any:
    """Copies of A side by side: repmat(A, n) n x n, repmat(A, m, n, ...), repmat(A, [m, n, ...]); of text, one row."""
    counts = [max(n, 0) for s in sizes for n in integers("repmat: sizes", s)]
    if not counts:
        raise ValueError("repmat: sizes must be given, n or m, n, ...")
    counts = counts * 2 if len(counts) == 1 else counts
    if isinstance(A, str):
        if counts[0] != 1 or len(counts) > 2:
            raise ValueError(f"repmat: text can be repeated within a row only, got {counts}")
        return A * counts[1]
    if isinstance(A, (list, tuple)) and as_array(A).dtype.kind not in "biuf":
        values, shape = cells("repmat: A", A)
        items = np.empty(shape, object)
        items[0, :] = values
        tiled = np.tile(items, counts)
        return cell(list(tiled.ravel(order="F")), tiled.shape)
    a = as_array(A) if isinstance(A, np.ndarray) and A.dtype == object else matrix("repmat: A", A)
    return np.tile(with_dimensions(a, len(counts)), counts + [1] * (a.ndim - len(counts)))


def cat(dim: Any, *arrays: Any) -> Any:
    """Arrays, or cells, one after the other along dimension `dim`, from 1; along 2 also texts and structs.

    Empty 0 x 0 arrays are left out. The class is that of the first integers, else single, else double. Numbers beside
    text are codes of characters. Structs make a struct array. A list of numbers is a row of numbers, not a cell.
    """
    return joined("cat", whole_number("cat: dim", dim, 1) - 1, arrays)


def joined(fn: str, axis: int, arrays: Sequence[Any]) -> Any:
    """Arrays one after the other along an axis, from 0."""
    if arrays and all(isinstance(a, (Mapping, StructArray)) for a in arrays):
        structs: list[Any] = [v for a in arrays for v in ([a] if isinstance(a, Mapping) else a)]
        return StructArray(structs)
    if any(_is_cell(a) for a in arrays):
        return _joined_cells(fn, axis, arrays)
    if axis == 1 and any(isinstance(a, str) for a in arrays):
        return "".join(_characters(f"{fn}: array {i}", a) for i, a in enumerate(arrays, 1))
    given = [matrix(f"{fn}: array {i}", a) for i, a in enumerate(arrays, 1)]
    kept = [a for a in given if a.shape != (0, 0)]
    if not kept:
        return given[0] if given else np.zeros((0, 0))
    count = max(axis + 1, *(a.ndim for a in kept))
    kept = [with_dimensions(a, count) for a in kept]
    others = {tuple(n for i, n in enumerate(a.shape) if i != axis) for a in kept}
    if len(others) > 1:
        sizes = ", ".join(size_text(a.shape) for a in kept)
        raise ValueError(f"{fn}: sizes must be equal but for dimension {axis + 1}, got {sizes}")
    whole = [a.dtype for a in kept if is_integer_class(a)]
    if whole:
        kept = [a if a.dtype == whole[0] else as_class(a.astype(float), whole[0]) for a in kept]
    elif any(a.dtype == np.float32 for a in kept):
        kept = [a.astype(np.float32) for a in kept]
    return np.concatenate(kept, axis)


def horzcat(*arrays: Any) -> Any:
    """[a, b, ...]: cat(2, ...); of text, one after the other."""
    return joined("horzcat", 1, arrays)


def vertcat(*arrays: Any) -> Any:
    """[a; b; ...]: cat(1, ...)."""
    return joined("vertcat", 0, arrays)


def permute(A: Any, order: Any) -> np.ndarray:
    """A with its dimensions in another order: permute(A, [2, 1, 3]) exchanges the first two. Counted from 1.

    All dimensions of `order` are kept, those of size 1 at the end as well, which MATLAB does not show.
    """
    a, axes = np.atleast_2d(as_array(A)), [v - 1 for v in integers("permute: order", order)]
    if sorted(axes) != list(range(len(axes))) or len(axes) < a.ndim:
        raise ValueError(f"permute: order must have each number from 1 to {max(a.ndim, 2)} or more once, got {order!r}")
    return with_dimensions(a, len(axes)).transpose(axes)


def squeeze(A: Any) -> np.ndarray:
    """A without dimensions of size 1; what has two dimensions stays as it is, and 1 x 1 x n becomes n x 1.

    >>> squeeze(np.zeros((1, 1, 3))).shape
    (3, 1)
    """
    a = np.atleast_2d(as_array(A))
    if a.ndim == 2:
        return a
    left = tuple(n for n in a.shape if n != 1)
    return a.reshape(left if len(left) > 1 else (*left, 1, 1)[:2])


def circshift(A: Any, k: Any, dim: Any = None) -> np.ndarray:
    """A turned by k elements along dimension `dim` (the first whose size is not 1), or by k = [rows, columns, ...]."""
    a, steps = np.atleast_2d(as_array(A)), integers("circshift: k", k)
    if not steps or (dim is not None and len(steps) > 1):
        raise ValueError(f"circshift: k must be a whole number, or without dim one for each dimension, got {k!r}")
    if len(steps) == 1:
        axis = axis_of("circshift", a, dim)
        return np.roll(a, steps[0], axis) if axis < a.ndim else a
    return np.roll(a, steps[: a.ndim], tuple(range(len(steps[: a.ndim]))))


def rot90(A: Any, k: int = 1) -> np.ndarray:
    """A turned k times by 90 degrees against the clock, each plane of the first two dimensions."""
    return np.rot90(np.atleast_2d(as_array(A)), int(number("rot90: k", k, "a whole number", lambda v: v % 1 == 0)))


def flip(A: Any, dim: Any = None) -> np.ndarray:
    """A in reverse along dimension `dim`, the first whose size is not 1."""
    a = np.atleast_2d(as_array(A))
    axis = axis_of("flip", a, dim)
    return np.flip(a, axis) if axis < a.ndim else a


def fliplr(A: Any) -> np.ndarray:
    """A from right to left."""
    return flip(A, 2)


def flipud(A: Any) -> np.ndarray:
    """A upside down."""
    return flip(A, 1)


def kron(A: Any, B: Any) -> Any:
    """Kronecker's product of two matrices.

    >>> kron([1, 2], [[1], [1]])
    array([[1., 2.],
           [1., 2.]])
    """
    return as_given(computed(np.kron, matrix("kron: A", A), matrix("kron: B", B)), A, B)


def cumsum(A: Any, *options: Any) -> Any:
    """Sums along dimension dim (the first whose size is not 1): cumsum(A, dim, "reverse")."""
    reverse = bool(options) and isinstance(options[-1], str)
    if reverse and options[-1].lower() not in ("forward", "reverse"):
        raise ValueError(f"cumsum: direction must be 'forward' or 'reverse', got {options[-1]!r}")
    reverse = reverse and options[-1].lower() == "reverse"
    numbers = [o for o in options if not isinstance(o, str)]
    a = matrix("cumsum: A", A)
    axis = axis_of("cumsum", a, *numbers[:1])
    if axis >= a.ndim:
        return a

    def summed(x: np.ndarray) -> np.ndarray:
        return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)

    return as_given(summed(a) if a.dtype == np.float32 else computed(summed, a), A)


def sub2ind(size: Any, *subscripts: Any) -> Any:
    """Linear indices, from 1, column by column, of subscripts, from 1.

    >>> sub2ind([3, 4], 2, 3)
    8
    """
    shape = _shape("sub2ind", size)
    if not subscripts:
        raise ValueError("sub2ind: subscripts must be given, one for each dimension")
    if len(subscripts) > len(shape):
        shape += (1,) * (len(subscripts) - len(shape))
    else:
        shape = (*shape[: len(subscripts) - 1], math.prod(shape[len(subscripts) - 1 :]))
    given = [matrix(f"sub2ind: subscript {i}", s) for i, s in enumerate(subscripts, 1)]
    if len({s.shape for s in given}) > 1:
        sizes = ", ".join(size_text(s.shape) for s in given)
        raise ValueError(f"sub2ind: subscripts must be of one size, got {sizes}")
    for i, (s, n) in enumerate(zip(given, shape), 1):
        if np.any(s < 1) or np.any(s > n) or np.any(s != np.floor(s)):
            raise ValueError(f"sub2ind: subscript {i} must be whole numbers from 1 to {n}, got {subscripts[i - 1]!r}")
    index = np.ravel_multi_index(tuple(s.astype(np.intp) - 1 for s in given), shape, order="F") + 1
    return as_given(index, *subscripts) if all(map(is_number, subscripts)) else index.astype(float)


def ind2sub(size: Any, index: Any, nargout: int | None = None) -> tuple[Any, ...]:
    """Subscripts, from 1, of linear indices, from 1: a tuple, one for each dimension of `size`.

    nargout  fewer: the last one goes through all dimensions that are left

    >>> ind2sub([3, 4], 8)
    (2, 3)
    """
    shape = _shape("ind2sub", size)
    count = len(shape) if nargout is None else whole_number("ind2sub: nargout", nargout, 1)
    shape = shape + (1,) * (count - len(shape))
    shape = (*shape[: count - 1], math.prod(shape[count - 1 :]))
    a = matrix("ind2sub: index", index)
    if np.any(a < 1) or np.any(a > math.prod(shape)) or np.any(a != np.floor(a)):
        raise ValueError(f"ind2sub: index must be whole numbers from 1 to {math.prod(shape)}, got {index!r}")
    found = np.unravel_index(a.astype(np.intp) - 1, shape, order="F")
    return tuple(int(s.ravel()[0]) + 1 if is_number(index) else s + 1.0 for s in found)


def meshgrid(x: Any, y: Any = None, z: Any = None) -> tuple[np.ndarray, ...]:
    """X, Y with x along the columns and y along the rows, numel(y) x numel(x); with z, X, Y, Z in three dimensions."""
    given = [matrix("meshgrid: x", x), matrix("meshgrid: y", x if y is None else y)]
    given += [] if z is None else [matrix("meshgrid: z", z)]
    return tuple(np.array(g) for g in np.meshgrid(*map(np.ravel, given), indexing="xy"))


def ndgrid(*vectors: Any) -> tuple[np.ndarray, ...]:
    """X1, X2, ... where Xk goes along dimension k; one vector stands for two."""
    if not vectors:
        raise ValueError("ndgrid: a vector must be given")
    given = [matrix(f"ndgrid: vector {i}", v).ravel() for i, v in enumerate(vectors, 1)]
    return tuple(np.array(g) for g in np.meshgrid(*(given * 2 if len(given) == 1 else given), indexing="ij"))


def linspace(a: Any, b: Any, n: Any = 100) -> np.ndarray:
    """1 x n: from a to b in equal steps, a + k (b - a) / (n - 1)."""
    return _spaced("linspace", a, b, n)


def logspace(a: Any, b: Any, n: Any = 50) -> np.ndarray:
    """1 x n: 10 to the powers linspace(a, b, n); b = pi means up to pi."""
    return 10.0 ** _spaced("logspace", a, math.log10(math.pi) if number("logspace: b", b) == math.pi else b, n)


def _spaced(fn: str, a: Any, b: Any, n: Any) -> np.ndarray:
    count = max(int(number(f"{fn}: n", n, "one finite number", math.isfinite)), 1)
    a, b = number(f"{fn}: a", a), number(f"{fn}: b", b)
    x = a + np.arange(count) * (b - a) / max(count - 1, 1)
    x[-1] = b
    return x[None]


def _characters(name: str, a: Any) -> str:
    """Text, or numbers as the characters of these codes."""
    if isinstance(a, str):
        return a
    codes = integers(name, a)
    if any(not 0 <= c < 0x110000 for c in codes):
        raise ValueError(f"{name} must be text or codes of characters, got {a!r}")
    return "".join(map(chr, codes))


def _is_cell(a: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == object
    return isinstance(a, (list, tuple)) and len(a) > 0 and as_array(a).dtype.kind not in "biufc"


def _joined_cells(fn: str, axis: int, arrays: Sequence[Any]) -> Any:
    if axis == 1 and not any(isinstance(a, np.ndarray) and a.dtype == object for a in arrays):
        return [v for a in arrays for v in (a if isinstance(a, (list, tuple)) else [a])]
    parts = []
    for i, a in enumerate(arrays, 1):
        values, shape = cells(f"{fn}: cell {i}", a if isinstance(a, (list, tuple, np.ndarray)) else [a])
        if len(values):
            part = np.empty(len(values), object)
            part[:] = values
            parts.append(part.reshape(shape, order="F"))
    if axis > 1 or len({tuple(np.delete(p.shape, axis)) for p in parts}) > 1:
        sizes = ", ".join(size_text(p.shape) for p in parts)
        raise ValueError(f"{fn}: cells must be equal in size but for dimension 1 or 2, got {sizes}")
    joined = np.concatenate(parts, axis)
    return cell(list(joined.ravel(order="F")), joined.shape)


def _shape(fn: str, size: Any) -> tuple[int, ...]:
    shape = tuple(integers(f"{fn}: size", size))
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"{fn}: size must be at least two whole numbers from 0 up, got {size!r}")
    return shape
