"""Values counted, gathered and interpolated: accumarray, histc, histcounts, interp1, interp2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyconvnet.arrays import size_text
from pyconvnet.compat.matlab.conventions import as_given, floats, integers, matrix, named_options, outputs
from pyconvnet.values import as_array, choice, numbers, whole_number

__all__ = ["accumarray", "histc", "histcounts", "interp1", "interp2"]


def accumarray(
    subs: Any, val: Any, sz: Any = None, fun: Callable[[np.ndarray], Any] | None = None, fillval: Any = 0
) -> np.ndarray:
    """Values gathered by their subscripts: element (i, j, ...) of the result is the sum of those with that subscript.

    subs     n x d, from 1: a row for each value; a vector for a column as result; or a cell of d vectors
    val      n values, or one number for all
    sz       size of the result, None: as large as needed
    fun      of the values (a vector, in their order) that fall on an element, instead of the sum
    fillval  of elements on which none falls

    >>> accumarray([[1], [2], [4], [2], [4]], [101, 102, 103, 104, 105]).ravel().tolist()
    [101.0, 206.0, 0.0, 208.0]
    """
    vectors = [as_array(s) for s in subs] if isinstance(subs, (list, tuple)) else []
    if vectors and all(s.size > 1 and s.ndim == 2 for s in vectors):
        if len({s.size for s in vectors}) > 1:
            raise ValueError(f"accumarray: subs must be vectors of one length, got {[s.size for s in vectors]}")
        index = np.stack([matrix("accumarray: subs", s).ravel() for s in vectors], axis=1)
    else:
        index = matrix("accumarray: subs", subs)
        if index.ndim > 2:
            raise ValueError(f"accumarray: subs must be n x d, got {size_text(index.shape)}")
        index = index.T if index.shape[0] == 1 and as_array(val).size != 1 else index
    if not np.all((index >= 1) & (index % 1 == 0)):
        raise ValueError("accumarray: subs must be whole numbers from 1 up")
    index = index.astype(np.intp) - 1
    values = matrix("accumarray: val", val).ravel(order="F").astype(float)
    if values.size not in (1, len(index)):
        raise ValueError(
            f"accumarray: val must be one number or {len(index)}, as many as subs has rows, got {values.size}"
        )
    values = np.broadcast_to(values, (len(index),))
    shape = tuple(int(n) for n in index.max(axis=0, initial=-1) + 1)
    if sz is not None and as_array(sz).size:
        given = tuple(integers("accumarray: sz", sz))
        fits = given if index.shape[1] > 1 else given[:1] if len(given) == 1 or given[1] == 1 else given[1:]
        if len(given) < 2 or len(fits) != index.shape[1] or any(n < m for n, m in zip(fits, shape)):
            raise ValueError(f"accumarray: sz must hold {size_text(shape)}, got {given}")
        shape, wanted = fits, given
    else:
        wanted = shape if len(shape) > 1 else (*shape, 1)
    places = np.ravel_multi_index(tuple(index.T), shape, order="F") if len(index) else np.zeros(0, np.intp)
    total = int(np.prod(shape))
    if fun is None:
        out = np.bincount(places, values, total)
        if fillval:
            out[np.bincount(places, minlength=total) == 0] = fillval
    else:
        out = np.full(total, fillval, float)
        order = np.argsort(places, kind="stable")
        found, starts = np.unique(places[order], return_index=True)
        for place, own in zip(found, np.split(order, starts[1:])):
            out[place] = fun(values[own])
    return out.reshape(wanted, order="F")


def histc(x: Any, edges: Any, *, nargout: int = 1) -> Any:
    """How many values lie in edges[k] <= x < edges[k + 1]; the last count is of values equal to the last edge.

    Of a vector in its direction, of a matrix by columns. nargout=2: (n, bin), each value's bin from 1, 0 for none.
    """
    a, e = matrix("histc: x", x), floats("histc: edges", edges).ravel()
    if e.size == 0 or not np.all(np.diff(e) >= 0):
        raise ValueError("histc: edges must be numbers that do not fall")
    if a.ndim > 2:
        raise ValueError(f"histc: x must be a vector or a matrix, got {size_text(a.shape)}")
    bins = np.searchsorted(e, a, side="right")
    bins[(a > e[-1]) | np.isnan(a)] = 0
    row = a.shape[0] == 1
    columns = bins.T if row else bins
    n = np.array([np.bincount(c, minlength=e.size + 1)[1:] for c in columns.T]).T.astype(float)
    return outputs("histc", [n.T if row else n, bins.astype(float)], nargout)


def histcounts(x: Any, edges: Any = None, *pairs: Any, nargout: int = 1) -> Any:
    """Counts of values between edges, 1 x n; the last bin has both its edges. nargout=2, 3: (N, edges, bin).

    histcounts(x, edges)
    histcounts(x, n, "BinLimits", [a, b])    n equal bins
    histcounts(x, "BinMethod", "integers")   a bin for each whole number
    Option "Normalization": "count", "probability", "countdensity", "pdf", "cumcount", "cdf".

    NotImplementedError where MATLAB would choose the edges by its own rules.
    """
    if isinstance(edges, str):
        edges, pairs = None, (edges, *pairs)
    options = named_options("histcounts", pairs, ("BinLimits", "BinMethod", "BinEdges", "Normalization"))
    a = matrix("histcounts: x", x)
    values = a[np.isfinite(a)]
    edges = options.get("BinEdges", edges)
    if edges is not None and as_array(edges).size == 1 and "BinLimits" in options:
        low, high = numbers("histcounts: BinLimits", options["BinLimits"], "[low, high]")
        count = whole_number("histcounts: the number of bins", edges, 1)
        edges = low + np.arange(count + 1) * (high - low) / count
    elif edges is None and str(options.get("BinMethod", "")).lower() == "integers" and values.size:
        edges = np.arange(np.round(values.min()) - 0.5, np.round(values.max()) + 1)
    if edges is None or as_array(edges).size == 1:
        raise NotImplementedError(
            "histcounts: MATLAB's own choice of edges is not known here: give edges, or a count and 'BinLimits'"
        )
    e = floats("histcounts: edges", edges).ravel()
    if e.size < 2 or not np.all(np.diff(e) >= 0):
        raise ValueError("histcounts: edges must be numbers that do not fall")
    bins = np.searchsorted(e, a, side="right")
    bins[a == e[-1]] = e.size - 1
    bins[(a < e[0]) | (a > e[-1]) | np.isnan(a)] = 0
    n = np.bincount(bins.ravel(), minlength=e.size)[1:].astype(float)
    kind = choice("histcounts: Normalization", options.get("Normalization", "count"), tuple(_NORMALIZATIONS))
    return outputs(
        "histcounts", [_NORMALIZATIONS[kind](n, np.diff(e), a.size)[None], e[None], bins.astype(float)], nargout
    )


_NORMALIZATIONS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "count": lambda n, width, total: n,
    "probability": lambda n, width, total: n / total,
    "countdensity": lambda n, width, total: n / width,
    "pdf": lambda n, width, total: n / width / total,
    "cumcount": lambda n, width, total: np.cumsum(n),
    "cdf": lambda n, width, total: np.cumsum(n) / total,
}


def interp1(x: Any, v: Any, xq: Any = None, method: str = "linear", extrapolation: Any = None) -> Any:
    """Values at xq of a function that is known at x: interp1(x, v, xq, method, "extrap" or a value).

    interp1(v, xq) stands for x = 1, 2, ...

    v              a vector, or a matrix whose columns are functions
    method         "linear", "nearest" (halfway: the later), "previous", "next", "pchip", "spline" (not-a-knot)
    extrapolation  outside of x: NaN unless "extrap" or a number is given; "pchip" and "spline" go on by themselves

    NotImplementedError for "cubic" and "makima": releases of MATLAB differ in the first.
    """
    if xq is None or isinstance(xq, str):
        if isinstance(xq, str):
            method = xq
        x, v, xq = np.arange(1, max(np.shape(matrix("interp1: v", x))) + 1), x, v
    if method in ("cubic", "v5cubic", "makima"):
        raise NotImplementedError(f"interp1: {method!r} is not there; 'pchip' is what 'cubic' meant up to R2020a")
    method = choice("interp1: method", method, ("linear", "nearest", "previous", "next", "pchip", "spline"))
    t, y, q = floats("interp1: x", x).ravel(), matrix("interp1: v", v), matrix("interp1: xq", xq)
    if y.ndim > 2:
        raise NotImplementedError(f"interp1: v must be a vector or a matrix, got {size_text(y.shape)}")
    vector = 1 in y.shape
    y = y.reshape(-1, 1) if vector else y
    if t.size != len(y) or t.size < 2 or np.unique(t).size != t.size:
        raise ValueError(f"interp1: x must be {len(y)} different numbers, at least two, got {t.size}")
    order = np.argsort(t)
    t, y = t[order], y[order].astype(float)
    at = q.ravel(order="F").astype(float)
    found = _along(t, y, at, method)
    outside = (at < t[0]) | (at > t[-1])
    if isinstance(extrapolation, str):
        choice("interp1: extrapolation", extrapolation, ("extrap",))
    elif extrapolation is not None or method not in ("pchip", "spline"):
        found[outside] = np.nan if extrapolation is None else extrapolation
    found[np.isnan(at)] = np.nan
    if vector:
        return as_given(found.reshape(q.shape, order="F"), xq)
    return found if 1 in q.shape else found.reshape((*q.shape, -1), order="F")


def _along(t: np.ndarray, y: np.ndarray, at: np.ndarray, method: str) -> np.ndarray:
    """Values at `at` of each column of y, which is known at the rising t."""
    if method in ("pchip", "spline"):
        from scipy.interpolate import CubicSpline, PchipInterpolator

        return (PchipInterpolator if method == "pchip" else CubicSpline)(t, y)(at)
    low, high, share = _between(t, at, method)
    return _mixed(y[low], y[high], share[:, None])


def _between(t: np.ndarray, at: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two places of t, from 0, of which values at `at` are mixed, and the share of the second."""
    k = np.clip(np.searchsorted(t, at, side="right") - 1, 0, t.size - 2)
    if method == "linear":
        return k, k + 1, (at - t[k]) / (t[k + 1] - t[k])
    later = {"nearest": at >= (t[k] + t[k + 1]) / 2, "previous": at >= t[k + 1], "next": at > t[k]}[method]
    return k + later, k + later, np.zeros(at.shape)


def _mixed(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return np.where(share == 1, b, a + share * (b - a))


def interp2(*arguments: Any) -> Any:
    """Values between those of a matrix: interp2(X, Y, V, Xq, Yq, method, outside), interp2(V, Xq, Yq, ...).

    X, Y     columns' and rows' coordinates, vectors or as meshgrid gives them; 1, 2, ... unless given
    Xq, Yq   of one size; or a row and a column, which make a grid
    method   "linear" (also "bilinear"), "nearest", "spline" (not-a-knot); outside of X and Y: NaN, or the number given
    """
    numbers = [a for a in arguments if not isinstance(a, str)]
    words = [a for a in arguments if isinstance(a, str)]
    outside = numbers.pop() if len(numbers) in (4, 6) else np.nan
    if len(numbers) not in (3, 5) or len(words) > 1:
        raise ValueError("interp2: it must be called as (V, Xq, Yq) or (X, Y, V, Xq, Yq), then method, then outside")
    V = matrix("interp2: V", numbers[-3]).astype(float)
    X, Y = (numbers[0], numbers[1]) if len(numbers) == 5 else (np.arange(V.shape[1]) + 1, np.arange(V.shape[0]) + 1)
    X, Y = matrix("interp2: X", X), matrix("interp2: Y", Y)
    x = (X[0] if min(X.shape) > 1 else X.ravel()).astype(float)
    y = (Y[:, 0] if min(Y.shape) > 1 else Y.ravel()).astype(float)
    if not V.size:
        raise ValueError(f"interp2: V must be a matrix with elements, got {size_text(V.shape)}")
    if (y.size, x.size) != V.shape:
        raise ValueError(f"interp2: V is {size_text(V.shape)}, Y and X have {y.size} and {x.size} values")
    xq, yq = matrix("interp2: Xq", numbers[-2]), matrix("interp2: Yq", numbers[-1])
    if xq.shape[0] == 1 and yq.shape[1] == 1 and xq.shape != yq.shape:
        xq, yq = np.broadcast_arrays(xq, yq)
    if xq.shape != yq.shape:
        raise ValueError(f"interp2: Xq is {size_text(xq.shape)}, Yq is {size_text(yq.shape)}")
    method = (words or ["linear"])[0].lower().removeprefix("bi")
    if method in ("cubic", "makima"):
        raise NotImplementedError(f"interp2: {method!r} is not there; 'spline' is near")
    at = np.stack([yq.ravel(), xq.ravel()], axis=1).astype(float)
    missing = (at[:, 0] < y[0]) | (at[:, 0] > y[-1]) | (at[:, 1] < x[0]) | (at[:, 1] > x[-1])
    if choice("interp2: method", method, ("linear", "nearest", "spline")) == "spline":
        from scipy.interpolate import RectBivariateSpline

        if np.any(missing) and np.isnan(outside):
            raise NotImplementedError("interp2: 'spline' outside of X and Y must come with a value for it")
        found = RectBivariateSpline(y, x, V, kx=3, ky=3, s=0).ev(at[:, 0], at[:, 1])
    else:
        (top, bottom, down), (left, right, across) = (_between(t, q, method) for t, q in zip((y, x), at.T))
        upper = _mixed(V[top, left], V[top, right], across)
        found = _mixed(upper, _mixed(V[bottom, left], V[bottom, right], across), down)
    found[missing] = outside
    return as_given(found.reshape(xq.shape), *numbers[-2:])
