"""Functions of MATLAB's language itself: sizes, making arrays, sums and orders, classes of values."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyconvnet.compat.matlab.arrays import modulo
from pyconvnet.port.runtime.classes import CLASSES
from pyconvnet.port.runtime.operators import _arithmetic
from pyconvnet.port.runtime.values import as_cell, is_array, is_cell, matrix, size_of, value
from pyconvnet.port.runtime.values import cast as converted
from pyconvnet.records import Struct, StructArray


def size(x: Any, dim: Any = None, nargout: int = 1) -> Any:
    """The size of x: a row, one number for dim, or nargout numbers, the last of which counts all that is left."""
    shape = size_of(x)
    if dim is not None:
        sizes = [shape[int(d) - 1] if d <= len(shape) else 1 for d in np.ravel(dim)]
        return sizes[0] if len(sizes) == 1 else np.array([sizes], float)
    if nargout == 1:
        return np.array([shape], float)
    shape = shape + (1,) * (nargout - len(shape))
    return (*shape[: nargout - 1], int(np.prod(shape[nargout - 1 :])))


def numel(x: Any) -> int:
    """How many elements x has."""
    return int(np.prod(size_of(x)))


def length(x: Any) -> int:
    """The largest of the sizes, 0 where x is empty."""
    return builtins.max(size_of(x)) if numel(x) else 0


def ndims(x: Any) -> int:
    """How many dimensions x has, 2 at least."""
    return len(size_of(x))


def isempty(x: Any) -> bool:
    """Whether x has no element."""
    return numel(x) == 0


def _shape(sizes: tuple[Any, ...]) -> tuple[tuple[int, ...], Any]:
    """The shape and the class that zeros, ones and their like are asked for."""
    dtype: Any = np.float64
    numbers = list(sizes)
    if len(numbers) >= 2 and isinstance(numbers[-2], str) and numbers[-2] == "like":
        dtype, numbers = matrix(numbers[-1]).dtype, numbers[:-2]
    while numbers and isinstance(numbers[-1], str):
        word = numbers.pop()
        dtype = CLASSES.get(word, dtype)
    shape = tuple(builtins.max(int(v), 0) for s in numbers for v in np.ravel(s))
    return (1, 1) if not shape else shape * 2 if len(shape) == 1 else shape, dtype


def _maker(name: str, fill: Any) -> Callable[..., Any]:
    def make(*sizes: Any) -> Any:
        shape, dtype = _shape(sizes)
        return value(np.full(shape, fill, dtype, order="F"))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{name}(n), {name}(m, n, ...), {name}([m n], 'single'): an array filled with {fill}."
    return make


zeros, ones = _maker("zeros", 0), _maker("ones", 1)
NaN = nan = _maker("NaN", math.nan)
Inf = inf = _maker("Inf", math.inf)


def true(*sizes: Any) -> Any:
    """true(m, n): logical ones."""
    return value(np.ones(_shape(sizes)[0], bool))


def false(*sizes: Any) -> Any:
    """false(m, n): logical zeros."""
    return value(np.zeros(_shape(sizes)[0], bool))


def eye(*sizes: Any) -> Any:
    """The identity matrix."""
    shape, dtype = _shape(sizes)
    return value(np.eye(*shape, dtype=dtype))


def _axis(a: np.ndarray, dim: Any) -> int:
    if dim is not None:
        return int(dim) - 1
    return next((k for k, n in enumerate(a.shape) if n != 1), 0)


def _reduction(name: str, f: Callable[..., Any], keep_class: bool = True) -> Callable[..., Any]:
    def reduce(x: Any, *options: Any) -> Any:
        a = matrix(x)
        dims = [o for o in options if not isinstance(o, str)]
        if "all" in options:
            a = a.reshape(-1, 1)
        if a.shape == (0, 0) and not dims:
            a = a.reshape(0, 1)
        axis = _axis(a, dims[-1] if dims else None)
        if axis >= a.ndim:
            a = a.reshape(a.shape + (1,) * (axis + 1 - a.ndim))
        with np.errstate(all="ignore"):
            out = f(a, axis)
        if keep_class and a.dtype.kind in "iu" and name in ("sum", "prod") and "double" not in options:
            out = converted(out, a.dtype)
        return value(np.expand_dims(out, axis))

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = f"{name} along dimension dim, or the first one that is not 1."
    return reduce


def _double(a: np.ndarray) -> np.ndarray:
    return a if a.dtype.kind in "fc" else a.astype(float)


def _mean(a: np.ndarray, axis: int) -> Any:
    if not a.shape[axis]:
        return np.full(np.delete(a.shape, axis), math.nan)
    return np.mean(_double(a), axis=axis, dtype=np.float64 if a.dtype != np.float32 else np.float32)


def _median(a: np.ndarray, axis: int) -> Any:
    return np.median(_double(a), axis=axis) if a.shape[axis] else np.full(np.delete(a.shape, axis), math.nan)


sum = _reduction("sum", lambda a, axis: np.sum(_double(a), axis=axis))
prod = _reduction("prod", lambda a, axis: np.prod(_double(a), axis=axis))
mean = _reduction("mean", _mean)
median = _reduction("median", _median)
any = _reduction("any", lambda a, axis: np.any((a != 0) & ~np.isnan(_double(a)), axis=axis))
all = _reduction("all", lambda a, axis: np.all(a != 0, axis=axis))


def _deviation(name: str, f: Callable[..., np.ndarray]) -> Callable[..., Any]:
    def deviate(x: Any, w: Any = 0, dim: Any = None) -> Any:
        a = _double(matrix(x))
        axis = _axis(a, dim)
        flat = 1 if np.size(w) and int(np.ravel(w)[0]) else 0
        ddof = 0 if flat or a.shape[axis] == 1 else 1
        return value(np.expand_dims(f(a, axis=axis, ddof=ddof), axis))

    deviate.__name__ = deviate.__qualname__ = name
    deviate.__doc__ = f"{name}(x, w, dim): divided by n - 1, or by n where w is 1."
    return deviate


std, var = _deviation("std", np.std), _deviation("var", np.var)


def _extreme(name: str, better: Any, index: Any, nothing: float) -> Callable[..., Any]:
    def extreme(x: Any, y: Any = None, dim: Any = None, nargout: int = 1) -> Any:
        a = matrix(x)
        if y is not None and np.size(matrix(y)):
            b = matrix(y)
            ndim = builtins.max(a.ndim, b.ndim)
            a, b = (v.reshape(v.shape + (1,) * (ndim - v.ndim)) for v in (a, b))
            whole = next((v.dtype for v in (a, b) if v.dtype.kind in "iu"), None)
            single = np.float32 in (a.dtype, b.dtype)
            out = better(a, b)
            return value(out.astype(whole or (np.float32 if single else float), copy=False))
        if not a.size:
            return (a, a) if nargout == 2 else a
        if dim == "all":
            a, dim = a.reshape(-1, 1, order="F"), None
        axis = _axis(a, dim if dim is None or np.size(dim) else None)
        if axis >= a.ndim:
            return (x, ones(size(x))) if nargout == 2 else x
        known = a
        if a.dtype.kind == "f":
            known = np.where(np.isnan(a), np.asarray(nothing, a.dtype), a)
        where = np.expand_dims(index(known, axis=axis), axis)
        out = value(np.take_along_axis(a, where, axis=axis))
        return (out, value(where + 1.0)) if nargout == 2 else out

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = (
        f"{name}(x), {name}(x, y), {name}(x, [], dim); nargout=2: where it is as well, from 1. NaN is passed over."
    )
    return extreme


max = _extreme("max", np.fmax, np.argmax, -math.inf)
min = _extreme("min", np.fmin, np.argmin, math.inf)


def sort(x: Any, *options: Any, nargout: int = 1) -> Any:
    """x in order along a dimension; equal ones stay in turn. nargout=2: where each one was as well, from 1."""
    down = any_word(options, "descend")
    if is_cell(x):
        items = list(matrix(x).ravel())
        turns = sorted(range(len(items)), key=items.__getitem__, reverse=down)
        found = [items[k] for k in turns]
        places = np.array([turns], float) + 1
        if isinstance(x, np.ndarray) and x.shape[1] == 1:
            column = np.empty((len(found), 1), object)
            column[:, 0] = found
            return (column, places.T) if nargout == 2 else column
        return (found, places) if nargout == 2 else found
    a = matrix(x)
    dims = [o for o in options if not isinstance(o, str)]
    axis = _axis(a, dims[0] if dims else None)
    if down:
        order = np.flip(a.shape[axis] - 1 - np.argsort(np.flip(a, axis), axis=axis, kind="stable"), axis)
        if a.dtype.kind == "f" and np.isnan(a).any():
            order = np.argsort(np.where(np.isnan(a), -math.inf, -a), axis=axis, kind="stable")
    else:
        order = np.argsort(a, axis=axis, kind="stable")
    out = np.take_along_axis(a, order, axis=axis)
    text = "".join(chr(int(c)) for c in out.ravel()) if isinstance(x, str) else value(out)
    return (text, value(order + 1.0)) if nargout == 2 else text


def any_word(options: tuple[Any, ...], word: str) -> bool:
    """Whether a word is among options, in any letter case."""
    return word in [o.lower() for o in options if isinstance(o, str)]


def find(x: Any, n: Any = None, direction: str = "first", nargout: int = 1) -> Any:
    """Positions of what is not zero, from 1, column by column; nargout=2: rows and columns, 3: values as well."""
    a = matrix(x)
    at = np.flatnonzero(a.ravel(order="F"))
    if n is not None:
        at = at[: int(n)] if direction == "first" else at[len(at) - builtins.min(int(n), len(at)) :]
    shape = (1, -1) if a.ndim == 2 and a.shape[0] == 1 and a.shape[1] != 1 else (-1, 1)
    if a.shape == (0, 0):
        shape = (0, 0)
    if nargout == 1:
        return value((at + 1.0).reshape(shape))
    height = builtins.max(a.shape[0], 1)
    i, j = at % height + 1.0, at // height + 1.0
    values = a.ravel(order="F")[at]
    return tuple(value(v.reshape(shape)) for v in (i, j, values))[:nargout]


def reshape(x: Any, *sizes: Any) -> Any:
    """x with another size, column by column; [] for one of the sizes is what is left."""
    a = matrix(x)
    shape: list[int] = []
    for s in sizes:
        shape += [int(v) for v in np.ravel(s)] if np.size(s) else [-1]
    out = a.reshape(shape, order="F")
    return (
        "".join(chr(int(c)) for c in out.ravel())
        if isinstance(x, str) and out.shape[0] == 1
        else (as_cell(out) if out.dtype == object else value(out))
    )


def colon(x: Any) -> Any:
    """x(:), a column."""
    if type(x) is list and len(x) < 2:
        return x
    return value(matrix(x).reshape(-1, 1, order="F")) if not isinstance(x, StructArray) else x


def diag(x: Any) -> Any:
    """The diagonal of a matrix as a column, or a matrix with this diagonal."""
    a = matrix(x)
    return value(np.diag(a.ravel())) if 1 in a.shape else value(np.diag(a).reshape(-1, 1))


def _elementwise(name: str, f: Callable[..., np.ndarray], whole: bool = False) -> Callable[..., Any]:
    def apply(x: Any) -> Any:
        a = matrix(x)
        if whole and a.dtype.kind in "iu":
            return value(a)
        with np.errstate(all="ignore"):
            return value(f(_double(a) if a.dtype.kind in "b" or not whole else a))

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"MATLAB's {name}, element by element."
    return apply


def _complex_if(test: Callable[[np.ndarray], np.ndarray], f: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda a: f(a.astype(complex)) if a.dtype.kind == "f" and np.any(test(a)) else f(a)


sqrt = _elementwise("sqrt", _complex_if(lambda a: a < 0, np.sqrt))
log = _elementwise("log", _complex_if(lambda a: a < 0, np.log))
log2 = _elementwise("log2", _complex_if(lambda a: a < 0, np.log2))
log10 = _elementwise("log10", _complex_if(lambda a: a < 0, np.log10))
exp, log1p, expm1 = _elementwise("exp", np.exp), _elementwise("log1p", np.log1p), _elementwise("expm1", np.expm1)
sin, cos, tan = _elementwise("sin", np.sin), _elementwise("cos", np.cos), _elementwise("tan", np.tan)
asin, acos, atan = _elementwise("asin", np.arcsin), _elementwise("acos", np.arccos), _elementwise("atan", np.arctan)
sinh, cosh, tanh = _elementwise("sinh", np.sinh), _elementwise("cosh", np.cosh), _elementwise("tanh", np.tanh)
abs = _elementwise("abs", np.abs, whole=True)
floor = _elementwise("floor", np.floor, whole=True)
ceil = _elementwise("ceil", np.ceil, whole=True)
fix = _elementwise("fix", np.trunc, whole=True)
sign = _elementwise("sign", np.sign)
real, imag, conj = _elementwise("real", np.real), _elementwise("imag", np.imag), _elementwise("conj", np.conj)
isnan = _elementwise("isnan", np.isnan)
isinf = _elementwise("isinf", np.isinf)
isfinite = _elementwise("isfinite", np.isfinite)


def round(x: Any, digits: Any = 0) -> Any:
    """To the nearest whole number, halves away from zero."""
    a = matrix(x)
    if a.dtype.kind in "iu":
        return value(a)
    a = _double(a)
    scale = 10.0 ** int(digits)
    return value((np.sign(a) * np.floor(np.abs(a) * scale + 0.5) / scale).astype(a.dtype))


def _rem(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(y == 0, math.nan, np.fmod(x, np.where(y == 0, 1, y)))


mod, rem = _arithmetic("mod", modulo), _arithmetic("rem", _rem)
atan2, hypot = _arithmetic("atan2", np.arctan2), _arithmetic("hypot", np.hypot)
idivide = _arithmetic("idivide", lambda x, y: np.trunc(x / y))


def nnz(x: Any) -> int:
    """How many elements are not zero."""
    return int(np.count_nonzero(matrix(x)))


def isequal(*values: Any) -> bool:
    """Whether all values have the same size and content."""
    return builtins.all(_equal(values[0], v) for v in values[1:]) if len(values) > 1 else True


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return set(a) == set(b) and builtins.all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and builtins.all(map(_equal, a, b))
    if (is_array(a) or isinstance(a, str)) and (is_array(b) or isinstance(b, str)):
        x, y = matrix(a), matrix(b)
        return size_of(x) == size_of(y) and bool(np.array_equal(x.ravel(), y.ravel()))
    return a is b or (type(a) is type(b) and not is_array(a) and bool(np.all(a == b)))


def setfield(s: Any, name: str, v: Any) -> Any:
    """s with a field set."""
    out = Struct(s)
    out[name] = v
    return out


def getfield(s: Any, name: str) -> Any:
    """s.(name)"""
    return s[name] if isinstance(s, dict) else getattr(s, name)


def deal(*values: Any, nargout: int = 1) -> Any:
    """[a, b] = deal(x, y), or x for all."""
    out = values * nargout if len(values) == 1 else values
    return out[0] if nargout == 1 else tuple(out)


def nargchk(*_: Any) -> list[Any]:
    """nargchk and its like check nothing here: Python checks how many arguments come."""
    return []


narginchk = nargoutchk = nargchk


def diff(x: Any, n: Any = 1, dim: Any = None) -> Any:
    """Differences of neighbours, n times, along dimension dim, or the first that is not 1."""
    a = _double(matrix(x))
    return value(np.diff(a, int(n), axis=_axis(a, dim)))


def cumprod(x: Any, dim: Any = None) -> Any:
    """Products of all elements up to each, along dimension dim, or the first that is not 1."""
    a = _double(matrix(x))
    return value(np.cumprod(a, axis=_axis(a, dim)))
