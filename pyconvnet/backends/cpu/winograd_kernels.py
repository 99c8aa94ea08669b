"""The kernels of winograd.py: transforms of tiles, and matrix products at each point.

`fused` transforms a few tiles, multiplies at all points and transforms back while they are in cache. `by_points`
transforms all tiles first and multiplies at one point after the other: so small images keep every thread busy, and
filters that no cache holds are read once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyconvnet.backends.cpu.compiled import inner, parallel
from pyconvnet.backends.cpu.direct import INPUTS_AT_ONCE
from pyconvnet.backends.cpu.llvm.matrix_kernel import ACCUMULATE, FAR, call_tile, no_offset
from pyconvnet.backends.cpu.llvm.simd import finish_streams, fload, fstore, prefetch, vload, vset1, vstore
from pyconvnet.backends.cpu.llvm.winograd import call_filters, call_inputs, call_outputs

# By points: floats of filters that stay in the second level of the cache while the tiles pass by.
FILTERS_AT_ONCE = 1 << 16


class Shape(NamedTuple):
    """Sizes of a layer, and of its transforms."""

    n: int
    h: int
    w: int
    channels: int  # of all groups
    oh: int
    ow: int
    count: int  # filters of all groups
    c: int  # channels that a filter sees
    depth: int  # as many for each phase of the stride: rows and columns of pixels that the stride leaves apart
    k: int  # filters of a group
    top: int
    left: int
    m: int
    r: int
    stride: int
    short: int  # taps that filters lack in odd phases: 1 with stride 2 and filters of an odd size
    high: int  # tiles in a column of an image
    wide: int
    padded_c: int  # floats between tiles of transformed inputs
    step: int  # and between points
    sums_step: int  # floats between points of the sums
    input_transform: int  # addresses of functions of llvm/winograd.py
    output_transform: int
    far_output_transform: int  # for tiles of results that go past the caches, or output_transform


@parallel
def transform_filters(t, threads, transform, f, plane, blocks, taps, out):
    """`plane` floats, a multiple of 16, for each of the taps in each block; transform: an address, as in Shape."""
    pieces = plane // 16
    total = blocks * pieces
    for q in range(total * t // threads, total * (t + 1) // threads):
        block = q // pieces
        i = q - block * pieces
        source, target = f + 4 * (taps * block * plane + 16 * i), out + 4 * (block * plane + 16 * i)
        call_filters(transform, (source, 4 * plane, target, 4 * blocks * plane))


@inner
def inputs_of(x, v, shape, first, last, origin, spare):
    """Transforms tiles first .. last - 1 into v, in which tile `origin` comes first; `spare` holds two tiles."""
    h, w, c, high, wide, side, stride = (
        shape.h, shape.w, shape.c, shape.high, shape.wide, shape.m + shape.r - 1, shape.stride
    )  # fmt: skip
    phases = stride * stride
    for q in range(phases * first, phases * last):
        t = q // phases
        phase = q - t * phases
        n = t // (high * wide)
        r = t - n * high * wide
        i0 = r // wide * shape.m * stride - shape.top + phase // stride
        j0 = r % wide * shape.m * stride - shape.left + phase % stride
        far = (side - 1) * stride
        inside = i0 >= 0 and j0 >= 0 and i0 + far < h and j0 + far < w
        for k in range(0, c, 16):
            target = v + 4 * ((t - origin) * shape.padded_c + phase * c + k)
            if inside and k + 16 <= c:
                pixel = 4 * shape.channels
                source = x + ((n * h + i0) * w + j0) * pixel + 4 * k
                row, column = stride * w * pixel, stride * pixel
                for i in range(side):
                    for j in range(side, side + shape.m):
                        prefetch(source + i * row + j * column)
            else:  # zeros outside the image and after the last channel
                source, row, column = spare, 64 * side, 64
                for i in range(side):
                    for j in range(side):
                        here = spare + row * i + column * j
                        vstore(here, vset1(np.float32(0)))
                        i1, j1 = i0 + stride * i, j0 + stride * j
                        if 0 <= i1 < h and 0 <= j1 < w:
                            pixel = x + 4 * (((n * h + i1) * w + j1) * shape.channels + k)
                            if k + 16 <= c:
                                vstore(here, vload(pixel))
                            else:
                                for d in range(c - k):
                                    fstore(here + 4 * d, fload(pixel + 4 * d))
            values = spare + 64 * side**2
            call_inputs(shape.input_transform, (source, row, column, target, 4 * shape.step, values))


@inner
def _products(kernel, mr, nr, v, f, count, sums, width, shape, tiles, p, how):
    """At point p: `tiles` tiles of v x `count` filters, into sums[tile][width].

    At the points at infinity, filters are their last taps: zeros where they lack them, which are not multiplied.
    """
    c, side = shape.c, shape.m + shape.r - 1
    no_row, no_column = shape.short > 0 and p // side == side - 1, shape.short > 0 and p % side == side - 1
    if not no_column:
        end = 2 * c if no_row else shape.depth
        multiplied(kernel, mr, nr, v, f, count, sums, width, shape, tiles, how, 0, end)
    else:
        multiplied(kernel, mr, nr, v, f, count, sums, width, shape, tiles, how, 0, c)
        if not no_row:
            multiplied(kernel, mr, nr, v, f, count, sums, width, shape, tiles, how, 2 * c, 3 * c)


@inner
def multiplied(kernel, mr, nr, v, f, count, sums, width, shape, tiles, how, begin, end):
    """The products with inputs begin .. end - 1, which are added to those before."""
    c, padded_c = shape.depth, shape.padded_c
    pieces = -(-(end - begin) // INPUTS_AT_ONCE)
    units, blocks = -(-tiles // mr), -(-count // nr)
    for piece in range(pieces):
        first, last = begin + (end - begin) * piece // pieces, begin + (end - begin) * (piece + 1) // pieces
        for block in range(blocks):
            for u in range(units):
                i, following = tiles * u // units, tiles * (u + 1) // units
                target = sums + 4 * (i * width + block * nr)
                call_tile(
                    kernel,
                    following - i,
                    min(nr, count - block * nr),
                    v + 4 * (i * padded_c + first),
                    padded_c,
                    1,
                    no_offset(),
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


@inner
def _outputs(y, sums, width, columns, bias, relu, shape, first, last, origin, spare):
    """Transforms sums[point][tile][width] back and adds the bias, for tiles first .. last - 1; `origin` comes first.

    y, bias  of the first of `columns` filters
    """
    h, w, count, high, wide, m, step = shape.oh, shape.ow, shape.count, shape.high, shape.wide, shape.m, shape.sums_step
    for t in range(first, last):
        n = t // (high * wide)
        r = t - n * high * wide
        i0 = r // wide * m
        j0 = r % wide * m
        for k in range(0, columns, 16):
            source, target = sums + 4 * ((t - origin) * width + k), y + 4 * (((n * h + i0) * w + j0) * count + k)
            whole = i0 + m <= h and j0 + m <= w and k + 16 <= columns
            transform = shape.far_output_transform if whole else shape.output_transform
            if whole and transform == shape.output_transform:  # the pixels of the next tile
                for i in range(m):
                    for j in range(m, 2 * m):
                        prefetch(target + 4 * (i * w + j) * count)
            out, row, column = (target, 4 * w * count, 4 * count) if whole else (spare, 64 * m, 64)
            call_outputs(transform, (source, 4 * step, bias + 4 * k, relu, out, row, column))
            if not whole:
                for i in range(min(m, h - i0)):
                    for j in range(min(m, w - j0)):
                        here, pixel = spare + row * i + column * j, target + 4 * (i * w + j) * count
                        if k + 16 <= columns:
                            vstore(pixel, vload(here))
                        else:
                            for d in range(columns - k):
                                fstore(pixel + 4 * d, fload(here + 4 * d))


@parallel
def fused(t, threads, kernel, mr, nr, x, f, plane, bias, relu, y, v, sums, shape, rounds, together):
    """Each thread takes rounds of tiles, of all filters, `together` blocks at a time."""
    c, k, step, sums_step = shape.depth, shape.k, shape.step, shape.sums_step
    points, tiles = (shape.m + shape.r - 1) ** 2, shape.n * shape.high * shape.wide
    blocks, units = -(-k // nr), -(-tiles // mr)
    mine, own = v + 4 * t * points * step, sums + 4 * t * points * sums_step
    spare = sums + 4 * points * (threads * sums_step + 32 * t)
    for q in range(rounds * t // threads, rounds * (t + 1) // threads):
        first, last = units * q // rounds * mr, min(tiles, units * (q + 1) // rounds * mr)
        inputs_of(x, mine, shape, first, last, first, spare)
        for block in range(0, blocks, together):
            column = block * nr
            columns = min(together * nr, k - column)
            for p in range(points):
                _products(
                    kernel,
                    mr,
                    nr,
                    mine + 4 * p * step,
                    f + 4 * (p * plane + block * c * nr),
                    columns,
                    own + 4 * p * sums_step,
                    together * nr,
                    shape,
                    last - first,
                    p,
                    0,
                )
            _outputs(
                y + 4 * column,
                own,
                together * nr,
                columns,
                bias + 4 * column,
                relu,
                shape,
                first,
                last,
                first,
                spare,
            )
    finish_streams()


def by_points(threads, kernel, mr, nr, x, f, plane, bias, relu, y, v, sums, shape, at_once):
    """All tiles, `at_once` at most, are transformed; then threads take blocks of filters at a point; and back.

    Three kernels, since each needs all that the threads did in the one before.
    """
    tiles = shape.n * shape.high * shape.wide
    spare = sums + 4 * (shape.m + shape.r - 1) ** 2 * shape.sums_step
    parts = -(-tiles // at_once)
    for part in range(parts):
        start, end = tiles * part // parts, tiles * (part + 1) // parts
        transform_tiles(threads, x, v, shape, start, end, spare)
        _all_products(threads, kernel, mr, nr, f, plane, v, sums, shape, end - start)
        _all_outputs(threads, y, sums, -(-shape.k // nr) * nr, bias, relu, shape, start, end, spare)


@parallel
def transform_tiles(t, threads, x, v, shape, start, end, spare):
    """Tiles start .. end - 1 of inputs, or of the derivatives of outputs."""
    first, last = _share(start, end, t, threads)
    inputs_of(x, v, shape, first, last, start, spare + 128 * (shape.m + shape.r - 1) ** 2 * t)


@parallel
def _all_products(t, threads, kernel, mr, nr, f, plane, v, sums, shape, count):
    _share_of_products(t, threads, kernel, mr, nr, f, plane, v, sums, shape, count)


@parallel
def _all_outputs(t, threads, y, sums, width, bias, relu, shape, start, end, spare):
    first, last = _share(start, end, t, threads)
    mine = spare + 128 * (shape.m + shape.r - 1) ** 2 * t
    _outputs(y, sums, width, shape.k, bias, relu, shape, first, last, start, mine)
    finish_streams()


@inner
def _share(start, end, t, threads):
    """(first, end) of the part of start .. end - 1 that thread t does."""
    return start + (end - start) * t // threads, start + (end - start) * (t + 1) // threads


@inner
def _share_of_products(t, threads, kernel, mr, nr, f, plane, v, sums, shape, count):
    """Thread t's products of `count` tiles at all points: some blocks of filters at a point, and some of the tiles."""
    c = shape.depth
    blocks = -(-shape.k // nr)
    width = blocks * nr
    groups, rounds = -(-blocks // max(1, FILTERS_AT_ONCE // (c * nr))), -(-count // (16 * mr))
    first, last = _share(0, (shape.m + shape.r - 1) ** 2 * groups * rounds, t, threads)
    for q in range(first, last):
        p = q // (groups * rounds)
        g = q // rounds - p * groups
        r = q - (p * groups + g) * rounds
        block, i = blocks * g // groups, count * r // rounds
        _products(
            kernel,
            mr,
            nr,
            v + 4 * (p * shape.step + i * shape.padded_c),
            f + 4 * (p * plane + block * c * nr),
            min(shape.k, blocks * (g + 1) // groups * nr) - block * nr,
            sums + 4 * (p * shape.sums_step + i * width + block * nr),
            width,
            shape,
            count * (r + 1) // rounds - i,
            p,
            FAR,
        )
