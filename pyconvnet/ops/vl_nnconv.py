"""vl_nnconv: convolution."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pyconvnet import kernels
from pyconvnet.arrays import as_tensor, is_empty, size_text
from pyconvnet.geometry import Window
from pyconvnet.options import matlab_options


@matlab_options(flags=("noDerData", "noDerFilters", "noDerBiases"))
def vl_nnconv(
    x: np.ndarray,
    f: np.ndarray | None,
    b: np.ndarray | None = None,
    dzdy: np.ndarray | None = None,
    *,
    stride: Any = 1,
    pad: Any = 0,
    dilate: Any = 1,
    noDerData: bool = False,
    noDerFilters: bool = False,
    noDerBiases: bool = False,
) -> Any:
    """Convolve images with a bank of filters (cross-correlation: the filters are not turned over).

    vl_nnconv(x, f, b) -> y                        x: H x W x C x N     f: h x w x C/G x K     b: K values
    vl_nnconv(x, f, b, dzdy) -> (dzdx, dzdf, dzdb)                      y, dzdy: YH x YW x K x N

    y[i, j, k, n] = b[k] + sum f[u, v, c, k] x[i stride + u dilate - top, j stride + v dilate - left, c, n]
    YH = floor((H + top + bottom - dilate (h - 1) - 1) / stride) + 1, and likewise YW.

    stride  1, or (vertical, horizontal)        dilate  1, or (vertical, horizontal)
    pad     0, or (top, bottom, left, right); padded pixels are zero
    The number of groups G follows from the shapes: channel group g of x meets filters g K/G .. (g + 1) K/G - 1.
    f None (MATLAB's []): every channel passes as it is, subsampled by stride; b None: no biases.
    noDerData, noDerFilters, noDerBiases leave that derivative out (None in its place).

    A filter as large as the image makes the layer fully connected.

    Raises TypeError for arrays that are not float32 or float64, or mixed; ValueError for shapes that do not fit.
    Source: MatConvNet manual, section 4.1 "Convolution".

    >>> x = np.ones((3, 3, 1, 1), np.float32)
    >>> vl_nnconv(x, np.ones((2, 2, 1, 1), np.float32), None)[:, :, 0, 0]
    array([[4., 4.],
           [4., 4.]], dtype=float32)
    """
    x = as_tensor("vl_nnconv", "x", x)
    if is_empty(f):
        window = Window.parse("vl_nnconv", 1, stride, pad, dilate)
        if window.dilate != (1, 1):
            raise ValueError(f"vl_nnconv: without filters there is nothing to dilate, got dilate {list(window.dilate)}")
        return _subsample(x, b, dzdy, window, noDerData, noDerBiases)
    filters = as_tensor("vl_nnconv", "f", f, like=x)
    window = Window.parse("vl_nnconv", filters.shape[:2], stride, pad, dilate, "f")
    out = check_filters("vl_nnconv", x.shape, filters.shape, window)
    biases = check_biases("vl_nnconv", b, filters.shape[3], x)
    if is_empty(dzdy):
        return kernels.of(x).conv(x, filters, biases, window)
    dzdy = check_derivative("vl_nnconv", dzdy, x, (*out, filters.shape[3], x.shape[3]))
    needs = (not noDerData, not noDerFilters, biases is not None and not noDerBiases)
    dx, df, db = kernels.of(x).conv_backward(x, filters, dzdy, window, needs)
    return dx, df if df is None else df.reshape(f.shape), db if db is None else db.reshape(b.shape)


def _subsample(x: np.ndarray, b: Any, dzdy: Any, window: Window, noDerData: bool, noDerBiases: bool) -> Any:
    """vl_nnconv without filters: pad, take every stride-th pixel, add biases."""
    biases = check_biases("vl_nnconv", b, x.shape[2], x)
    out = window.output_size(*x.shape[:2])
    if min(out) < 1:
        raise ValueError(f"vl_nnconv: x is {size_text(x.shape)}, which leaves no pixels")
    places = [s * np.arange(n) - p for s, n, p in zip(window.stride, out, window.pad[::2])]
    inside = [(at >= 0) & (at < size) for at, size in zip(places, x.shape)]
    pixels, seen = np.ix_(*inside), np.ix_(*(at[i] for at, i in zip(places, inside)))
    if is_empty(dzdy):
        y = np.zeros((*out, *x.shape[2:]), x.dtype)
        y[pixels] = x[seen]
        return y if biases is None else y + biases[:, None]
    dzdy = check_derivative("vl_nnconv", dzdy, x, (*out, *x.shape[2:]))
    dx = db = None
    if not noDerData:
        dx = np.zeros(x.shape, x.dtype)
        dx[seen] = dzdy[pixels]
    if biases is not None and not noDerBiases:
        db = dzdy.sum(axis=(0, 1, 3), dtype=np.float64).astype(x.dtype).reshape(b.shape)
    return dx, None, db


@lru_cache(maxsize=1024)  # layers ask the same again and again
def check_filters(fn: str, shape: tuple[int, ...], filters: tuple[int, ...], window: Window) -> tuple[int, int]:
    """Refuse filters whose channels or size do not fit x; the size of the output."""
    channels, depth, count = shape[2], filters[2], filters[3]
    if channels % depth:
        raise ValueError(f"{fn}: x has {channels} channels, f takes {depth}; {depth} must divide {channels} (groups)")
    if count % (channels // depth):
        groups = f"{channels // depth} groups, which must divide the {count} filters"
        raise ValueError(f"{fn}: x has {channels} channels, f takes {depth}: {groups}")
    out = window.output_size(*shape[:2])
    if min(out) < 1:
        padded = size_text((shape[0] + sum(window.pad[:2]), shape[1] + sum(window.pad[2:])))
        raise ValueError(f"{fn}: f spans {size_text(window.extent)} pixels, more than x with its pad, {padded}")
    return out


def check_biases(fn: str, b: Any, count: int, x: np.ndarray) -> np.ndarray | None:
    """The biases as a vector, None where there are none; any shape of `count` elements is taken."""
    if is_empty(b):
        return None
    check_like(fn, "b", b, x)
    if b.size != count:
        raise ValueError(f"{fn}: b has {b.size} elements ({size_text(b.shape) or 'a number'}), f has {count} filters")
    return np.ravel(b, order="F")


def check_like(fn: str, name: str, a: Any, x: np.ndarray) -> None:
    """Refuse what is no array, or number of numpy's, of the type of x."""
    if not isinstance(a, (np.ndarray, np.generic)) or a.dtype != x.dtype:
        got = a.dtype if isinstance(a, (np.ndarray, np.generic)) else type(a).__name__
        raise TypeError(f"{fn}: {name} is {got} where x is {x.dtype}; all must be the same")


def check_derivative(fn: str, dzdy: Any, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """dzdy as a tensor, which must have the shape of the output."""
    dzdy = as_tensor(fn, "dzdy", dzdy, like=x)
    if dzdy.shape != shape:
        raise ValueError(f"{fn}: dzdy is {size_text(dzdy.shape)}, the output is {size_text(shape)}")
    return dzdy
