"""Batch normalization of float32 arrays: one pass for the moments, one for the result."""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.layout import AHEAD, address, channels_fastest, empty, fill_zeros, scratch
from pyconvnet.backends.cpu.llvm.simd import fload, prefetch, vadd, vfma, vload, vload_part, vstore, vstore_part, vsub
from pyconvnet.threads import parallel_region

SAMPLES, RUN = 256, 64


def bnorm(
    x: np.ndarray, g: np.ndarray, b: np.ndarray, epsilon: float, moments: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(g (x - mean) / sigma + b, moments)."""
    with parallel_region() as threads:
        seen = channels_fastest(x)
        if moments is None:
            moments = _moments(threads, seen, epsilon)
        mean, sigma = moments.T.astype(np.float64)
        slope = g / sigma
        y = empty(seen.shape)
        vectors = _vectors(mean, slope, np.zeros_like(slope), b)
        _combine(threads, address(seen), address(seen), address(y), x.size // g.size, g.size, *map(address, vectors))
    return from_nhwc(y), moments


def bnorm_backward(
    x: np.ndarray, g: np.ndarray, b: np.ndarray, dzdy: np.ndarray, epsilon: float, moments: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dg, db, moments); given moments count as the batch's, as in MatConvNet."""
    with parallel_region() as threads:
        seen, dy = channels_fastest(x), channels_fastest(dzdy)
        if moments is None:
            moments = _moments(threads, seen, epsilon)
        mean, sigma = moments.T.astype(np.float64)
        db, products = _sums(threads, dy, seen, mean)
        dg = products / sigma
        slope = g / sigma
        mass = x.size // g.size
        dx = empty(seen.shape)
        vectors = _vectors(mean, -slope * dg / (mass * sigma), slope, -slope * db / mass)
        _combine(threads, address(seen), address(dy), address(dx), mass, g.size, *map(address, vectors))
    return from_nhwc(dx), dg.astype(np.float32), db.astype(np.float32), moments


def _moments(threads: int, x: np.ndarray, epsilon: float) -> np.ndarray:
    """K x 2: the mean of each channel, and sqrt(variance + epsilon).

    Sums are taken about the mean of a few pixels, so that the variance does not drown in a large mean.
    """
    pixels = x.reshape(-1, x.shape[3])
    some = pixels[:: -(-len(pixels) // SAMPLES)].mean(axis=0, dtype=np.float64).astype(np.float32).astype(np.float64)
    some[~np.isfinite(some)] = 0
    total, squares = _sums(threads, x, x, some, centred=True)
    shift = total / len(pixels)
    variance = np.maximum(squares / len(pixels) - shift * shift, 0)
    return np.stack([some + shift, np.sqrt(variance + epsilon)], axis=1).astype(np.float32)


def _sums(threads: int, a: np.ndarray, x: np.ndarray, mean: np.ndarray, centred: bool = False):
    """Per channel: the sum of a' and of a' (x - mean), where a' is a - mean if `centred`, else a."""
    k = x.shape[3]
    sums = np.zeros((threads, 2, k))
    (m,) = _vectors(mean)
    short = scratch("moments", threads * 2 * -(-k // 16) * 16)
    _products(threads, address(a), address(x), x.size // k, k, address(m), address(short), sums, centred)
    return sums.sum(axis=0)


def _vectors(*values: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(v.ravel(), np.float32) for v in values]


@parallel
def _products(t, threads, a, x, pixels, c, mean, short, sums, centred):
    """Short sums in float32, sums of those in float64."""
    zero = np.float32(0)
    width = -(-c // 16) * 16
    totals = short + 4 * 2 * t * width
    products = totals + 4 * width
    first, last = pixels * t // threads, pixels * (t + 1) // threads
    for start in range(first, last, RUN):
        fill_zeros(totals, 2 * width)
        for q in range(start, min(last, start + RUN)):
            for k in range(0, c, 16):
                part = min(16, c - k)
                here = 4 * (q * c + k)
                prefetch(x + here + 4 * AHEAD)
                if not centred:
                    prefetch(a + here + 4 * AHEAD)
                d = vsub(vload_part(x + here, part, zero), vload_part(mean + 4 * k, part, zero))
                v = d if centred else vload_part(a + here, part, zero)
                vstore(totals + 4 * k, vadd(v, vload(totals + 4 * k)))
                vstore(products + 4 * k, vfma(v, d, vload(products + 4 * k)))
        for k in range(c):
            sums[t, 0, k] += fload(totals + 4 * k)
            sums[t, 1, k] += fload(products + 4 * k)


@parallel
def _combine(t, threads, x, dy, out, pixels, c, mean, of_x, of_dy, constant):
    """out = of_x (x - mean) + of_dy dy + constant, each per channel."""
    zero = np.float32(0)
    for q in range(pixels * t // threads, pixels * (t + 1) // threads):
        for k in range(0, c, 16):
            part = min(16, c - k)
            here = 4 * (q * c + k)
            prefetch(x + here + 4 * AHEAD)
            prefetch(out + here + 4 * AHEAD)
            if dy != x:
                prefetch(dy + here + 4 * AHEAD)
            d = vsub(vload_part(x + here, part, zero), vload_part(mean + 4 * k, part, zero))
            v = vfma(d, vload_part(of_x + 4 * k, part, zero), vload_part(constant + 4 * k, part, zero))
            if dy != x:
                v = vfma(vload_part(dy + here, part, zero), vload_part(of_dy + 4 * k, part, zero), v)
            vstore_part(out + here, v, part)
