"""Fully connected layers of a few images, which take as long as their filters take to be read: once, and never packed.

Filters as C arrays are rows, one for each input, that are added up in as many sums as there are filters: sums of some
columns, in registers, meet some rows. Filters as MATLAB keeps them are one row for each filter: inner products of rows
and images, or for more of these the matrix kernel. Backward, inputs and filters change places, and so do the two ways.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pyconvnet.backends.cpu import half_filters, hardware
from pyconvnet.backends.cpu.compiled import inner, parallel, recording_here, table_of
from pyconvnet.backends.cpu.direct import PLAIN, Epilogue
from pyconvnet.backends.cpu.layout import address, channels_fastest, empty, scratch
from pyconvnet.backends.cpu.llvm.dot_kernel import BLOCKS, call_dots, write_dots
from pyconvnet.backends.cpu.llvm.matrix_kernel import call_tile, no_offset
from pyconvnet.backends.cpu.llvm.row_kernel import MOST_AT_ONCE, add_rows, vectors, write_rows
from pyconvnet.backends.cpu.llvm.simd import fload, fstore, vfma, vload, vload_part, vset1, vstore, vsum_across
from pyconvnet.backends.cpu.recording import contiguous, note
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

# Smaller filters stay in cache and cost little to pack; for more images the matrix kernel makes up for packing.
LEAST_FILTERS, MOST_IMAGES = 1 << 16, 16
HALF_IMAGES = 4  # up to so many, filters in half precision are used where there are some
# Of filters as C arrays: rows at a time, rows for a part of the sum; columns up to which the next rows are prefetched,
# of more so many bytes further along these; places that units of images meet one after the other, from the cache.
INPUTS, LEAST_ROWS, MOST_COLUMNS, AHEAD, STEP = 12, 64, 1 << 13, 512, 4
# Of filters as MATLAB keeps them: images up to which inner products are faster than the matrix kernel; vectors of some
# rows that stay in the first-level cache while all images meet them.
FEW_IMAGES, NEAR = 8, 16
ROWS = 6  # of that kernel: they may lie powers of two apart, and share a few places of that cache, which has 8 ways


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
        parts = min(threads, max(1, depth // LEAST_ROWS))
        sums, y = scratch("sums", parts * n * row), empty((parts, n, row))
        memory = address(columns), address(f), address(sums), address(y)
        _add_rows(threads, *_rows_for(hardware.isa(), n), *memory, n, depth, count, row, parts)
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
        table, rows, at_once = _dots_for(hardware.isa(), n)
        y = np.empty((n, count), np.float32)
        sums, copies = scratch("sums", 16 * threads * n * rows), scratch("copies", threads * n * depth)
        memory = address(f), address(x), address(y), address(sums), address(copies)
        _dots(threads, table, rows, at_once, *memory, n, depth, count)
    return y


@lru_cache(maxsize=32)
def _dots_for(level: str, images: int) -> tuple[int, int, int]:
    """The table for so many images; the rows that meet a unit of them, and the images of one but the last."""
    block = BLOCKS[level]
    at_once = -(-images // -(-images // block.images))
    units = {min(at_once, images - first) for first in range(0, images, at_once)}
    write = lambda module: write_dots(module, block.rows, units)  # noqa: E731
    return table_of(f"dots.{level}.{images}", write, as_written=True), block.rows, at_once


@lru_cache(maxsize=32)
def _rows_for(level: str, images: int) -> tuple[int, int, int]:
    """The table for so many images; the number of units of them, and of columns of a place."""
    count = -(-images // MOST_AT_ONCE[level])
    units = {images * (u + 1) // count - images * u // count for u in range(count)}
    wide = vectors(level, max(units))
    table = table_of(f"rows.{level}.{images}", lambda module: write_rows(module, wide, units), as_written=True)
    return table, count, 16 * wide


@parallel
def _add_rows(t, threads, table, units, wide, x, f, sums, y, n, depth, count, y_row, down):
    """y[part, i, k] = sum over d of x[d, i] f[d, k]: `down` parts take some d each, and threads in a part some k.

    Images come in so many units. Until the end, their sums for `wide` k lie together: memory in order comes sooner.
    """
    across, places = threads // down, count // wide
    part, place = t // across, t % across
    if part < down:
        first, last = depth * part // down, depth * (part + 1) // down
        left, right = places * place // across, places * (place + 1) // across
        own, out = sums + 4 * part * n * y_row, y + 4 * part * n * y_row
        rest = places * wide if place == across - 1 else count  # the columns from here on are no whole place
        step = right - left if units == 1 else STEP
        ahead = 4 * INPUTS * count if count <= MOST_COLUMNS else AHEAD
        for k in range(rest, count, 16):
            for i in range(n):
                vstore(out + 4 * (i * y_row + k), vset1(np.float32(0)))
        for d in range(first, last, INPUTS):
            rows, row, of_x = min(INPUTS, last - d), f + 4 * d * count, x + 4 * d * n
            for q in range(left, right, step):
                now = min(step, right - q)
                for u in range(units):
                    further = ahead if u == 0 else 0
                    i, end = n * u // units, n * (u + 1) // units
                    here, target = row + 4 * q * wide, own + 4 * (q * n + i) * wide
                    args = of_x + 4 * i, 4 * n, here, 4 * count, rows, now, target, 4 * n * wide, d - first, further
                    add_rows(table, end - i, args)
            for k in range(rest, count, 16):
                _add_some(of_x, 4 * n, row + 4 * k, 4 * count, rows, min(16, count - k), out + 4 * k, y_row, n)
        for q in range(left, right):
            for i in range(n):
                for k in range(0, wide, 16):
                    vstore(out + 4 * (i * y_row + q * wide + k), vload(own + 4 * ((q * n + i) * wide + k)))


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
def _dots(t, threads, table, rows, at_once, f, x, y, sums, copies, n, depth, count):
    """y[i, k] = sum over d of f[k, d] x[i, d], `rows` k and `at_once` images at a time, of which a thread has copies.

    In these, what meets the same part of a row lies together: some powers of two apart, it would not stay in the cache.
    """
    blocks, vectors = -(-count // rows), depth // 16
    own, near = sums + 64 * t * n * rows, copies + 64 * t * n * vectors
    for start in range(0, vectors, NEAR):
        now = min(NEAR, vectors - start)
        for i in range(n):
            for v in range(now):
                vstore(near + 64 * (start * n + i * now + v), vload(x + 4 * i * depth + 64 * (start + v)))
    for q in range(blocks * t // threads, blocks * (t + 1) // threads):
        first = rows * q
        many, here = min(rows, count - first), f + 4 * depth * first
        for i in range(n * rows):
            vstore(own + 64 * i, vset1(np.float32(0)))
        for start in range(0, vectors, NEAR):
            now = min(NEAR, vectors - start)
            for i in range(0, n, at_once):
                images, where = near + 64 * (start * n + i * now), own + 64 * i * rows
                args = here + 64 * start, 4 * depth, images, 64 * now, now, where, 64 * rows
                call_dots(table, many, min(at_once, n - i), args)
        for i in range(n):
            for r in range(many):
                total = vsum_across(vload(own + 64 * (i * rows + r)))
                for d in range(16 * vectors, depth):
                    total += fload(f + 4 * ((first + r) * depth + d)) * fload(x + 4 * (i * depth + d))
                fstore(y + 4 * (i * count + first + r), total)
