"""Dilated convolution by Winograd's algorithm: filters dilated by d see every d-th pixel: an image is d x d small ones.

Each of these is convolved with the filters as they are, and the results are put back between one another.
"""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu import winograd_gradient
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.layout import address, channels_fastest, copy_floats, empty, fill_zeros
from pyconvnet.backends.cpu.winograd import variant, winograd
from pyconvnet.geometry import Window
from pyconvnet.precision import get_precision
from pyconvnet.threads import parallel_region

MOST = 1 << 24  # floats of input and output, of which there is a second copy meanwhile


def suits(x: np.ndarray, f: np.ndarray, window: Window) -> bool:
    """Whether this is the faster way for a layer."""
    if window.dilate == (1, 1) or window.stride != (1, 1):
        return False
    n, high, wide = _parts(x, window)
    (fh, fw), c = window.size, x.shape[2]
    sizes = n * (high + fh - 1) * (wide + fw - 1) * c + n * high * wide * f.shape[3]
    dense = high + fh - 1, wide + fw - 1, c, n
    return sizes <= MOST and variant(dense, f.shape, Window(window.size), get_precision()) is not None


def dilated(
    x: np.ndarray,
    f: np.ndarray,
    b: np.ndarray | None,
    window: Window,
    scale: np.ndarray | None = None,
    relu: bool = False,
) -> np.ndarray:
    """The convolution of `backends.reference.conv.conv`, N x H x W x K; scale: K factors for the filters."""
    oh, ow = window.output_size(*x.shape[:2])
    _, high, wide = _parts(x, window)
    with parallel_region() as threads:
        results = winograd(small_images(x, window), f, b, Window(window.size), scale, relu, read_soon=True)
        y = empty((x.shape[3], oh, ow, f.shape[3]))
        _join(threads, address(results), address(y), *y.shape, high, wide, *window.dilate)
    return y


def filter_gradient(x: np.ndarray, dzdy: np.ndarray, window: Window, f: np.ndarray) -> np.ndarray:
    """df in the memory order of f."""
    derivatives = small_images(dzdy, Window((1, 1), dilate=window.dilate))
    return winograd_gradient.filter_gradient(small_images(x, window), derivatives, Window(window.size), f)


def small_images(x: np.ndarray, window: Window) -> np.ndarray:
    """H x W x C x d d N, with the window's pad and zeros where results of different ones differ in size."""
    (fh, fw), (dh, dw) = window.size, window.dilate
    n, high, wide = _parts(x, window)
    with parallel_region() as threads:
        seen = channels_fastest(x)
        parts = empty((n, high + fh - 1, wide + fw - 1, x.shape[2]))
        numbers = np.array([dh, dw, window.pad[0], window.pad[2]])
        _split(threads, address(seen), address(parts), *seen.shape, *parts.shape[1:3], numbers)
    return from_nhwc(parts)


def _parts(x: np.ndarray, window: Window) -> tuple[int, int, int]:
    """How many small images there are, and the height and width of their results."""
    (dh, dw), (oh, ow) = window.dilate, window.output_size(*x.shape[:2])
    return x.shape[3] * dh * dw, -(-oh // dh), -(-ow // dw)


@parallel
def _split(t, threads, x, parts, n, h, w, c, tall, broad, numbers):
    """Rows of the small images, which are [place to begin][image]; zeros outside of the large ones."""
    dh, dw, top, left = numbers
    rows = dh * dw * n * tall
    for q in range(rows * t // threads, rows * (t + 1) // threads):
        part, image = q // (n * tall), q // tall % n
        i = q % tall * dh + part // dw - top
        out = parts + 4 * q * broad * c
        if i < 0 or i >= h:
            fill_zeros(out, broad * c)
            continue
        source = x + 4 * (image * h + i) * w * c
        for k in range(broad):
            j = k * dw + part % dw - left
            if j >= 0 and j < w:
                copy_floats(out + 4 * k * c, source + 4 * j * c, c)
            else:
                fill_zeros(out + 4 * k * c, c)


@parallel
def _join(t, threads, parts, y, n, h, w, c, high, wide, dh, dw):
    """The rows of the results from those of the small images."""
    rows = n * h
    for q in range(rows * t // threads, rows * (t + 1) // threads):
        image, i = q // h, q % h
        for j in range(w):
            part = i % dh * dw + j % dw
            source = parts + 4 * (((part * n + image) * high + i // dh) * wide + j // dw) * c
            copy_floats(y + 4 * (q * w + j) * c, source, c)
