"""Bilinear sampling in numpy: four gathers, one per neighbour of a point."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import from_nhwc, nhwc


def _neighbours(x: np.ndarray, grid: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    """The points in pixels, and per neighbour (row shift, column shift, rows, columns, inside)."""
    h, w = x.shape[:2]
    real = x.dtype.type
    py = (grid[0] + real(1)) / real(2) * real(h - 1)
    px = (grid[1] + real(1)) / real(2) * real(w - 1)
    top, left = np.floor(py), np.floor(px)
    # MatConvNet leaves out every point above or left of the first pixel's centre
    within = (top >= 0) & (left >= 0)
    found = []
    for i in (0, 1):
        for j in (0, 1):
            r, c = top + i, left + j
            inside = within & (r <= h - 1) & (c <= w - 1)
            rows, cols = np.where(inside, r, 0).astype(np.intp), np.where(inside, c, 0).astype(np.intp)
            found.append((i, j, rows.transpose(2, 0, 1), cols.transpose(2, 0, 1), inside.transpose(2, 0, 1)))
    fine = (py - top).transpose(2, 0, 1), (px - left).transpose(2, 0, 1)
    images = np.arange(grid.shape[3]) // (grid.shape[3] // x.shape[3])
    return found, fine, images[:, None, None]


def _share(i: int, fine: np.ndarray) -> np.ndarray:
    return fine if i else 1 - fine


def bilinear(x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Sum over the four neighbours of weight times value."""
    xs = nhwc(x)
    found, (wy, wx), images = _neighbours(x, grid)
    y: Any = 0
    for i, j, rows, cols, inside in found:
        weight = _share(i, wy) * _share(j, wx)
        y = y + np.where(inside[..., None], weight[..., None] * xs[images, rows, cols], 0)
    return from_nhwc(y.astype(x.dtype, copy=False))


def bilinear_backward(x: np.ndarray, grid: np.ndarray, dzdy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dgrid)."""
    xs, dy = nhwc(x), nhwc(dzdy)
    found, (wy, wx), images = _neighbours(x, grid)
    dx, dgrid = np.zeros_like(xs), np.zeros_like(grid)
    for i, j, rows, cols, inside in found:
        ys, yx = _share(i, wy), _share(j, wx)
        np.add.at(dx, (images, rows, cols), np.where(inside[..., None], (ys * yx)[..., None] * dy, 0))
        slope = (xs[images, rows, cols] * dy).sum(axis=-1)
        dgrid[0] += np.where(inside, (2 * i - 1) * yx * slope, 0).transpose(1, 2, 0)
        dgrid[1] += np.where(inside, (2 * j - 1) * ys * slope, 0).transpose(1, 2, 0)
    h, w = x.shape[:2]
    dgrid *= np.array([(h - 1) / 2, (w - 1) / 2], x.dtype).reshape(2, 1, 1, 1)
    return from_nhwc(dx), dgrid
