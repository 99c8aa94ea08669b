"""The derivatives of convolution with respect to its filters and biases.

df[i, j, c, k] = sum over pixels of x[.., c] dzdy[.., k]: the matrix kernel again, with inputs as rows of a tile,
filters as its columns, and sums over pixels, a few image rows at a time. Its operands are laid side by side first: x as
[tile of channels][pixel][channel], where a filter tap is an offset, and dzdy as [pixel][filter]. Of few channels, the
inputs of a whole filter row are the rows of a tile, as they lie.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu.compiled import inner, parallel
from pyconvnet.backends.cpu.hardware import Tile
from pyconvnet.backends.cpu.layout import (
    address,
    channels_fastest,
    empty,
    empty_like_filters,
    fill_zeros,
    padded,
    scratch,
    streams,
    strides,
)
from pyconvnet.backends.cpu.llvm.matrix_kernel import ACCUMULATE, STREAM, call_tile, no_offset
from pyconvnet.backends.cpu.llvm.simd import finish_streams, fload, fstore, vadd, vload, vload_part, vstore
from pyconvnet.backends.cpu.recording import contiguous, note
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

PANEL = 1 << 14  # bytes of dzdy for a tile: half the first-level cache
PANELS = 1 << 15  # floats of dzdy that are laid out at once, for some tiles
PACKED_FROM = 12  # channels
# Of up to so many elements of filters, a thread sees some of the pixels: then no two lay out the same x.
SUMMED = 1 << 17
SEVERAL = 5  # images, from which on it is faster to write derivatives of fully connected layers past the caches
SPARE = 16  # floats after the pixels of a tile, since whole vectors are written


def filter_gradient(x: np.ndarray, dzdy: np.ndarray, window: Window, f: np.ndarray) -> np.ndarray:
    """df, h x w x C x K, in the memory order of the filters f."""
    if dzdy.shape[:2] == (1, 1) and f.shape[2] == x.shape[2] and f.shape[:2] == x.shape[:2] and not any(window.pad):
        return _of_fully_connected(x, dzdy, f)
    tile = hardware.tile()
    with parallel_region() as threads:
        xp, dy = padded(x, window.pad), channels_fastest(dzdy)
        plan = _plan(xp.shape, dy.shape, f.shape, window, tile, threads)
        df = empty_like_filters(f)
        sums, panels, inputs = map(scratch, ("sums", "derivatives", "inputs"), plan.room)
        memory = address(xp), address(dy), address(sums), address(panels), address(inputs)
        table = np.empty((threads, plan.at_once, 2), np.int64)
        kernel = tile.kernel, plan.height, tile.columns
        _filter_gradient(threads, *kernel, *memory, table, plan.lines, plan.pieces, plan.shape, plan.parts)
        of_df = np.array(strides(df))
        _put_in_place(threads, *kernel[1:], address(sums), address(df), of_df, plan.shape_of_sums, plan.parts)
    return df


class _Plan(NamedTuple):
    """How filters' derivatives are summed up, see `_filter_gradient`; `room` is what it needs, in floats."""

    lines: np.ndarray
    pieces: np.ndarray
    shape: np.ndarray
    shape_of_sums: np.ndarray
    height: int
    at_once: int
    parts: int
    room: tuple[int, int, int]


@lru_cache(maxsize=256)
def _plan(
    seen: tuple[int, ...], out: tuple[int, ...], filters: tuple[int, ...], window: Window, tile: Tile, threads: int
) -> _Plan:
    (n, h, w, c), (_, oh, ow, count), depth = seen, out, filters[2]
    (fh, fw), (sh, sw), (dh, dw) = window.size, window.stride, window.dilate
    groups = c // depth
    starts = h * w * c * np.arange(n)[:, None] + sh * w * c * np.arange(oh)
    lines = np.stack([starts.ravel(), ow * count * np.arange(n * oh)], axis=1)
    at_once = max(1, min(len(lines), PANEL // (4 * tile.columns * ow)))
    packed = depth >= PACKED_FROM
    rows, columns = w * dh * np.arange(fh), dw * np.arange(fw)
    whole_rows = groups == 1 and (dw == 1 or fw == 1) and not packed  # a filter row meets consecutive memory
    size = fw * c if whole_rows else depth
    tiles = -(-size // tile.rows)
    height = -(-size // tiles)
    pieces = c * rows if whole_rows else (height if packed else c) * (rows[:, None] + columns).ravel()
    extent = (fh - 1) * dh + 1
    # image rows that a thread lays out: of some lines, which may lie in several images
    tall = sh * (at_once - 1) + extent * (-(-at_once // oh) + 1) if packed else 0
    units = groups * -(-(count // groups) // tile.columns) * pieces.size * tiles
    few = units < 4 * threads or math.prod(filters) <= SUMMED
    parts = threads if few and len(lines) >= 4 * threads else 1
    together = max(1, PANELS // (at_once * ow * tile.columns))
    shape = [groups, depth, count // groups, ow, sw * c, size, at_once, tall, w, oh, sh, sw, extent, together]
    room = (
        parts * units * height * tile.columns,
        threads * together * at_once * ow * tile.columns,
        threads * groups * tiles * (height * tall * w + SPARE),
    )
    shape_of_sums = np.array([*shape, pieces.size, fw])
    return _Plan(lines, pieces, np.array(shape), shape_of_sums, height, at_once, parts, room)


def _of_fully_connected(x: np.ndarray, dzdy: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Sums over images alone: df = x' dzdy, or its transpose where a filter's elements lie side by side."""
    n = dzdy.shape[3]
    tile = hardware.tile()
    with parallel_region() as threads:
        turned = f.flags.f_contiguous and not f.flags.c_contiguous
        left, right = x.transpose(3, 2, 1, 0) if turned else channels_fastest(x), channels_fastest(dzdy)
        left, right = (contiguous(a).reshape(n, -1) for a in (left, right))
        if turned:
            left, right = right, left
        df = empty((left.shape[1], right.shape[1]))
        mode = STREAM if n >= SEVERAL and streams(df, df.shape[1]) else 0
        _products(threads, *tile, address(left), address(right), address(df), n, *df.shape, mode)
    return df.reshape(f.shape[::-1]).T if turned else df.reshape(f.shape)


def bias_gradient(dzdy: np.ndarray) -> np.ndarray:
    """Sums over pixels and images, K."""
    with parallel_region() as threads:
        dy = channels_fastest(dzdy)
        sums, db = np.empty((threads, dy.shape[3])), np.empty(dy.shape[3], np.float32)
        sums.fill(0)
        note(sums.fill, 0)
        part = scratch("columns", threads * -(-dy.shape[3] // 16) * 16)
        _column_sums(threads, address(dy), address(part), sums, dy.size // dy.shape[3])
        _add_up(sums, db)
        note(_add_up, sums, db)
    return db


def _add_up(sums: np.ndarray, out: np.ndarray) -> None:
    out[...] = np.add.reduce(sums, axis=0)


@parallel
def _filter_gradient(t, threads, kernel, mr, nr, x, dy, sums, panels, inputs, table, lines, pieces, shape, parts):
    groups, depth, each, length, step, size, at_once, tall, width, oh, sh, sw, extent, together = shape
    count = groups * each
    blocks = -(-each // nr)
    tiles = -(-size // mr)
    plane = tall * width * mr + SPARE
    end = x + 4 * (lines[-1, 0] + extent * width * groups * depth)
    per_column = pieces.size * tiles
    units = groups * blocks * per_column
    if parts == 1:  # every thread sees all pixels and computes some of the filters
        first_line, last_line = 0, len(lines)
        first, last, out = units * t // threads, units * (t + 1) // threads, sums
    else:  # it sees some of the pixels
        first_line, last_line = len(lines) * t // threads, len(lines) * (t + 1) // threads
        first, last, out = 0, units, sums + 4 * t * units * mr * nr
    panel = panels + 4 * t * together * at_once * length * nr
    packed = inputs + 4 * t * groups * tiles * plane
    for line in range(first_line, last_line, at_once):
        many = min(at_once, last_line - line)
        pixels = many * length
        for i in range(many):
            table[t, i, 0], table[t, i, 1] = lines[line + i, 0], i * length * nr
        if tall > 0:
            _lay_out(x, end, packed, table, t, lines, line, many, groups, depth, mr, plane, width, oh, sh, extent)
        # prefetch of the next lines: where they begin, and bytes for each product of a tile
        following = min(line + many, len(lines) - 1)
        x_next, y_next = x + 4 * lines[following, 0], dy + 4 * lines[following, 1]
        half = max(1, (last - first) // 2)
        x_each = 4 * (lines[following, 0] - lines[line, 0]) // half
        y_each = 4 * pixels * count // half
        last_column = -(-last // per_column)
        for column in range(first // per_column, last_column):
            g = column // blocks
            left = each - (column - g * blocks) * nr
            columns = left if 2 * left <= nr else nr  # half a tile takes half the time, other parts do not
            now = (column - first // per_column) % together
            if now == 0:
                some = min(together, last_column - column)
                _panels(dy, panel, lines, line, many, length, count, each, blocks, column, some, nr)
            for q in range(max(first, column * per_column), min(last, (column + 1) * per_column)):
                row = q - column * per_column
                i = row // pieces.size
                piece = row - i * pieces.size
                r0, r1 = i * mr, min(size, (i + 1) * mr)
                source = packed + 4 * (g * tiles + i) * plane if tall > 0 else x + 4 * (g * depth + r0)
                target = out + 4 * q * mr * nr
                turn = (q - first) // 2
                if (q - first) % 2 == 0:
                    ahead, ahead_each = x_next + x_each * turn, x_each
                else:
                    ahead, ahead_each = y_next + y_each * turn, y_each
                call_tile(
                    kernel,
                    r1 - r0,
                    columns,
                    source + 4 * pieces[piece],
                    1,
                    sw * mr if tall > 0 else step,
                    table.ctypes.data + 16 * at_once * t,
                    many,
                    length,
                    panel + 4 * now * pixels * nr,
                    nr,
                    target,
                    nr,
                    target,
                    0,
                    0 if line == first_line else ACCUMULATE,
                    ahead,
                    -(-ahead_each // pixels),
                )


@inner
def _panels(dy, panel, lines, line, many, length, count, each, blocks, first, some, nr):
    """The derivatives of some lines as [block of filters][pixel][nr], of `some` blocks from the first."""
    for i in range(many):
        for block in range(first, first + some):
            g = block // blocks
            k = (block - g * blocks) * nr
            columns = min(nr, each - k)
            source = dy + 4 * (lines[line + i, 1] + g * each + k)
            target = panel + 4 * ((block - first) * many + i) * length * nr
            for j in range(length):
                here, there = source + 4 * j * count, target + 4 * j * nr
                if columns == nr:
                    for v in range(0, nr, 16):
                        vstore(there + 4 * v, vload(here + 4 * v))
                else:
                    for v in range(0, nr, 16):
                        values = vload_part(here + 4 * v, min(16, max(0, columns - v)), np.float32(0))
                        vstore(there + 4 * v, values)


@parallel
def _put_in_place(t, threads, mr, nr, sums, df, steps, shape, parts):
    """df, h x w x C x K with such strides, in elements, from the tiles, and the sum over `parts`."""
    groups, depth, each, size, taps, wide = shape[0], shape[1], shape[2], shape[5], shape[-2], shape[-1]
    blocks, tiles = -(-each // nr), -(-size // mr)
    units = groups * blocks * taps * tiles
    part = 4 * units * mr * nr
    for q in range(units * t // threads, units * (t + 1) // threads):
        piece = q % taps
        i = q // taps % tiles
        column = q // (taps * tiles)
        g = column // blocks
        k = (column - g * blocks) * nr
        columns = min(nr, each - k)
        for r in range(i * mr, min(size, (i + 1) * mr)):
            row = piece * size + r  # of h x w x C, flat
            tap = row // depth
            u = tap // wide
            place = u * steps[0] + (tap - u * wide) * steps[1] + (row - tap * depth) * steps[2]
            target = df + 4 * (place + (g * each + k) * steps[3])
            here = sums + 4 * (q * mr + r - i * mr) * nr
            for v in range(0, columns, 16):
                total = vload(here + 4 * v)
                for p in range(1, parts):
                    total = vadd(total, vload(here + p * part + 4 * v))
                if steps[3] == 1 and v + 16 <= columns:
                    vstore(target + 4 * v, total)
                else:
                    vstore(here + 4 * v, total)
                    for d in range(v, min(v + 16, columns)):
                        fstore(target + 4 * d * steps[3], fload(here + 4 * d))


@parallel
def _products(t, threads, kernel, mr, nr, a, b, c, n, rows, columns, mode):
    """C = A' B of A, n x rows, and B, n x columns."""
    tiles, blocks = -(-rows // mr), -(-columns // nr)
    for q in range(tiles * blocks * t // threads, tiles * blocks * (t + 1) // threads):
        i, k = q // blocks * mr, q % blocks * nr
        many, some = min(mr, rows - i), min(nr, columns - k)
        target = c + 4 * (i * columns + k)
        call_tile(
            kernel,
            many,
            some,
            a + 4 * i,
            1,
            rows,
            no_offset(),
            1,
            n,
            b + 4 * k,
            columns,
            target,
            columns,
            0,
            0,
            mode,
            0,
            0,
        )
    finish_streams()


@inner
def _lay_out(x, end, packed, table, t, lines, line, many, groups, depth, mr, plane, width, oh, sh, extent):
    """The image rows of some lines as [group][tile of channels][pixel][mr]; table[t, i, 0]: where line i begins.

    `end` is that of x. The lanes of a vector after its mr channels are overwritten by the next pixel.
    """
    channels = groups * depth
    rows = 0  # laid out so far
    for i in range(many):
        at = (line + i) % oh
        fresh = extent  # rows of this line that the line before does not have
        if i > 0 and at > 0 and sh < extent:
            fresh = sh
        table[t, i, 0] = (rows + fresh - extent) * width * mr
        source = x + 4 * (lines[line + i, 0] + (extent - fresh) * width * channels)
        for pixel in range(fresh * width):
            there = packed + 4 * (rows * width + pixel) * mr
            for g in range(groups):
                for first in range(0, depth, mr):
                    here = source + 4 * (pixel * channels + g * depth + first)
                    if here + 64 <= end:
                        vstore(there, vload(here))
                    else:
                        for k in range(min(mr, depth - first)):
                            fstore(there + 4 * k, fload(here + 4 * k))
                    there += 4 * plane
        rows += fresh


@parallel
def _column_sums(t, threads, x, part, sums, n):
    """Short sums in float32, sums of those in float64."""
    k = sums.shape[1]
    width = -(-k // 16) * 16
    part += 4 * t * width
    first, last = n * t // threads, n * (t + 1) // threads
    for start in range(first, last, 64):
        fill_zeros(part, width)
        for i in range(start, min(last, start + 64)):
            for j in range(0, k, 16):
                row = vload_part(x + 4 * (i * k + j), min(16, k - j), np.float32(0))
                vstore(part + 4 * j, vadd(vload(part + 4 * j), row))
        for j in range(k):
            sums[t, j] += fload(part + 4 * j)
