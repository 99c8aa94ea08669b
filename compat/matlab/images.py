"""Images: element types, borders, parts and turns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet.arrays import size_text
from pyconvnet.compat.imresize import as_class, cubic, triangle
from pyconvnet.compat.matlab.conventions import integers, matrix, text
from pyconvnet.values import as_array, choice, number, numbers

__all__ = [
    "im2double",
    "im2single",
    "im2uint8",
    "imcrop",
    "imrotate",
    "padarray",
]

IMAGES = (np.uint8, np.uint16, np.int16, bool, np.float32, np.float64)
PADDING: dict[str, Any] = {"symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}


def im2double(image: np.ndarray) -> np.ndarray:
    """uint8 / 255, uint16 / 65535, (int16 + 32768) / 65535, logical as 0 and 1, single and double as they are."""
    return _scaled("im2double", image, np.dtype(np.float64))


def im2single(image: np.ndarray) -> np.ndarray:
    """As im2double, in single precision."""
    return _scaled("im2single", image, np.dtype(np.float32))


def im2uint8(image: np.ndarray) -> np.ndarray:
    """Single and double from 0..1 to 0..255, rounded and clipped; uint16 and int16 / 257, rounded; logical 0, 255."""
    image = as_array(image)
    if image.dtype == np.uint8:
        return image
    return from_double(_scaled("im2uint8", image, np.dtype(np.float64)), np.dtype(np.uint8))


def from_double(y: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Back from im2double: 0..1 becomes the range of an integer type, single and double stay as they are."""
    if dtype.kind == "f":
        return y.astype(dtype)
    info = np.iinfo(dtype)
    return as_class(y * (float(info.max) - info.min) + info.min, dtype)


def padarray(A: np.ndarray, padsize: Any, padval: Any = 0, direction: str = "both") -> np.ndarray:
    """A with padsize[d] elements added to dimension d: a value, or "symmetric", "replicate" or "circular".

    direction  "both" (before and after), "pre" or "post"
    """
    A, sizes = as_array(A), integers("padarray: padsize", padsize)
    if direction not in ("both", "pre", "post"):
        raise ValueError(f"padarray: direction must be 'both', 'pre' or 'post', got {direction!r}")
    if A.dtype.kind not in "biufc":
        raise TypeError(f"padarray: A must be numbers or logicals, got {A.dtype}")
    if isinstance(padval, str) and padval not in PADDING:
        raise ValueError(f"padarray: padval must be a number, {', '.join(map(repr, PADDING))}; got {padval!r}")
    if not sizes or min(sizes) < 0:
        raise ValueError(f"padarray: padsize must be whole numbers from 0, got {padsize!r}")
    A = A[(..., *(None,) * (len(sizes) - A.ndim))]
    sizes += [0] * (A.ndim - len(sizes))
    widths = [(p * (direction != "post"), p * (direction != "pre")) for p in sizes]
    if isinstance(padval, str):
        if not A.size:
            raise ValueError(f"padarray: A must have elements for {padval!r}, got {size_text(A.shape)}")
        return np.pad(A, widths, mode=PADDING[padval])
    value = number("padarray: padval", padval)
    return np.pad(A, widths, constant_values=as_class(np.array(value), A.dtype) if A.dtype.kind in "iu" else value)


def imcrop(image: Any, rect: Any) -> np.ndarray:
    """The pixels that a rectangle [xmin, ymin, width, height] covers, wholly or in part; x and y of pixels are from 1.

    The result has width + 1 columns and height + 1 rows where these are whole numbers, as in MATLAB; what lies outside
    the image is left out.
    """
    A = np.atleast_2d(as_array(image))
    x, y, width, height = numbers("imcrop: rect", rect, "[xmin, ymin, width, height]")
    rows, columns = (
        slice(max(_round(v) - 1, 0), min(_round(v + length), size))
        for v, length, size in ((y, height, A.shape[0]), (x, width, A.shape[1]))
    )
    if width < 0 or height < 0 or rows.start >= rows.stop or columns.start >= columns.stop:
        raise ValueError(f"imcrop: rect must overlap the image of size {A.shape[0]} x {A.shape[1]}, got {list(rect)}")
    return A[rows, columns]


def imrotate(image: Any, angle: float, method: str = "nearest", bbox: str = "loose") -> np.ndarray:
    """The image turned by `angle` degrees against the clock about its centre; pixels from outside are 0.

    method  "nearest", "bilinear" or "bicubic" (Keys, a = -1/2)
    bbox    "loose": as large as the turned image needs, an odd number of rows and columns; "crop": as the image is

    Multiples of 90 degrees are exact. Otherwise pixels are MATLAB's but for those on the rim of the turned image, where
    MATLAB's releases differ in how they blend with the black around it.
    """
    A = matrix("imrotate: image", image)
    if not A.size:
        raise ValueError(f"imrotate: image must have pixels, got {size_text(A.shape)}")
    if text("imrotate: method", method).lower() in ("loose", "crop"):
        method, bbox = "nearest", method
    method = choice("imrotate: method", method, ("nearest", "bilinear", "bicubic"))
    bbox = choice("imrotate: bbox", bbox, ("loose", "crop"))
    angle = number("imrotate: angle", angle, "one finite number", math.isfinite)
    turns, rest = divmod(angle, 90)
    if rest == 0 and (bbox == "loose" or turns % 2 == 0 or A.shape[0] == A.shape[1]):
        return np.rot90(A, int(turns) % 4).copy()
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    high = (np.array(A.shape[:2]) - 1) / 2  # the centre, from which coordinates count
    half = high
    if bbox == "loose":
        corners = [(abs(s * x + c * y), abs(c * x - s * y)) for y, x in ((high[0], high[1]), (-high[0], high[1]))]
        half = np.ceil(np.max(corners, axis=0).round(9) / 2) * 2
    rows, columns = (np.arange(round(2 * h) + 1) - h for h in half)
    y, x = rows[:, None], columns[None]
    at = np.stack([s * x + c * y + high[0], c * x - s * y + high[1]])
    planes = A.reshape(*A.shape[:2], -1)
    turned = np.stack([_sampled(planes[..., k].astype(float), at, method) for k in range(planes.shape[2])], axis=-1)
    turned = turned.reshape(*turned.shape[:2], *A.shape[2:])
    return turned > 0.5 if A.dtype == bool else as_class(turned, A.dtype)


def _sampled(plane: np.ndarray, at: np.ndarray, method: str) -> np.ndarray:
    """Values at (row, column), from 0; beyond the plane 0."""
    if method == "nearest":
        index = np.floor(at.round(9) + 0.5).astype(int)
        known = np.all((index >= 0) & (index < np.array(plane.shape)[:, None, None]), axis=0)
        return np.where(known, plane[tuple(np.where(known, i, 0) for i in index)], 0)
    kernel, reach = (triangle, 1) if method == "bilinear" else (cubic, 2)
    padded, first = np.pad(plane, reach), np.floor(at).astype(int)
    total = np.zeros(at.shape[1:])
    for i in range(1 - reach, reach + 1):
        for j in range(1 - reach, reach + 1):
            weight = kernel(at[0] - (first[0] + i)) * kernel(at[1] - (first[1] + j))
            where = [np.clip(f + k + reach, 0, n - 1) for f, k, n in zip(first, (i, j), padded.shape)]
            total += weight * padded[tuple(where)]
    inside = np.all((at >= -0.5) & (at <= np.array(plane.shape)[:, None, None] - 0.5), axis=0)
    return np.where(inside, total, 0)


def _round(v: float) -> int:
    """Half away from zero."""
    return int(np.trunc(v + np.copysign(0.5, v)))


def _scaled(fn: str, image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    image = as_array(image)
    if image.dtype == bool or image.dtype in (np.float32, np.float64):
        return image.astype(dtype, copy=False)
    if image.dtype in (np.uint8, np.uint16):
        return image.astype(dtype) / dtype.type(np.iinfo(image.dtype).max)
    if image.dtype == np.int16:
        return (image.astype(dtype) + dtype.type(32768)) / dtype.type(65535)
    raise TypeError(f"{fn}: image must be uint8, uint16, int16, logical, single or double, got {image.dtype}")
