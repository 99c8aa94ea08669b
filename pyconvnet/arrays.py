"""The one gate to 4-D float arrays, and the memory orders of a H x W x C x N array."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def is_empty(x: Any) -> bool:
    """MATLAB's []: None, or an array or list without elements."""
    return x is None or (isinstance(x, (list, tuple)) and not x) or (isinstance(x, np.ndarray) and x.size == 0)


def as_tensor(fn: str, name: str, x: Any, like: np.ndarray | None = None) -> np.ndarray:
    """`x` as a float32 or float64 array of four dimensions; missing trailing ones count as 1, nothing is copied.

    like  an array whose element type `x` must share (MATLAB mixes no single with double)
    """
    if not isinstance(x, np.ndarray):
        if isinstance(x, np.generic) and x.dtype in FLOATS:
            x = np.asarray(x)
        else:
            raise TypeError(f"{fn}: {name} takes a float32 or float64 array, got {type(x).__name__}")
    if x.dtype not in FLOATS:
        raise TypeError(f"{fn}: {name} takes float32 or float64, got {x.dtype}: convert it first")
    if like is not None and x.dtype != like.dtype:
        raise TypeError(f"{fn}: {name} is {x.dtype} where the other arrays are {like.dtype}; all must be the same")
    if x.ndim == 4:
        return x
    if x.ndim > 4:
        if any(d != 1 for d in x.shape[4:]):
            raise ValueError(f"{fn}: {name} takes H x W x C x N, at most 4 dimensions, got {size_text(x.shape)}")
        return x.reshape(x.shape[:4])
    return x[(...,) + (None,) * (4 - x.ndim)]


def derivative_like(fn: str, name: str, d: Any, y: Any, output: str = "the output") -> np.ndarray:
    """The derivative that a caller gives for an output `y` of a network, in its size and precision.

    A number stands for an output of one element; trailing dimensions of 1 may be missing.
    Raises TypeError for what holds no numbers and for a number in place of an array, ValueError for another size.
    """
    y = np.asarray(y)
    try:
        given = np.asarray(d)
    except ValueError:  # a list of lists of different lengths
        given = np.asarray(None)
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{fn}: {name} takes numbers, got {type(d).__name__} ({given.dtype})")
    given = given.astype(y.dtype if y.dtype.kind == "f" else float, copy=False)
    if given.size == y.size == 1:
        return given.reshape(y.shape)
    if not given.ndim:
        raise TypeError(
            f"{fn}: {name} takes an array of its size {size_text(y.shape)}, got {type(d).__name__}; a number weighs an "
            "output of one element only"
        )
    if given.shape + (1,) * (y.ndim - given.ndim) != y.shape + (1,) * (given.ndim - y.ndim):
        raise ValueError(
            f"{fn}: {name} is {size_text(given.shape)} where {output} is {size_text(y.shape)}; both must be the same"
        )
    return given.reshape(y.shape)


def nhwc(x: np.ndarray) -> np.ndarray:
    """The same values as a C-contiguous N x H x W x C array (channels fastest); copies only if they lie otherwise."""
    return np.ascontiguousarray(x.transpose(3, 0, 1, 2))


def from_nhwc(y: np.ndarray) -> np.ndarray:
    """N x H x W x C memory seen as H x W x C x N; copies nothing."""
    return y.transpose(1, 2, 3, 0)


def size_text(shape: Iterable[float], text: Callable[[float], str] = str) -> str:
    """(6, 6, 20, 4) -> '6x6x20x4', for messages; `text` writes one number."""
    return "x".join(map(text, shape))
