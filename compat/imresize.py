"""MATLAB's imresize: the same kernels, the same edges, the same rounding."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from pyconvnet.options import read_pairs
from pyconvnet.values import as_array, choice, flag, number, numbers

Kernel = Callable[[np.ndarray], np.ndarray]
OPTIONS = {n.lower(): n for n in ("antialiasing", "edges", "method", "outputSize", "scale")}


def imresize(
    A: np.ndarray,
    scale: Any = None,
    method: Any = "bicubic",
    *pairs: Any,
    antialiasing: bool | None = None,
    outputSize: Any = None,
    edges: str = "replicate",
) -> np.ndarray:
    """
    imresize(A, scale)         A: H x W x ...     B: ceil(scale H) x ceil(scale W) x ..., of A's element type
    imresize(A, [rows, cols])  B: rows x cols x ...; one of the two may be NaN and follows from the other

    method        "bicubic" (Keys 1981, a = -1/2), "bilinear" or "triangle", "nearest", "box", "lanczos2", "lanczos3";
                  or a kernel of one's own, (function of the distance in pixels, its width)
    antialiasing  when shrinking, widen the kernel by 1 / scale; as a rule for all methods but "nearest"
    outputSize    [rows, cols], instead of a scale
    edges         pixels beyond the image: "replicate", its outermost pixels, or "symmetric", its mirror image.
                  Releases of MATLAB differ in this: those up to about 2015 replicate, today's mirror

    The two dimensions are resized one after the other, the smaller scale first. Sums are in double precision; integers
    are rounded, half away from zero, and clipped after each of the two, as MATLAB does. Logical images are resized as
    0..255, and true above 128. Trailing 'Name', value pairs are taken; 'Scale', [a b] scales rows by a, columns by b.

    >>> imresize(np.array([[0, 10], [20, 30]], np.uint8), 2, "bilinear")
    array([[ 0,  3,  8, 10],
           [ 5,  8, 13, 15],
           [15, 18, 23, 25],
           [20, 23, 28, 30]], dtype=uint8)
    """
    if isinstance(scale, str):
        scale, method, pairs = None, "bicubic", (scale, method, *pairs)
    elif isinstance(method, str) and method.lower() in OPTIONS:
        method, pairs = "bicubic", (method, *pairs)
    given = read_pairs("imresize", pairs, OPTIONS)
    method = given.get("method", method)
    antialiasing, outputSize = given.get("antialiasing", antialiasing), given.get("outputSize", outputSize)
    edges = given.get("edges", edges)
    A = as_array(A)
    if A.dtype.kind not in "buif" or (A.dtype.kind == "f" and A.dtype.itemsize not in (4, 8)):
        raise TypeError(f"imresize: A must be numbers or logicals, single or double, got {A.dtype}")
    if A.ndim < 2 or not A.size:
        raise ValueError(f"imresize: A must be an image, H x W x ..., got size {A.shape}")
    edges = choice("imresize: edges", edges, ("replicate", "symmetric"))
    kernel, width, smooth = _kernel(method)
    smooth = smooth if antialiasing is None else flag("imresize: antialiasing", antialiasing)
    if "scale" in given and np.size(given["scale"]) == 2 and scale is None:
        # Two numbers are a size, but under this name they are scales.
        scales = numbers("imresize: scale", given["scale"], "[rows, columns]")
        sizes = tuple(_sizes((n, n), s, None)[0][0] for n, s in zip(A.shape, scales))
    else:
        sizes, scales = _sizes(A.shape[:2], given.get("scale", scale), outputSize)
    B = A.astype(np.uint8) * np.uint8(255) if A.dtype == bool else A
    for axis in sorted((0, 1), key=lambda i: scales[i]):
        found = contributions(B.shape[axis], sizes[axis], scales[axis], kernel, width, smooth, edges)
        B = _along(B, axis, *found)
    return B > 128 if A.dtype == bool else B


def contributions(
    size: int, out: int, scale: float, kernel: Kernel, width: float, antialiasing: bool, edges: str
) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of `size` that make each of the `out` pixels, and their weights: (indices, weights), out x taps.

    Pixel centres lie at whole numbers from 1 and the outer edges of both images coincide: output pixel x looks at
    u = x / scale + (1 - 1 / scale) / 2.
    """
    if scale < 1 and antialiasing:
        width, stretch = width / scale, scale
    else:
        stretch = 1.0
    u = np.arange(1, out + 1) / scale + 0.5 * (1 - 1 / scale)
    indices = np.floor(u - width / 2)[:, None] + np.arange(ceil(width) + 2)
    weights = stretch * kernel(stretch * (u[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    indices = indices.astype(np.intp) - 1
    if edges == "symmetric":
        indices = np.mod(indices, 2 * size)
        indices = np.minimum(indices, 2 * size - 1 - indices)
    indices = np.clip(indices, 0, size - 1)
    used = (weights != 0).any(axis=0)
    return indices[:, used], weights[:, used]


def as_class(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """MATLAB's conversion of a double: integers rounded, half away from zero, and clipped; NaN becomes 0."""
    if dtype.kind == "f":
        return x.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    x = np.nan_to_num(np.trunc(x + np.copysign(0.5, x)), posinf=limits.max, neginf=limits.min)
    top = float(limits.max)
    if top == limits.max:
        return np.clip(x, limits.min, limits.max).astype(dtype)
    below = np.clip(x, limits.min, np.nextafter(top, 0)).astype(dtype)  # of 64 bits: no double is the largest
    return np.where(x < top, below, dtype.type(limits.max))


def _along(A: np.ndarray, axis: int, indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if indices.shape[1] == 1:
        return A.take(indices[:, 0], axis=axis)
    from scipy.sparse import csr_matrix

    # A sparse matrix adds the taps of a row in their order, as MATLAB does; that decides which way a tie is rounded.
    out, taps = indices.shape
    rows = csr_matrix((weights.ravel(), indices.ravel(), np.arange(out + 1) * taps), shape=(out, A.shape[axis]))
    flat = np.moveaxis(A, axis, 0).reshape(A.shape[axis], -1).astype(np.float64)
    rest = A.shape[:axis] + A.shape[axis + 1 :]
    return np.moveaxis(as_class(rows @ flat, A.dtype).reshape(out, *rest), 0, axis)


def _sizes(shape: tuple[int, ...], scale: Any, outputSize: Any) -> tuple[tuple[int, int], tuple[float, float]]:
    if (scale is None) == (outputSize is None):
        raise ValueError("imresize: give a scale or an output size, one of them")
    wanted = scale if outputSize is None else outputSize
    given = as_array(wanted).ravel()
    if given.dtype.kind not in "biuf":
        raise TypeError(f"imresize: the scale or size must be numbers, got {wanted!r}")
    given = given.astype(float)
    if given.size == 1 and outputSize is None and 0 < given[0] < np.inf:
        s = float(given[0])
        return (ceil(s * shape[0]), ceil(s * shape[1])), (s, s)
    if given.size != 2 or np.isnan(given).all() or not np.all(np.isnan(given) | (given > 0) & np.isfinite(given)):
        raise ValueError(f"imresize: scale must be positive, or [rows, cols] with at most one NaN, got {wanted!r}")
    if not np.isnan(given).any():
        rows, cols = (ceil(v) for v in given)
        return (rows, cols), (rows / shape[0], cols / shape[1])
    known = int(np.isnan(given[0]))
    s = ceil(given[known]) / shape[known]
    sizes = [ceil(s * n) for n in shape]
    sizes[known] = ceil(given[known])
    return (sizes[0], sizes[1]), (s, s)


def _kernel(method: Any) -> tuple[Kernel, float, bool]:
    if isinstance(method, (tuple, list)) and len(method) == 2 and callable(method[0]):
        return method[0], number("imresize: the width of the kernel", method[1]), True
    name = method.lower() if isinstance(method, str) else ""
    if name not in KERNELS:
        raise ValueError(f"imresize: method must be one of {', '.join(KERNELS)} or (function, width), got {method!r}")
    return *KERNELS[name], name != "nearest"


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution with a = -1/2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def triangle(x: np.ndarray) -> np.ndarray:
    """1 - |x|: linear interpolation."""
    return np.maximum(1 - np.abs(x), 0)


def box(x: np.ndarray) -> np.ndarray:
    """1 within half a pixel, the left end included."""
    return ((x >= -0.5) & (x < 0.5)).astype(float)


def lanczos(lobes: int) -> Kernel:
    """sinc(x) sinc(x / lobes)."""
    return lambda x: np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0)


KERNELS: dict[str, tuple[Kernel, float]] = {
    "bicubic": (cubic, 4),
    "cubic": (cubic, 4),
    "bilinear": (triangle, 2),
    "linear": (triangle, 2),
    "triangle": (triangle, 2),
    "nearest": (box, 1),
    "box": (box, 1),
    "lanczos2": (lanczos(2), 4),
    "lanczos3": (lanczos(3), 6),
}
