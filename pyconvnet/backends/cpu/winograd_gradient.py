"""The derivative of convolution with respect to its filters by Winograd's algorithm, which llvm/winograd.py explains.

Tiles of inputs and of derivatives are transformed, a round of them at a time; at each point, their products are summed
over the tiles, by the matrix kernel with channels as rows and filters as columns; the sums of all rounds are
transformed back.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu.compiled import functions, inner, parallel
from pyconvnet.backends.cpu.layout import address, channels_fastest, empty, empty_like_filters, strides
from pyconvnet.backends.cpu.llvm.matrix_kernel import ACCUMULATE, call_tile, no_offset
from pyconvnet.backends.cpu.llvm.simd import fload, fstore, vadd, vload, vstore
from pyconvnet.backends.cpu.llvm.winograd import VARIANTS, call_filters, write_derivatives
from pyconvnet.backends.cpu.winograd import variant
from pyconvnet.backends.cpu.winograd_kernels import Shape, inputs_of, transform_tiles
from pyconvnet.geometry import Window
from pyconvnet.precision import get_precision
from pyconvnet.threads import parallel_region

# Measured with two threads.
LEAST_TILES = 24
# Up to so many filters' elements, each thread sums up tiles of its own, so that none waits for what another wrote.
SUMMED = 1 << 14
# Floats of a round's tiles at a point, of inputs and derivatives together: with that, or for all threads together.
OWN_ROUND, ROUND, LEAST_AT_ONCE = 6 << 10, 1 << 15, 16


def suits(x: np.ndarray, f: np.ndarray, window: Window) -> bool:
    """Whether this is the faster way for a layer."""
    kind = variant(x.shape, f.shape, window, get_precision()) if window.stride == (1, 1) else None
    return kind is not None and kind.tiles(x.shape[3], window.output_size(*x.shape[:2])) >= LEAST_TILES


@lru_cache(maxsize=len(VARIANTS))
def _transforms(m: int, r: int) -> tuple[int, ...]:
    return tuple(functions(f"winograd_gradient.{m}x{r}", lambda module: write_derivatives(module, m, r)))


def spread_transform(m: int, r: int) -> int:
    """The address of the function that transforms derivatives of outputs."""
    return _transforms(m, r)[0]


def filter_gradient(x: np.ndarray, dzdy: np.ndarray, window: Window, f: np.ndarray) -> np.ndarray:
    """df, h x w x C x K, in the memory order of the filters f."""
    kind = variant(x.shape, f.shape, window, get_precision())
    (h, w, channels, n), (oh, ow, count, _) = x.shape, dzdy.shape
    c = f.shape[2]
    groups = channels // c
    k = count // groups
    tile = hardware.tile()
    high, wide = -(-oh // kind.m), -(-ow // kind.m)
    tiles, points = n * high * wide, kind.side**2
    # an odd number of cache lines: then the pixels of a tile do not share their places in the caches
    row, width = odd_lines(c), odd_lines(-(-k // 16) * 16)
    spread, gathered = _transforms(kind.m, kind.r)
    df = empty_like_filters(f)
    with parallel_region() as threads:
        own = c * k <= SUMMED and tiles >= threads * LEAST_TILES
        parts = threads if own else 1
        at_once = max(LEAST_AT_ONCE, (OWN_ROUND if own else max(ROUND, c * k)) // (c + k))
        at_once = min(at_once, -(-tiles // parts))
        step, other, apart = at_once * row + 16, at_once * width + 16, c * width + 16
        seen, dy = channels_fastest(x), channels_fastest(dzdy)
        sizes = parts * points * step, parts * points * other, parts * points * apart, threads * 32 * points
        memory = [empty((size,)) for size in sizes]
        v, derivatives, sums, spare = map(address, memory)
        inputs = Shape(
            n, h, w, channels, oh, ow, count, c, c, k, window.pad[0], window.pad[2], *kind, 0, high, wide, row, step, 0,
            kind.transforms()[0], 0, 0,
        )  # fmt: skip
        outputs = Shape(
            n, oh, ow, count, oh, ow, count, k, k, c, 0, 0, kind.m, 1, 1, 0, high, wide, width, other, 0, spread, 0, 0
        )
        steps = np.array(strides(df))
        for g in range(groups):
            given, shifts = address(seen) + 4 * g * c, address(dy) + 4 * g * k
            if own:
                _own_tiles(
                    threads, *tile, given, shifts, v, derivatives, sums, spare, inputs, outputs, points, apart, at_once
                )
            else:
                rounds = -(-tiles // at_once)
                for q in range(rounds):
                    first, last = tiles * q // rounds, tiles * (q + 1) // rounds
                    transform_tiles(threads, given, v, inputs, first, last, spare)
                    transform_tiles(threads, shifts, derivatives, outputs, first, last, spare)
                    how = ACCUMULATE if q > 0 else 0
                    _products(threads, *tile, v, derivatives, sums, inputs, outputs, points, apart, last - first, how)
            target = address(df) + 4 * g * k * steps[3]
            _put_in_place(threads, gathered, sums, width, apart, parts, points, target, steps, c, k, kind.r, spare)
    return df


def odd_lines(count: int) -> int:
    lines = -(-count // 16)
    return 16 * (lines + 1 - lines % 2)


@parallel
def _own_tiles(t, threads, kernel, mr, nr, x, dy, v, w, sums, spare, inputs, outputs, points, apart, at_once):
    """Each thread sums up the products of some of the tiles."""
    tiles = inputs.n * inputs.high * inputs.wide
    begin, end = tiles * t // threads, tiles * (t + 1) // threads
    own_v, own_w = v + 4 * t * points * inputs.step, w + 4 * t * points * outputs.step
    own, mine = sums + 4 * t * points * apart, spare + 128 * points * t
    rounds = -(-(end - begin) // at_once)
    units = points * -(-inputs.k // nr)
    for q in range(rounds):
        first, last = begin + (end - begin) * q // rounds, begin + (end - begin) * (q + 1) // rounds
        inputs_of(x, own_v, inputs, first, last, first, mine)
        inputs_of(dy, own_w, outputs, first, last, first, mine)
        how = ACCUMULATE if q > 0 else 0
        _units(kernel, mr, nr, own_v, own_w, own, inputs, outputs, apart, last - first, how, 0, units)


@parallel
def _products(t, threads, kernel, mr, nr, v, w, sums, inputs, outputs, points, apart, tiles, how):
    """Each thread sums up all products of some of the filters, at some of the points."""
    units = points * -(-inputs.k // nr)
    first, last = units * t // threads, units * (t + 1) // threads
    _units(kernel, mr, nr, v, w, sums, inputs, outputs, apart, tiles, how, first, last)


@inner
def _units(kernel, mr, nr, v, w, sums, inputs, outputs, apart, tiles, how, begin, end):
    """sums[point][channel][filter] = (+) sum over tiles of v[point][tile][channel] w[point][tile][filter]."""
    c, k, row, width = inputs.c, inputs.k, inputs.padded_c, outputs.padded_c
    blocks, parts = -(-k // nr), -(-c // mr)
    for q in range(begin, end):
        p = q // blocks
        column = (q - p * blocks) * nr
        columns = min(nr, k - column)
        for part in range(parts):
            first, last = c * part // parts, c * (part + 1) // parts
            target = sums + 4 * (p * apart + first * width + column)
            call_tile(
                kernel,
                last - first,
                columns,
                v + 4 * (p * inputs.step + first),
                1,
                row,
                no_offset(),
                1,
                tiles,
                w + 4 * (p * outputs.step + column),
                width,
                target,
                width,
                target,
                0,
                how,
                0,
                0,
            )


@parallel
def _put_in_place(t, threads, transform, sums, width, apart, parts, points, df, steps, c, k, r, spare):
    """The sums of `parts`, transformed back, into h x w x C x K with such strides, in elements."""
    vectors = -(-k // 16)
    own = spare + 64 * r * r * t
    total = c * vectors
    for q in range(total * t // threads, total * (t + 1) // threads):
        i, block = q // vectors, q % vectors
        if steps[3] != 1:  # in the order of memory
            i, block = q % c, q // c
        source, target = sums + 4 * (i * width + 16 * block), df + 4 * (i * steps[2] + 16 * block * steps[3])
        for part in range(1, parts):
            for p in range(points):
                here = source + 4 * p * apart
                vstore(here, vadd(vload(here), vload(here + 4 * part * points * apart)))
        count = min(16, k - 16 * block)
        if count == 16 and steps[3] == 1 and steps[0] == r * steps[1]:
            call_filters(transform, (source, 4 * apart, target, 4 * steps[1]))
            continue
        call_filters(transform, (source, 4 * apart, own, 64))
        for d in range(count):
            for u in range(r):
                for e in range(r):
                    there = target + 4 * (d * steps[3] + u * steps[0] + e * steps[1])
                    fstore(there, fload(own + 4 * (16 * (r * u + e) + d)))
