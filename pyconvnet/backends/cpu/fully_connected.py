"""Fully connected layers of a few images, which take as long as their filters take to be read: once, and never packed.

Filters as C arrays are rows, one for each input, that are added up in as many sums as there are filters: some rows at
a time, in registers, meet all images, or for more of these the matrix kernel takes them. Filters as MATLAB keeps them
are one row for each filter: inner products of rows and images, or for more of these the matrix kernel. Backward, inputs
and filters change places, and so do the two ways.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pyconvnet.backends.cpu import half_filters, hardware
from pyconvnet.backends.cpu.compiled import inner, parallel, recording_here, table_of
from pyconvnet.backends.cpu.direct import PLAIN, Epilogue
from pyconvnet.backends.cpu.layout import address, channels_fastest, empty, scratch, zeros
from pyconvnet.backends.cpu.llvm.dot_kernel import BLOCKS, call_dots, write_dots
from pyconvnet.backends.cpu.llvm.matrix_kernel import ACCUMULATE, call_tile, no_offset
from pyconvnet.backends.cpu.llvm.row_kernel import ROWS_AT_ONCE, add_rows
from pyconvnet.backends.cpu.llvm.simd import fload, fstore, vfma, vload, vload_part, vset1, vstore, vsum_across
from pyconvnet.backends.cpu.recording import contiguous, note
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

# Smaller filters stay in cache and cost little to pack; for more images the matrix kernel makes up for packing.
LEAST_FILTERS, MOST_IMAGES = 1 << 16, 16
FEW_IMAGES = 8  # for more, the matrix kernel, so many images at a time where they are its rows
HALF_IMAGES = 4  # up to so many, filters in half precision are used where there are some
# Filters as rows of that kernel, which lie powers of two apart, share a few places of the first-level cache, which has
# 8 ways; as its columns, so many inputs at a time, it prefetches so many bytes further along them.
ROWS, INPUTS, AHEAD = 6, 32, 256
LEAST_ROWS = 64  # of filters as C arrays, for a part of their sum
MOST_AHEAD = 1 << 13  # columns of these up to which the next rows are prefetched, for as few images
NEAR = 64  # vectors of some rows that stay in the first-level cache while all images meet them


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
    half, factor = half_filters.kept(f) if n <= HALF_IMAGES else None, None
    if half is None and (recording := recording_here()) is not None:
        recording.read_where_it_lies(f)
    if half is not None:
        start, factor = half
        sums = half_filters.times_rows(channels_fastest(x).reshape(n, -1), start, count)
    elif f.flags.c_contiguous:
        sums = _times_rows(channels_fastest(x).reshape(n, -1), f.reshape(-1, count))
    else:
        columns = contiguous(x.transpose(3, 2, 1, 0))
        sums = _times_columns(columns.reshape(n, -1), f.T.reshape(count, -1))[None]
    y = np.empty((n, 1, 1, count), np.float32)
    given = y, sums[:, :, None, None], b if b is None else b.ravel(), after, factor
    _finish(*given)
    note(_finish, *given)
    return y


def _finish(y: np.ndarray, sums: np.ndarray, b: np.ndarray | None, after: Epilogue, factor: np.float32 | None) -> None:
    """Write the result from the parts of the sums, which are multiplied by the factor."""
    np.add.reduce(sums, axis=0, out=y)
    if factor is not None:
        y *= factor
    if after.scale is not None:
        y *= after.scale
    if b is not None:
        y += b
    if after.add is not None:
        y += after.add.transpose(3, 0, 1, 2)
    if after.relu:
        np.fmax(y, 0, out=y)


def fully_connected_gradient(dzdy: np.ndarray, f: np.ndarray) -> np.ndarray:
    """dx as an N x h x w x C array."""
    h, w, c, count = f.shape
    n = dzdy.shape[3]
    if f.flags.c_contiguous:
        dy = contiguous(dzdy.reshape(count, n).T)
        return _times_columns(dy, f.reshape(-1, count)).reshape(n, h, w, c)
    parts = _times_rows(channels_fastest(dzdy).reshape(n, count), f.T.reshape(count, -1))
    dx = np.add.reduce(parts)
    note(np.add.reduce, parts, out=dx)
    return channels_fastest(dx.reshape(n, c, w, h).transpose(3, 2, 1, 0))


def _times_rows(x: np.ndarray, f: np.ndarray) -> np.ndarray:
    """x f, of n x D by D x K, both contiguous, as parts x n x K whose sum it is."""
    (n, depth), count = x.shape, f.shape[1]
    row = -(-count // 16) * 16 + 16  # sums of several images a page apart would share places in the cache
    with parallel_region() as threads:
        columns = contiguous(x.T)
        if n <= FEW_IMAGES:
            parts = min(threads, max(1, depth // LEAST_ROWS))
            y = zeros((parts, n, row))
            _add_rows(threads, address(columns), address(f), address(y), n, depth, count, row, parts)
        else:
            tile, y = hardware.tile(), empty((1, n, row))
            memory = address(columns), address(f), address(y)
            _images_by_columns(
                threads, tile.kernel, min(FEW_IMAGES, tile.rows), tile.columns, *memory, n, depth, count, row
            )
    return y[:, :, :count]


def _times_columns(x: np.ndarray, f: np.ndarray) -> np.ndarray:
    """x f', of n x D by K x D, both contiguous."""
    (n, depth), count = x.shape, f.shape[0]
    with parallel_region() as threads:
        if n > FEW_IMAGES:
            tile, columns = hardware.tile(), contiguous(x.T)
            y = np.empty((count, n), np.float32)
            memory = address(f), address(columns), address(y)
            _rows_by_images(threads, tile.kernel, min(ROWS, tile.rows), *memory, n, depth, count)
            return y.T
        block = BLOCKS[hardware.isa()]
        y = np.empty((n, count), np.float32)
        sums = scratch("sums", 16 * threads * n * block.rows)
        _dots(
            threads, _table(hardware.isa()), *block, address(f), address(x), address(y), address(sums), n, depth, count
        )
    return y


@lru_cache(maxsize=2)
def _table(level: str) -> int:
    return table_of(f"dots.{level}", lambda module: write_dots(module, level))


@parallel
def _add_rows(t, threads, x, f, y, n, depth, count, y_row, down):
    """y[part, i, k] += x[d, i] f[d, k]: `down` parts take some d each, in one piece, and threads in a part some k."""
    across, vectors = threads // down, -(-count // 16)
    part, place = t // across, t % across
    if part < down:
        first, last = depth * part // down, depth * (part + 1) // down
        left, right = 16 * (vectors * place // across), min(count, 16 * (vectors * (place + 1) // across))
        whole, own = left + (right - left) // 32 * 32, y + 4 * part * n * y_row
        ahead = 4 * ROWS_AT_ONCE * count if n <= HALF_IMAGES and count <= MOST_AHEAD else 0
        for d in range(first, last, ROWS_AT_ONCE):
            row, of_x, now = f + 4 * d * count, x + 4 * d * n, min(ROWS_AT_ONCE, last - d)
            k = left
            if now == ROWS_AT_ONCE:
                while k < whole:
                    add_rows(of_x, 4 * n, row + 4 * k, 4 * count, ahead, own + 4 * k, 4 * y_row, n)
                    k += 32
            while k < right:
                _add_some(of_x, 4 * n, row + 4 * k, 4 * count, now, min(16, right - k), own + 4 * k, y_row, n)
                k += 16


@inner
def _add_some(x, step, f, f_row, rows, columns, y, y_row, n):
    """y[i] += the sum of x[d, i] f[d] for fewer rows, or columns: up to 16."""
    for i in range(n):
        value, at, target = x + 4 * i, f, y + 4 * i * y_row
        total = vload(target)
        for _ in range(rows):
            total = vfma(vload_part(at, columns, np.float32(0)), vset1(fload(value)), total)
            value += step
            at += f_row
        vstore(target, total)


@parallel
def _images_by_columns(t, threads, kernel, mr, nr, x, f, y, n, depth, count, y_row):
    """y[i, k] = sum over d of x[d, i] f[d, k], some d at a time; threads take some k each."""
    tiles, units = -(-count // nr), -(-n // mr)
    for d in range(0, depth, INPUTS):
        for q in range(tiles * t // threads, tiles * (t + 1) // threads):
            k = q * nr
            here = f + 4 * (d * count + k)
            for u in range(units):
                i, end = n * u // units, n * (u + 1) // units
                target = y + 4 * (i * y_row + k)
                call_tile(
                    kernel,
                    end - i,
                    min(nr, count - k),
                    x + 4 * (d * n + i),
                    1,
                    n,
                    no_offset(),
                    1,
                    min(INPUTS, depth - d),
                    here,
                    count,
                    target,
                    y_row,
                    target,
                    0,
                    ACCUMULATE if d > 0 else 0,
                    here + AHEAD,
                    4 * count,
                )


@parallel
def _rows_by_images(t, threads, kernel, rows, f, x, y, n, depth, count):
    """y[k, i] = sum over d of f[k, d] x[d, i]."""
    tiles = -(-count // rows)
    for q in range(tiles * t // threads, tiles * (t + 1) // threads):
        k = q * rows
        many = min(rows, count - k)
        a, c = f + 4 * k * depth, y + 4 * k * n
        ahead = a + 4 * many * depth
        call_tile(kernel, many, n, a, depth, 1, no_offset(), 1, depth, x, n, c, n, 0, 0, 0, ahead, 4 * many)


@parallel
def _dots(t, threads, table, rows, at_once, f, x, y, sums, n, depth, count):
    """y[i, k] = sum over d of f[k, d] x[i, d], `rows` k and `at_once` images at a time."""
    blocks, vectors = -(-count // rows), depth // 16
    own = sums + 64 * t * n * rows
    for q in range(blocks * t // threads, blocks * (t + 1) // threads):
        first, last = rows * q, count - 1
        f0, f1 = f + 4 * depth * first, f + 4 * depth * min(first + 1, last)
        f2, f3 = f + 4 * depth * min(first + 2, last), f + 4 * depth * min(first + 3, last)
        for i in range(n * rows):
            vstore(own + 64 * i, vset1(np.float32(0)))
        for start in range(0, vectors, NEAR):
            now, at = min(NEAR, vectors - start), 64 * start
            for i in range(0, n, at_once):
                images = x + 4 * i * depth + at
                where = own + 64 * i * rows
                call_dots(
                    table, min(at_once, n - i), (f0 + at, f1 + at, f2 + at, f3 + at, images, 4 * depth, now, where)
                )
        for i in range(n):
            for r in range(min(rows, count - first)):
                total = vsum_across(vload(own + 64 * (i * rows + r)))
                for d in range(16 * vectors, depth):
                    total += fload(f + 4 * ((first + r) * depth + d)) * fload(x + 4 * (i * depth + d))
                fstore(y + 4 * (i * count + first + r), total)
