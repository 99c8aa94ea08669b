"""Filters of images: fspecial, imfilter, conv2, filter2, medfilt2, imnoise."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import size_text
from pyconvnet.compat.imresize import as_class
from pyconvnet.compat.matlab.conventions import floats, matrix, pair, text
from pyconvnet.compat.matlab.images import IMAGES, PADDING, from_double, im2double, padarray
from pyconvnet.randstream import global_stream
from pyconvnet.values import as_array, choice, number

__all__ = ["conv2", "filter2", "fspecial", "imfilter", "imnoise", "medfilt2"]

_EPS = np.finfo(float).eps


def fspecial(type: str, *parameters: Any) -> np.ndarray:
    """A filter for imfilter, whose values add up to 1 ("laplacian", "log", "prewitt", "sobel": to 0).

    fspecial("average", size=3)              size: one number or [rows, columns]
    fspecial("disk", radius=5)               of each pixel the part that lies in a circle
    fspecial("gaussian", size=3, sigma=0.5)
    fspecial("laplacian", alpha=0.2)         3 x 3
    fspecial("log", size=5, sigma=0.5)       Laplacian of a Gaussian
    fspecial("motion", length=9, angle=0)    a line, angle in degrees against the clock
    fspecial("prewitt"), fspecial("sobel")   horizontal edges
    fspecial("unsharp", alpha=0.2)           sharpens
    """
    makers: dict[str, tuple[Any, int]] = {
        "average": (_average, 1),
        "disk": (_disk, 1),
        "gaussian": (_gaussian, 2),
        "laplacian": (_laplacian, 1),
        "log": (_log, 2),
        "motion": (_motion, 2),
        "prewitt": (lambda: np.array([[1.0, 1, 1], [0, 0, 0], [-1, -1, -1]]), 0),
        "sobel": (lambda: np.array([[1.0, 2, 1], [0, 0, 0], [-1, -2, -1]]), 0),
        "unsharp": (lambda alpha=0.2: _centre() - _laplacian(alpha), 1),
    }
    make, most = makers[choice("fspecial: type", type, tuple(makers))]
    if len(parameters) > most:
        raise ValueError(f"fspecial: {type!r} has {most} parameters at most, got {len(parameters)}")
    return make(*parameters)


def imfilter(A: Any, h: Any, *options: Any) -> np.ndarray:
    """A filtered by h, each plane of the first two dimensions: sums in double precision, of A's element type.

    options  what lies beyond the border: a number (0), "symmetric", "replicate" or "circular";
             "same" or "full" size; "corr" (as it is) or "conv" (h turned by 180 degrees)
    """
    a, kernel = np.atleast_2d(as_array(A)), matrix("imfilter: h", h).astype(float)
    if kernel.ndim != 2:
        raise NotImplementedError(f"imfilter: h must have two dimensions, got {size_text(kernel.shape)}")
    if not kernel.size:
        raise ValueError(f"imfilter: h must have elements, got {size_text(kernel.shape)}")
    if a.dtype.kind not in "buif":
        raise TypeError(f"imfilter: A must be numbers or logicals, got {a.dtype}")
    border: Any = 0
    words = set()
    for option in options:
        if isinstance(option, str) and option.lower() not in ("symmetric", "replicate", "circular"):
            words.add(choice("imfilter: the option", option, ("same", "full", "corr", "conv")))
        else:
            border = option.lower() if isinstance(option, str) else number("imfilter: the border", option)
    if "conv" in words:
        kernel = np.rot90(kernel, 2)
    rows, columns = kernel.shape
    if "full" in words:
        before, after = (rows - 1, columns - 1), (rows - 1, columns - 1)
    else:
        if "conv" in words and (rows % 2 == 0 or columns % 2 == 0):
            raise NotImplementedError(
                f"imfilter: 'conv' must come with h of odd size, got {size_text(kernel.shape)}: which of the two "
                "middle elements MATLAB takes for the centre is not known"
            )
        before = (rows - 1) // 2, (columns - 1) // 2
        after = rows // 2, columns // 2
    widths = [*zip(before, after), *[(0, 0)] * (a.ndim - 2)]
    fill: dict[str, Any] = {"mode": PADDING[border]} if isinstance(border, str) else {"constant_values": border}
    padded = np.pad(a.astype(float), widths, **fill)
    height, width = padded.shape[0] - rows + 1, padded.shape[1] - columns + 1
    total = np.zeros((height, width, *a.shape[2:]))
    for i in range(rows):
        for j in range(columns):
            if kernel[i, j]:
                total += kernel[i, j] * padded[i : i + height, j : j + width]
    return total > 0.5 if a.dtype == bool else as_class(total, a.dtype)


def conv2(*arguments: Any) -> np.ndarray:
    """Convolution in two dimensions: conv2(A, B, shape), or conv2(u, v, A, shape) by a column u and then a row v.

    shape  "full" (all), "same" (the middle part, of A's size), "valid" (without the border)

    >>> conv2([[1, 2], [3, 4]], [[1, 1]])
    array([[1., 3., 2.],
           [3., 7., 4.]])
    """
    shape, *given = ("full", *arguments)
    if given and isinstance(given[-1], str):
        shape = given.pop()
    return _convolved("conv2", given, shape)


def _convolved(fn: str, given: list[Any], shape: str) -> np.ndarray:
    shape = choice(f"{fn}: shape", shape, ("full", "same", "valid"))
    if len(given) == 3:
        u, v, a = (matrix(f"{fn}: {name}", x) for name, x in zip(("u", "v", "A"), given))
        factors = [u.reshape(-1, 1), v.reshape(1, -1)]
    elif len(given) == 2:
        a, b = (matrix(f"{fn}: {name}", x) for name, x in zip("AB", given))
        factors = [b]
    else:
        raise ValueError(f"conv2: it must be called as (A, B) or (u, v, A), got {len(given)} arrays")
    if any(x.ndim > 2 for x in (a, *factors)):
        raise ValueError(f"{fn}: arrays must have two dimensions")
    if any(not x.size for x in (a, *factors)):
        raise ValueError(
            f"{fn}: arrays must have elements, got sizes {', '.join(size_text(np.shape(x)) for x in given)}"
        )
    from scipy.signal import convolve2d

    single = any(x.dtype == np.float32 for x in (a, *factors))
    y = a.astype(float)
    for f in factors:
        y = convolve2d(y, f.astype(float), "full")
    rows, columns = (sum(f.shape[i] - 1 for f in factors) + 1 for i in (0, 1))
    if shape == "same":
        top, left = rows // 2, columns // 2
        y = y[top : top + a.shape[0], left : left + a.shape[1]]
    elif shape == "valid":
        y = y[rows - 1 : a.shape[0], columns - 1 : a.shape[1]]
    return y.astype(np.float32) if single else y


def filter2(h: Any, X: Any, shape: str = "same") -> np.ndarray:
    """X correlated with h: conv2 with h turned by 180 degrees."""
    return _convolved("filter2", [matrix("filter2: X", X), np.rot90(matrix("filter2: h", h), 2)], shape)


def medfilt2(A: Any, size: Any = (3, 3), border: str = "zeros") -> np.ndarray:
    """The median of each pixel's surroundings, rows x columns of them, both odd; beyond the border 0 or "symmetric"."""
    a = matrix("medfilt2: A", A)
    rows, columns = pair("medfilt2: size", size)
    if a.ndim != 2 or not a.size or rows < 1 or columns < 1:
        raise ValueError(f"medfilt2: A must be H x W and size from 1 up, got {size_text(a.shape)} and {size!r}")
    if rows % 2 == 0 or columns % 2 == 0:
        raise NotImplementedError(f"medfilt2: size must be odd, got {rows} x {columns}")
    border = choice("medfilt2: border", border, ("zeros", "symmetric"))
    padded = padarray(a, [rows // 2, columns // 2], 0 if border == "zeros" else "symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns)).reshape(*a.shape, -1)
    middle = rows * columns // 2
    return np.partition(windows, middle, axis=-1)[..., middle]


def imnoise(image: Any, type: str = "gaussian", *parameters: Any) -> np.ndarray:
    """An image with noise, drawn from the stream that compat.matlab.rng starts; of its element type, clipped.

    imnoise(I, "gaussian", mean=0, variance=0.01)
    imnoise(I, "localvar", V)                    V: the variance of each pixel
    imnoise(I, "salt & pepper", share=0.05)      of the pixels, half of them black, half white
    imnoise(I, "speckle", variance=0.05)         I + n I with evenly distributed n

    NotImplementedError for "poisson": how MATLAB draws it is not known.
    """
    x = np.atleast_2d(as_array(image))
    if text("imnoise: type", type).lower() == "poisson":
        raise NotImplementedError("imnoise: 'poisson' is not there: how MATLAB draws it is not known")
    kind = choice("imnoise: type", type, ("gaussian", "localvar", "salt & pepper", "speckle"))
    if x.dtype not in IMAGES:
        raise TypeError(f"imnoise: image must be of an image's type, such as uint8 or double, got {x.dtype}")
    numbers = [floats(f"imnoise: parameter {i}", p) for i, p in enumerate(parameters, 1)]
    if any(p.size != 1 and p.shape != x.shape for p in numbers):
        raise ValueError(f"imnoise: parameters must be numbers or of the image's size, {size_text(x.shape)}")
    a, given = im2double(x), dict(enumerate(numbers))
    if kind == "gaussian":
        mean, variance = given.get(0, 0), given.get(1, 0.01)
        y = a + np.sqrt(variance) * global_stream().randn(a.shape) + mean
    elif kind == "localvar" and given:
        y = a + np.sqrt(given[0]) * global_stream().randn(a.shape)
    elif kind == "speckle":
        variance = given.get(0, 0.05)
        y = a + np.sqrt(12 * variance) * a * (global_stream().rand(a.shape) - 0.5)
    elif kind == "localvar":
        raise ValueError("imnoise: 'localvar' must come with the variance of each pixel")
    else:
        share, drawn = given.get(0, 0.05), global_stream().rand(a.shape)
        y = np.where(drawn < share / 2, 0, np.where(drawn < share, 1, a))
    y = np.clip(y, 0, 1)
    return y > 0.5 if x.dtype == bool else from_double(y, x.dtype)


def _size(size: Any) -> tuple[int, int]:
    rows, columns = pair("fspecial: size", size)
    if rows < 1 or columns < 1:
        raise ValueError(f"fspecial: size must be from 1 up, got {size!r}")
    return rows, columns


def _centre() -> np.ndarray:
    h = np.zeros((3, 3))
    h[1, 1] = 1
    return h


def _average(size: Any = 3) -> np.ndarray:
    rows, columns = _size(size)
    return np.full((rows, columns), 1 / (rows * columns))


def _bell(size: Any, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian of sum 1, and the squares of the distances."""
    rows, columns = _size(size)
    sigma = number("fspecial: sigma", sigma, "a number above 0", lambda v: v > 0)
    y, x = np.arange(rows)[:, None] - (rows - 1) / 2, np.arange(columns)[None] - (columns - 1) / 2
    squares = x * x + y * y
    h = np.exp(-squares / (2 * sigma * sigma))
    h[h < _EPS * h.max()] = 0
    return (h / h.sum() if h.sum() else h), squares


def _gaussian(size: Any = 3, sigma: float = 0.5) -> np.ndarray:
    return _bell(size, sigma)[0]


def _log(size: Any = 5, sigma: float = 0.5) -> np.ndarray:
    h, squares = _bell(size, sigma)
    h = h * (squares - 2 * sigma**2) / sigma**4
    return h - h.sum() / h.size


def _laplacian(alpha: float = 0.2) -> np.ndarray:
    alpha = number("fspecial: alpha", alpha, "a number from 0 to 1", lambda v: 0 <= v <= 1)
    corner, side = alpha / (alpha + 1), (1 - alpha) / (alpha + 1)
    return np.array([[corner, side, corner], [side, -4 / (alpha + 1), side], [corner, side, corner]])


def _disk(radius: float = 5) -> np.ndarray:
    r = number("fspecial: radius", radius, "a number above 0", lambda v: v > 0)
    reach = int(np.ceil(r - 0.5))
    edges = np.arange(-reach, reach + 2) - 0.5

    def quarter(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Area of the circle within 0..x and 0..y, for x, y from 0 up."""
        x, y = np.minimum(x, r), np.minimum(y, r)
        bend = np.minimum(np.sqrt(r * r - y * y), x)  # up to there the circle is above y

        def under(t: np.ndarray) -> np.ndarray:
            return (t * np.sqrt(np.maximum(r * r - t * t, 0)) + r * r * np.arcsin(t / r)) / 2

        return y * bend + under(x) - under(bend)

    x, y = edges[None], edges[:, None]
    area = np.sign(x) * np.sign(y) * quarter(np.abs(x), np.abs(y))
    h = np.diff(np.diff(area, axis=0), axis=1)
    return h / h.sum()


def _motion(length: float = 9, angle: float = 0) -> np.ndarray:
    size = max(1.0, number("fspecial: length", length))
    half, phi = (size - 1) / 2, np.deg2rad(number("fspecial: angle", angle) % 180)
    c, s = np.cos(phi), np.sin(phi)
    way = float(np.sign(c))
    across = int(np.trunc(half * c + way - size * _EPS))
    up = int(np.trunc(half * s + 1 - size * _EPS))
    x, y = way * np.arange(abs(across) + 1)[None], np.arange(up + 1)[:, None]
    distance = y * c - x * s  # from the line
    beyond = (np.hypot(x, y) >= half) & (np.abs(distance) <= 1)
    if c:
        past = half - np.abs((x + distance * s) / c)
        distance = np.where(beyond, np.hypot(distance, past), distance)
    weights = np.maximum(1 + _EPS - np.abs(distance), 0)
    h = np.zeros((2 * up + 1, 2 * abs(across) + 1))
    h[: up + 1, : abs(across) + 1] = np.rot90(weights, 2)
    h[up:, abs(across) :] = weights
    h /= h.sum() + _EPS * size * size
    return np.flipud(h) if c > 0 else h
