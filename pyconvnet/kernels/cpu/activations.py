"""ReLU, sigmoid and softmax of float32 arrays. The first two work in whatever memory order x has."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from pyconvnet.arrays import from_nhwc
from pyconvnet.kernels.cpu.compiled import jit
from pyconvnet.kernels.cpu.elementary import vexp
from pyconvnet.kernels.cpu.layout import AHEAD, address, channels_fastest, empty, empty_like
from pyconvnet.kernels.cpu.llvm.simd import (
    call_for,
    finish_streams,
    vabs,
    vadd,
    vdiv,
    vif_greater,
    vlargest,
    vlargest_across,
    vload_part,
    vmul,
    vset1,
    vstore_part,
    vstream,
    vsub,
    vsum_across,
)
from pyconvnet.threads import team

# Results of so many floats leave the caches anyway, so a rectifier writes past them (a sigmoid is slower that way).
FAR = 1 << 22


def relu(x: np.ndarray, leak: float) -> np.ndarray:
    """max(x, 0) + leak min(x, 0)."""
    return _forward(x, _rectify, np.float32(leak))


def relu_backward(x: np.ndarray, dzdy: np.ndarray, leak: float) -> np.ndarray:
    """dzdy where x > 0, leak dzdy elsewhere."""
    return _backward(x, dzdy, _rectify, np.float32(leak))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return _forward(x, _sigmoid)


def sigmoid_backward(x: np.ndarray, dzdy: np.ndarray) -> np.ndarray:
    """dzdy y (1 - y)."""
    return _backward(x, dzdy, _sigmoid)


def softmax(x: np.ndarray) -> np.ndarray:
    """exp(x) over its sum across channels; the largest value of each pixel is taken off first, against overflow."""
    with team() as threads:
        seen = channels_fastest(x)
        y = empty(seen.shape)
        _softmax(threads, address(seen), address(y), x.size // x.shape[2], x.shape[2])
    return from_nhwc(y)


def softmax_backward(x: np.ndarray, dzdy: np.ndarray) -> np.ndarray:
    """y (dzdy - sum of dzdy y across channels)."""
    with team() as threads:
        seen, dy = channels_fastest(x), channels_fastest(dzdy)
        dx = empty(seen.shape)
        pixels = x.size // x.shape[2]
        _softmax(threads, address(seen), address(dx), pixels, x.shape[2])
        _softmax_backward(threads, address(dy), address(dx), pixels, x.shape[2])
    return from_nhwc(dx)


def _dense(x: np.ndarray) -> bool:
    """Whether the elements fill their memory, in any order of the axes."""
    return x.transpose(np.argsort(x.strides)[::-1]).flags.c_contiguous


def _forward(x: np.ndarray, kernel: Callable, *options: np.float32) -> np.ndarray:
    with team() as threads:
        seen = x if _dense(x) else from_nhwc(channels_fastest(x))
        y = empty_like(seen)
        kernel(threads, address(seen), 0, address(y), x.size, *options)
    return y


def _backward(x: np.ndarray, dzdy: np.ndarray, kernel: Callable, *options: np.float32) -> np.ndarray:
    with team() as threads:
        same = x.strides == dzdy.strides and _dense(x)
        seen, dy = (x, dzdy) if same else (from_nhwc(channels_fastest(a)) for a in (x, dzdy))
        dx = empty_like(seen)
        kernel(threads, address(seen), address(dy), address(dx), x.size, *options)
    return dx


def total(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x + y, of one shape, in memory that results share."""
    x = x if _dense(x) else from_nhwc(channels_fastest(x))
    return np.add(x, y, out=empty_like(x))


def add_to(y: np.ndarray, x: np.ndarray, relu: bool) -> None:
    """y becomes y + x, or max(y + x, 0); both contiguous."""
    with team() as threads:
        _add_to(threads, address(y), address(x), y.size, relu)


@jit()
def _logistic(x, other):
    """(of x, of the other), by exp of negative numbers only, with one division for both, which take long."""
    one, zero = vset1(np.float32(1)), vset1(np.float32(0))
    e, f = vexp(vsub(zero, vabs(x))), vexp(vsub(zero, vabs(other)))
    below, under = vadd(one, e), vadd(one, f)
    # not a number stays what it is, and where it is
    below, under = vif_greater(below, zero, below, one), vif_greater(under, zero, under, one)
    both = vdiv(one, vmul(below, under))
    e, f = vif_greater(x, zero, one, e), vif_greater(other, zero, one, f)
    return vmul(e, vmul(both, under)), vmul(f, vmul(both, below))


@jit(parallel=True)
def _add_to(threads, y, x, count, relu):
    zero, vectors = np.float32(0), -(-count // 16)
    for t in numba.prange(threads):
        for i in range(16 * (vectors * t // threads), min(count, 16 * (vectors * (t + 1) // threads)), 16):
            part = min(16, count - i)
            v = vadd(vload_part(y + 4 * i, part, zero), vload_part(x + 4 * i, part, zero))
            vstore_part(y + 4 * i, vlargest(v, vset1(zero)) if relu else v, part)


@jit(parallel=True)
def _rectify(threads, x, dy, y, count, leak):
    """y, of x; or, where dy is not 0, the derivatives."""
    zero, slope = vset1(np.float32(0)), vset1(leak)
    vectors = -(-count // 16)
    far = count >= FAR and y % 64 == 0
    for t in numba.prange(threads):
        for i in range(16 * (vectors * t // threads), min(count, 16 * (vectors * (t + 1) // threads)), 16):
            part = min(16, count - i)
            v = vload_part(x + 4 * i, part, np.float32(0))
            if dy != 0:
                d = vload_part(dy + 4 * i, part, np.float32(0))
                v = vif_greater(v, zero, d, vmul(d, slope))
            elif leak == 0:
                v = vlargest(v, zero)
            else:
                v = vif_greater(v, zero, v, vmul(v, slope))
            if far and part == 16:
                vstream(y + 4 * i, v)
            else:
                vstore_part(y + 4 * i, v, part)
        finish_streams()


@jit(parallel=True)
def _sigmoid(threads, x, dy, y, count):
    """Like `_rectify`."""
    pairs = -(-count // 32)
    for t in numba.prange(threads):
        for i in range(32 * (pairs * t // threads), min(count, 32 * (pairs * (t + 1) // threads)), 32):
            for line in range(2):
                ahead = 4 * (i + AHEAD + 16 * line)
                call_for(x + ahead)
                call_for(y + ahead)
                if dy != 0:
                    call_for(dy + ahead)
            part, rest = min(16, count - i), max(0, min(16, count - i - 16))
            u = vload_part(x + 4 * i, part, np.float32(0))
            v = vload_part(x + 4 * i + 64, rest, np.float32(0))
            u, v = _logistic(u, v)
            if dy != 0:
                u = _times_slope(vload_part(dy + 4 * i, part, np.float32(0)), u)
                v = _times_slope(vload_part(dy + 4 * i + 64, rest, np.float32(0)), v)
            vstore_part(y + 4 * i, u, part)
            vstore_part(y + 4 * i + 64, v, rest)


@jit()
def _times_slope(d, y):
    return vmul(d, vmul(y, vsub(vset1(np.float32(1)), y)))


@jit(parallel=True)
def _softmax(threads, x, y, pixels, c):
    lowest = np.float32(-np.inf)
    for t in numba.prange(threads):
        for q in range(pixels * t // threads, pixels * (t + 1) // threads):
            source, target = x + 4 * q * c, y + 4 * q * c
            largest = vset1(lowest)
            for k in range(0, c, 16):
                largest = vlargest(vload_part(source + 4 * k, min(16, c - k), lowest), largest)
            top = vset1(vlargest_across(largest))
            total = vset1(np.float32(0))
            for k in range(0, c, 16):
                part = min(16, c - k)
                e = vexp(vsub(vload_part(source + 4 * k, part, lowest), top))
                vstore_part(target + 4 * k, e, part)
                total = vadd(total, e)
            scale = vset1(np.float32(1) / vsum_across(total))
            for k in range(0, c, 16):
                part = min(16, c - k)
                vstore_part(target + 4 * k, vmul(vload_part(target + 4 * k, part, np.float32(0)), scale), part)


@jit(parallel=True)
def _softmax_backward(threads, dy, dx, pixels, c):
    """dx holds y first."""
    zero = np.float32(0)
    for t in numba.prange(threads):
        for q in range(pixels * t // threads, pixels * (t + 1) // threads):
            source, target = dy + 4 * q * c, dx + 4 * q * c
            total = vset1(zero)
            for k in range(0, c, 16):
                part = min(16, c - k)
                total = vadd(
                    total, vmul(vload_part(source + 4 * k, part, zero), vload_part(target + 4 * k, part, zero))
                )
            mean = vset1(vsum_across(total))
            for k in range(0, c, 16):
                part = min(16, c - k)
                d = vsub(vload_part(source + 4 * k, part, zero), mean)
                vstore_part(target + 4 * k, vmul(d, vload_part(target + 4 * k, part, zero)), part)
