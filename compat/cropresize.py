"""How vl_imreadjpeg places a crop in an image and resizes it. Its filters are nearly those of imresize, in single."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

WIDTHS = {"box": 1, "bilinear": 2, "bicubic": 4, "lanczos2": 4, "lanczos3": 6}


def crop_box(
    size: tuple[int, int],
    out: tuple[int, int],
    anisotropy: tuple[float, float],
    scale: tuple[float, float],
    random: bool,
    draws: np.ndarray,
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the part of an image of `size` that becomes the output of size `out`.

    anisotropy  (least, largest) change of the ratio of the sides, drawn from them evenly in its logarithm;
                0 stretches the whole image
    scale       (least, largest) part of the longest sides possible; areas are drawn evenly
    random      at a random place instead of the centre
    draws       four random numbers in 0..1, one each for anisotropy, scale, left and top
    """
    (h, w), (oh, ow) = size, out
    if min(anisotropy) == 0:
        ratio = (w / h) / (ow / oh)
    else:
        low, high = log(anisotropy[0]), log(anisotropy[1])
        ratio = exp(draws[0] * (low - high) + high)
    width, height = ow * sqrt(ratio), oh / sqrt(ratio)
    fill = min(w / width, h / height)
    low, high = scale[0] ** 2, scale[1] ** 2
    fill *= sqrt(draws[1] * (low - high) + high)
    width, height = (min(int(np.floor(v * fill + 0.5)), n) for v, n in ((width, w), (height, h)))
    left, top = w - width, h - height
    if random:
        left, top = int(draws[2] * (left + 1)), int(draws[3] * (top + 1))
    else:
        left, top = left // 2, top // 2
    return top, left, height, width


def resize_along(x: np.ndarray, axis: int, out: int, crop: int, offset: int, method: str) -> np.ndarray:
    """float32 array with `crop` elements of an axis, from `offset` on, turned into `out`.

    Near its border the crop reads the pixels around it in the image; beyond the image the last pixel is repeated.
    """
    starts, weights = _filter(x.shape[axis], out, crop, offset, method)
    from scipy.sparse import csr_matrix

    taps = np.clip(starts[:, None] + np.arange(weights.shape[1]), 0, x.shape[axis] - 1)
    rows = csr_matrix(
        (weights.ravel(), taps.ravel(), np.arange(out + 1) * weights.shape[1]), shape=(out, x.shape[axis])
    )
    flat = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    rest = x.shape[:axis] + x.shape[axis + 1 :]
    return np.moveaxis((rows @ flat).reshape(out, *rest), 0, axis)


def _filter(size: int, out: int, crop: int, offset: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    one = np.float32(1)
    alpha = np.float32(crop) / np.float32(out)
    beta = np.float32(0.5) * (alpha - one) + np.float32(offset)
    support = np.float32(WIDTHS[method]) * max(alpha, one)
    # Single precision decides which pixels a filter starts with; product and sum are rounded once, as compilers do it.
    u = (np.float64(alpha) * np.arange(out) + np.float64(beta)).astype(np.float32)
    starts = np.ceil(u - support / np.float32(2)).astype(int)
    delta = (u[:, None] - (starts[:, None] + np.arange(int(np.ceil(support)))).astype(np.float32)) / max(alpha, one)
    weights = _kernel(method, delta)
    # Half way between two pixels the box holds neither of MatConvNet's (which returns NaN); MATLAB takes the second.
    between = weights.sum(axis=1) == 0
    starts[between] += 1
    weights[between, 0] = 1
    return starts, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _kernel(method: str, x: np.ndarray) -> np.ndarray:
    a = np.abs(x).astype(np.float64)
    if method == "box":
        return ((x >= -0.5) & (x < 0.5)).astype(np.float64)
    if method == "bilinear":
        return np.maximum(1 - a, 0)
    if method == "bicubic":
        far = -0.5 * a**3 + 2.5 * a**2 - 4 * a + 2
        return np.where(a <= 1, 1.5 * a**3 - 2.5 * a**2 + 1, np.where(a <= 2, far, 0))
    lobes = int(method[-1])
    # MatConvNet adds 1e-5 to both sides of the fraction against 0 / 0; it shows in the fifth digit.
    wave = np.sin(np.pi * a) * np.sin(np.pi * a / lobes)
    return np.where(a < lobes, (wave + 1e-5) / (np.pi**2 * a**2 / lobes + 1e-5), 0)
