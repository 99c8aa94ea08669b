"""3 x 3 convolution of stride 1 by Winograd's F(4x4, 3x3) or F(2x2, 3x3), which winograd_generator.py explains.

Each m x m tile of the output becomes (m + 2)^2 products summed over channels: for each of as many points, a matrix
product of tiles x channels by channels x filters. `_fused` transforms a few tiles, multiplies at all points and
transforms back while they are in cache. `_by_points` transforms all tiles first and multiplies at one point after the
other: so small images keep every thread busy, and filters that no cache holds are read once.
"""

from __future__ import annotations

import numba
import numpy as np

from pyconvnet.geometry import Window
from pyconvnet.kernels.cpu import filter_cache, machine, winograd_f2, winograd_f4
from pyconvnet.kernels.cpu.compiled import jit
from pyconvnet.kernels.cpu.direct import INPUTS_AT_ONCE, pack
from pyconvnet.kernels.cpu.layout import address, aligned, channels_fastest, empty, scratch
from pyconvnet.kernels.cpu.matrix_kernel import ACCUMULATE, FAR, call_tile
from pyconvnet.kernels.cpu.simd import fload, fstore, vload, vset1, vstore
from pyconvnet.precision import get_precision
from pyconvnet.threads import team

# Measured with two threads: fused is faster from 112 tiles up; below 8, reading the transformed filters costs too much.
FUSED_FROM, LEAST_TILES, LEAST_CHANNELS = 112, 8, 16
# And up to so many floats of transformed filters, which every round of tiles reads.
FUSED_UP_TO = 1 << 22
# Tiles of a round, in units of what the matrix kernel takes (6 or 14): their inputs and the sums of so many blocks of
# filters lie in the second level of the cache.
UNITS_AT_ONCE, BLOCKS_AT_ONCE = {6: 4, 14: 2}, {6: 4, 14: 2}
# By points: floats of filters that stay in that cache while the tiles pass by, and tiles that are transformed first.
FILTERS_AT_ONCE, TILES_AT_ONCE = 1 << 16, 1 << 10


def suits(x: np.ndarray, f: np.ndarray, window: Window) -> bool:
    """Whether this is a layer that Winograd's algorithm is faster for."""
    if window.size != (3, 3) or window.stride != (1, 1) or window.dilate != (1, 1) or x.shape[2] != f.shape[2]:
        return False
    h, w = window.output_size(*x.shape[:2])
    m = 4 if get_precision() == "fast" else 2
    tiles = x.shape[3] * -(-h // m) * -(-w // m)
    return min(f.shape[2:]) >= LEAST_CHANNELS and tiles >= LEAST_TILES and max(window.pad) <= 2


def winograd(
    x: np.ndarray,
    f: np.ndarray,
    b: np.ndarray | None,
    window: Window,
    scale: np.ndarray | None = None,
    relu: bool = False,
) -> np.ndarray:
    """The convolution of `kernels.conv` as an N x H x W x K array; scale: K factors, multiplied into the filters."""
    m = 4 if get_precision() == "fast" else 2
    h, w, c, n = x.shape
    k = f.shape[3]
    out = window.output_size(h, w)
    tile = machine.tile()
    blocks = -(-k // tile.columns)
    high, wide = -(-out[0] // m), -(-out[1] // m)
    tiles, points, padded_c = n * high * wide, (m + 2) ** 2, -(-c // 16) * 16
    with team() as threads:
        seen = channels_fastest(x)
        kind = "winograd", m, tile.columns
        filters = filter_cache.get(kind, f, lambda old: transformed(f, m, tile.columns, old, scale), scale)
        bias = np.zeros(blocks * tile.columns, np.float32)
        if b is not None:
            bias[:k] = b.ravel()
        y = empty((n, *out, k))
        fused = tiles >= FUSED_FROM * threads // 2 and filters.size <= FUSED_UP_TO
        units = -(-tiles // tile.rows)
        if fused:
            rounds = -(-units // UNITS_AT_ONCE[tile.rows])
            rounds = -(-rounds // threads) * threads
            at_once = -(-units // rounds) * tile.rows
            group = min(BLOCKS_AT_ONCE[tile.rows], blocks)
        else:
            at_once = tiles // -(-tiles // TILES_AT_ONCE) + 1
            group = blocks
        # the 16 keep points off the same cache sets
        step, sums_step = at_once * padded_c + 16, at_once * group * tile.columns + 16
        parts = threads if fused else 1
        v = scratch("padded", parts * points * step)  # memory that direct convolution needs at other times
        sums = scratch("sums", parts * points * sums_step + threads * 16 * points)
        least = np.float32(0 if relu else -np.inf)
        shape = [n, h, w, c, out[0], out[1], k, window.pad[0], window.pad[2], high, wide, padded_c, step, m, sums_step]
        memory = address(seen), address(filters), address(bias), least, address(y), address(v), address(sums)
        if fused:
            _fused(threads, *tile, *memory, np.array(shape), rounds, group)
        else:
            _by_points(threads, *tile, *memory, np.array(shape), at_once)
    return y


def transformed(
    f: np.ndarray, m: int, columns: int, old: np.ndarray | None, scale: np.ndarray | None = None
) -> np.ndarray:
    """G f G' of 3 x 3 filters, times `scale`, as [point][K / columns][C][columns]; `old`: memory to write into."""
    packed = pack(f if scale is None else f * scale, 1, columns)
    out = aligned((m + 2) ** 2 * packed.size // 9) if old is None else old
    with team() as threads:
        _filters(
            threads, address(packed), f.shape[2] * columns, packed.size // (9 * f.shape[2] * columns), m, address(out)
        )
    return out


@jit(parallel=True)
def _filters(threads, f, plane, blocks, m, out):
    """`plane` floats for each of the 9 taps in each block, all of them multiples of 16."""
    pieces = plane // 16
    total = blocks * pieces
    for t in numba.prange(threads):
        for q in range(total * t // threads, total * (t + 1) // threads):
            block = q // pieces
            i = q - block * pieces
            source, target = f + 4 * (9 * block * plane + 16 * i), out + 4 * (block * plane + 16 * i)
            if m == 4:
                winograd_f4.filter_transform(source, 4 * plane, target, 4 * blocks * plane)
            else:
                winograd_f2.filter_transform(source, 4 * plane, target, 4 * blocks * plane)


@jit()
def _inputs(x, v, shape, first, last, origin, spare):
    """Transforms tiles first .. last - 1 into v, in which tile `origin` comes first; `spare` holds a tile."""
    _, h, w, c, _, _, _, top, left, high, wide, padded_c, step, m, _ = _unpacked(shape)
    side = m + 2
    for t in range(first, last):
        n = t // (high * wide)
        r = t - n * high * wide
        i0 = r // wide * m - top
        j0 = r % wide * m - left
        inside = i0 >= 0 and j0 >= 0 and i0 + side <= h and j0 + side <= w
        for k in range(0, c, 16):
            target = v + 4 * ((t - origin) * padded_c + k)
            if inside and k + 16 <= c:
                source, row, column = x + 4 * (((n * h + i0) * w + j0) * c + k), 4 * w * c, 4 * c
            else:  # zeros for what is outside the image or after the last channel
                source, row, column = spare, 64 * side, 64
                for i in range(side):
                    for j in range(side):
                        here = spare + row * i + column * j
                        vstore(here, vset1(np.float32(0)))
                        if 0 <= i0 + i < h and 0 <= j0 + j < w:
                            pixel = x + 4 * (((n * h + i0 + i) * w + j0 + j) * c + k)
                            if k + 16 <= c:
                                vstore(here, vload(pixel))
                            else:
                                for d in range(c - k):
                                    fstore(here + 4 * d, fload(pixel + 4 * d))
            if m == 4:
                winograd_f4.input_transform(source, row, column, target, 4 * step)
            else:
                winograd_f2.input_transform(source, row, column, target, 4 * step)


@jit()
def _products(kernel, mr, nr, v, f, blocks, sums, width, shape, tiles, taps, how):
    """At one point: `tiles` tiles of v x `blocks` blocks of filters, into sums[tile][width]."""
    c, padded_c = shape[3], shape[11]
    pieces = -(-c // INPUTS_AT_ONCE)
    units = -(-tiles // mr)
    for piece in range(pieces):
        first, last = c * piece // pieces, c * (piece + 1) // pieces
        for block in range(blocks):
            for u in range(units):
                i, end = tiles * u // units, tiles * (u + 1) // units
                target = sums + 4 * (i * width + block * nr)
                call_tile(
                    kernel,
                    end - i,
                    nr,
                    v + 4 * (i * padded_c + first),
                    padded_c,
                    1,
                    taps,
                    1,
                    last - first,
                    f + 4 * (block * c + first) * nr,
                    nr,
                    target,
                    width,
                    target,
                    0,
                    how + (ACCUMULATE if first > 0 else 0),
                    f + 4 * (((block + 1) * c + first) * nr + (last - first) * nr * u // units),
                    4 * nr // units,
                )


@jit()
def _outputs(y, sums, width, columns, bias, least, shape, first, last, origin, spare):
    """Transforms sums[point][tile][width] back and adds the bias, for tiles first .. last - 1; `origin` comes first.

    y, bias  of the first of `columns` filters
    """
    _, _, _, _, h, w, count, _, _, high, wide, _, _, m, step = _unpacked(shape)
    for t in range(first, last):
        n = t // (high * wide)
        r = t - n * high * wide
        i0 = r // wide * m
        j0 = r % wide * m
        for k in range(0, columns, 16):
            source, target = sums + 4 * ((t - origin) * width + k), y + 4 * (((n * h + i0) * w + j0) * count + k)
            whole = i0 + m <= h and j0 + m <= w and k + 16 <= columns
            out, row, column = (target, 4 * w * count, 4 * count) if whole else (spare, 64 * m, 64)
            if m == 4:
                winograd_f4.output_transform(source, 4 * step, bias + 4 * k, least, out, row, column)
            else:
                winograd_f2.output_transform(source, 4 * step, bias + 4 * k, least, out, row, column)
            if not whole:
                for i in range(min(m, h - i0)):
                    for j in range(min(m, w - j0)):
                        here, pixel = spare + row * i + column * j, target + 4 * (i * w + j) * count
                        if k + 16 <= columns:
                            vstore(pixel, vload(here))
                        else:
                            for d in range(columns - k):
                                fstore(pixel + 4 * d, fload(here + 4 * d))


@jit()
def _unpacked(shape):
    n, h, w, c, oh, ow, k, top = shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], shape[7]
    return n, h, w, c, oh, ow, k, top, shape[8], shape[9], shape[10], shape[11], shape[12], shape[13], shape[14]


@jit(parallel=True)
def _fused(threads, kernel, mr, nr, x, f, bias, least, y, v, sums, shape, rounds, group):
    """Each thread takes rounds of tiles, of all filters, `group` blocks at a time."""
    n, _, _, c, _, _, k, _, _, high, wide, _, step, m, sums_step = _unpacked(shape)
    points, tiles = (m + 2) ** 2, n * high * wide
    blocks, units = -(-k // nr), -(-tiles // mr)
    taps = np.zeros(2, np.int64)
    for t in numba.prange(threads):
        mine, own = v + 4 * t * points * step, sums + 4 * t * points * sums_step
        spare = sums + 4 * points * (threads * sums_step + 16 * t)
        for q in range(rounds * t // threads, rounds * (t + 1) // threads):
            first, last = units * q // rounds * mr, min(tiles, units * (q + 1) // rounds * mr)
            _inputs(x, mine, shape, first, last, first, spare)
            for block in range(0, blocks, group):
                now = min(group, blocks - block)
                for p in range(points):
                    _products(
                        kernel,
                        mr,
                        nr,
                        mine + 4 * p * step,
                        f + 4 * (p * blocks + block) * c * nr,
                        now,
                        own + 4 * p * sums_step,
                        group * nr,
                        shape,
                        last - first,
                        taps.ctypes.data,
                        0,
                    )
                column = block * nr
                columns = min(now * nr, k - column)
                _outputs(
                    y + 4 * column, own, group * nr, columns, bias + 4 * column, least, shape, first, last, first, spare
                )


@jit(parallel=True)
def _by_points(threads, kernel, mr, nr, x, f, bias, least, y, v, sums, shape, at_once):
    """All tiles, `at_once` at most, are transformed; then threads take blocks of filters at a point; and back."""
    n, _, _, c, _, _, k, _, _, high, wide, padded_c, step, m, sums_step = _unpacked(shape)
    points, tiles = (m + 2) ** 2, n * high * wide
    blocks = -(-k // nr)
    width = blocks * nr
    parts = -(-tiles // at_once)
    groups = -(-blocks // max(1, FILTERS_AT_ONCE // (c * nr)))
    taps = np.zeros(2, np.int64)
    for part in range(parts):
        start, end = tiles * part // parts, tiles * (part + 1) // parts
        count = end - start
        rounds = -(-count // (16 * mr))
        for t in numba.prange(threads):
            spare = sums + 4 * points * (sums_step + 16 * t)
            _inputs(x, v, shape, start + count * t // threads, start + count * (t + 1) // threads, start, spare)
        total = points * groups * rounds
        for t in numba.prange(threads):
            for q in range(total * t // threads, total * (t + 1) // threads):
                p = q // (groups * rounds)
                g = q // rounds - p * groups
                r = q - (p * groups + g) * rounds
                block, i = blocks * g // groups, count * r // rounds
                _products(
                    kernel,
                    mr,
                    nr,
                    v + 4 * (p * step + i * padded_c),
                    f + 4 * (p * blocks + block) * c * nr,
                    blocks * (g + 1) // groups - block,
                    sums + 4 * (p * sums_step + i * width + block * nr),
                    width,
                    shape,
                    count * (r + 1) // rounds - i,
                    taps.ctypes.data,
                    FAR,
                )
        for t in numba.prange(threads):
            spare = sums + 4 * points * (sums_step + 16 * t)
            first, last = start + count * t // threads, start + count * (t + 1) // threads
            _outputs(y, sums, width, k, bias, least, shape, first, last, start, spare)
