"""Images and their element types."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import size_text
from pyconvnet.compat.imresize import as_class

__all__ = [
    "im2double",
    "im2single",
    "im2uint8",
    "mat2gray",
    "padarray",
    "rgb2gray",
]

# The first row of the inverse of the NTSC matrix (RGB to YIQ), to which MATLAB's 0.2989, 0.5870, 0.1140 are rounded.
LUMA = np.linalg.inv([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])[0]
PADDING: dict[str, Any] = {"symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}


def im2double(image: np.ndarray) -> np.ndarray:
    """uint8 / 255, uint16 / 65535, (int16 + 32768) / 65535, logical as 0 and 1, single and double as they are."""
    return _scaled("im2double", image, np.dtype(np.float64))


def im2single(image: np.ndarray) -> np.ndarray:
    """As im2double, in single precision."""
    return _scaled("im2single", image, np.dtype(np.float32))


def im2uint8(image: np.ndarray) -> np.ndarray:
    """Single and double from 0..1 to 0..255, rounded and clipped; uint16 and int16 / 257, rounded; logical 0, 255."""
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    return as_class(im2double(image) * 255, np.dtype(np.uint8))


def mat2gray(A: np.ndarray, limits: Any = None) -> np.ndarray:
    """(A - low) / (high - low) in double precision, clipped to 0..1; low and high are A's own unless given."""
    A = np.asarray(A, np.float64)
    low, high = (A.min(), A.max()) if limits is None else np.ravel(limits)
    return np.clip(A if high == low else (A - low) / (high - low), 0, 1)


def rgb2gray(image: np.ndarray) -> np.ndarray:
    """H x W x 3 -> H x W: 0.298936 R + 0.587043 G + 0.114021 B; integers are rounded, the element type is kept."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"rgb2gray: takes an image of size H x W x 3, got {size_text(image.shape)}")
    if image.dtype.kind not in "uf":
        raise TypeError(f"rgb2gray: takes uint8, uint16, single or double, got {image.dtype}")
    return as_class(image.astype(np.float64) @ LUMA, image.dtype)


def padarray(A: np.ndarray, padsize: Any, padval: Any = 0, direction: str = "both") -> np.ndarray:
    """A with padsize[d] elements added to dimension d: a value, or "symmetric", "replicate" or "circular".

    direction  "both" (before and after), "pre" or "post"
    """
    A, sizes = np.asarray(A), [int(p) for p in np.ravel(padsize)]
    if direction not in ("both", "pre", "post"):
        raise ValueError(f"padarray: direction takes 'both', 'pre' or 'post', got {direction!r}")
    if isinstance(padval, str) and padval not in PADDING:
        raise ValueError(f"padarray: takes a number, {', '.join(map(repr, PADDING))}; got {padval!r}")
    if min(sizes, default=0) < 0:
        raise ValueError(f"padarray: padsize takes whole numbers from 0, got {padsize!r}")
    A = A[(..., *(None,) * (len(sizes) - A.ndim))]
    sizes += [0] * (A.ndim - len(sizes))
    widths = [(p * (direction != "post"), p * (direction != "pre")) for p in sizes]
    if isinstance(padval, str):
        return np.pad(A, widths, mode=PADDING[padval])
    return np.pad(A, widths, constant_values=padval)


def _scaled(fn: str, image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype == bool or image.dtype in (np.float32, np.float64):
        return image.astype(dtype, copy=False)
    if image.dtype in (np.uint8, np.uint16):
        return image.astype(dtype) / dtype.type(np.iinfo(image.dtype).max)
    if image.dtype == np.int16:
        return (image.astype(dtype) + dtype.type(32768)) / dtype.type(65535)
    raise TypeError(f"{fn}: takes uint8, uint16, int16, logical, single or double, got {image.dtype}")
