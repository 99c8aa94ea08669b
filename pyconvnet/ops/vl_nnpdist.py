"""vl_nnpdist: p-distance to a target."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet.arrays import as_tensor, is_empty, size_text
from pyconvnet.ops.vl_nnconv import check_derivative
from pyconvnet.options import matlab_options


@matlab_options()
def vl_nnpdist(
    x: np.ndarray,
    x0: np.ndarray,
    p: Any,
    dzdy: np.ndarray | None = None,
    *,
    noRoot: Any = False,
    epsilon: Any = 1e-6,
    aggregate: Any = False,
    instanceWeights: np.ndarray | None = None,
) -> Any:
    """Distance of the channels of x to those of x0, at every pixel.

    vl_nnpdist(x, x0, p) -> y                       x: H x W x C x N     x0 like x, or of size 1 in a dimension
    vl_nnpdist(x, x0, p, dzdy) -> (dzdx, dzdx0)     y, dzdy: H x W x 1 x N

    y = (sum over channels of |x - x0|^p)^(1/p)

    x0 may be a vector: N numbers, one for each image, where C is 1, or C numbers where N is 1. x0 and instanceWeights
    are taken in the precision of x.

    noRoot           leave the power 1/p out
    aggregate        sum over all pixels and images: y and dzdy are 1 x 1 x 1 x 1
    instanceWeights  factors of y, of its size or 1 in a dimension
    epsilon          1e-6; what the derivative divides by is not less
    A target that is NaN does not count (no distance, no derivative).

    Raises TypeError for x or dzdy that are not float32 or float64, or mixed; ValueError for shapes that do not fit.
    Source: MatConvNet, vl_nnpdist.

    >>> x = np.array([3.0, 4.0]).reshape(1, 1, 2, 1)
    >>> vl_nnpdist(x, np.zeros_like(x), 2).item()
    5.0
    """
    x = as_tensor("vl_nnpdist", "x", x)
    given = _numbers("x0", x0, x.dtype)
    x0 = _fitting("x0", given, x.shape)
    power, eps = _number("p", p), _number("epsilon", epsilon)
    if power <= 0:
        raise ValueError(f"vl_nnpdist: p takes a number above 0, got {power:g}")
    root, total = not _flag("noRoot", noRoot), _flag("aggregate", aggregate)
    real = x.dtype.type
    d = x - np.nan_to_num(x0, nan=0.0, posinf=np.inf, neginf=-np.inf)
    d[np.broadcast_to(np.isnan(x0), d.shape)] = 0
    size = np.abs(d)
    shape = (*x.shape[:2], 1, x.shape[3])
    if is_empty(instanceWeights):
        weights = None
    else:
        weights = _fitting("instanceWeights", _numbers("instanceWeights", instanceWeights, x.dtype), shape)
    mass = (size if power == 1 else size * size if power == 2 else size ** real(power)).sum(axis=2, keepdims=True)
    if is_empty(dzdy):
        y = mass ** real(1 / power) if root and power != 1 else mass
        if weights is not None:
            y = y * weights
        return y.sum(axis=(0, 1, 3), keepdims=True) if total else y

    dzdy = check_derivative("vl_nnpdist", dzdy, x, (1, 1, 1, 1) if total else shape)
    if weights is not None:
        dzdy = dzdy * weights
    if power == 1:
        dx = dzdy * np.sign(d)
    else:
        if power == 2:
            slope = d
        elif power < 1:
            slope = np.maximum(size, real(eps)) ** real(power - 1) * np.sign(d)
        else:
            slope = size ** real(power - 1) * np.sign(d)
        if root:
            at_least = mass if power < 1 else np.maximum(mass, real(eps))
            dx = dzdy * at_least ** real((1 - power) / power) * slope
        else:
            dx = real(power) * dzdy * slope
    axes = tuple(i for i in range(4) if x0.shape[i] == 1 < x.shape[i])
    return dx, -(dx.sum(axis=axes, keepdims=True) if axes else dx).reshape(given.shape)


def _numbers(name: str, a: Any, dtype: np.dtype) -> np.ndarray:
    """Any numbers as a tensor in the precision of x, which is what MATLAB's arithmetic gives."""
    found = np.asarray(a)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"vl_nnpdist: {name} takes numbers, got {type(a).__name__} of {found.dtype}")
    return as_tensor("vl_nnpdist", name, found.astype(dtype, copy=False))


def _fitting(name: str, a: np.ndarray, full: tuple[int, ...]) -> np.ndarray:
    """`a`, which has the size `full` or 1 in a dimension, or is a vector that can stand for one such array only."""
    if all(s in (1, t) for s, t in zip(a.shape, full)):
        return a
    for shape in (full, (1, 1, *full[2:])):
        if max(a.shape) == a.size == math.prod(shape) == max(shape):
            return a.reshape(shape)
    raise ValueError(f"vl_nnpdist: {name} is {size_text(a.shape)}; it takes {size_text(full)}, or 1 in a dimension")


def _number(name: str, value: Any) -> float:
    a = np.asarray(value)
    if a.size != 1 or a.dtype.kind not in "iuf":
        raise ValueError(f"vl_nnpdist: {name} takes one number, got {value!r}")
    return float(a.item())


def _flag(name: str, value: Any) -> bool:
    a = np.asarray(value)
    if a.size != 1 or a.dtype.kind not in "biuf":
        raise ValueError(f"vl_nnpdist: {name} takes True or False, got {value!r}")
    return bool(a.item())
