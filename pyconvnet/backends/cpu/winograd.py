"""Convolution by Winograd's algorithm, which llvm/winograd.py explains.

Each m x m tile of the output becomes n x n products summed over channels, n = m + r - 1: for each of as many points, a
matrix product of tiles x channels by channels x filters. See winograd_kernels.py for how that is done.

With stride 2, pixels in even and odd rows and columns are four images of half the size, which the taps in even and odd
rows and columns of the filters see with stride 1: as four times as many channels, and filters of half the size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pyconvnet.backends.cpu import filter_cache, hardware
from pyconvnet.backends.cpu.compiled import functions
from pyconvnet.backends.cpu.direct import pack
from pyconvnet.backends.cpu.layout import address, aligned, channels_fastest, empty, empty_at, streams
from pyconvnet.backends.cpu.llvm.winograd import VARIANTS, write_transforms
from pyconvnet.backends.cpu.recording import note_of_weights
from pyconvnet.backends.cpu.winograd_kernels import Shape, by_points, fused, transform_filters
from pyconvnet.geometry import Window
from pyconvnet.precision import get_precision
from pyconvnet.threads import parallel_region

# Measured with two threads: fused is faster from 112 tiles up; below 8, reading the transformed filters costs too much.
FUSED_FROM, LEAST_TILES, LEAST_CHANNELS = 112, 8, 16
# And up to so many floats of transformed filters, which every round of tiles reads; so many for each tile.
FUSED_UP_TO, FUSED_UP_TO_EACH = 1 << 21, 1 << 14
# Up to so many tiles, F(4 x 4) takes more time to read its filters, the larger ones, than it saves.
FEW_TILES = 16
# Tiles of a round, in units of the rows of the matrix kernel (6 or 14): their inputs and the sums of so many blocks of
# filters lie in the second level of the cache.
UNITS_AT_ONCE, BLOCKS_AT_ONCE = {6: 4, 14: 2}, {6: 4, 14: 4}
# With stride 2: from so many tiles and channels up, and up to so many floats of transformed filters.
STRIDED_FROM, STRIDED_CHANNELS, STRIDED_UP_TO = 48, 32, 1 << 21
# By points: so many tiles are transformed first.
TILES_AT_ONCE = 1 << 10


class Variant(NamedTuple):
    """F(m x m, r x r)."""

    m: int
    r: int
    stride: int = 1

    @property
    def side(self) -> int:
        """Side of a tile's inputs, and number of points."""
        return self.m + self.r - 1

    def transforms(self) -> tuple[int, ...]:
        """Addresses of the functions that transform inputs, filters, outputs, and outputs past the caches."""
        return _transforms(self.m, self.r)

    def tiles(self, n: int, out: tuple[int, int]) -> int:
        """Number of tiles of n images with outputs of that size."""
        return n * -(-out[0] // self.m) * -(-out[1] // self.m)


@lru_cache(maxsize=len(VARIANTS))
def _transforms(m: int, r: int) -> tuple[int, ...]:
    return tuple(functions(f"winograd.{m}x{r}", lambda module: write_transforms(module, m, r)))


def suits(x: np.ndarray, f: np.ndarray, window: Window) -> bool:
    """Whether Winograd's algorithm is the faster one for this layer."""
    return variant(x.shape, f.shape, window, get_precision()) is not None


@lru_cache(maxsize=1024)
def variant(shape: tuple[int, ...], filters: tuple[int, ...], window: Window, precision: str) -> Variant | None:
    """The fastest variant for such a layer; None if direct convolution is faster."""
    (r, _), (stride, _), each = window.size, window.stride, filters[3] * filters[2] // shape[2]
    if window.dilate != (1, 1) or max(window.pad) >= r or window.size != (r, r) or window.stride != (stride, stride):
        return None
    if min(filters[2], each) < LEAST_CHANNELS:
        return None
    out = window.output_size(*shape[:2])
    if stride > 1:
        half = -(-r // 2)
        outputs = {2: 3, 3: 2 if precision == "high" else 4}.get(half)
        if stride > 2 or outputs is None or min(filters[2], each) < STRIDED_CHANNELS:
            return None
        found = Variant(outputs, half, 2)
        floats = 4 * found.side**2 * filters[2] * each
        return found if floats <= STRIDED_UP_TO and found.tiles(shape[3], out) >= STRIDED_FROM else None
    known = {(4, 3): FEW_TILES + 1, (2, 3): LEAST_TILES, (2, 5): LEAST_TILES}
    for v, least in known.items() if precision != "high" else [((2, 3), LEAST_TILES)]:
        if v[1] == r and Variant(*v).tiles(shape[3], out) >= least:
            return Variant(*v)
    return None


def winograd(
    x: np.ndarray,
    f: np.ndarray,
    b: np.ndarray | None,
    window: Window,
    scale: np.ndarray | None = None,
    relu: bool = False,
    read_soon: bool = False,
) -> np.ndarray:
    """The convolution of `backends.reference.conv.conv`, N x H x W x K.

    scale      K factors for the filters
    read_soon  whether the whole result is read again at once
    """
    kind = variant(x.shape, f.shape, window, get_precision())
    h, w, channels, n = x.shape
    c, count = f.shape[2:]
    groups = channels // c
    k = count // groups
    out = window.output_size(h, w)
    tile = hardware.tile()
    blocks = -(-k // tile.columns)
    high, wide = -(-out[0] // kind.m), -(-out[1] // kind.m)
    tiles, points, phases = kind.tiles(n, out), kind.side**2, kind.stride**2
    depth, padded_c = phases * c, -(-((phases - 1) * c + -(-c // 16) * 16) // 16) * 16
    with parallel_region() as threads:
        seen = channels_fastest(x)
        key = "winograd", kind, groups, tile.columns
        filters, first = filter_cache.get(
            key, f, lambda old: transformed(f, kind, groups, tile.columns, old, scale), scale
        )
        bias = np.zeros(count + tile.columns, np.float32)
        if b is not None:
            bias[:count] = b.ravel()
            note_of_weights(np.copyto, bias[:count], b.ravel())
        y, start = empty_at((n, *out, count))
        fits = filters.size <= min(FUSED_UP_TO, tiles * FUSED_UP_TO_EACH)
        in_rounds = tiles >= FUSED_FROM * threads // 2 and fits
        units = -(-tiles // tile.rows)
        if in_rounds:
            rounds = -(-units // UNITS_AT_ONCE[tile.rows])
            rounds = -(-rounds // threads) * threads
            at_once = -(-units // rounds) * tile.rows
            together = min(BLOCKS_AT_ONCE[tile.rows], blocks)
        else:
            at_once = tiles // -(-tiles // TILES_AT_ONCE) + 1
            together = blocks
        # the 16 keep points off the same cache sets
        step, sums_step = at_once * padded_c + 16, at_once * together * tile.columns + 16
        parts = threads if in_rounds else 1
        # from the memory of results: where this is much, earlier layers have left more
        v, sums = empty((parts * points * step,)), empty((parts * points * sums_step + threads * 32 * points,))
        sizes = n, h, w, channels, *out, count, c, depth, k, window.pad[0], window.pad[2]
        inputs, _, outputs, past = kind.transforms()
        past = past if streams(y, k) and not read_soon else outputs
        short = kind.stride * kind.r - window.size[0]
        shape = Shape(*sizes, *kind, short, high, wide, padded_c, step, sums_step, inputs, outputs, past)
        for g in range(groups):
            memory = (
                address(seen) + 4 * g * c,
                first + 4 * g * blocks * depth * tile.columns,
                groups * blocks * depth * tile.columns,
                address(bias) + 4 * g * k,
                relu,
                start + 4 * g * k,
                address(v),
                address(sums),
            )
            if in_rounds:
                fused(threads, *tile, *memory, shape, rounds, together)
            else:
                by_points(threads, *tile, *memory, shape, at_once)
    return y


def transformed(
    f: np.ndarray, kind: Variant, groups: int, columns: int, old: np.ndarray | None, scale: np.ndarray | None = None
) -> np.ndarray:
    """G f G' of filters, times `scale`, as [point][group][K / columns][C][columns]; `old`: memory to write into."""
    packed = pack(_stride_1(f if scale is None else f * scale, kind), groups, columns)
    taps, plane = kind.r**2, kind.stride**2 * f.shape[2] * columns
    out = aligned(kind.side**2 * packed.size // taps) if old is None else old
    with parallel_region() as threads:
        memory = kind.transforms()[1], address(packed)
        transform_filters(threads, *memory, plane, packed.size // (taps * plane), taps, address(out))
    return out


def _stride_1(f: np.ndarray, kind: Variant) -> np.ndarray:
    """The taps of filters that see the pixels of each phase, row by row, one after the other as channels."""
    if kind.stride == 1:
        return f
    c = f.shape[2]
    out = np.zeros((kind.r, kind.r, kind.stride**2 * c, f.shape[3]), np.float32)
    for phase, (i, j) in enumerate(np.ndindex(kind.stride, kind.stride)):
        taps = f[i :: kind.stride, j :: kind.stride]
        place = out[: taps.shape[0], : taps.shape[1], phase * c : (phase + 1) * c]
        place[...] = taps
        note_of_weights(np.copyto, place, taps)
    return out
