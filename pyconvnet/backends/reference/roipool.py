"""Pooling of regions in numpy: a loop over regions and cells, all channels at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyconvnet.arrays import from_nhwc, nhwc

Spans = list[tuple[int, list[tuple[int, int]], list[tuple[int, int]]]]


def _cells(spans: Spans) -> Iterator[Any]:
    for r, (image, rows, cols) in enumerate(spans):
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(cols):
                if bottom > top and right > left:
                    yield (r, i, j), (image, slice(top, bottom), slice(left, right))


def roipool(x: np.ndarray, spans: Spans, cells: tuple[int, int], method: str) -> np.ndarray:
    """Maximum of those that are not NaN, -inf of none, or mean of each cell (rows, columns); 0 for an empty one."""
    xs = nhwc(x)
    y = np.zeros((len(spans), *cells, x.shape[2]), x.dtype)
    for out, at in _cells(spans):
        y[out] = np.fmax.reduce(xs[at], axis=(0, 1), initial=-np.inf) if method == "max" else xs[at].mean(axis=(0, 1))
    return from_nhwc(y)


def roipool_backward(x: np.ndarray, spans: Spans, method: str, dzdy: np.ndarray) -> np.ndarray:
    """The derivative goes to the first maximum, column by column, or in equal parts to the cell."""
    xs, dy = nhwc(x), nhwc(dzdy)
    dx = np.zeros_like(xs)
    channels = np.arange(x.shape[2])
    for out, at in _cells(spans):
        cell = xs[at]
        if method == "avg":
            dx[at] += dy[out] / x.dtype.type(cell.shape[0] * cell.shape[1])
            continue
        values = cell.transpose(1, 0, 2).reshape(-1, x.shape[2])
        values = np.where(values == values, values, -np.inf)
        first = values.argmax(axis=0)
        v, u = np.divmod(first, cell.shape[0])
        dx[at][u, v, channels] += np.where(values[first, channels] > -np.inf, dy[out], 0)
    return from_nhwc(dx)
