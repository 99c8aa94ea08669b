"""The data derivative of strided convolution, without adding to the same pixel again and again.

Pixels of x whose rows and columns leave the same remainders when divided by the stride meet the same taps of the
filters. So for each of these remainders, those taps, upside down and mirrored, are the filter of a convolution of
stride 1 from dzdy to such pixels of dx, and sums stay in registers.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import NamedTuple

import numpy as np

from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu.direct import OutputGrid, correlate, lines_of, pack, schedule
from pyconvnet.backends.cpu.hardware import Tile
from pyconvnet.backends.cpu.layout import address, empty, padded, scratch, zeros
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region


class Share(NamedTuple):
    """Pixels of a direction (rows or columns) that meet the same taps."""

    first: int  # pixel of x
    count: int
    taps: slice  # of the filter
    dilate: int  # between the taps
    lowest: int  # pixel of dzdy that the first pixel meets
    highest: int  # pixel of dzdy that the last pixel meets


def shares(taps: int, stride: int, dilate: int, before: int, size: int) -> list[Share]:
    """The shares of `size` pixels with `before` zeros before them; pixels that meet no tap are in no share."""
    out, common = [], gcd(stride, dilate)
    apart = stride // common
    for tap in range(min(taps, apart)):
        first = (tap * dilate - before) % stride
        if first < size:
            count, last = (size - 1 - first) // stride + 1, tap + (taps - 1 - tap) // apart * apart
            # pixel i meets tap u at pixel (i + before - u dilate) / stride of dzdy
            lowest, highest = ((first + before - u * dilate) // stride for u in (last, tap))
            out.append(Share(first, count, slice(tap, None, apart), dilate // common, lowest, highest + count - 1))
    return out


def flip(f: np.ndarray, groups: int) -> np.ndarray:
    """The filters that take dzdy to dx: upside down, mirrored, inputs and outputs exchanged within each group."""
    h, w, c, k = f.shape
    if groups == 1:
        return f[::-1, ::-1].transpose(0, 1, 3, 2)
    parts = f[::-1, ::-1].reshape(h, w, c, groups, k // groups)
    return parts.transpose(0, 1, 4, 3, 2).reshape(h, w, k // groups, groups * c)


def strided_gradient(dzdy: np.ndarray, f: np.ndarray, window: Window, size: tuple[int, int], groups: int) -> np.ndarray:
    """dx as an N x h x w x C array, (h, w) = `size`."""
    tile = hardware.tile()
    with parallel_region() as threads:
        border, everywhere, parts = _plan(dzdy.shape, f.shape, window, size, groups, tile, threads)
        dy = padded(dzdy, border)
        shape = (dzdy.shape[3], *size, f.shape[2] * groups)
        dx = empty(shape) if everywhere else zeros(shape)
        for taps, first, starts, pieces, sizes, room in parts:
            filters = pack(flip(f[taps], groups), groups, tile.columns)
            copies = scratch("pixels", threads * room)
            memory = address(dy) + 4 * first, address(filters), 0, 0, address(dx), address(copies)
            correlate(threads, *tile, *memory, starts, pieces, sizes, 0)
    return dx


@lru_cache(maxsize=256)
def _plan(
    shape: tuple[int, ...],
    filters: tuple[int, ...],
    window: Window,
    size: tuple[int, int],
    groups: int,
    tile: Tile,
    threads: int,
):
    """(zeros around dzdy, whether every pixel meets a tap, parts), shape being that of dzdy.

    A part is (its taps of the filters, the element of padded dzdy where it begins, result of `schedule`).
    """
    oh, ow, count, n = shape
    both = zip(window.size, window.stride, window.dilate, window.pad[::2], size)
    rows, columns = (shares(*numbers) for numbers in both)
    top, left = (max([0, *(-s.lowest for s in some)]) for some in (rows, columns))
    bottom, right = (max([0, *(s.highest - most + 1 for s in some)]) for some, most in ((rows, oh), (columns, ow)))
    height, width = oh + top + bottom, ow + left + right
    parts = []
    for i in rows:
        for j in columns:
            taps = len(range(filters[0])[i.taps]), len(range(filters[1])[j.taps])
            back = Window(taps, dilate=(i.dilate, j.dilate))
            place = OutputGrid(*size, *((s.first, stride) for s, stride in zip((i, j), window.stride)))
            out = i.count, j.count
            lines = lines_of((n, height, width, count), back, out, count // groups, tile.rows, place)
            first = ((top + i.lowest) * width + left + j.lowest) * count
            turned = *taps, count // groups, filters[2] * groups
            parts.append(((i.taps, j.taps), first, *schedule(lines, turned, groups, tile, threads)))
    everywhere = sum(s.count for s in rows) * sum(s.count for s in columns) == size[0] * size[1]
    return (top, bottom, left, right), everywhere, parts
