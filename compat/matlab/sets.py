"""Sets and orders: unique, setdiff, union, intersect, ismember, sortrows.

Where MATLAB returns indices as well, nargout=2 or 3 gives them, from 1, as columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import size_text
from pyconvnet.compat.matlab.conventions import cells, flags, integers, is_number, matrix, outputs
from pyconvnet.values import as_array, choice

__all__ = ["intersect", "ismember", "setdiff", "sortrows", "union", "unique"]

_ORDERS = ("sorted", "stable", "rows", "first", "last")


def unique(A: Any, *options: str, nargout: int = 1) -> Any:
    """The different values of A, sorted: a row for a row, else a column; of a list of texts, a list.

    options  "stable" in the order in which they come first, "rows" different rows of a matrix, "last"
    nargout  2, 3: (C, ia, ic) with C = A(ia) and A = C(ic)

    >>> unique([3, 1, 1, 2])
    array([[1, 2, 3]])
    """
    words = flags("unique", options, _ORDERS)
    keys, restore = _items("unique: A", A, "rows" in words)
    first: dict[Any, int] = {}
    for i, key in enumerate(keys):
        if key not in first or "last" in words:
            first[key] = i
    order = list(first) if "stable" in words else sorted(first, key=_ordering)
    places = {key: i + 1 for i, key in enumerate(order)}
    chosen = [first[key] for key in order]
    return outputs(
        "unique", [restore(chosen), _column(i + 1 for i in chosen), _column(places[key] for key in keys)], nargout
    )


def setdiff(A: Any, B: Any, *options: str, nargout: int = 1) -> Any:
    """The different values of A that are not in B, sorted, or "stable"; "rows"; nargout=2: (C, ia) with C = A(ia)."""
    words = flags("setdiff", options, _ORDERS[:3])
    keys, restore = _items("setdiff: A", A, "rows" in words)
    others = set(_items("setdiff: B", B, "rows" in words)[0])
    chosen = _chosen(keys, lambda key: key not in others, "stable" in words)
    return outputs("setdiff", [restore(chosen), _column(i + 1 for i in chosen)], nargout)


def intersect(A: Any, B: Any, *options: str, nargout: int = 1) -> Any:
    """The different values that both have, sorted, or "stable"; "rows"; nargout=3: (C, ia, ib)."""
    words = flags("intersect", options, _ORDERS[:3])
    keys, restore = _items("intersect: A", A, "rows" in words)
    others = _items("intersect: B", B, "rows" in words)[0]
    place: dict[Any, int] = {}
    for i, key in enumerate(others):
        place.setdefault(key, i)
    chosen = _chosen(keys, place.__contains__, "stable" in words)
    ib = _column(place[keys[i]] + 1 for i in chosen)
    return outputs("intersect", [restore(chosen), _column(i + 1 for i in chosen), ib], nargout)


def union(A: Any, B: Any, *options: str) -> Any:
    """The different values of both, sorted, or "stable"; "rows"."""
    words = flags("union", options, _ORDERS[:3])
    if _has_text(A) or _has_text(B):
        texts = [v for name, c in (("A", A), ("B", B)) for v in _items(f"union: {name}", c, False)[0]]
        if not all(isinstance(v, str) for v in texts):
            raise TypeError("union: A and B must both be texts, or both numbers")
        return unique(texts, *options)
    a, b = matrix("union: A", A), matrix("union: B", B)
    if "rows" in words:
        if a.ndim > 2 or b.ndim > 2 or a.shape[1] != b.shape[1]:
            raise ValueError(
                f"union: A and B must have as many columns, got {size_text(a.shape)}, {size_text(b.shape)}"
            )
        return unique(np.concatenate([a, b]), *options)
    row = all(m.shape[0] == 1 or not m.size for m in (a, b))
    both = np.concatenate([a.ravel(order="F"), b.ravel(order="F")])
    return unique(both[None] if row else both[:, None], *options)


def ismember(A: Any, B: Any, *options: str, nargout: int = 1) -> Any:
    """Whether the values of A are in B: logicals of A's size; of one number or text, a bool. Of two texts: characters.

    options  "rows": whether each row of A is a row of B
    nargout  2: (found, where) with the place in B, from 1, of the first equal value, 0 where there is none

    >>> ismember("b", ["a", "b"])
    True
    """
    words = flags("ismember", options, ("rows",))
    if isinstance(A, str) and isinstance(B, str):
        A, B = A if len(A) == 1 else list(A), list(B)
    other = [B] if isinstance(B, str) else B
    place: dict[Any, int] = {}
    for i, key in enumerate(_items("ismember: B", other, "rows" in words)[0], 1):
        place.setdefault(key, i)
    if isinstance(A, str) or is_number(A):
        found = place.get(A if isinstance(A, str) else as_array(A).item(), 0)
        return outputs("ismember", [found > 0, found], nargout)
    keys, _ = _items("ismember: A", A, "rows" in words)
    where = np.array([place.get(key, 0) for key in keys], float)
    shape = (len(keys), 1) if words else (1, len(keys)) if _has_text(A) else np.atleast_2d(as_array(A)).shape
    where = where.reshape(shape, order="F")
    return outputs("ismember", [where > 0, where], nargout)


def sortrows(A: Any, column: Any = None, direction: Any = None, *, nargout: int = 1) -> Any:
    """The rows of a matrix, or a list of texts, sorted by the columns from the first on; equal ones keep their order.

    column     the columns that count, from 1, negative ones from large to small; or the direction
    direction  "ascend" or "descend"
    nargout    2: (B, index) with B = A(index, :)
    """
    if isinstance(column, str):
        column, direction = None, column
    down = direction is not None and choice("sortrows: direction", direction, ("ascend", "descend")) == "descend"
    if _has_text(A):
        if not all(isinstance(v, str) for v in A):
            raise TypeError("sortrows: A must be numbers or texts, not both")
        order = sorted(range(len(A)), key=lambda i: A[i], reverse=down)
        return outputs("sortrows", [[A[i] for i in order], _column(i + 1 for i in order)], nargout)
    a = matrix("sortrows: A", A)
    if a.ndim > 2:
        raise ValueError(f"sortrows: A must have two dimensions, got {size_text(a.shape)}")
    by = list(range(1, a.shape[1] + 1)) if column is None else integers("sortrows: column", column)
    if any(not 1 <= abs(c) <= a.shape[1] for c in by):
        raise ValueError(f"sortrows: column must be from 1 to {a.shape[1]}, negative for descending, got {column!r}")
    index = np.arange(a.shape[0])
    for c in reversed(by):  # by the last one first: sorting is stable
        values = a[index, abs(c) - 1]
        falls = (c < 0) != down
        ranks = np.unique(values, return_inverse=True)[1].ravel()
        index = index[np.argsort(-ranks if falls else ranks, kind="stable")]
    return outputs("sortrows", [a[index], _column(i + 1 for i in index)], nargout)


def _items(name: str, A: Any, rows: bool) -> tuple[list[Any], Any]:
    """What is compared, column by column or row by row, and a function that makes the result of chosen ones."""
    if isinstance(A, str):
        return list(A), lambda chosen: "".join(A[i] for i in chosen)
    if (isinstance(A, np.ndarray) and A.dtype.kind in "OU") or _has_text(A):
        values, _ = cells(name, A.astype(object) if isinstance(A, np.ndarray) else A)
        if not all(isinstance(v, str) for v in values):
            raise TypeError(f"{name} must be numbers or texts, not both")
        return values, lambda chosen: [values[i] for i in chosen]
    a = matrix(name, A)
    if rows:
        return [tuple(r) for r in a.tolist()], lambda chosen: a[chosen]
    flat = a.ravel(order="F")
    row = a.shape[0] == 1 and a.ndim == 2
    return flat.tolist(), lambda chosen: flat[chosen][None] if row else flat[chosen][:, None]


def _has_text(A: Any) -> bool:
    return isinstance(A, (list, tuple)) and any(isinstance(v, str) for v in A)


def _chosen(keys: list[Any], wanted: Any, stable: bool) -> list[int]:
    first: dict[Any, int] = {}
    for i, key in enumerate(keys):
        if wanted(key):
            first.setdefault(key, i)
    return [first[key] for key in (first if stable else sorted(first, key=_ordering))]


def _ordering(key: Any) -> Any:
    """NaN comes last."""
    return [(v != v, v) for v in key] if isinstance(key, tuple) else (key != key, key)


def _column(values: Any) -> np.ndarray:
    return np.array(list(values), float)[:, None]
