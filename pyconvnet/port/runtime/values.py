"""MATLAB's values in Python: what copies, what is true, how matrices, cells and structs are put together.

A number is a Python number or a numpy scalar (single, uint8 ...), an array a numpy array of two dimensions or more,
text a str, a 1 x n cell a list, other cells arrays of objects, a struct a Struct, a struct array a StructArray.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyconvnet.compat.imresize import as_class
from pyconvnet.compat.matlab.conventions import matlab_shape
from pyconvnet.records import Struct, StructArray


def empty() -> np.ndarray:
    """MATLAB's [], 0 x 0."""
    return np.zeros((0, 0))


def is_array(x: Any) -> bool:
    """Whether x is a numeric or logical array or number, rather than text, a cell, a struct or an object."""
    return isinstance(x, (bool, int, float, complex, np.generic)) or (isinstance(x, np.ndarray) and x.dtype != object)


def matrix(x: Any) -> np.ndarray:
    """x as an array of MATLAB's size: a number is 1 x 1, an array of one dimension a row, text its codes."""
    if isinstance(x, str):
        return np.array([[ord(c) for c in x]], float).reshape(1 if x else 0, -1)
    if isinstance(x, list):
        a = np.empty((1, len(x)), object)
        a[0, :] = x
        return a
    if isinstance(x, int) and not isinstance(x, bool):
        x = float(x)
    a = np.asarray(x)
    if a.dtype == np.int64:  # counts, which are doubles in MATLAB
        a = a.astype(float)
    shape = _shape(a)
    return a if a.shape == shape else a.reshape(shape, order="F")


def _shape(a: np.ndarray) -> tuple[int, ...]:
    return matlab_shape(a.shape if a.ndim >= 2 else (1, a.size))


def value(a: Any) -> Any:
    """An array as a value: 1 x 1 as a number, no trailing dimensions of 1 beyond two."""
    a = np.asarray(a)
    if a.size == 1 and a.dtype != object:
        item = a.reshape(-1)[0]
        return item.item() if a.dtype in (np.float64, np.bool_, np.int64, np.complex128) else item
    shape = _shape(a)
    return a.reshape(shape, order="F") if shape != a.shape else a


def size_of(x: Any) -> tuple[int, ...]:
    """MATLAB's size of any value."""
    if isinstance(x, str):
        return (1 if x else 0, len(x))
    if isinstance(x, (list, tuple)):
        return (1 if len(x) else 0, len(x)) if not isinstance(x, StructArray) else (1, len(x))
    if isinstance(x, np.ndarray):
        return _shape(x)
    if x is not None and hasattr(x, "shape") and x.shape:
        return tuple(x.shape)
    return (1, 1)


def copy(x: Any) -> Any:
    """A copy that shares nothing that assignments change: arrays, cells and structs; objects and handles are shared."""
    if isinstance(x, np.ndarray):
        if x.dtype == object:
            out = np.empty_like(x)
            for i, item in np.ndenumerate(x):
                out[i] = copy(item)
            return out
        return x.copy(order="K")
    if type(x) is list:
        return [copy(item) for item in x]
    if isinstance(x, StructArray):
        return StructArray((copy(item) for item in x), x.fields)
    if isinstance(x, dict):
        items = {name: copy(item) for name, item in x.items()}
        try:
            return type(x)(items)
        except TypeError:  # a record that is made without fields
            return Struct(items)
    return x


def true(x: Any) -> bool:
    """Whether `if x` runs: x is not empty and has no zero."""
    if isinstance(x, (bool, int, float)):
        return bool(x)
    if isinstance(x, str):
        return len(x) > 0
    a = np.asarray(x)
    return a.size > 0 and bool(np.all(a))


def single_class(arrays: list[np.ndarray]) -> np.dtype:
    """The class that MATLAB joins arrays to: integers before single before double before logical."""
    dtypes = [a.dtype for a in arrays]
    for dtype in dtypes:
        if dtype.kind in "iu" and dtype != np.int64:
            return dtype
    if any(dtype.kind == "c" for dtype in dtypes):
        return np.dtype(complex)
    if any(dtype == np.float32 for dtype in dtypes):
        return np.dtype(np.float32)
    return np.dtype(bool) if dtypes and all(d.kind == "b" for d in dtypes) else np.dtype(float)


def cast(a: Any, dtype: Any) -> np.ndarray:
    """a in another class as MATLAB converts it: integers round half away from zero and stay within their range."""
    a, dtype = np.asarray(a), np.dtype(dtype)
    if dtype.kind in "iu" and a.dtype != dtype:
        return as_class(np.real(a).astype(float), dtype)
    if dtype.kind == "f" and a.dtype.kind == "c":
        a = a.real
    return a.astype(dtype, copy=False)


def row(*items: Any) -> Any:
    """[a, b, c]: the items side by side."""
    return joined(items, 1)


def rows(*lines: Any) -> Any:
    """[a; b; c]: the items below each other."""
    return joined(lines, 0)


def joined(items: tuple[Any, ...], axis: int) -> Any:
    """Items joined along an axis: numbers and arrays, texts, cells, structs. Empty ones ([]) drop out."""
    kept = [x for x in items if not (is_array(x) and np.size(x) == 0 and max(np.shape(x), default=1) == 0)]
    if not kept:
        return items[0] if items and isinstance(items[0], (str, list)) else empty()
    if any(isinstance(x, str) for x in kept):
        texts = [x if isinstance(x, str) else "".join(chr(int(c)) for c in np.ravel(x, "F")) for x in kept]
        if axis == 1:
            return "".join(texts)
        if len({len(t) for t in texts}) > 1:
            raise ValueError(f"texts below each other must have the same length, got {[len(t) for t in texts]}")
        return np.array([[ord(c) for c in t] for t in texts], float) if len(texts) > 1 else texts[0]
    if all(isinstance(x, (Struct, StructArray)) for x in kept):
        return StructArray(part for x in kept for part in (x if isinstance(x, StructArray) else [x]))
    if any(isinstance(x, list) or (isinstance(x, np.ndarray) and x.dtype == object) for x in kept):
        return _joined_cells(kept, axis)
    if not all(is_array(x) for x in kept):
        return kept[0] if len(kept) == 1 else list(kept)
    arrays = [matrix(x) for x in kept]
    kept_arrays = [a for a in arrays if a.size] or arrays[:1]
    dtype = single_class(arrays)
    ndim = max(a.ndim for a in kept_arrays)
    padded = [a.reshape(a.shape + (1,) * (ndim - a.ndim)) for a in kept_arrays]
    return value(np.concatenate([cast(a, dtype) for a in padded], axis=axis))


def _joined_cells(parts: list[Any], axis: int) -> Any:
    cells = [p if isinstance(p, list) or (isinstance(p, np.ndarray) and p.dtype == object) else [p] for p in parts]
    cells = [c for c in cells if len(c)]
    if axis == 1 and all(type(c) is list for c in cells):
        return [item for c in cells for item in c]
    if len(cells) == 1:
        return cells[0]
    return as_cell(np.concatenate([matrix(c) for c in cells], axis=axis)) if cells else []


def as_cell(a: np.ndarray) -> Any:
    """An array of objects as a cell: a list where it is 1 x n or empty."""
    if a.size == 0:
        return []
    return list(a[0]) if a.ndim == 2 and a.shape[0] == 1 else a


def cell_rows(*lines: list[Any]) -> Any:
    """{a, b; c, d}: a cell of several rows."""
    a = np.empty((len(lines), len(lines[0])), object)
    for i, line in enumerate(lines):
        for j, item in enumerate(line):
            a[i, j] = item
    return a


def cell(*sizes: Any) -> Any:
    """cell(n), cell(m, n, ...), cell([m, n]): a cell of empty matrices."""
    shape = [int(v) for s in sizes for v in np.ravel(s)]
    shape = shape * 2 if len(shape) == 1 else shape
    a = np.empty(shape, object)
    for i in np.ndindex(*shape):
        a[i] = empty()
    return as_cell(a)


def span(first: Any, last: Any, step: Any = 1) -> np.ndarray:
    """first:step:last, a row."""
    first, last, step = (matrix(v).reshape(-1)[0] for v in (first, last, step))
    single = any(v.dtype == np.float32 for v in (first, last, step))
    count = math.floor((float(last) - float(first)) / float(step) * (1 + 1e-15) + 1e-10) + 1 if step else 0
    out = (float(first) + float(step) * np.arange(max(count, 0))).reshape(1, -1)
    return out.astype(np.float32) if single else out


def steps(first: Any, last: Any, step: Any = 1) -> Iterator[Any]:
    """The numbers of a loop over first:step:last, whole ones as int."""
    for v in span(first, last, step).reshape(-1).tolist():
        yield int(v) if v == int(v) else v


def columns(x: Any) -> Iterator[Any]:
    """What `for v = x` gives v in turn: the columns of x."""
    if isinstance(x, StructArray):
        yield from x
    elif type(x) is list:
        yield from ([item] for item in x)
    elif isinstance(x, dict) or not (isinstance(x, str) or is_array(x) or isinstance(x, np.ndarray)):
        yield x
    elif isinstance(x, str):
        yield from x
    else:
        a = matrix(x)
        a = a.reshape(a.shape[0], int(np.prod(a.shape[1:])), order="F")
        for j in range(a.shape[1]):
            v = a[:, j : j + 1]
            out = as_cell(v) if a.dtype == object else value(v)
            yield int(out) if isinstance(out, float) and out.is_integer() else out


def struct(*pairs: Any) -> Any:
    """struct('name', value, ...); cells of several values make a struct array, {} an empty one."""
    if len(pairs) == 1 and is_array(pairs[0]):  # struct([])
        return StructArray()
    names, given = [str(n) for n in pairs[::2]], pairs[1::2]
    if len(names) != len(given):
        raise ValueError(f"struct: names and values must come in pairs, got {len(pairs)} arguments")
    lengths = {np.size(matrix(v)) for v in given if is_cell(v)} - {1}
    if not lengths:
        return Struct({n: matrix(v).flat[0] if is_cell(v) else v for n, v in zip(names, given)})
    if len(lengths) > 1:
        raise ValueError(f"struct: cells must have the same number of values, got {sorted(lengths)}")
    count = lengths.pop()
    each = [
        list(matrix(v).flat) * (count if np.size(matrix(v)) == 1 else 1) if is_cell(v) else [v] * count for v in given
    ]
    return StructArray([Struct(zip(names, map(copy, values))) for values in zip(*each)], names)


def is_cell(x: Any) -> bool:
    """Whether x is a cell: a list that is not a struct array, or an array of objects."""
    return type(x) is list or (isinstance(x, np.ndarray) and x.dtype == object)


def every(x: Any, name: str) -> list[Any]:
    """The field of each struct of a struct array: what s.name means within [ ], { } and arguments."""
    if isinstance(x, list):
        return [field(item, name) for item in x]
    return [field(x, name)]


def elements(x: Any) -> list[Any]:
    """The structs or objects of an array, or the one that x is."""
    return list(x) if isinstance(x, list) else [x]


def field(x: Any, name: str) -> Any:
    """x.name, also where x is a struct array of one struct."""
    if isinstance(x, list) and len(x) == 1:
        x = x[0]
    return x[name] if isinstance(x, dict) else getattr(x, name)


def first(x: Any) -> Any:
    """The first of the values that a function returned."""
    return x[0] if isinstance(x, tuple) and x else x


def outputs(values: list[Any]) -> Any:
    """What varargout returns: one value as it is, several as a tuple."""
    values = list(values)
    return values[0] if len(values) == 1 else tuple(values)


def given(*arguments: Any) -> int:
    """nargin: how many arguments the caller gave; those that it left out are None."""
    return sum(a is not None for a in arguments)
