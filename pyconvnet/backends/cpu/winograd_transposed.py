"""The derivative with respect to the input by Winograd's algorithm, backwards, which llvm/winograd.py explains.

Tiles of derivatives are transformed and multiplied with the filters at each point; what is transformed back are tiles
of inputs that overlap, and are added up. Where a layer has no border, its outputs are fewer than its inputs: these are
fewer tiles than those of a convolution with flipped filters.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu.compiled import functions, inner, parallel
from pyconvnet.backends.cpu.layout import address, channels_fastest, empty, fill_zeros
from pyconvnet.backends.cpu.llvm.simd import vadd, vload, vload_part, vstore_part
from pyconvnet.backends.cpu.llvm.winograd import VARIANTS, call_filters, write_scattered
from pyconvnet.backends.cpu.winograd import transformed, variant
from pyconvnet.backends.cpu.winograd_gradient import odd_lines, spread_transform
from pyconvnet.backends.cpu.winograd_kernels import Shape, inputs_of, multiplied
from pyconvnet.geometry import Window
from pyconvnet.precision import get_precision
from pyconvnet.threads import parallel_region

# From so many tiles up; of few channels (see narrow_gradient.py), from so many tiles and filters.
LEAST_TILES, FEW_CHANNELS, NARROW_TILES, NARROW_FILTERS = 8, 24, 256, 32
# Where that saves so many of the tiles. A thread sums up those of its images, in rounds of some times the rows of the
# matrix kernel (6 or 14), whose values stay in the second level of the cache; each reads up to so many filter elements.
SAVED, UNITS_AT_ONCE, MOST_FILTERS = 1.5, {6: 6, 14: 3}, 1 << 20


def suits(dzdy: np.ndarray, f: np.ndarray, window: Window, size: tuple[int, int], groups: int) -> bool:
    """Whether this is the faster way for a layer, where `winograd` with flipped filters is one."""
    if groups > 1 or window.stride != (1, 1):
        return False
    shape = *size, f.shape[2], dzdy.shape[3]
    kind = variant(shape, f.shape, window, get_precision())
    if kind is None or kind.side**2 * f.shape[2] * f.shape[3] > MOST_FILTERS:
        return False
    tiles = kind.tiles(dzdy.shape[3], dzdy.shape[:2])
    if tiles < LEAST_TILES:
        return False
    if f.shape[2] <= FEW_CHANNELS and (tiles < NARROW_TILES or f.shape[3] < NARROW_FILTERS):
        return False
    return kind.tiles(dzdy.shape[3], size) >= SAVED * tiles


@lru_cache(maxsize=len(VARIANTS))
def _scattered(m: int, r: int) -> int:
    return functions(f"winograd_transposed.{m}x{r}", lambda module: write_scattered(module, m, r))[0]


def data_gradient(dzdy: np.ndarray, f: np.ndarray, window: Window, size: tuple[int, int]) -> np.ndarray:
    """dx as an N x h x w x C array, (h, w) = `size`."""
    (oh, ow, count, n), c, tile = dzdy.shape, f.shape[2], hardware.tile()
    kind = variant((*size, c, n), f.shape, window, get_precision())
    points, blocks = kind.side**2, -(-c // tile.columns)
    high, wide = -(-oh // kind.m), -(-ow // kind.m)
    at_once = min(UNITS_AT_ONCE[tile.rows] * tile.rows, n * high * wide)
    row, width = odd_lines(count), odd_lines(blocks * tile.columns)
    step, apart = at_once * row + 16, at_once * width + 16
    with parallel_region() as threads:
        dy = channels_fastest(dzdy)
        filters = transformed(f.transpose(0, 1, 3, 2), kind, 1, tile.columns, None)
        dx = empty((n, *size, c))
        v, sums = empty((threads * points * step,)), empty((threads * points * apart,))
        spare = empty((threads * 32 * points,))
        shape = Shape(
            n, oh, ow, count, oh, ow, count, count, count, c, 0, 0, kind.m, 1, 1, 0, high, wide, row, step, apart,
            spread_transform(kind.m, kind.r), 0, 0,
        )  # fmt: skip
        memory = address(dy), address(filters), blocks * count * tile.columns, address(v), address(sums), address(spare)
        place = *size, window.pad[0], window.pad[2]
        _images(threads, *tile, *memory, address(dx), shape, kind.side, width, at_once, place, _scattered(*kind[:2]))
    return dx


@parallel
def _images(
    t, threads, kernel, mr, nr, dy, f, plane, v, sums, spare, dx, shape, side, width, at_once, place, transform
):
    """Each thread takes some images."""
    h, w, top, left = place
    points, each, c = side * side, shape.high * shape.wide, shape.k
    begin, end = shape.n * t // threads, shape.n * (t + 1) // threads
    fill_zeros(dx + 4 * begin * h * w * c, (end - begin) * h * w * c)
    mine, own, spare = (
        v + 4 * t * points * shape.step,
        sums + 4 * t * points * shape.sums_step,
        spare + 128 * points * t,
    )
    tiles = (end - begin) * each
    rounds = -(-tiles // at_once)
    for q in range(rounds):
        first, last = begin * each + tiles * q // rounds, begin * each + tiles * (q + 1) // rounds
        inputs_of(dy, mine, shape, first, last, first, spare)
        for p in range(points):
            here, target = mine + 4 * p * shape.step, own + 4 * p * shape.sums_step
            multiplied(
                kernel, mr, nr, here, f + 4 * p * plane, c, target, width, shape, last - first, 0, 0, shape.depth
            )
        for tile in range(first, last):
            n = tile // each
            i0 = (tile - n * each) // shape.wide * shape.m - top
            j0 = (tile - n * each) % shape.wide * shape.m - left
            for k in range(0, c, 16):
                source = own + 4 * ((tile - first) * width + k)
                call_filters(transform, (source, 4 * shape.sums_step, spare, 64))
                _add_tile(dx + 4 * (n * h * w * c + k), spare, i0, j0, h, w, c, min(16, c - k), side)


@inner
def _add_tile(dx, tile, i0, j0, h, w, c, channels, side):
    """Add the pixels of a tile that lie in the image."""
    for i in range(max(0, -i0), min(side, h - i0)):
        for j in range(max(0, -j0), min(side, w - j0)):
            pixel, value = dx + 4 * ((i0 + i) * w + j0 + j) * c, tile + 64 * (i * side + j)
            vstore_part(pixel, vadd(vload_part(pixel, channels, np.float32(0)), vload(value)), channels)
