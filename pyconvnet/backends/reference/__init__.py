"""The kernels in numpy and BLAS: any element type, exact in float64, and the oracle of every other backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyconvnet.backends.base import Backend
from pyconvnet.backends.reference import bilinear as _bilinear
from pyconvnet.backends.reference import conv as _conv
from pyconvnet.backends.reference import normalization as _normalization
from pyconvnet.backends.reference import pool as _pool
from pyconvnet.backends.reference import roipool as _roipool


class Reference(Backend):
    """numpy's: primitives, and kernels as loops over matrix products."""

    name = "numpy"
    floats = (np.dtype(np.float32), np.dtype(np.float64))

    def asarray(self, value: Any, like: np.ndarray) -> np.ndarray:
        return np.asarray(value, like.dtype)

    def to_host(self, x: np.ndarray) -> np.ndarray:
        return x

    def unusable(self, x: np.ndarray) -> str:
        masked = type(x) is not np.ndarray and isinstance(x, np.ma.MaskedArray)
        return "is a masked array, whose mask would be lost: give its filled(0)" if masked else ""

    def plain(self, x: np.ndarray) -> np.ndarray:
        if type(x) is not np.ndarray:
            x = np.asarray(x)
        # compiled kernels count steps in elements: a field of packed records is not so many of them apart
        return x if x.flags.aligned else x.copy(order="K")

    def zeros(self, shape: tuple[int, ...], like: np.ndarray) -> np.ndarray:
        return np.zeros(shape, like.dtype)

    def full(self, shape: tuple[int, ...], value: float, like: np.ndarray) -> np.ndarray:
        return np.full(shape, value, like.dtype)

    def copy(self, x: np.ndarray) -> np.ndarray:
        return np.array(x, order="F")

    def cast(self, x: np.ndarray, like: np.ndarray) -> np.ndarray:
        return x.astype(like.dtype, copy=False)

    def indexes(self, x: np.ndarray) -> np.ndarray:
        return x.astype(np.intp)

    def scalar(self, x: np.ndarray, value: float) -> np.floating:
        # numpy 1.26 and 2 differ in how a Python float meets a 0-d array: a scalar of x's own type settles it.
        return x.dtype.type(value)

    def exp(self, x: np.ndarray) -> np.ndarray:
        return np.exp(x)

    def log(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(x)

    def less_largest(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return super().less_largest(x)

    def abs(self, x: np.ndarray) -> np.ndarray:
        return np.abs(x)

    def power(self, x: np.ndarray, y: float) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.sqrt(x) if y == 0.5 else super().power(x, y)

    def sign(self, x: np.ndarray) -> np.ndarray:
        return np.sign(x)

    def maximum(self, x: np.ndarray, y: Any) -> np.ndarray:
        return np.maximum(x, y)

    def at_least(self, x: np.ndarray, limit: float) -> np.ndarray:
        return np.fmax(x, x.dtype.type(limit))

    def minimum(self, x: np.ndarray, y: Any) -> np.ndarray:
        return np.minimum(x, y)

    def where(self, condition: np.ndarray, x: Any, y: Any) -> np.ndarray:
        return np.where(condition, x, y)

    def sum(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return x.sum(axis=axes, keepdims=True)

    def max(self, x: np.ndarray, axis: int) -> np.ndarray:
        return x.max(axis=axis, keepdims=True)

    def argmax(self, x: np.ndarray, axis: int) -> np.ndarray:
        return x.argmax(axis=axis, keepdims=True)

    def take(self, x: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
        return np.take_along_axis(x, at, axis=axis)

    def put(self, x: np.ndarray, at: np.ndarray, values: np.ndarray, axis: int) -> np.ndarray:
        np.put_along_axis(x, at, values, axis=axis)
        return x

    def concat(self, xs: Sequence[np.ndarray], axis: int) -> np.ndarray:
        return np.concatenate(xs, axis=axis)

    def reshaped(self, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return np.reshape(self.plain(x), shape, order="F")

    def permuted(self, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return x.transpose(axes)

    def isfinite(self, x: np.ndarray) -> bool:
        return bool(np.all(np.isfinite(x)))

    def random(self, shape: tuple[int, ...], like: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return generator.random(shape, dtype=np.float32)

    def bias_gradient(self, dzdy: np.ndarray) -> np.ndarray:
        # numpy sums float32 along leading axes one after another, so in float64 here
        return dzdy.sum(axis=(0, 1, 3), dtype=np.float64).astype(dzdy.dtype)

    # Infinite scores give NaN, which says enough: no warning of numpy's beside it.

    def categorical_loss(self, x: np.ndarray, labels: np.ndarray, loss: str, k: int) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return super().categorical_loss(x, labels, loss, k)

    def categorical_loss_backward(self, x: np.ndarray, labels: np.ndarray, loss: str, k: int) -> np.ndarray | None:
        with np.errstate(invalid="ignore"):
            return super().categorical_loss_backward(x, labels, loss, k)

    # --- more exact in numpy than as composites --------------------------------------------------------------------

    def softplus(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def tanh(self, x: np.ndarray) -> np.ndarray:
        return np.tanh(x)

    def elu(self, x: np.ndarray, alpha: float) -> np.ndarray:
        return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)))

    def swish(self, x: np.ndarray, beta: float) -> np.ndarray:
        return _finite(x) * self._logistic(self._scaled(x, beta))

    def swish_slope(self, x: np.ndarray, beta: float) -> np.ndarray:
        z = self._scaled(x, beta)
        s = self._logistic(z)
        return s + z * s * (1 - s)

    def _scaled(self, x: np.ndarray, beta: float) -> np.ndarray:
        with np.errstate(over="ignore"):
            return _finite(x.dtype.type(beta) * x)

    def moments_of(self, x: np.ndarray, epsilon: float) -> np.ndarray:
        return _normalization.moments_of(x, epsilon)

    def bnorm_backward(
        self,
        x: np.ndarray,
        g: np.ndarray,
        b: np.ndarray,
        dzdy: np.ndarray,
        epsilon: float,
        moments: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return _normalization.bnorm_backward(x, g, b, dzdy, epsilon, moments)

    def affine_grid(self, coefficients: np.ndarray, v: Sequence[float], u: Sequence[float]) -> np.ndarray:
        points = _points(v, u, coefficients.dtype)
        return np.tensordot(points, coefficients, (0, 1)).transpose(2, 0, 1, 3)

    def affine_grid_backward(self, dzdy: np.ndarray, v: Sequence[float], u: Sequence[float]) -> np.ndarray:
        return np.tensordot(_points(v, u, dzdy.dtype), dzdy, ((1, 2), (1, 2))).transpose(1, 0, 2)

    def within(self, x: np.ndarray, at: np.ndarray, k: int) -> np.ndarray:
        # numpy sorts NaN last, MATLAB first
        best = np.argsort(np.where(x == x, -x, -np.inf), axis=2, kind="stable")[:, :, :k]
        return (best == at).any(axis=2, keepdims=True)

    # --- kernels ----------------------------------------------------------------------------------------------------

    conv = staticmethod(_conv.conv)
    conv_backward = staticmethod(_conv.conv_backward)
    convt = staticmethod(_conv.convt)
    convt_backward = staticmethod(_conv.convt_backward)
    pool = staticmethod(_pool.pool)
    pool_backward = staticmethod(_pool.pool_backward)
    bnorm = staticmethod(_normalization.bnorm)
    lrn = staticmethod(_normalization.lrn)
    lrn_backward = staticmethod(_normalization.lrn_backward)
    spnorm = staticmethod(_normalization.spnorm)
    spnorm_backward = staticmethod(_normalization.spnorm_backward)
    bilinear = staticmethod(_bilinear.bilinear)
    bilinear_backward = staticmethod(_bilinear.bilinear_backward)
    roipool = staticmethod(_roipool.roipool)
    roipool_backward = staticmethod(_roipool.roipool_backward)


def _finite(x: np.ndarray) -> np.ndarray:
    """Infinities become the largest number, as infinity times zero is not a number; NaN stays."""
    limits = np.finfo(x.dtype)
    return np.clip(x, limits.min, limits.max)


def _points(v: Sequence[float], u: Sequence[float], dtype: np.dtype) -> np.ndarray:
    """3 x len(v) x len(u): (v, u, 1) of every point."""
    out = np.ones((3, len(v), len(u)), dtype)
    out[0] = np.reshape(v, (-1, 1))
    out[1] = u
    return out
