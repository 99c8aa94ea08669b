"""The derivative of convolution with respect to its input, which is also transposed convolution."""

from __future__ import annotations

import math

import numpy as np

from pyconvnet.backends.cpu import dilated, hardware, winograd_transposed
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.direct import direct
from pyconvnet.backends.cpu.layout import address, channels_fastest, scratch, strides, zeros
from pyconvnet.backends.cpu.llvm.matrix_kernel import ACCUMULATE, call_tile, no_offset
from pyconvnet.backends.cpu.llvm.simd import fload, fstore
from pyconvnet.backends.cpu.narrow_gradient import MOST_CHANNELS, narrow_gradient
from pyconvnet.backends.cpu.strided_gradient import flip, strided_gradient
from pyconvnet.backends.cpu.winograd import suits, winograd
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

# Correlating with flipped filters also multiplies the zeros around dzdy: worth it up to this many pixels of x per y.
MOST_ZEROS = 1.5


def data_gradient(dzdy: np.ndarray, f: np.ndarray, window: Window, size: tuple[int, int], groups: int) -> np.ndarray:
    """dx as an N x h x w x C array, (h, w) = `size`, from the derivative dzdy of conv(x, f, b, window)."""
    (h, w), (top, bottom, left, right) = window.extent, window.pad
    pad = h - 1 - top, h - 1 - bottom, w - 1 - left, w - 1 - right
    pixels = dzdy.shape[0] * dzdy.shape[1]
    direct_way = window.stride == (1, 1) and min(pad) >= 0 and size[0] * size[1] <= MOST_ZEROS * pixels
    back = Window(window.size, (1, 1), pad, window.dilate)
    if direct_way:
        flipped = flip(f, groups)
        if suits(dzdy, flipped, back):
            return winograd(dzdy, flipped, None, back)
        if dilated.suits(dzdy, flipped, back):
            return dilated.dilated(dzdy, flipped, None, back)
    if winograd_transposed.suits(dzdy, f, window, size, groups):
        return winograd_transposed.data_gradient(dzdy, f, window, size)
    if f.shape[2] <= MOST_CHANNELS and window.size[1] > 1 and pixels > 1:
        return narrow_gradient(dzdy, f, window, size, groups)
    # zeros around dzdy are no terms of dx, though times infinity they are NaN
    if math.prod(window.size) == 1 or np.isfinite(f).all():
        if direct_way:
            return direct(dzdy, flipped, None, back)
        if max(window.stride) > 1 and size[0] * size[1] <= MOST_ZEROS * pixels * math.prod(window.stride):
            return strided_gradient(dzdy, f, window, size, groups)
    return scatter(dzdy, f, window, size, groups)


def scatter(dzdy: np.ndarray, f: np.ndarray, window: Window, size: tuple[int, int], groups: int) -> np.ndarray:
    """For each pixel of dzdy and each filter tap: dzdy times the tap, added to where the tap saw x."""
    (fh, fw), (sh, sw), (dh, dw), pad = window.size, window.stride, window.dilate, window.pad
    oh, ow, count, n = dzdy.shape
    c, (h, w) = f.shape[2], size
    shape = (n, h + pad[0] + pad[1], w + pad[2] + pad[3], c * groups)
    if (oh, ow, groups) == (1, 1, 1) and (fh, fw) == size and not any(pad) and f.flags.c_contiguous:
        # the rows of the filters, as they lie, are pixels that the derivatives convolve
        dx = direct(f.reshape(-1, 1, count, 1), dzdy, None, Window((1, 1)), lasting=False)
        return channels_fastest(dx.reshape(h, w, c, n))
    tile = hardware.tile()
    with parallel_region() as threads:
        dy = channels_fastest(dzdy)
        filters = _packed(threads, f, groups, tile.columns)
        if any(pad):
            dx = scratch("scattered", int(np.prod(shape))).reshape(shape)
            dx[...] = 0
        else:
            dx = zeros(shape)
        steps = np.array([sh, sw, dh, dw])
        memory = address(dy), address(filters), address(dx)
        if (oh, ow) == (1, 1):  # fully connected: the images are the line, and taps do not meet
            _scatter_images(threads, *tile, *memory, *shape, fh, fw, dh, dw, groups, c, count // groups)
        else:
            _scatter(threads, *tile, *memory, *shape, fh, fw, steps, groups, c, oh, ow, count // groups)
        if not any(pad):
            return dx
        return channels_fastest(dx[:, pad[0] : pad[0] + h, pad[2] : pad[2] + w].transpose(1, 2, 3, 0))


def _packed(threads: int, f: np.ndarray, groups: int, columns: int) -> np.ndarray:
    """f as blocks [group][C / columns][tap][K of the group][columns]: the inputs of a tap are the columns."""
    h, w, c, k = f.shape
    out = scratch("filters", groups * -(-c // columns) * columns * h * w * (k // groups))
    _pack_transposed(threads, address(f), *strides(f), h, w, c, k // groups, groups, columns, address(out))
    return out


@parallel
def _pack_transposed(t, threads, f, sh, sw, sc, sk, h, w, c, each, groups, nr, out):
    blocks = -(-c // nr)
    taps = h * w
    total = groups * blocks * taps
    for q in range(total * t // threads, total * (t + 1) // threads):
        block = q // taps
        tap = q - block * taps
        g = block // blocks
        first = (block - g * blocks) * nr
        i = tap // w
        source = f + 4 * (first * sc + g * each * sk + i * sh + (tap - i * w) * sw)
        target = out + 4 * q * each * nr
        for d in range(nr):
            if first + d < c:
                for k in range(each):
                    fstore(target + 4 * (k * nr + d), fload(source + 4 * (d * sc + k * sk)))
            else:
                for k in range(each):
                    fstore(target + 4 * (k * nr + d), np.float32(0))


@parallel
def _scatter(t, threads, kernel, mr, nr, dy, f, dx, n, h, w, channels, fh, fw, steps, groups, c, oh, ow, each):
    """A thread owns a block of channels of an image, so that no two add to the same place."""
    sh, sw, dh, dw = steps[0], steps[1], steps[2], steps[3]
    blocks = -(-c // nr)
    total = n * groups * blocks
    count = groups * each
    tiles = -(-ow // mr)
    for q in range(total * t // threads, total * (t + 1) // threads):
        image = q // (groups * blocks)
        block = q - image * groups * blocks
        g = block // blocks
        k = (block - g * blocks) * nr
        for i in range(oh):
            for p in range(tiles):
                first, last = ow * p // tiles, ow * (p + 1) // tiles
                a = dy + 4 * (((image * oh + i) * ow + first) * count + g * each)
                for u in range(fh):
                    for v in range(fw):
                        pixel = (image * h + i * sh + u * dh) * w + first * sw + v * dw
                        target = dx + 4 * (pixel * channels + g * c + k)
                        call_tile(
                            kernel,
                            last - first,
                            min(nr, c - k),
                            a,
                            count,
                            1,
                            no_offset(),
                            1,
                            each,
                            f + 4 * (block * fh * fw + u * fw + v) * each * nr,
                            nr,
                            target,
                            sw * channels,
                            target,
                            0,
                            ACCUMULATE,
                            0,
                            0,
                        )


@parallel
def _scatter_images(t, threads, kernel, mr, nr, dy, f, dx, n, h, w, channels, fh, fw, dh, dw, groups, c, each):
    """One output pixel: a thread owns a block of channels of a tap, for all images."""
    taps = fh * fw
    blocks = -(-c // nr)
    total = groups * blocks * taps
    count = groups * each
    tiles = -(-n // mr)
    for q in range(total * t // threads, total * (t + 1) // threads):
        block = q // taps
        tap = q - block * taps
        g = block // blocks
        k = (block - g * blocks) * nr
        u = tap // fw
        v = tap - u * fw
        for p in range(tiles):
            first, last = n * p // tiles, n * (p + 1) // tiles
            call_tile(
                kernel,
                last - first,
                min(nr, c - k),
                dy + 4 * (first * count + g * each),
                count,
                1,
                no_offset(),
                1,
                each,
                f + 4 * q * each * nr,
                nr,
                dx + 4 * (((first * h + u * dh) * w + v * dw) * channels + g * c + k),
                h * w * channels,
                0,
                0,
                0,
                0,
                0,
            )
