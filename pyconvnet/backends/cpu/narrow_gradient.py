"""The data derivative of layers with few input channels, where the channels of one filter tap would not fill a tile.

A row of dx gathers from the rows of dzdy that saw it: each product of such a row with a filter row, whose taps and
channels are the columns of a tile, is added to dx where the taps lie. A thread owns rows of dx. Of many small images,
which would leave tiles half empty, the same pixel of some is the rows of a tile, and a thread owns images.
"""

from __future__ import annotations

import math

import numpy as np

from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.direct import full
from pyconvnet.backends.cpu.layout import address, channels_fastest, empty, scratch, strides
from pyconvnet.backends.cpu.llvm.matrix_kernel import ACCUMULATE, call_tile, no_offset
from pyconvnet.backends.cpu.llvm.simd import fload, fstore, vadd, vload_part, vset1, vstore_part
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

MOST_CHANNELS = 24


def narrow_gradient(dzdy: np.ndarray, f: np.ndarray, window: Window, size: tuple[int, int], groups: int) -> np.ndarray:
    """dx as an N x h x w x C array, (h, w) = `size`."""
    (fh, fw), (sh, sw), (dh, dw), pad = window.size, window.stride, window.dilate, window.pad
    oh, ow, count, n = dzdy.shape
    c, (h, w) = f.shape[2], size
    each, channels = count // groups, c * groups
    tile = hardware.tile()
    merged = groups == 1 and (dw == 1 or fw == 1)  # taps of a filter row lie side by side in dx
    pieces, width = (1, fw * c) if merged else (fw, c)
    blocks = -(-width // tile.columns)
    shape = np.array(
        [n, h, w, channels, oh, ow, count, groups, c, each, pad[0], pad[2], fh, sh, sw, dh, dw, pieces, width]
    )
    with parallel_region() as threads:
        dy = channels_fastest(dzdy)
        filters = scratch("filters", groups * fh * pieces * blocks * each * tile.columns)
        _pack_rows(threads, address(f), *strides(f), shape, tile.columns, address(filters))
        if full(n, tile.rows) > full(ow, tile.rows):
            whole = (n, h + pad[0] + pad[1], w + pad[2] + pad[3], channels)
            dx = scratch("scattered", math.prod(whole)).reshape(whole) if any(pad) else empty(whole)
            _images(threads, *tile, address(dy), address(filters), address(dx), whole[2], dx[0].size, shape)
            return channels_fastest(dx[:, pad[0] : pad[0] + h, pad[2] : pad[2] + w].transpose(1, 2, 3, 0))
        dx = empty((n, h, w, channels))
        row = (max(w + pad[2] + pad[3], sw * (ow - 1) + dw * (fw - 1) + 1) * channels + 31) // 16 * 16
        space = scratch("row", threads * (row + tile.rows * tile.columns))
        _rows(threads, *tile, address(dy), address(filters), address(dx), address(space), row, shape)
    return dx


@parallel
def _pack_rows(t, threads, f, fs_h, fs_w, fs_c, fs_k, shape, nr, out):
    """Blocks [group][filter row][piece][columns / nr][K of the group][nr]."""
    groups, c, each, fh, pieces, width = shape[7], shape[8], shape[9], shape[12], shape[17], shape[18]
    blocks = -(-width // nr)
    total = groups * fh * pieces * blocks
    for q in range(total * t // threads, total * (t + 1) // threads):
        block = q % blocks
        piece = q // blocks % pieces
        u = q // (blocks * pieces) % fh
        g = q // (blocks * pieces * fh)
        for i in range(nr):
            column = block * nr + i
            tap = piece if pieces > 1 else column // c
            source = f + 4 * (u * fs_h + tap * fs_w + column % c * fs_c + g * each * fs_k)
            for k in range(each):
                value = fload(source + 4 * k * fs_k) if column < width else np.float32(0)
                fstore(out + 4 * ((q * each + k) * nr + i), value)


@parallel
def _images(t, threads, kernel, mr, nr, dy, f, dx, wide, volume, shape):
    n, _, _, channels, oh, ow, count, groups, c, each = shape[:10]
    fh, sh, sw, dh, dw, pieces, width = shape[12:]
    blocks = -(-width // nr)
    tiles = -(-n // mr)
    for p in range(tiles * t // threads, tiles * (t + 1) // threads):
        first, last = n * p // tiles, n * (p + 1) // tiles
        for k in range(0, (last - first) * volume, 16):
            vstore_part(dx + 4 * (first * volume + k), vset1(np.float32(0)), min(16, (last - first) * volume - k))
        for i in range(oh):
            for j in range(ow):
                source = dy + 4 * ((first * oh + i) * ow + j) * count
                for part in range(groups * fh * pieces * blocks):
                    k = part % blocks * nr
                    piece = part // blocks % pieces
                    u = part // (blocks * pieces) % fh
                    g = part // (blocks * pieces * fh)
                    pixel = (i * sh + u * dh) * wide + j * sw + piece * dw
                    target = dx + 4 * (first * volume + pixel * channels + g * c + k)
                    call_tile(
                        kernel,
                        last - first,
                        min(nr, width - k),
                        source + 4 * g * each,
                        oh * ow * count,
                        1,
                        no_offset(),
                        1,
                        each,
                        f + 4 * part * each * nr,
                        nr,
                        target,
                        volume,
                        target,
                        0,
                        ACCUMULATE,
                        0,
                        0,
                    )


@parallel
def _rows(t, threads, kernel, mr, nr, dy, f, dx, space, row, shape):
    n, h, w, channels, oh, ow, count, groups, c, each = shape[:10]
    top, left, fh, sh, sw, dh, dw, pieces, width = shape[10:]
    blocks = -(-width // nr)
    tiles = -(-ow // mr)
    line = space + 4 * t * (row + mr * nr)
    product = line + 4 * row
    for q in range(n * h * t // threads, n * h * (t + 1) // threads):
        image = q // h
        for k in range(0, row, 16):
            vstore_part(line + 4 * k, vset1(np.float32(0)), 16)
        for u in range(fh):
            i = q - image * h + top - u * dh
            if i < 0 or i % sh or i // sh >= oh:
                continue
            source = dy + 4 * (image * oh + i // sh) * ow * count
            for p in range(tiles):
                first, last = ow * p // tiles, ow * (p + 1) // tiles
                for part in range(groups * pieces * blocks):
                    g = part // (pieces * blocks)
                    piece = part // blocks % pieces
                    k = part % blocks * nr
                    columns = min(nr, width - k)
                    b = f + 4 * (((g * fh + u) * pieces + piece) * blocks + part % blocks) * each * nr
                    a = source + 4 * (first * count + g * each)
                    call_tile(
                        kernel,
                        last - first,
                        columns,
                        a,
                        count,
                        1,
                        no_offset(),
                        1,
                        each,
                        b,
                        nr,
                        product,
                        nr,
                        0,
                        0,
                        0,
                        0,
                        0,
                    )
                    for j in range(first, last):
                        target = line + 4 * ((j * sw + piece * dw) * channels + g * c + k)
                        for v in range(0, columns, 16):
                            some = min(16, columns - v)
                            new = vload_part(product + 4 * ((j - first) * nr + v), some, np.float32(0))
                            old = vload_part(target + 4 * v, some, np.float32(0))
                            vstore_part(target + 4 * v, vadd(old, new), some)
        for k in range(0, w * channels, 16):
            some = min(16, w * channels - k)
            value = vload_part(line + 4 * (left * channels + k), some, np.float32(0))
            vstore_part(dx + 4 * (q * w * channels + k), value, some)
