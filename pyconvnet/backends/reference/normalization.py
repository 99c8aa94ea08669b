"""Normalizations in numpy: batch, across channels (LRN), spatial."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import from_nhwc, nhwc
from pyconvnet.backends.reference.pool import pool, pool_backward
from pyconvnet.geometry import Window
from pyconvnet.precision import get_precision


def _per_channel(v: np.ndarray) -> np.ndarray:
    return v.reshape(1, 1, -1, 1)


def moments_of(x: np.ndarray, epsilon: float) -> np.ndarray:
    """K x 2: the mean of each channel, and sqrt(variance + epsilon)."""
    real = x.dtype.type
    count = real(x.size // x.shape[2])
    mean = x.sum(axis=(0, 1, 3)) / count
    centred = x - _per_channel(mean)
    variance = np.einsum("ijkn,ijkn->k", centred, centred) / count
    return np.stack([mean, np.sqrt(variance + real(epsilon))], axis=1)


def bnorm(
    x: np.ndarray, g: np.ndarray, b: np.ndarray, epsilon: float, moments: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(g (x - mean) / sigma + b, moments)."""
    if moments is None:
        moments = moments_of(x, epsilon)
    slope = g / moments[:, 1]
    return x * _per_channel(slope) + _per_channel(b - slope * moments[:, 0]), moments


def bnorm_backward(
    x: np.ndarray, g: np.ndarray, b: np.ndarray, dzdy: np.ndarray, epsilon: float, moments: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dg, db, moments); given moments are taken for those of the batch, as MatConvNet does."""
    if moments is None:
        moments = moments_of(x, epsilon)
    mean, sigma = moments.T
    normal = (x - _per_channel(mean)) / _per_channel(sigma)
    db = dzdy.sum(axis=(0, 1, 3))
    dg = np.einsum("ijkn,ijkn->k", dzdy, normal)
    slope = _per_channel(g / sigma)
    mass = x.dtype.type(x.size // x.shape[2])
    return slope * (dzdy - _per_channel(db / mass) - normal * _per_channel(dg / mass)), dg, db, moments


def _window_sums(v: np.ndarray, before: int, after: int) -> np.ndarray:
    """Sums over channels k - before .. k + after, for channels along the last axis."""
    k = v.shape[-1]
    out = np.zeros_like(v)
    for shift in range(-before, after + 1):
        lo, hi = max(0, -shift), min(k, k - shift)
        if lo < hi:
            out[..., lo:hi] += v[..., lo + shift : hi + shift]
    return out


def _power(x: np.ndarray, y: float) -> np.ndarray:
    return x ** x.dtype.type(y) if get_precision() == "high" else fast_power(x, y)


def fast_power(x: np.ndarray, y: float) -> np.ndarray:
    """x ** y for x >= 0 by cubic approximations of log2 and exp2, up to 4e-3 off, as MatConvNet's CPU code computes it.

    NaN for other x, as the exact power, which MatConvNet's GPU code has; its CPU code gives some number there.

    With the exact power LRN would differ from every number MatConvNet printed by as much.
    """
    real: Any
    whole: Any
    real, whole, bits, bias = (
        (np.float32, np.int32, 23, 127) if x.dtype == np.float32 else (np.float64, np.int64, 52, 1023)
    )
    one = whole(bias << bits)
    i = np.ascontiguousarray(x).view(whole) - one
    m = ((i & whole((1 << bits) - 1)) + one).view(real) - real(1)
    log2 = (i >> whole(bits)).astype(real) + m * (
        real(1.442695040888963) + m * (real(-0.606737602222409) + m * real(0.164042561333445))
    )
    t = real(y) * log2
    z = np.floor(t)
    r = t - z
    z += r * (real(0.693147180559945) + r * (real(0.227411277760219) + r * real(0.079441541679836)))
    return np.where(x >= 0, ((z * real(1 << bits)).astype(whole) + one).view(real), real(np.nan))


def lrn(x: np.ndarray, n: int, kappa: float, alpha: float, beta: float) -> np.ndarray:
    """x (kappa + alpha sum of x^2 over n neighbouring channels)^-beta."""
    xs = nhwc(x)
    mass = xs.dtype.type(kappa) + xs.dtype.type(alpha) * _window_sums(xs * xs, (n - 1) // 2, n // 2)
    return from_nhwc(xs * _power(mass, -beta))


def lrn_backward(x: np.ndarray, dzdy: np.ndarray, n: int, kappa: float, alpha: float, beta: float) -> np.ndarray:
    """dzdy L^-beta - 2 alpha beta x sum of dzdy x L^(-beta-1) over the channels whose window holds this one."""
    xs, dy = nhwc(x), nhwc(dzdy)
    real = xs.dtype.type
    mass = real(kappa) + real(alpha) * _window_sums(xs * xs, (n - 1) // 2, n // 2)
    scaled = dy * _power(mass, -beta)
    from_neighbours = _window_sums(scaled * xs / mass, n // 2, (n - 1) // 2)
    return from_nhwc(scaled - real(2 * alpha * beta) * xs * from_neighbours)


def spnorm(x: np.ndarray, window: Window, alpha: float, beta: float) -> np.ndarray:
    """x (1 + alpha mean of x^2 over the window)^-beta."""
    real = x.dtype.type
    return x * (1 + real(alpha) * pool(x * x, window, "avg")) ** real(-beta)


def spnorm_backward(x: np.ndarray, dzdy: np.ndarray, window: Window, alpha: float, beta: float) -> np.ndarray:
    """dzdy f^-beta - 2 alpha beta x avgpool'(dzdy x f^(-beta-1))."""
    real = x.dtype.type
    squares = x * x
    f = 1 + real(alpha) * pool(squares, window, "avg")
    power = f ** real(-beta)
    from_neighbours = pool_backward(squares, window, "avg", dzdy * x * power / f)
    return dzdy * power - real(2 * alpha * beta) * x * from_neighbours
