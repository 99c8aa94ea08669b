"""Fully connected layers of a few images, which take as long as their filters take to be read: once, and never packed.

Filters as C arrays are rows, one for each input, that are added up in as many sums as there are filters. Filters as
MATLAB keeps them are one row for each filter: there the matrix kernel gets filters as rows and images as columns.
Backward, inputs and filters change places, and so do the two ways.
"""

from __future__ import annotations

import numba
import numpy as np

from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu.compiled import jit
from pyconvnet.backends.cpu.direct import PLAIN, Epilogue
from pyconvnet.backends.cpu.layout import address, channels_fastest, zeros
from pyconvnet.backends.cpu.llvm.matrix_kernel import call_tile
from pyconvnet.backends.cpu.llvm.simd import fload, fstore, vfma, vload, vload_part, vset1, vstore, vsum_across
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

# Smaller filters stay in cache and cost little to pack; for more images the matrix kernel makes up for packing.
LEAST_FILTERS, MOST_IMAGES = 1 << 16, 16
# Rows that lie powers of two apart share a few places of the first-level cache, which has 8 ways.
ROWS = 6


def suits(x: np.ndarray, f: np.ndarray, window: Window) -> bool:
    """Whether the functions below are faster for this layer than the matrix kernel."""
    return (
        f.shape[:3] == x.shape[:3]
        and not any(window.pad)
        and x.shape[3] <= MOST_IMAGES
        and f.size >= LEAST_FILTERS
        and (f.flags.c_contiguous or f.flags.f_contiguous)
    )


def fully_connected(x, f, b, window: Window, after: Epilogue = PLAIN) -> np.ndarray:
    """The convolution of `backends.reference.conv.conv` as an N x 1 x 1 x K array."""
    n, count = x.shape[3], f.shape[3]
    if f.flags.c_contiguous:
        y = _times_rows(channels_fastest(x).reshape(n, -1), f.reshape(-1, count))
    else:
        y = _times_columns(x.transpose(2, 1, 0, 3).reshape(-1, n), f.T.reshape(count, -1))
    y = y[:, None, None]
    if after.scale is not None:
        y *= after.scale
    if b is not None:
        y += b.ravel()
    if after.add is not None:
        y += after.add.transpose(3, 0, 1, 2)
    return np.fmax(y, 0, out=y) if after.relu else y


def fully_connected_gradient(dzdy: np.ndarray, f: np.ndarray) -> np.ndarray:
    """dx as an N x h x w x C array."""
    h, w, c, count = f.shape
    n = dzdy.shape[3]
    if f.flags.c_contiguous:
        return _times_columns(dzdy.reshape(count, n), f.reshape(-1, count)).reshape(n, h, w, c)
    dx = _times_rows(channels_fastest(dzdy).reshape(n, count), f.T.reshape(count, -1))
    return channels_fastest(dx.reshape(n, c, w, h).transpose(3, 2, 1, 0))


def _times_rows(x: np.ndarray, f: np.ndarray) -> np.ndarray:
    """x f, of n x D by D x K, both contiguous."""
    (n, depth), count = x.shape, f.shape[1]
    row = -(-count // 16) * 16 + 16  # sums of several images a page apart would share places in the cache
    y = zeros((n, row))
    with parallel_region() as threads:
        _add_rows(threads, address(x), address(f), address(y), n, depth, count, row)
    return np.ascontiguousarray(y[:, :count])


def _times_columns(x: np.ndarray, f: np.ndarray) -> np.ndarray:
    """(f x)', of K x D, contiguous, by D x n."""
    x, (count, depth), n = np.ascontiguousarray(x), f.shape, x.shape[1]
    sums = np.empty((count, n), np.float32)
    tile = hardware.tile()
    memory = address(f), address(x), address(sums)
    with parallel_region() as threads:
        if n == 1:
            _dots(threads, *memory, depth, count)
            return sums.reshape(1, count)
        _rows_by_images(threads, tile.kernel, min(ROWS, tile.rows), *memory, n, depth, count)
    return np.ascontiguousarray(sums.T)


@jit(parallel=True)
def _add_rows(threads, x, f, y, n, depth, count, y_row):
    """y[i, k] += x[i, d] f[d, k]; a thread owns some k, and takes four d at a time."""
    vectors = -(-count // 16)
    zero = np.float32(0)
    for t in numba.prange(threads):
        first, last = 16 * (vectors * t // threads), min(count, 16 * (vectors * (t + 1) // threads))
        for d in range(0, depth - 3, 4):
            for k in range(first, last, 16):
                part = min(16, last - k)
                row = f + 4 * (d * count + k)
                f0, f1 = vload_part(row, part, zero), vload_part(row + 4 * count, part, zero)
                f2, f3 = vload_part(row + 8 * count, part, zero), vload_part(row + 12 * count, part, zero)
                for i in range(n):
                    here, target = x + 4 * (i * depth + d), y + 4 * (i * y_row + k)
                    sums = vfma(f0, vset1(fload(here)), vload(target))
                    sums = vfma(f1, vset1(fload(here + 4)), sums)
                    sums = vfma(f2, vset1(fload(here + 8)), sums)
                    vstore(target, vfma(f3, vset1(fload(here + 12)), sums))
        for d in range(depth // 4 * 4, depth):
            for k in range(first, last, 16):
                part = min(16, last - k)
                row = vload_part(f + 4 * (d * count + k), part, zero)
                for i in range(n):
                    target = y + 4 * (i * y_row + k)
                    vstore(target, vfma(row, vset1(fload(x + 4 * (i * depth + d))), vload(target)))


@jit(parallel=True)
def _rows_by_images(threads, kernel, rows, f, x, y, n, depth, count):
    """y[k, i] = sum over d of f[k, d] x[d, i]."""
    tiles = -(-count // rows)
    zero = np.zeros(2, np.int64)
    for t in numba.prange(threads):
        for q in range(tiles * t // threads, tiles * (t + 1) // threads):
            k = q * rows
            many = min(rows, count - k)
            a, c = f + 4 * k * depth, y + 4 * k * n
            ahead = a + 4 * many * depth
            call_tile(kernel, many, n, a, depth, 1, zero.ctypes.data, 1, depth, x, n, c, n, 0, 0, 0, ahead, 4 * many)


@jit(parallel=True)
def _dots(threads, f, x, y, depth, count):
    """y[k] = sum over d of f[k, d] x[d]; four k at a time."""
    fours = -(-count // 4)
    zero = np.float32(0)
    for t in numba.prange(threads):
        for q in range(fours * t // threads, fours * (t + 1) // threads):
            first = 4 * q
            k1, k2, k3 = min(first + 1, count - 1), min(first + 2, count - 1), min(first + 3, count - 1)
            f0, f1, f2, f3 = (f + 4 * first * depth, f + 4 * k1 * depth, f + 4 * k2 * depth, f + 4 * k3 * depth)
            s0, s1, s2, s3 = vset1(zero), vset1(zero), vset1(zero), vset1(zero)
            for d in range(0, 4 * depth, 64):
                part = min(16, depth - d // 4)
                v = vload_part(x + d, part, zero)
                s0, s1 = vfma(vload_part(f0 + d, part, zero), v, s0), vfma(vload_part(f1 + d, part, zero), v, s1)
                s2, s3 = vfma(vload_part(f2 + d, part, zero), v, s2), vfma(vload_part(f3 + d, part, zero), v, s3)
            fstore(y + 4 * first, vsum_across(s0))
            fstore(y + 4 * k1, vsum_across(s1))
            fstore(y + 4 * k2, vsum_across(s2))
            fstore(y + 4 * k3, vsum_across(s3))
