"""The derivatives of convolution with respect to its filters and biases.

df[i, j, c, k] = sum over pixels of x[.., c] dzdy[.., k]: the matrix kernel again, with a filter row's inputs as rows of
a tile, filters as its columns, and pixels as what it sums over, a few image rows at a time while they are in cache.
"""

from __future__ import annotations

import numba
import numpy as np

from pyconvnet.geometry import Window
from pyconvnet.kernels.cpu import machine
from pyconvnet.kernels.cpu.compiled import jit
from pyconvnet.kernels.cpu.layout import address, channels_fastest, padded
from pyconvnet.kernels.cpu.matrix_kernel import ACCUMULATE, call_tile
from pyconvnet.threads import team

CACHE = 1 << 19  # bytes of x and dzdy that go through all tiles together: half the second-level cache


def filter_gradient(x: np.ndarray, dzdy: np.ndarray, window: Window, depth: int) -> np.ndarray:
    """df, h x w x depth x K."""
    (fh, fw), (sh, sw), (dh, dw) = window.size, window.stride, window.dilate
    oh, ow, count, n = dzdy.shape
    groups = x.shape[2] // depth
    tile = machine.tile()
    with team() as threads:
        xp, dy = padded(x, window.pad), channels_fastest(dzdy)
        _, h, w, c = xp.shape
        if (oh, ow) == (1, 1):  # fully connected: the images are the pixels
            lines, length, step = np.zeros((1, 2), np.int64), n, h * w * c
        else:
            starts = h * w * c * np.arange(n)[:, None] + sh * w * c * np.arange(oh)
            lines = np.stack([starts.ravel(), ow * count * np.arange(n * oh)], axis=1)
            length, step = ow, sw * c
        rows = dh * w * c * np.arange(fh)
        if groups == 1 and (dw == 1 or fw == 1):  # a filter row meets consecutive memory
            pieces, size = rows, fw * c
        else:
            pieces, size = (rows[:, None] + dw * c * np.arange(fw)).ravel(), depth
        at_once = max(1, CACHE // (4 * (sh * w * c + ow * count)))
        units = groups * -(-(count // groups) // tile.columns) * pieces.size * -(-size // tile.rows)
        parts = threads if units < 4 * threads <= len(lines) else 1
        df = np.empty((parts, fh, fw, depth, count), np.float32)
        shape = np.array([groups, depth, count // groups, length, step, size, at_once, df[0].size])
        _filter_gradient(threads, *tile, address(xp), address(dy), address(df), lines, pieces, shape, parts)
    return df[0] if parts == 1 else df.sum(axis=0)


def bias_gradient(dzdy: np.ndarray) -> np.ndarray:
    """Sums over pixels and images, K."""
    with team() as threads:
        dy = channels_fastest(dzdy)
        sums = np.zeros((threads, dy.shape[3]))
        _column_sums(threads, dy.reshape(-1, dy.shape[3]), sums)
    return sums.sum(axis=0).astype(np.float32)


@jit(parallel=True)
def _filter_gradient(threads, kernel, mr, nr, x, dy, df, lines, pieces, shape, parts):
    groups, depth, each, length, step, size, at_once, volume = shape
    count = groups * each
    blocks = -(-each // nr)
    tiles = -(-size // mr)
    units = groups * blocks * pieces.size * tiles
    for t in numba.prange(threads):
        if parts == 1:  # every thread sees all pixels and computes some of the filters
            first_line, last_line, first, last, out = (
                0,
                len(lines),
                units * t // threads,
                units * (t + 1) // threads,
                df,
            )
        else:  # too few filters for that: it sees some of the pixels
            first_line, last_line = len(lines) * t // threads, len(lines) * (t + 1) // threads
            first, last, out = 0, units, df + 4 * t * volume
        for line in range(first_line, last_line, at_once):
            many = min(at_once, last_line - line)
            for q in range(first, last):
                column = q // (pieces.size * tiles)
                row = q - column * pieces.size * tiles
                piece = row // tiles
                i = row - piece * tiles
                r0, r1 = size * i // tiles, size * (i + 1) // tiles
                g = column // blocks
                k = (column - g * blocks) * nr
                call_tile(
                    kernel,
                    r1 - r0,
                    min(nr, each - k),
                    x + 4 * (pieces[piece] + g * depth + r0),
                    1,
                    step,
                    lines.ctypes.data + 16 * line,
                    many,
                    length,
                    dy + 4 * (g * each + k),
                    count,
                    out + 4 * ((piece * size + r0) * count + g * each + k),
                    count,
                    0,
                    0 if line == first_line else ACCUMULATE,
                )


@jit(parallel=True, fastmath={"reassoc", "nsz", "contract"})
def _column_sums(threads, x, sums):
    """Short sums in float32, sums of those in float64."""
    n, k = x.shape
    for t in numba.prange(threads):
        first, last = n * t // threads, n * (t + 1) // threads
        part = np.empty(k, np.float32)
        for start in range(first, last, 64):
            part[:] = 0
            for i in range(start, min(last, start + 64)):
                for j in range(k):
                    part[j] += x[i, j]
            for j in range(k):
                sums[t, j] += part[j]
