"""3 x 3 convolution of stride 1 by Winograd's F(4x4, 3x3) or F(2x2, 3x3), which winograd_generator.py explains.

Each m x m tile of the output becomes (m + 2)^2 products summed over channels: that many matrix products of tiles x
channels by channels x filters. `_fused` transforms a few tiles, multiplies and transforms back while they are in cache;
`_two_phase` transforms all tiles first, so that small images still keep every thread busy, each with its own filters.
"""

from __future__ import annotations

import numba
import numpy as np

from pyconvnet.geometry import Window
from pyconvnet.kernels.cpu import filter_cache, machine, winograd_f2, winograd_f4
from pyconvnet.kernels.cpu.compiled import jit
from pyconvnet.kernels.cpu.direct import INPUTS_AT_ONCE, pack
from pyconvnet.kernels.cpu.layout import address, aligned, channels_fastest, empty, scratch
from pyconvnet.kernels.cpu.matrix_kernel import ACCUMULATE, call_tile
from pyconvnet.kernels.cpu.simd import fload, fstore, vload, vset1, vstore
from pyconvnet.precision import get_precision
from pyconvnet.threads import team

# Measured with two threads: fused is faster from 112 tiles up; below 8, reading the transformed filters costs too much.
FUSED_FROM, LEAST_TILES, LEAST_CHANNELS = 112, 8, 16
# Tiles that go through all filters together, in units of what the matrix kernel takes (6 or 14): fused, as many as the
# second level of the cache holds; in two phases more, since filters may come from main memory.
UNITS_AT_ONCE = {6: (4, 9), 14: (2, 2)}


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
        fused = tiles >= FUSED_FROM * threads // 2
        units = -(-tiles // tile.rows)
        rounds = -(-units // UNITS_AT_ONCE[tile.rows][0 if fused else 1])
        if fused:
            rounds = -(-rounds // threads) * threads
        at_once = -(-units // rounds) * tile.rows
        step = (at_once if fused else tiles) * padded_c + 16  # the 16 keep the planes off the same cache sets
        v = scratch("winograd input", (threads if fused else 1) * points * step)
        sums = scratch("winograd output", threads * (points * (at_once * tile.columns + 16) + 16 * points))
        least = np.float32(0 if relu else -np.inf)
        shape = np.array([n, h, w, c, out[0], out[1], k, window.pad[0], window.pad[2], high, wide, padded_c, step, m])
        run = _fused if fused else _two_phase
        memory = address(seen), address(filters), address(bias), least, address(y), address(v), address(sums)
        run(threads, *tile, *memory, shape, rounds, at_once)
    return y


def transformed(
    f: np.ndarray, m: int, columns: int, old: np.ndarray | None, scale: np.ndarray | None = None
) -> np.ndarray:
    """G f G' of 3 x 3 filters, times `scale`, as [K / columns][point][C][columns]; `old`: memory to write into."""
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
    points = (m + 2) ** 2
    pieces = plane // 16
    total = blocks * pieces
    for t in numba.prange(threads):
        for q in range(total * t // threads, total * (t + 1) // threads):
            block = q // pieces
            i = q - block * pieces
            source, target = f + 4 * (9 * block * plane + 16 * i), out + 4 * (points * block * plane + 16 * i)
            if m == 4:
                winograd_f4.filter_transform(source, 4 * plane, target, 4 * plane)
            else:
                winograd_f2.filter_transform(source, 4 * plane, target, 4 * plane)


@jit()
def _inputs(x, v, shape, first, last, origin, spare):
    """Transforms tiles first .. last - 1 into v, in which tile `origin` comes first; `spare` holds a tile."""
    _, h, w, c, _, _, _, top, left, high, wide, padded_c, step, m = _unpacked(shape)
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
def _products(kernel, mr, nr, v, f, block, sums, shape, count, taps):
    """For each point: `count` tiles of v x the filters of a block, into sums[point][tile][nr]."""
    _, _, _, c, _, _, _, _, _, _, _, padded_c, step, m = _unpacked(shape)
    points = (m + 2) ** 2
    pieces = -(-c // INPUTS_AT_ONCE)
    tiles = -(-count // mr)
    for q in range(points * pieces):
        p = q // pieces
        first, last = c * (q - p * pieces) // pieces, c * (q - p * pieces + 1) // pieces
        a, b = v + 4 * (p * step + first), f + 4 * ((block * points + p) * c + first) * nr
        out = sums + 4 * p * (count * nr + 16)
        for t in range(tiles):
            i, end = count * t // tiles, count * (t + 1) // tiles
            target = out + 4 * i * nr
            call_tile(
                kernel,
                end - i,
                nr,
                a + 4 * i * padded_c,
                padded_c,
                1,
                taps,
                1,
                last - first,
                b,
                nr,
                target,
                nr,
                target,
                0,
                ACCUMULATE if first > 0 else 0,
            )


@jit()
def _outputs(y, sums, bias, least, nr, block, shape, first, last, spare):
    """Transforms sums back and adds the bias, for tiles first .. last - 1."""
    _, _, _, _, h, w, count, _, _, high, wide, _, _, m = _unpacked(shape)
    step = 4 * ((last - first) * nr + 16)
    for t in range(first, last):
        n = t // (high * wide)
        r = t - n * high * wide
        i0 = r // wide * m
        j0 = r % wide * m
        for v in range(0, min(nr, count - block * nr), 16):
            k = block * nr + v
            source, target = sums + 4 * ((t - first) * nr + v), y + 4 * (((n * h + i0) * w + j0) * count + k)
            whole = i0 + m <= h and j0 + m <= w and k + 16 <= count
            out, row, column = (target, 4 * w * count, 4 * count) if whole else (spare, 64 * m, 64)
            if m == 4:
                winograd_f4.output_transform(source, step, bias + 4 * k, least, out, row, column)
            else:
                winograd_f2.output_transform(source, step, bias + 4 * k, least, out, row, column)
            if not whole:
                for i in range(min(m, h - i0)):
                    for j in range(min(m, w - j0)):
                        here, pixel = spare + row * i + column * j, target + 4 * (i * w + j) * count
                        if k + 16 <= count:
                            vstore(pixel, vload(here))
                        else:
                            for d in range(count - k):
                                fstore(pixel + 4 * d, fload(here + 4 * d))


@jit()
def _unpacked(shape):
    n, h, w, c, oh, ow, k = shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6]
    return n, h, w, c, oh, ow, k, shape[7], shape[8], shape[9], shape[10], shape[11], shape[12], shape[13]


@jit(parallel=True)
def _fused(threads, kernel, mr, nr, x, f, bias, least, y, v, sums, shape, rounds, at_once):
    """Each thread takes rounds of at most `at_once` tiles, of all filters."""
    points = (shape[13] + 2) ** 2
    tiles = shape[0] * shape[9] * shape[10]
    blocks, units = -(-shape[6] // nr), -(-tiles // mr)
    taps = np.zeros(2, np.int64)
    for t in numba.prange(threads):
        mine = v + 4 * t * points * shape[12]
        own = sums + 4 * t * (points * (at_once * nr + 16) + 16 * points)
        spare = own + 4 * points * (at_once * nr + 16)
        for q in range(rounds * t // threads, rounds * (t + 1) // threads):
            first, last = units * q // rounds * mr, min(tiles, units * (q + 1) // rounds * mr)
            _inputs(x, mine, shape, first, last, first, spare)
            for block in range(blocks):
                _products(kernel, mr, nr, mine, f, block, own, shape, last - first, taps.ctypes.data)
                _outputs(y, own, bias, least, nr, block, shape, first, last, spare)


@jit(parallel=True)
def _two_phase(threads, kernel, mr, nr, x, f, bias, least, y, v, sums, shape, rounds, at_once):
    """All tiles are transformed first; then each thread takes pairs of a block of filters and a round of tiles."""
    points = (shape[13] + 2) ** 2
    tiles = shape[0] * shape[9] * shape[10]
    pairs, units = -(-shape[6] // nr) * rounds, -(-tiles // mr)
    size = points * (at_once * nr + 16) + 16 * points
    taps = np.zeros(2, np.int64)
    for t in numba.prange(threads):
        spare = sums + 4 * (t * size + points * (at_once * nr + 16))
        _inputs(x, v, shape, tiles * t // threads, tiles * (t + 1) // threads, 0, spare)
    for t in numba.prange(threads):
        own = sums + 4 * t * size
        spare = own + 4 * points * (at_once * nr + 16)
        for q in range(pairs * t // threads, pairs * (t + 1) // threads):
            block = q // rounds
            i = q - block * rounds
            first, last = units * i // rounds * mr, min(tiles, units * (i + 1) // rounds * mr)
            _products(kernel, mr, nr, v + 4 * first * shape[11], f, block, own, shape, last - first, taps.ctypes.data)
            _outputs(y, own, bias, least, nr, block, shape, first, last, spare)
