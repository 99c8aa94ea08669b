"""Convolution and its transpose in numpy and BLAS: one matrix product per filter tap, on channels-fastest memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyconvnet.arrays import from_nhwc, nhwc
from pyconvnet.geometry import Window

Derivatives = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]


def _taps(window: Window, out_h: int, out_w: int) -> Iterator[Any]:
    """(i, j, slices of the padded image that tap (i, j) of the filter meets) for each tap."""
    (fh, fw), (sh, sw), (dh, dw) = window.size, window.stride, window.dilate
    for i in range(fh):
        for j in range(fw):
            rows = slice(i * dh, i * dh + sh * (out_h - 1) + 1, sh)
            cols = slice(j * dw, j * dw + sw * (out_w - 1) + 1, sw)
            yield i, j, (slice(None), rows, cols)


def padded(x: np.ndarray, window: Window) -> np.ndarray:
    t, b, left, r = window.pad
    x = x.transpose(3, 0, 1, 2)
    if not any(window.pad):
        return np.ascontiguousarray(x)
    n, h, w, c = x.shape
    out = np.zeros((n, h + t + b, w + left + r, c), x.dtype)
    out[:, t : t + h, left : left + w] = x
    return out


def conv(x: np.ndarray, f: np.ndarray, b: np.ndarray | None, window: Window) -> np.ndarray:
    """y[h, w, k, n] = b[k] + sum over i, j, c of f[i, j, c, k] x[s h + d i - top, s w + d j - left, c, n]."""
    depth, count = f.shape[2:]
    groups = x.shape[2] // depth
    each = count // groups
    oh, ow = window.output_size(*x.shape[:2])
    xp = padded(x, window)
    y = np.zeros((x.shape[3], oh, ow, count), x.dtype)
    if b is not None:
        y += b
    for g in range(groups):
        part = y[..., g * each : (g + 1) * each]
        fg = f[..., g * each : (g + 1) * each]
        source = xp[..., g * depth : (g + 1) * depth]
        for i, j, at in _taps(window, oh, ow):
            part += source[at] @ fg[i, j]
    return from_nhwc(y)


def _bias_gradient(dy: np.ndarray) -> np.ndarray:
    """Sums over pixels and images. numpy sums float32 along leading axes one after another, so in float64 here."""
    return dy.sum(axis=(0, 1, 2), dtype=np.float64).astype(dy.dtype)


def conv_backward(
    x: np.ndarray, f: np.ndarray, dzdy: np.ndarray, window: Window, needs: Any = (True, True, True)
) -> Derivatives:
    """(dx, df, db), None where not needed."""
    depth, count = f.shape[2:]
    groups = x.shape[2] // depth
    each = count // groups
    oh, ow = dzdy.shape[:2]
    dy = nhwc(dzdy)
    db = _bias_gradient(dy) if needs[2] else None
    xp = padded(x, window) if needs[1] else None
    t, bottom, left, r = window.pad
    h, w, c, n = x.shape
    dxp = np.zeros((n, h + t + bottom, w + left + r, c), x.dtype) if needs[0] else None
    df = np.empty(f.shape, f.dtype) if needs[1] else None
    # buffers that all taps use: fresh memory would be as much work as the products
    product, seen = np.empty((n * oh * ow, depth), x.dtype), np.empty((n, oh, ow, depth), x.dtype)
    for g in range(groups):
        own = np.ascontiguousarray(dy[..., g * each : (g + 1) * each]).reshape(-1, each)
        channels = slice(g * depth, (g + 1) * depth)
        for i, j, at in _taps(window, oh, ow):
            if dxp is not None:
                np.matmul(own, f[i, j, :, g * each : (g + 1) * each].T, out=product)
                dxp[(*at, channels)] += product.reshape(seen.shape)
            if df is not None and xp is not None:
                seen[...] = xp[(*at, channels)]
                df[i, j, :, g * each : (g + 1) * each] = seen.reshape(-1, depth).T @ own
    dx = None if dxp is None else from_nhwc(dxp[:, t : t + h, left : left + w])
    return dx, df, db


def _as_conv(x_shape: tuple[int, ...], f: np.ndarray, upsample: Any) -> tuple[Window, tuple[int, ...], int]:
    """The convolution whose transpose this is: its window, and its image's height and width before cropping."""
    full = tuple(u * (s - 1) + e for u, s, e in zip(upsample, x_shape, f.shape))
    return Window(f.shape[:2], upsample), full, f.shape[2]


def convt(x: np.ndarray, f: np.ndarray, b: np.ndarray | None, up: Any, crop: Any, groups: int) -> np.ndarray:
    """f is h x w x K/groups x C: y[u h + i, u w + j, k] += f[i, j, k, c] x[h, w, c], then cropped."""
    window, full, k = _as_conv(x.shape, f, up)
    xs = nhwc(x)
    n, h, w, c = xs.shape
    out = np.zeros((n, *full, k * groups), x.dtype)
    each = c // groups
    for g in range(groups):
        source = np.ascontiguousarray(xs[..., g * each : (g + 1) * each])
        for i, j, at in _taps(window, h, w):
            out[(*at, slice(g * k, (g + 1) * k))] += source @ f[i, j, :, g * each : (g + 1) * each].T
    t, bottom, left, r = crop
    y = out[:, t : full[0] - bottom, left : full[1] - r]
    if b is not None:
        y = y + b
    return from_nhwc(y)


def convt_backward(
    x: np.ndarray, f: np.ndarray, dzdy: np.ndarray, up: Any, crop: Any, groups: int, needs: Any = (True, True, True)
) -> Derivatives:
    """(dx, df, db), None where not needed."""
    window, full, k = _as_conv(x.shape, f, up)
    xs, dy = nhwc(x), nhwc(dzdy)
    n, h, w, c = xs.shape
    db = _bias_gradient(dy) if needs[2] else None
    t, bottom, left, r = crop
    whole = np.zeros((n, *full, k * groups), x.dtype)
    whole[:, t : full[0] - bottom, left : full[1] - r] = dy
    each = c // groups
    dx = np.zeros_like(xs) if needs[0] else None
    df = np.empty(f.shape, f.dtype) if needs[1] else None
    for g in range(groups):
        own = slice(g * each, (g + 1) * each)
        source = np.ascontiguousarray(xs[..., own]).reshape(-1, each)
        for i, j, at in _taps(window, h, w):
            seen = np.ascontiguousarray(whole[(*at, slice(g * k, (g + 1) * k))])
            if dx is not None:
                dx[..., own] += seen @ f[i, j, :, own]
            if df is not None:
                df[i, j, :, own] = seen.reshape(-1, k).T @ source
    return (None if dx is None else from_nhwc(dx)), df, db
