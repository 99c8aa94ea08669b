"""Convolution of float64 arrays, by the matrix kernel for doubles; what it does not know is left to numpy.

As in direct.py, a tile of output pixels x filters is one call of the kernel; as in filter_gradient.py, the derivative
of the filters at a tap sums over pixels, some lines of them at a time.
"""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import from_nhwc, nhwc
from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.direct import lines_of
from pyconvnet.backends.cpu.llvm.matrix_kernel import ACCUMULATE, BIAS, call_tile
from pyconvnet.backends.reference import conv as plain
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

# Tiles of pixels that meet a block of filters before the next one; pixels that are summed up at once for a tile of
# filters, whose sums are in memory in between.
TILES_AT_ONCE, PIXELS_AT_ONCE = 8, 128


def conv(x: np.ndarray, f: np.ndarray, b: np.ndarray | None, window: Window) -> np.ndarray:
    """See `backends.reference.conv.conv`."""
    return from_nhwc(_convolution(x, f, None if b is None else b.ravel(), window, x.shape[2] // f.shape[2]))


def conv_backward(
    x: np.ndarray, f: np.ndarray, dzdy: np.ndarray, window: Window, needs: tuple[bool, ...] = (True, True, True)
) -> plain.Derivatives:
    """See `backends.reference.conv.conv_backward`."""
    groups = x.shape[2] // f.shape[2]
    around, dzdy, dx = _around(window), np.asarray(dzdy, np.float64), None
    # zeros around dzdy are no terms of dx, though times infinity they are NaN
    if needs[0] and around is not None and (not any(around.pad) or np.isfinite(f).all()):
        (h, w, depth), each = f.shape[:3], f.shape[3] // groups
        turned = f.reshape(h, w, depth, groups, each).transpose(0, 1, 4, 3, 2).reshape(h, w, each, groups * depth)
        dx = from_nhwc(_convolution(dzdy, turned[::-1, ::-1], None, around, groups))
    of_numpy = needs[0] and dx is None, False, needs[2]
    rest = plain.conv_backward(x, f, dzdy, window, of_numpy) if any(of_numpy) else (None, None, None)
    return rest[0] if dx is None else dx, _filter_gradient(x, dzdy, window, f) if needs[1] else None, rest[2]


def _around(window: Window) -> Window | None:
    """The window that goes over derivatives of outputs to give those of inputs; None if that is no convolution."""
    (top, bottom, left, right), (down, across) = window.pad, window.dilate
    high, wide = (window.size[0] - 1) * down, (window.size[1] - 1) * across
    pad = high - top, high - bottom, wide - left, wide - right
    return Window(window.size, (1, 1), pad, window.dilate) if window.stride == (1, 1) and min(pad) >= 0 else None


def _convolution(x: np.ndarray, f: np.ndarray, b: np.ndarray | None, window: Window, groups: int) -> np.ndarray:
    tile, xp = hardware.tile_of_doubles(), plain.padded(x, window)
    out, (depth, count) = window.output_size(*x.shape[:2]), f.shape[2:]
    lines = lines_of(xp.shape, window, out, depth, tile.rows)
    taps = np.stack([lines.offsets, lines.depth * tile.columns * np.arange(lines.offsets.size)], axis=1)
    packed = _packed(f, groups, tile.columns)
    y = np.empty((x.shape[3], *out, count))
    bias = np.empty(0) if b is None else np.ascontiguousarray(b, np.float64)
    sizes = lines.length, lines.step, lines.apart, lines.depth, groups, depth, count // groups
    with parallel_region() as threads:
        _tiles(threads, *tile, xp, packed, bias, y, lines.starts, taps, sizes, 0 if b is None else BIAS)
    return y


def _packed(f: np.ndarray, groups: int, columns: int) -> np.ndarray:
    """f, h x w x c x K, as blocks [group][K / columns][h w c][columns], filled up with zeros."""
    each = f.shape[3] // groups
    blocks = -(-each // columns)
    out = np.zeros((f.size // f.shape[3], groups, blocks * columns))
    out[:, :, :each] = f.reshape(-1, groups, each)
    return np.ascontiguousarray(out.reshape(-1, groups * blocks, columns).transpose(1, 0, 2))


def _filter_gradient(x: np.ndarray, dzdy: np.ndarray, window: Window, f: np.ndarray) -> np.ndarray:
    tile, xp, dy = hardware.tile_of_doubles(), plain.padded(x, window), np.ascontiguousarray(nhwc(dzdy))
    (n, oh, ow, count), (_, h, w, channels), (fh, fw, depth, _) = dy.shape, xp.shape, f.shape
    (sh, sw), (dh, dw), groups = window.stride, window.dilate, channels // depth
    starts = w * channels * (h * np.arange(n)[:, None] + sh * np.arange(oh))
    lines = np.stack([starts.ravel(), ow * count * np.arange(n * oh)], axis=1)
    taps = channels * (w * dh * np.arange(fh)[:, None] + dw * np.arange(fw)).ravel()
    df = np.empty(f.shape)
    sizes = ow, sw * channels, groups, depth, count // groups, max(1, PIXELS_AT_ONCE // ow)
    with parallel_region() as threads:
        _sums(threads, *tile, xp, dy, df, lines, taps, sizes)
    return df


@parallel
def _tiles(t, threads, kernel, mr, nr, x, f, b, y, starts, taps, sizes, mode):
    """The convolution of lines of pixels, as direct.py has them."""
    length, step, apart, depth, groups, slab, each = sizes
    blocks, per_line = -(-each // nr), -(-length // mr)
    total, count, panel = len(starts) * per_line, groups * each, len(taps) * depth * nr
    end = total * (t + 1) // threads
    for first in range(total * t // threads, end, TILES_AT_ONCE):
        for column in range(groups * blocks):
            g = column // blocks
            k = (column - g * blocks) * nr
            for q in range(first, min(end, first + TILES_AT_ONCE)):
                line, i = q // per_line, q % per_line
                j, following = length * i // per_line, length * (i + 1) // per_line
                c = y.ctypes.data + 8 * ((starts[line, 1] + j * apart) * count + g * each + k)
                call_tile(
                    kernel,
                    following - j,
                    min(nr, each - k),
                    x.ctypes.data + 8 * (starts[line, 0] + j * step + g * slab),
                    step,
                    1,
                    taps.ctypes.data,
                    len(taps),
                    depth,
                    f.ctypes.data + 8 * column * panel,
                    nr,
                    c,
                    apart * count,
                    c,
                    b.ctypes.data + 8 * (g * each + k),
                    mode,
                    0,
                    0,
                )


@parallel
def _sums(t, threads, kernel, mr, nr, x, dy, df, lines, taps, sizes):
    """df[tap, c, k] = the sum over pixels of x[tap, pixel, c] dy[pixel, k]; a thread takes some tiles of c and k."""
    length, step, groups, depth, each, at_once = sizes
    rows, blocks, count = -(-depth // mr), -(-each // nr), groups * each
    units = len(taps) * groups * rows * blocks
    for line in range(0, len(lines), at_once):
        for q in range(units * t // threads, units * (t + 1) // threads):
            block, i = q % blocks, q // blocks % rows
            g, tap = q // (blocks * rows) % groups, q // (blocks * rows * groups)
            k, c, following = block * nr, depth * i // rows, depth * (i + 1) // rows
            target = df.ctypes.data + 8 * ((tap * depth + c) * count + g * each + k)
            call_tile(
                kernel,
                following - c,
                min(nr, each - k),
                x.ctypes.data + 8 * (taps[tap] + g * depth + c),
                1,
                step,
                lines.ctypes.data + 16 * line,
                min(at_once, len(lines) - line),
                length,
                dy.ctypes.data + 8 * (g * each + k),
                count,
                target,
                count,
                target,
                0,
                ACCUMULATE if line > 0 else 0,
                0,
                0,
            )
