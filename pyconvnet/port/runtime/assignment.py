"""Assignment to elements and fields with MATLAB's meaning: growth, deletion, what is missing on the way is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pyconvnet.port.runtime.indexing import Step, at, folded, inside, is_all, positions, resolved
from pyconvnet.port.runtime.values import as_cell, cast, empty, is_array, is_cell, matrix, value
from pyconvnet.records import Struct, StructArray


class into:
    """into(x)[i, j].put(v): x after x(i, j) = v, changed in place where it need not grow; .delete(): x(i, j) = []."""

    def __init__(self, x: Any) -> None:
        self.x, self.index = x, ()

    def __getitem__(self, index: Any) -> into:
        self.index = index if isinstance(index, tuple) else (index,)
        return self

    def put(self, v: Any) -> Any:
        return put(self.x, self.index, v)

    def delete(self) -> Any:
        return delete(self.x, self.index)


def put(x: Any, index: tuple[Any, ...], v: Any, braces: bool = False) -> Any:
    """x after x(index) = v, or x{index} = v with braces."""
    if x is None or (is_array(x) and np.size(x) == 0):
        if braces or is_cell(v):
            x = []
        elif isinstance(v, (Struct, StructArray)):
            x = StructArray()
        elif isinstance(v, str):
            x = ""
        elif is_array(v):
            x = empty() if x is None else x
        else:
            x = v if np.array_equal(positions(index[-1], 0), [[0]]) else StructArray([])
            if not isinstance(x, StructArray):
                return x
    if isinstance(x, StructArray) or isinstance(x, dict):
        return _put_struct(x, index, v)
    if isinstance(x, list) and type(x) is not list:
        x[int(positions(index[-1], len(x)).flat[0])] = v
        return x
    if is_cell(x):
        return _put_cell(x, index, v, braces)
    if isinstance(x, str) and isinstance(v, str):
        codes = _put_array(matrix(x), index, matrix(v))
        return "".join(chr(int(c)) for c in codes.ravel())
    if not is_array(x):
        if braces and hasattr(x, "__setitem__"):
            x[index[0]] = v
            return x
        if callable(x) or hasattr(x, "__dict__"):
            if hasattr(x, "__setitem__"):
                x[index[0]] = v
                return x
            return v
    if not is_array(v) and not isinstance(v, str):
        raise TypeError(f"an element of an array must be a number, got {type(v).__name__}")
    new = matrix(v)
    old = x if isinstance(x, np.ndarray) and x.ndim >= 2 and x.dtype != np.int64 else np.array(matrix(x))
    if old.size == 0 and old.dtype == np.float64:
        old = old.astype(new.dtype)
    return _put_array(old, index, new)


def _put_struct(x: Any, index: tuple[Any, ...], v: Any) -> Any:
    items: list[Any] = [x] if isinstance(x, dict) else list(x)
    at_ = [int(k) for k in positions(index[-1], len(items)).ravel()]
    new = list(v) if isinstance(v, list) else [v] * len(at_)
    fields = list(dict.fromkeys([*(items[0] if items else ()), *getattr(x, "fields", ())]))
    for k, item in zip(at_, new):
        while len(items) <= k:
            items.append(Struct({name: empty() for name in fields}))
        items[k] = item
    if isinstance(x, dict) and len(items) == 1:
        return items[0]
    names = list(dict.fromkeys(name for item in items if isinstance(item, dict) for name in item))
    for item in items:
        if isinstance(item, dict):
            for name in names:
                item.setdefault(name, empty())
    if isinstance(x, StructArray):
        list.__init__(x, items)
        x.fields = names
        return x
    return StructArray(items, names)


def _put_cell(x: Any, index: tuple[Any, ...], v: Any, braces: bool) -> Any:
    if type(x) is list and len(index) == 1 and braces:
        k = resolved(index[0], len(x))
        if isinstance(k, (int, float, np.number)) and not isinstance(k, bool) and k >= 1 and k == int(k):
            while len(x) < k:
                x.append(empty())
            x[int(k) - 1] = v
            return x
    if braces:
        new = np.empty((1, 1), object)
        new[0, 0] = v
    elif is_cell(v):
        new = matrix(v)
    else:
        new = np.empty((1, 1), object)
        new[0, 0] = v
    grown = _put_array(matrix(x), index, new)
    out = as_cell(grown)
    if type(x) is list and type(out) is list:
        x[:] = out
        return x
    return out


def _put_array(a: np.ndarray, index: tuple[Any, ...], v: np.ndarray) -> np.ndarray:
    """a after assignment, a itself where it holds the index; v is an array."""
    if a.dtype.kind == "f" and v.dtype.kind == "c":
        a = a.astype(complex)
    elif a.dtype == bool and v.dtype != bool:
        a = a.astype(v.dtype if v.dtype != np.int64 else float)
    v = v if a.dtype == object else cast(v, a.dtype)
    if len(index) == 1:
        at_ = np.arange(a.size).reshape(1, -1) if is_all(index[0]) else positions(index[0], a.size)
        if at_.size == 0:
            return a
        need = int(at_.max()) + 1
        if need > a.size:
            if a.size and not (a.ndim == 2 and 1 in a.shape):
                raise IndexError(f"x(i) = v cannot make a matrix of {a.shape} longer")
            a = _grown(a, (need, 1) if a.ndim == 2 and a.shape[1] == 1 and a.shape[0] > 1 else (1, need))
        if v.size not in (1, at_.size):
            raise ValueError(f"x(i) = v: {at_.size} elements are to be set, v has {v.size}")
        a[np.unravel_index(at_.ravel(order="F"), a.shape, order="F")] = (
            v.ravel(order="F") if v.size > 1 else v.reshape(-1)[0]
        )
        return a
    shape = folded(a.shape, len(index))
    if shape != a.shape and len(index) < a.ndim:
        whole = _put_array(a.reshape(shape, order="F"), index, v)
        if whole.shape != shape:
            raise IndexError("x(i, j) = v cannot grow an array of more dimensions than there are indexes")
        return whole.reshape(a.shape, order="F")
    a = a.reshape(shape) if shape != a.shape else a
    axes: list[np.ndarray] = []
    free: list[int] = [n for n in v.shape if n != 1]
    for n, i in zip(shape, index):
        if is_all(i) and n == 0 and a.size == 0:
            count = free.pop(0) if free else 1
            axes.append(np.arange(count))
        else:
            axes.append(positions(i, n).ravel(order="F"))
            if free and axes[-1].size == free[0] and axes[-1].size != 1:
                free.pop(0)
    if any(p.size == 0 for p in axes):
        return a
    need_shape = tuple(max(n, int(p.max()) + 1) for n, p in zip(shape, axes))
    if need_shape != shape:
        a = _grown(a, need_shape)
    target = tuple(p.size for p in axes)
    if v.size != 1:
        if [n for n in v.shape if n != 1] != [n for n in target if n != 1]:
            raise ValueError(f"x(...) = v: the elements to be set are {target}, v is {v.shape}")
        v = v.reshape(target, order="F")
    else:
        v = v.reshape(-1)[0] if a.dtype != object else v
    if all(p.size and p[-1] - p[0] == p.size - 1 and np.all(np.diff(p) == 1) for p in axes):
        where: Any = tuple(slice(int(p[0]), int(p[-1]) + 1) for p in axes)
    else:
        where = np.ix_(*axes)
    a[where] = v
    return a


def _grown(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, a.dtype, order="F")
    if a.dtype == object:
        for i in np.ndindex(*shape):
            out[i] = empty()
    if a.size:
        old: tuple[int, ...] = a.shape + (1,) * (len(shape) - a.ndim)
        out[tuple(slice(n) for n in old)] = a.reshape(old)
    return out


def delete(x: Any, index: tuple[Any, ...]) -> Any:
    """x after x(index) = []."""
    if isinstance(x, str):
        gone = set(positions(index[-1], len(x)).ravel().tolist())
        return "".join(c for k, c in enumerate(x) if k not in gone)
    if isinstance(x, list) and (len(index) == 1 or is_all(index[0])):
        for k in sorted(set(positions(index[-1], len(x)).ravel().tolist()), reverse=True):
            del x[k]
        return x
    a = matrix(x)
    if len(index) == 1:
        at_ = np.arange(a.size) if is_all(index[0]) else positions(index[0], a.size).ravel()
        left = np.delete(a.ravel(order="F"), at_)
        out = left.reshape(-1, 1) if a.ndim == 2 and a.shape[1] == 1 and a.shape[0] != 1 else left.reshape(1, -1)
    else:
        a = a.reshape(folded(a.shape, len(index)), order="F")
        part = [k for k, i in enumerate(index) if not is_all(i)]
        if len(part) > 1:
            part = [k for k in part if len(set(positions(index[k], a.shape[k]).ravel().tolist())) < a.shape[k]]
        axis = part[0] if part else 0
        at_ = np.arange(a.shape[axis]) if not part else positions(index[axis], a.shape[axis]).ravel()
        out = np.delete(a, at_, axis=axis)
    return as_cell(out) if out.dtype == object else value(out) if out.size == 1 else out


def assign(x: Any, path: Iterable[Any], v: Any) -> Any:
    """x after an assignment through fields ("name"), paren[...] and brace[...]; what is missing on the way is made."""
    step, *rest = path
    if isinstance(step, str):
        if x is None or (is_array(x) and np.size(x) == 0):
            x = Struct()
        if isinstance(x, list) and len(x) == 1:
            x[0] = assign(x[0], [step, *rest], v)
            return x
        if rest:
            old = x.get(step) if isinstance(x, dict) else getattr(x, step, None)
            new = assign(old, rest, v)
            if new is old:
                return x
            v = new
        if isinstance(x, dict):
            x[step] = v
        else:
            setattr(x, step, v)
        return x
    if not rest:
        return put(x, step.index, v, step.braces)
    inner = _element(x, step)
    new = assign(inner, rest, v)
    return x if new is inner and inner is not None and not is_array(new) else put(x, step.index, new, step.braces)


def _element(x: Any, step: Step) -> Any:
    """The element that an assignment goes on into; None where there is none yet."""
    if x is None or (is_array(x) and np.size(x) == 0):
        return None
    try:
        return (inside(x) if step.braces else at(x))[step.index]
    except IndexError:
        if any(np.any(positions(i, 0) < 0) for i in step.index if not isinstance(i, slice)):
            raise
        return None


def removed(x: Any, path: Iterable[Any]) -> Any:
    """x after a deletion, x.a{3}(2) = []; the last step is paren[...]."""
    *way, last = path
    inner = x
    for step in way:
        if isinstance(step, str):
            inner = inner[step] if isinstance(inner, dict) else getattr(inner, step)
        else:
            inner = (inside(inner) if step.braces else at(inner))[step.index]
    new = delete(inner, last.index)
    return assign(x, way, new) if way else new
