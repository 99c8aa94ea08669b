"""Colours and brightness: rgb2gray, rgb2ycbcr, ycbcr2rgb, rgb2hsv, imadjust, mat2gray."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import size_text
from pyconvnet.compat.imresize import as_class
from pyconvnet.compat.matlab.conventions import floats
from pyconvnet.compat.matlab.images import from_double, im2double
from pyconvnet.values import as_array, numbers

__all__ = ["imadjust", "mat2gray", "rgb2gray", "rgb2hsv", "rgb2ycbcr", "ycbcr2rgb"]

# The first row of the inverse of the NTSC matrix (RGB to YIQ), to which MATLAB's 0.2989, 0.5870, 0.1140 are rounded.
LUMA = np.linalg.inv([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])[0]
# ITU-R BT.601: RGB in 0..1 to Y in 16..235, Cb and Cr in 16..240
_YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
_OFFSET = np.array([16.0, 128.0, 128.0])


def mat2gray(A: np.ndarray, limits: Any = None) -> np.ndarray:
    """(A - low) / (high - low) in double precision, clipped to 0..1; low and high are A's own unless given."""
    A = floats("mat2gray: A", A)
    own = (A.min(initial=np.inf), A.max(initial=-np.inf))
    low, high = own if limits is None else numbers("mat2gray: limits", limits, "[low, high]")
    return np.clip(A if high == low else (A - low) / (high - low), 0, 1)


def rgb2gray(image: np.ndarray) -> np.ndarray:
    """H x W x 3 -> H x W: 0.298936 R + 0.587043 G + 0.114021 B; integers are rounded, the element type is kept."""
    image = as_array(image)
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"rgb2gray: image must be of size H x W x 3, got {size_text(image.shape)}")
    if image.dtype.kind not in "uf":
        raise TypeError(f"rgb2gray: image must be uint8, uint16, single or double, got {image.dtype}")
    return as_class(image.astype(np.float64) @ LUMA, image.dtype)


def rgb2ycbcr(RGB: Any) -> np.ndarray:
    """Red, green, blue to luma and two differences of colour (ITU-R BT.601), of the element type that comes.

    H x W x 3, or n x 3 colours: uint8 to 16..235 and 16..240, uint16 to 257 times that, single and double in 0..1 to
    that divided by 255.

    >>> rgb2ycbcr(np.array([[[255, 0, 0]]], np.uint8)).tolist()
    [[[81, 90, 240]]]
    """
    x, top = _colours("rgb2ycbcr: RGB", RGB)
    scale = 1 / 255 if x.dtype.kind == "f" else top / 255
    return as_class(x.astype(np.float64) / top @ (_YCBCR.T * scale) + _OFFSET * scale, x.dtype)


def ycbcr2rgb(YCBCR: Any) -> np.ndarray:
    """Back from rgb2ycbcr, clipped to the range of the element type."""
    x, top = _colours("ycbcr2rgb: YCBCR", YCBCR)
    scale = 1 / 255 if x.dtype.kind == "f" else top / 255
    rgb = (x.astype(np.float64) / scale - _OFFSET) @ np.linalg.inv(_YCBCR).T
    return as_class(np.clip(rgb, 0, 1) * top, x.dtype)


def rgb2hsv(RGB: Any) -> np.ndarray:
    """Red, green, blue to hue, saturation and value, all in 0..1: H x W x 3, or n x 3 colours; integers become double.

    >>> rgb2hsv([[0, 1, 0]]).round(4).tolist()
    [[0.3333, 1.0, 1.0]]
    """
    x, _ = _colours("rgb2hsv: RGB", RGB)
    c = x if x.dtype == np.float32 else im2double(x)
    value, least = c.max(axis=-1), c.min(axis=-1)
    span = value - least
    r, g, b = (c[..., i] for i in range(3))
    safe = np.where(span == 0, 1, span)
    sectors = [(g - b) / safe, 2 + (b - r) / safe, 4 + (r - g) / safe]
    hue = np.select([value == b, value == g, value == r], sectors[::-1]) / 6
    hue = np.where(span == 0, 0, np.where(hue < 0, hue + 1, hue))
    saturation = np.where(value == 0, 0, span / np.where(value == 0, 1, value))
    return np.stack([hue, saturation, value], axis=-1).astype(c.dtype)


def imadjust(image: Any, inside: Any = None, outside: Any = (0, 1), gamma: Any = 1) -> np.ndarray:
    """Brightness spread from [low, high] to [bottom, top], with a curve of exponent gamma.

    imadjust(I)                                         1 % of the pixels become darkest, 1 % brightest
    imadjust(I, [low, high], [bottom, top], gamma)      values outside of low..high are clipped; [] means [0, 1]

    I is H x W, or H x W x 3, whose channels are treated alike unless the limits are 2 x 3; the limits are in 0..1 for
    every element type, which is kept.
    """
    x = as_array(image)
    if x.dtype not in (np.uint8, np.uint16, np.int16, np.float32, np.float64):
        raise TypeError(f"imadjust: image must be uint8, uint16, int16, single or double, got {x.dtype}")
    if x.ndim not in (2, 3) or not x.size or np.isnan(x).any():
        raise ValueError(f"imadjust: image must be H x W or H x W x 3 without NaN, got {size_text(x.shape)}")
    channels = x.shape[2] if x.ndim == 3 else 1
    values = im2double(x).reshape(*x.shape[:2], channels)
    if inside is None:
        limits = np.stack([_stretch(values[..., k], x.dtype) for k in range(channels)], axis=1)
    else:
        limits = _limits("low, high", inside, channels)
    bounds, curve = _limits("bottom, top", outside, channels), _exponents(gamma, channels)
    (low, high), (bottom, top) = limits, bounds
    if np.any(low >= high):
        raise ValueError(f"imadjust: low must be below high, got {np.asarray(inside).tolist()}")
    y = ((np.clip(values, low, high) - low) / (high - low)) ** curve * (top - bottom) + bottom
    return from_double(y.reshape(x.shape), x.dtype)


def _limits(name: str, given: Any, channels: int) -> np.ndarray:
    a = floats(f"imadjust: [{name}]", given)
    a = a if a.size else np.array([0.0, 1.0])
    a = a.reshape(2, -1) if a.size == 2 else a
    if a.shape not in ((2, 1), (2, channels)) or not np.all((a >= 0) & (a <= 1)):
        raise ValueError(f"imadjust: [{name}] must be in 0..1, 2 or 2 x {channels} of them, got {a.tolist()}")
    return np.broadcast_to(a, (2, channels))


def _exponents(gamma: Any, channels: int) -> np.ndarray:
    a = floats("imadjust: gamma", gamma).ravel()
    if a.size not in (1, channels) or not np.all(a >= 0):
        raise ValueError(f"imadjust: gamma must be a number from 0 up, or {channels} of them, got {gamma!r}")
    return np.broadcast_to(a, (channels,))


def _stretch(channel: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The limits between which 98 % of the pixels lie (stretchlim)."""
    bins = 65536 if dtype in (np.uint16, np.int16) else 256
    index = np.floor(np.clip(channel, 0, 1) * (bins - 1) + 0.5).astype(int)
    share = np.cumsum(np.bincount(index.ravel(), minlength=bins)) / index.size
    low, high = np.argmax(share > 0.01), np.argmax(share >= 0.99)
    return np.array([0.0, 1.0]) if low == high else np.array([low, high]) / (bins - 1)


def _colours(name: str, given: Any) -> tuple[np.ndarray, float]:
    """Colours along the last axis, and what stands for 1."""
    x = given if isinstance(given, np.ndarray) else floats(name, given)
    if x.ndim not in (2, 3) or x.shape[-1] != 3:
        raise ValueError(f"{name} must be of size H x W x 3 or n x 3, got {size_text(x.shape)}")
    if x.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise TypeError(f"{name} must be uint8, uint16, single or double, got {x.dtype}")
    return x, float(np.iinfo(x.dtype).max) if x.dtype.kind == "u" else 1.0
