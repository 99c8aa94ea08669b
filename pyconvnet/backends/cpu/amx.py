"""Convolutions of images and filters rounded to bfloat16, by Intel's AMX: sixteen times the products of floats.

As in `bfloat16`, only with filters that nobody can write to, and with `set_precision("bfloat16")`; sums and results are
floats. Two channels that lie side by side make a pair, and 16 pairs a row of a register. Two runs of up to 16 output
pixels, which need not be neighbours, are multiplied with 32 filters at a time, all taps of them: the sums stay in
registers from the first to the last.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pyconvnet.backends.cpu import filter_cache, hardware
from pyconvnet.backends.cpu.bfloat16 import CHANNELS, filters_of_pairs
from pyconvnet.backends.cpu.compiled import inner, parallel
from pyconvnet.backends.cpu.direct import PLAIN, Epilogue, lines_of, pack, packed_size, result_of
from pyconvnet.backends.cpu.layout import address, aligned, channels_fastest, fill_zeros, scratch
from pyconvnet.backends.cpu.llvm.amx import (
    BYTES,
    ROWS,
    tile_load,
    tile_multiply,
    tile_store,
    tile_zero,
    tiles_begin,
    tiles_end,
)
from pyconvnet.backends.cpu.llvm.bfloat16 import fstore_bfloat16, vstore_bfloat16
from pyconvnet.backends.cpu.llvm.matrix_kernel import BIAS, RELU, STREAM
from pyconvnet.backends.cpu.llvm.simd import (
    finish_streams,
    fload,
    vadd,
    vload,
    vload_part,
    vmax,
    vset1,
    vstore_part,
    vstream,
)
from pyconvnet.geometry import Window
from pyconvnet.precision import get_precision
from pyconvnet.threads import parallel_region

LEAST = 8  # numbers that a row of a filter of fewer channels has at least
STEP, COLUMNS = 16, 32  # pairs, and filters, that are multiplied at a time
AT_ONCE = 512  # filters, whose sums with 32 pixels are written together
NEAR = 1 << 19  # bytes of images that stay in the second-level cache while all filters pass by


def suits(f: np.ndarray, channels: int, window: Window) -> bool:
    """Whether convolution of so many channels by these filters is computed so."""
    if get_precision() != "bfloat16" or not hardware.has_amx() or not filter_cache.lasts(f):
        return False
    if not (f.flags.c_contiguous or f.flags.f_contiguous):  # they would be packed for each call
        return False
    depth = f.shape[2]
    if depth == channels:
        return depth >= CHANNELS or _in_rows(f.shape, window)
    return depth % (2 * STEP) == 0


def _in_rows(filters: tuple[int, ...], window: Window) -> bool:
    """Whether all that a row of a filter meets, of few channels, is multiplied at once."""
    return filters[2] < CHANNELS and filters[1] * filters[2] >= LEAST and window.dilate[1] == 1


def convolution(x: np.ndarray, f: np.ndarray, b: np.ndarray | None, window: Window, after: Epilogue = PLAIN):
    """The convolution of `backends.reference.conv.conv` as an N x H x W x K array."""
    groups, in_rows, x = x.shape[2] // f.shape[2], _in_rows(f.shape, window), channels_fastest(x)
    with parallel_region() as threads:
        plan = _plan(x.shape, f.shape, window, groups, threads)
        _, first = _filters(f, in_rows, groups, after.scale)
        result = result_of((*plan.out, f.shape[3]), b, after, f.shape[3] // groups)
        pairs = address(scratch("pairs", plan.room * (threads if len(plan.spans) else 1)))
        if not len(plan.spans):
            _to_pairs(threads, address(x), pairs, plan.image)
        sums = address(scratch("sums", threads * 2 * ROWS * COLUMNS * plan.sizes[-1]))
        where = address(x), pairs, first, *result.memory, sums
        _correlate(threads, *where, plan.image, plan.room, *plan[3:], result.mode)
    return result.y


def _pairs(channels: int) -> int:
    """So many channels, filled up with zeros, in pairs."""
    return STEP * -(-channels // (2 * STEP))


def _filters(f: np.ndarray, in_rows: bool, groups: int, scale: np.ndarray | None) -> tuple[np.ndarray, int]:
    """(f times `scale`, in pairs and packed, its address), kept from call to call."""

    def packed(old: np.ndarray | None) -> np.ndarray:
        scaled = f if scale is None else f * scale
        if in_rows:
            scaled = scaled.reshape(f.shape[0], 1, -1, f.shape[3])
        more = 2 * _pairs(scaled.shape[2]) - scaled.shape[2]
        pairs = filters_of_pairs(np.pad(scaled, ((0, 0), (0, 0), (0, more), (0, 0))))
        return pack(pairs, groups, COLUMNS, aligned(packed_size(pairs.shape, groups, COLUMNS)) if old is None else old)

    return filter_cache.get(("amx", in_rows, groups), f, packed, scale)


class _Image(NamedTuple):
    """An image and what of it filters see."""

    n: int
    h: int
    w: int
    c: int
    height: int  # with its border, as the width
    width: int
    pairs: int  # of a pixel
    size: int  # pixels that a pixel of a row holds: 1, or all that a row of a filter meets
    stride: int  # pixels from one such pixel to the next
    top: int
    left: int


class _Plan(NamedTuple):
    """How a convolution is computed.

    out      images, height, width of the result
    room     pairs that are kept: by each thread for its rounds, or of all images
    spans    for each round, the rows of images that are converted first, and the number after the last; empty where
             all are converted before
    starts   of each line of pixels, the place of its input, and the number of its first output pixel
    offsets  of each tap
    sizes    see `_correlate`
    """

    out: tuple[int, int, int]
    image: _Image
    room: int
    spans: np.ndarray
    starts: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray


@lru_cache(maxsize=256)
def _plan(shape: tuple[int, ...], filters: tuple[int, ...], window: Window, groups: int, threads: int) -> _Plan:
    (n, h, w, c), (fh, fw, depth, count), (top, bottom, left, right) = shape, filters, window.pad
    oh, ow = window.output_size(h, w)
    flat = window.size == window.stride == (1, 1) and not any(window.pad)
    height, across, size, step = h + top + bottom, w + left + right, 1, 1
    if _in_rows(filters, window):
        across, size, step, depth = ow, fw, window.stride[1], fw * c
        window = Window((fh, 1), (window.stride[0], 1), dilate=(window.dilate[0], 1))
    depth = _pairs(depth)
    image = _Image(n, h, w, c, height, across, groups * depth, size, step, top, left)
    lines = lines_of((n, height, across, image.pairs), window, (oh, ow), depth, ROWS if (oh, ow) == (1, 1) else 1)
    if flat:  # any pixels are neighbours
        image = _Image(1, n * h * w, 1, c, n * h * w, 1, image.pairs, 1, 1, 0, 0)
    row = image.width * image.pairs
    starts, length, width = lines.starts, lines.length, lines.length
    through = (oh - 1) * across + ow  # an image as one line, what is between its rows is left away
    if window.stride == (1, 1) and length == ow and oh * -(-ow // ROWS) > -(-through // ROWS):
        starts, length, width = starts[::oh].copy(), through, across
    per_line = -(-length // ROWS)
    runs = len(starts) * per_line
    tiles, each = -(-runs // 2), count // groups
    blocks = -(-each // COLUMNS)
    per_band = max(1, min(blocks, AT_ONCE // COLUMNS, NEAR // (4 * len(lines.offsets) * lines.depth * COLUMNS)))
    spans, room = np.zeros((0, 2), int), image.n * image.height * row
    if tiles * 2 * ROWS < each:  # fewer pixels than filters: a thread has some of these
        rounds, per_band = 1, min(per_band, -(-blocks // threads))
    else:
        rounds = min(tiles, threads * -(-tiles * 2 * ROWS * 4 * lines.step // (threads * NEAR)))
        tile, rows = tiles * np.arange(rounds + 1) // rounds, min(ROWS, length)
        run = np.stack([2 * tile[:-1], np.minimum(2 * tile[1:], runs) - 1])  # the first and the last
        place = starts[run // per_line, 0] + lines.step * np.minimum(run % per_line * ROWS, length - rows)
        end = place[1] + (rows - 1) * lines.step + lines.offsets[-1] + lines.depth
        spans = np.stack([place[0] // row, -(-end // row)], axis=1)
        room = row * int((spans[:, 1] - spans[:, 0]).max())
    line = length, lines.step, lines.apart, lines.depth, width, min(width, lines.length)
    sizes = np.array([*line, groups, depth, each, blocks, rounds, per_band])
    return _Plan((n, oh, ow), image, room, spans, starts, lines.offsets, sizes)


@parallel
def _to_pairs(t, threads, x, y, image):
    rows = image.n * image.height
    for q in range(rows * t // threads, rows * (t + 1) // threads):
        _row_to_pairs(x, y + 4 * q * image.width * image.pairs, q, image)


@inner
def _row_to_pairs(x, out, q, image):
    """Row q of all images with their borders: rounded, zeros around it and after the last channel of a pixel."""
    h, w, c, height, width, pairs, size, stride, top, left = image[1:]
    i = q % height - top
    source = x + 4 * (q // height * h + i) * w * c
    if i < 0 or i >= h:
        fill_zeros(out, width * pairs)
    elif 2 * pairs == c:
        fill_zeros(out, left * pairs)
        fill_zeros(out + 4 * (left + w) * pairs, (width - left - w) * pairs)
        for k in range(0, w * c, 16):
            vstore_bfloat16(out + 4 * left * pairs + 2 * k, vload(source + 4 * k))
    else:
        for j in range(width):
            place = out + 4 * j * pairs
            first = (j * stride - left) * c
            if first >= 0 and first + size * c <= w * c:
                for k in range(0, 2 * pairs, 16):
                    v = vload_part(source + 4 * (first + k), max(0, min(16, size * c - k)), np.float32(0))
                    vstore_bfloat16(place + 2 * k, v)
            else:
                fill_zeros(place, pairs)
                for k in range(max(0, -first), min(size * c, w * c - first)):
                    fstore_bfloat16(place + 2 * k, fload(source + 4 * (first + k)))


@parallel
def _correlate(t, threads, x, pairs, f, b, old, y, sums, image, room, spans, starts, offsets, sizes, mode):
    """The convolution itself, as `_plan` laid it out; x, pairs, f, b, old, y, sums are addresses, 0 for none."""
    length, step, apart, depth, width, used, groups, slab, each, blocks, rounds, per_band = sizes
    rows, per_line = min(ROWS, length), -(-length // ROWS)
    runs = len(starts) * per_line
    tiles, bands = -(-runs // 2), -(-blocks // per_band)
    columns, panel = groups * bands, len(offsets) * depth * COLUMNS
    total = rounds * columns
    row = 4 * per_band * COLUMNS
    own = sums + t * 2 * ROWS * row
    seen = pairs
    tiles_begin(rows)
    for r in range(total * t // threads // columns, -(-(total * (t + 1) // threads) // columns)):
        first_column = max(0, total * t // threads - r * columns)
        last_column = min(columns, total * (t + 1) // threads - r * columns)
        first_tile, last_tile = tiles * r // rounds, tiles * (r + 1) // rounds
        if len(spans) > 0:
            seen = pairs + 4 * (t * room - spans[r, 0] * image.width * image.pairs)
            for q in range(spans[r, 0], spans[r, 1]):
                _row_to_pairs(x, seen + 4 * q * image.width * image.pairs, q, image)
        for column in range(first_column, last_column):
            g = column // bands
            block = (column - g * bands) * per_band
            many = min(per_band, blocks - block)
            first_filter = g * each + block * COLUMNS
            now = min(many * COLUMNS, each - block * COLUMNS)
            for q in range(first_tile, last_tile):
                last = min(2 * q + 1, runs - 1)
                a0 = seen + 4 * (starts[2 * q // per_line, 0] + g * slab)
                a1 = seen + 4 * (starts[last // per_line, 0] + g * slab)
                a0 += 4 * step * min(2 * q % per_line * ROWS, length - rows)
                a1 += 4 * step * min(last % per_line * ROWS, length - rows)
                for p in range(many):
                    filters = f + 4 * (g * blocks + block + p) * panel
                    _multiply(a0, a1, 4 * step, offsets, depth, filters, own + 4 * p * COLUMNS, row)
                for run in range(2 * q, last + 1):
                    # a last run of a line has pixels of the one before it as well
                    first = run % per_line * ROWS
                    here = own + (run - 2 * q) * ROWS * row + max(0, first + rows - length) * row
                    pixel = starts[run // per_line, 1] + first // width * used
                    j = first % width
                    for _ in range(min(rows, length - first)):
                        if j < used:
                            at = 4 * ((pixel + j * apart) * groups * each + first_filter)
                            _finish(here, now, y + at, 0 if old == 0 else old + at, b + 4 * first_filter, mode)
                        here += row
                        j += 1
                        if j == width:
                            j, pixel = 0, pixel + used
    tiles_end()
    finish_streams()


@inner
def _multiply(a0, a1, a_row, offsets, depth, f, sums, row):
    """sums, 32 x 32, of two runs of pixels and 32 filters."""
    tile_zero(0)
    tile_zero(1)
    tile_zero(2)
    tile_zero(3)
    for tap in range(len(offsets)):
        at = 4 * offsets[tap]
        for k in range(0, 4 * depth, BYTES):
            tile_load(4, a0 + at + k, a_row)
            tile_load(6, f, 4 * COLUMNS)
            tile_load(7, f + BYTES, 4 * COLUMNS)
            tile_multiply(0, 4, 6)
            tile_multiply(1, 4, 7)
            tile_load(5, a1 + at + k, a_row)
            tile_multiply(2, 5, 6)
            tile_multiply(3, 5, 7)
            f += 4 * COLUMNS * STEP
    tile_store(0, sums, row)
    tile_store(1, sums + BYTES, row)
    tile_store(2, sums + ROWS * row, row)
    tile_store(3, sums + ROWS * row + BYTES, row)


@inner
def _finish(sums, count, y, old, b, mode):
    """y = max(sums + b + old, 0), or what of it `mode` asks for."""
    for k in range(0, count, 16):
        at, some = 4 * k, min(16, count - k)
        v = vload(sums + at)
        if mode & BIAS > 0:
            v = vadd(v, vload_part(b + at, some, np.float32(0)))
        if old != 0:
            v = vadd(v, vload_part(old + at, some, np.float32(0)))
        if mode & RELU > 0:
            v = vmax(v, vset1(np.float32(0)))
        if mode & STREAM > 0:
            vstream(y + at, v)
        else:
            vstore_part(y + at, v, some)
