"""Cells and structs: num2cell, cell2mat, cellfun, arrayfun, structfun, fieldnames, rmfield.

A cell is a list (1 x n), or an array of objects where it has rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pyconvnet.arrays import shape_of, size_text
from pyconvnet.compat.matlab.arrays import joined
from pyconvnet.compat.matlab.conventions import cell, cells, is_number
from pyconvnet.options import did_you_mean
from pyconvnet.records import Struct, StructArray
from pyconvnet.text import listed
from pyconvnet.values import as_array, whole_number

__all__ = ["arrayfun", "cell2mat", "cellfun", "fieldnames", "num2cell", "rmfield", "structfun"]


def num2cell(A: Any) -> Any:
    """A cell of A's size with one element of A in each place; of a row, a list.

    >>> num2cell([1, 2])
    [1, 2]
    """
    if isinstance(A, str):
        return list(A)
    if isinstance(A, Mapping):
        return [A]
    if isinstance(A, (list, tuple)) and any(isinstance(v, Mapping) for v in A):
        return list(A)
    a = np.atleast_2d(as_array(A))
    values = a.ravel(order="F")
    return cell(values.tolist() if not isinstance(A, np.ndarray) else list(values), a.shape)


def cell2mat(c: Any) -> Any:
    """The arrays, texts or cells in a cell put together: columns side by side, rows below each other.

    A list is a row; a list of lists, or an array of objects, has rows.
    """
    if isinstance(c, (list, tuple)) and c and all(isinstance(row, (list, tuple)) for row in c):
        rows = [list(row) for row in c]
    else:
        values, shape = cells("cell2mat: c", c)
        if len(shape) > 2:
            raise NotImplementedError(f"cell2mat: a cell of more than two dimensions, {size_text(shape)}, is not there")
        rows = [[values[i + j * shape[0]] for j in range(shape[1])] for i in range(shape[0])]
    if not rows:
        return np.zeros((0, 0))
    made = [joined("cell2mat", 1, row) if len(row) > 1 else row[0] for row in rows]
    if len(made) == 1:
        return made[0] if isinstance(made[0], (str, list, Mapping)) else np.atleast_2d(as_array(made[0]))
    return joined("cell2mat", 0, made)


_NAMED: dict[str, Callable[[Any], Any]] = {
    "isempty": lambda v: v is None or (len(v) == 0 if isinstance(v, (str, list, tuple)) else 0 in shape_of(v)),
    "length": lambda v: len(v) if isinstance(v, (str, list, tuple)) else max(_size(v)) if 0 not in _size(v) else 0,
    "numel": lambda v: len(v) if isinstance(v, (str, list, tuple)) else int(np.prod(_size(v))),
    "prodofsize": lambda v: _NAMED["numel"](v),
    "ndims": lambda v: 2 if isinstance(v, (str, list, tuple)) else len(_size(v)),
    "isreal": lambda v: not np.iscomplexobj(v),
    "islogical": lambda v: as_array(v).dtype.kind == "b",
}


def cellfun(fun: Any, *arguments: Any, nargout: int = 1, **options: Any) -> Any:
    """fun of each element of one or several cells of one size: an array of that size, or a cell.

    fun            a function, or "isempty", "length", "numel", "ndims", "isreal", "islogical"
    UniformOutput  True: results are numbers or logicals; False: anything, in a cell
    ErrorHandler   f(error, ...) whose result is taken where fun raises; error has message and index, from 1
    nargout        above 1: fun returns so many values, and cellfun a tuple of so many arrays

    Options as keywords or "Name", value pairs.

    >>> cellfun("length", ["a", "bcd"])
    array([[1, 3]])
    """
    given, options = _options("cellfun", arguments, options)
    if not given:
        raise ValueError("cellfun: a cell must be given")
    read = [cells(f"cellfun: cell {i}", c) for i, c in enumerate(given, 1)]
    return _mapped("cellfun", fun, [v for v, _ in read], [s for _, s in read], nargout, options)


def arrayfun(fun: Any, *arguments: Any, nargout: int = 1, **options: Any) -> Any:
    """fun of each element of one or several arrays of one size, column by column; of struct arrays each struct.

    Options as cellfun.

    >>> arrayfun(lambda v: v * v, [1, 2, 3])
    array([[1, 4, 9]])
    """
    given, options = _options("arrayfun", arguments, options)
    if not given:
        raise ValueError("arrayfun: an array must be given")
    values, sizes = [], []
    for a in given:
        if isinstance(a, Mapping):
            a = [a]
        if isinstance(a, (list, tuple)) and any(isinstance(v, Mapping) for v in a):
            values.append(list(a))
            sizes.append((1, len(a)))
        else:
            numbers = np.atleast_2d(as_array(list(a) if isinstance(a, str) else a))
            values.append(list(numbers.ravel(order="F")))
            sizes.append(numbers.shape)
    return _mapped("arrayfun", fun, values, sizes, nargout, options)


def structfun(fun: Callable[..., Any], S: Mapping[str, Any], *pairs: Any, **options: Any) -> Any:
    """fun of each field of a struct: a column of results, or with UniformOutput False a Struct of them."""
    if not isinstance(S, Mapping):
        raise TypeError(f"structfun: S must be one struct, got {type(S).__name__}")
    _, options = _options("structfun", pairs, options)
    if not np.all(options.get("UniformOutput", True)):
        return Struct(zip(S, _mapped("structfun", fun, [list(S.values())], [(1, len(S))], 1, options)))
    return _mapped("structfun", fun, [list(S.values())], [(len(S), 1)], 1, options)


def fieldnames(s: Any) -> list[str]:
    """The names of a struct's fields, in their order; of a struct array as well."""
    if isinstance(s, Mapping):
        return list(s)
    if isinstance(s, StructArray):
        return list(s.fields)
    if isinstance(s, (list, tuple)) and s and all(isinstance(v, Mapping) for v in s):
        return list(s[0])
    raise TypeError(f"fieldnames: s must be a struct or a struct array, got {type(s).__name__}")


def rmfield(s: Any, names: str | Sequence[str]) -> Any:
    """A copy of a struct, or of each struct of an array, without fields of these names; ValueError for unknown ones."""
    if isinstance(s, (list, tuple)) and all(isinstance(v, Mapping) for v in s):
        return StructArray((rmfield(v, names) for v in s), [f for f in fieldnames(s) if f not in _names(names)])
    if not isinstance(s, Mapping):
        raise TypeError(f"rmfield: s must be a struct or a struct array, got {type(s).__name__}")
    for name in _names(names):
        if name not in s:
            hint = did_you_mean(name, list(s), f"its fields are {listed(s) or 'none'}")
            raise ValueError(f"rmfield: there is no field {name!r}; {hint}")
    kind: Any = type(s)
    return kind({k: v for k, v in s.items() if k not in _names(names)})


def _names(names: str | Sequence[str]) -> list[str]:
    listed: list[Any] = list(names) if isinstance(names, (list, tuple)) else [names]
    if not all(isinstance(n, str) for n in listed):
        raise TypeError(f"rmfield: names must be a text or a list of texts, got {names!r}")
    return listed


def _size(v: Any) -> tuple[int, ...]:
    return np.atleast_2d(as_array(v)).shape


def _options(fn: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Cells, and options from the pairs behind them and from keywords."""
    given, options = list(arguments), dict(keywords)
    known = {"uniformoutput": "UniformOutput", "errorhandler": "ErrorHandler"}
    while len(given) >= 2 and isinstance(given[-2], str) and given[-2].lower() in known:
        value, name = given.pop(), given.pop()
        options.setdefault(known[name.lower()], value)
    for name in options:
        if name not in known.values():
            raise ValueError(f"{fn}: unknown option {name!r}; there are UniformOutput and ErrorHandler")
    return given, options


def _mapped(
    fn: str, fun: Any, values: list[list[Any]], sizes: Sequence[tuple[int, ...]], nargout: int, options: dict[str, Any]
) -> Any:
    if len(set(sizes)) > 1:
        raise ValueError(f"{fn}: all must be of one size, got {', '.join(map(size_text, sizes))}")
    if isinstance(fun, str):
        if fun.removeprefix("@") not in _NAMED:
            raise ValueError(f"{fn}: fun must be a function or one of {', '.join(_NAMED)}, got {fun!r}")
        fun = _NAMED[fun.removeprefix("@")]
    if not callable(fun):
        raise TypeError(f"{fn}: fun must be a function, got {type(fun).__name__}")
    nargout = whole_number(f"{fn}: nargout", nargout, 1)
    uniform = bool(np.all(options.get("UniformOutput", True)))
    handler = options.get("ErrorHandler")
    results = []
    for i, items in enumerate(zip(*values), 1):
        try:
            found = fun(*items)
        except Exception as error:  # whatever a function of the user's own may raise
            if handler is None:
                raise
            found = handler(Struct(message=str(error), identifier=type(error).__name__, index=i), *items)
        results.append(found if nargout > 1 else (found,))
        if nargout > 1 and (not isinstance(found, tuple) or len(found) < nargout):
            raise ValueError(f"{fn}: fun must return {nargout} values, got {found!r}")
    columns = [[r[k] for r in results] for k in range(nargout)]
    made = [_uniform(fn, c, sizes[0]) if uniform else cell(c, sizes[0]) for c in columns]
    return made[0] if nargout == 1 else tuple(made)


def _uniform(fn: str, results: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    for i, r in enumerate(results, 1):
        if not is_number(r) and not (isinstance(r, np.ndarray) and r.size == 1):
            raise ValueError(
                f"{fn}: result {i} must be one number, got {type(r).__name__}; UniformOutput=False makes a cell of them"
            )
    return np.array([r.item() if isinstance(r, np.ndarray) else r for r in results]).reshape(shape, order="F")
