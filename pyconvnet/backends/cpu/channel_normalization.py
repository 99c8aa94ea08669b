"""Local response normalization of float32 arrays: across channels (LRN), and across space."""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu.compiled import inner, parallel
from pyconvnet.backends.cpu.layout import address, channels_fastest, empty, empty_like, fill_zeros, scratch
from pyconvnet.backends.cpu.llvm.simd import vadd, vdiv, vfma, vload, vload_part, vmul, vset1, vstore, vstore_part, vsub
from pyconvnet.backends.cpu.pooling import pool, pool_backward
from pyconvnet.backends.cpu.vmath import vfast_power, vpower
from pyconvnet.geometry import Window
from pyconvnet.precision import get_precision
from pyconvnet.threads import parallel_region


def _sizes(x: np.ndarray, n: int, threads: int) -> tuple[tuple[int, int, int, int, int], int]:
    """Sizes for `_lrn`, and the address of its rows.

    They are pixels, channels, how many channels before and after one its window of n holds, of those that there can be,
    and the zeros on either side of a row.
    """
    c = x.shape[2]
    before, after = min((n - 1) // 2, c - 1), min(n // 2, c - 1)
    zeros = (before + after + 31) // 16 * 16
    row = -(-c // 16) * 16 + 2 * zeros
    return (x.size // c, c, before, after, zeros), address(scratch("channels", threads * 2 * row))


def lrn(x: np.ndarray, n: int, kappa: float, alpha: float, beta: float) -> np.ndarray:
    """x (kappa + alpha sum of x^2 over n neighbouring channels)^-beta."""
    with parallel_region() as threads:
        seen = channels_fastest(x)
        y = empty(seen.shape)
        reals = np.array([kappa, alpha, beta], np.float32)
        sizes, space = _sizes(x, n, threads)
        exact = get_precision() == "high"
        _lrn(threads, address(seen), address(seen), address(y), space, *sizes, *reals, False, exact)
    return from_nhwc(y)


def lrn_backward(x: np.ndarray, dzdy: np.ndarray, n: int, kappa: float, alpha: float, beta: float) -> np.ndarray:
    """dzdy L^-beta - 2 alpha beta x sum of dzdy x L^(-beta-1) over the channels whose window holds this one."""
    with parallel_region() as threads:
        seen, dy = channels_fastest(x), channels_fastest(dzdy)
        dx = empty(seen.shape)
        reals = np.array([kappa, alpha, beta], np.float32)
        sizes, space = _sizes(x, n, threads)
        exact = get_precision() == "high"
        _lrn(threads, address(seen), address(dy), address(dx), space, *sizes, *reals, True, exact)
    return from_nhwc(dx)


def spnorm(x: np.ndarray, window: Window, alpha: float, beta: float) -> np.ndarray:
    """x (1 + alpha mean of x^2 over the window)^-beta."""
    with parallel_region() as threads:
        x = from_nhwc(channels_fastest(x))
        y = empty_like(x)
        mean = pool(x * x, window, "avg")
        _spatial(threads, address(x), address(mean), address(y), x.size, np.float32(alpha), np.float32(beta))
    return y


def spnorm_backward(x: np.ndarray, dzdy: np.ndarray, window: Window, alpha: float, beta: float) -> np.ndarray:
    """dzdy f^-beta - 2 alpha beta x avgpool'(dzdy x f^(-beta-1))."""
    real = np.float32
    with parallel_region() as threads:
        x, dzdy = (from_nhwc(channels_fastest(a)) for a in (x, dzdy))
        squares = x * x
        mean = pool(squares, window, "avg")
        direct, inner = empty_like(x), empty_like(x)
        _spatial(threads, address(dzdy), address(mean), address(direct), x.size, real(alpha), real(beta))
        _spatial(threads, address(dzdy), address(mean), address(inner), x.size, real(alpha), real(beta + 1))
        inner *= x
        from_neighbours = pool_backward(squares, window, "avg", inner)
    from_neighbours *= x
    from_neighbours *= real(-2 * alpha * beta)
    from_neighbours += direct
    return from_neighbours


@parallel
def _spatial(t, threads, x, mean, y, count, alpha, beta):
    """y = x (1 + alpha mean)^-beta, element by element."""
    one, zero = vset1(np.float32(1)), np.float32(0)
    vectors = -(-count // 16)
    for i in range(16 * (vectors * t // threads), min(count, 16 * (vectors * (t + 1) // threads)), 16):
        part = min(16, count - i)
        f = vfma(vload_part(mean + 4 * i, part, zero), vset1(alpha), one)
        vstore_part(y + 4 * i, vmul(vload_part(x + 4 * i, part, zero), vpower(f, vset1(-beta))), part)


@inner
def _window_sums(squares, k, before, after):
    """Sums over channels k - before .. k + after, of a row that has zeros around it."""
    total = vset1(np.float32(0))
    for d in range(-before, after + 1):
        total = vadd(total, vload(squares + 4 * (k + d)))
    return total


@parallel
def _lrn(t, threads, x, dy, out, rows, pixels, c, before, after, zeros, kappa, alpha, beta, backward, exact):
    zero = np.float32(0)
    row = -(-c // 16) * 16 + 2 * zeros
    offset, rate = vset1(kappa), vset1(alpha)
    squares = rows + 4 * (2 * t * row + zeros)
    inner = squares + 4 * row
    fill_zeros(squares - 4 * zeros, 2 * row)
    for q in range(pixels * t // threads, pixels * (t + 1) // threads):
        here = 4 * q * c
        for k in range(0, c, 16):
            v = vload_part(x + here + 4 * k, min(16, c - k), zero)
            vstore(squares + 4 * k, vmul(v, v))
        for k in range(0, c, 16):
            part = min(16, c - k)
            mass = vfma(_window_sums(squares, k, before, after), rate, offset)
            power = vpower(mass, vset1(-beta)) if exact else vfast_power(mass, -beta)
            v = vload_part(dy + here + 4 * k, part, zero)
            direct = vmul(v, power)
            vstore_part(out + here + 4 * k, direct, part)
            if backward:
                seen = vload_part(x + here + 4 * k, part, zero)
                vstore_part(inner + 4 * k, vdiv(vmul(direct, seen), mass), part)
        if backward:
            scale = vset1(np.float32(2) * alpha * beta)
            for k in range(0, c, 16):
                part = min(16, c - k)
                from_neighbours = _window_sums(inner, k, after, before)
                seen = vload_part(x + here + 4 * k, part, zero)
                direct = vload_part(out + here + 4 * k, part, zero)
                vstore_part(out + here + 4 * k, vsub(direct, vmul(scale, vmul(seen, from_neighbours))), part)
