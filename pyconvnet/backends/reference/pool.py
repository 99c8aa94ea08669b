"""Max and average pooling in numpy: a pass per pixel of the window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyconvnet.arrays import from_nhwc, nhwc
from pyconvnet.geometry import Window

LARGE = 1 << 12  # pixels, of which the sum is in double precision


def _places(window: Window, h: int, w: int, oh: int, ow: int) -> Iterator[Any]:
    """Per pixel of the window, column by column as MATLAB's memory runs: slices into the output and into the image."""
    for v in range(window.size[1]):
        for u in range(window.size[0]):
            rows, irows = _meeting(u, window.stride[0], window.pad[0], h, oh)
            cols, icols = _meeting(v, window.stride[1], window.pad[2], w, ow)
            if rows.stop > rows.start and cols.stop > cols.start:
                yield (slice(None), rows, cols), (slice(None), irows, icols)


def _meeting(u: int, stride: int, pad: int, size: int, out: int) -> tuple[slice, slice]:
    first = max(0, -((u - pad) // stride))
    last = min(out - 1, (size - 1 + pad - u) // stride)
    start = first * stride + u - pad
    return slice(first, last + 1), slice(start, start + stride * (last - first) + 1, stride)


def _counts(window: Window, h: int, w: int, oh: int, ow: int, dtype: np.dtype) -> np.ndarray:
    def along(size: int, out: int, length: int, stride: int, pad: int) -> np.ndarray:
        start = np.arange(out) * stride - pad
        return np.minimum(start + size, length) - np.maximum(start, 0)

    rows = along(window.size[0], oh, h, window.stride[0], window.pad[0])
    cols = along(window.size[1], ow, w, window.stride[1], window.pad[2])
    return (rows[:, None] * cols).astype(dtype)[None, :, :, None]


def pool(x: np.ndarray, window: Window, method: str) -> np.ndarray:
    """Maximum of those that are not NaN, -inf of none; or mean over the pixels inside the image."""
    xs = nhwc(x)
    n, h, w, c = xs.shape
    oh, ow = window.output_size(h, w)
    if method == "avg":
        large = window.size[0] * window.size[1] > LARGE
        y = np.zeros((n, oh, ow, c), np.float64 if large else x.dtype)
        for out, at in _places(window, h, w, oh, ow):
            y[out] += xs[at]
        return from_nhwc((y / _counts(window, h, w, oh, ow, y.dtype)).astype(x.dtype, copy=False))
    y = np.full((n, oh, ow, c), -np.inf, x.dtype)
    for out, at in _places(window, h, w, oh, ow):
        np.fmax(y[out], xs[at], out=y[out])
    return from_nhwc(y)


def pool_backward(x: np.ndarray, window: Window, method: str, dzdy: np.ndarray) -> np.ndarray:
    """The derivative goes to the first maximum, down the columns as MATLAB's memory runs; -inf is none."""
    xs, dy = nhwc(x), nhwc(dzdy)
    h, w = xs.shape[1:3]
    oh, ow = dy.shape[1:3]
    dx = np.zeros_like(xs)
    if method == "avg":
        dy = dy / _counts(window, h, w, oh, ow, x.dtype)
        for out, at in _places(window, h, w, oh, ow):
            dx[at] += dy[out]
        return from_nhwc(dx)
    y = nhwc(pool(x, window, method))
    left = y > -np.inf
    for out, at in _places(window, h, w, oh, ow):
        here = (xs[at] == y[out]) & left[out]
        left[out] &= ~here
        dx[at] += np.where(here, dy[out], 0)
    return from_nhwc(dx)
