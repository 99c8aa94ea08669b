"""ReLU, sigmoid and softmax of float32 arrays. The first two work in whatever memory order x has."""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu.compiled import inner, parallel
from pyconvnet.backends.cpu.layout import AHEAD, STREAMED, address, channels_fastest, dense, empty, empty_like
from pyconvnet.backends.cpu.llvm.simd import (
    finish_streams,
    fload,
    fstore,
    prefetch,
    vabs,
    vadd,
    vdiv,
    vif_greater,
    vload,
    vload_part,
    vmax,
    vmax_across,
    vmul,
    vneg,
    vset1,
    vstore,
    vstore_part,
    vstream,
    vsub,
    vsum_across,
)
from pyconvnet.backends.cpu.recording import note
from pyconvnet.backends.cpu.vmath import vexp, vexp_within
from pyconvnet.threads import parallel_region

RELU, SIGMOID = 0, 1


def relu(x: np.ndarray, leak: float) -> np.ndarray:
    """max(x, 0) + leak min(x, 0)."""
    return _forward(x, RELU, leak)


def relu_backward(x: np.ndarray, dzdy: np.ndarray, leak: float) -> np.ndarray:
    """dzdy where x > 0, leak dzdy elsewhere."""
    return _backward(x, dzdy, RELU, leak)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return _forward(x, SIGMOID, 0.0)


def sigmoid_backward(x: np.ndarray, dzdy: np.ndarray) -> np.ndarray:
    """dzdy y (1 - y)."""
    return _backward(x, dzdy, SIGMOID, 0.0)


def softmax(x: np.ndarray) -> np.ndarray:
    """exp(x) over its sum across channels; the largest value of each pixel is taken off first, against overflow."""
    with parallel_region() as threads:
        seen = channels_fastest(x)
        y = empty(seen.shape)
        _softmax(threads, address(seen), address(y), x.size // x.shape[2], x.shape[2])
    return from_nhwc(y)


def softmax_backward(x: np.ndarray, dzdy: np.ndarray) -> np.ndarray:
    """y (dzdy - sum of dzdy y across channels)."""
    with parallel_region() as threads:
        seen, dy = channels_fastest(x), channels_fastest(dzdy)
        dx = empty(seen.shape)
        pixels = x.size // x.shape[2]
        _softmax(threads, address(seen), address(dx), pixels, x.shape[2])
        _softmax_backward(threads, address(dy), address(dx), pixels, x.shape[2])
    return from_nhwc(dx)


def softmaxlog(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """log(sum of exp(x)) - x at one channel of each pixel, H x W x 1 x N; `at`: the indexes of these."""
    with parallel_region() as threads:
        seen, places = channels_fastest(x), _of_pixels(at)
        y = empty((*seen.shape[:3], 1))
        _softmaxlog(threads, address(seen), places, address(y), places.size, x.shape[2])
    return from_nhwc(y)


def softmaxlog_backward(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Its derivative for each channel: the softmax, less one there."""
    with parallel_region() as threads:
        seen, places = channels_fastest(x), _of_pixels(at)
        dx = empty(seen.shape)
        _softmax(threads, address(seen), address(dx), places.size, x.shape[2])
        _less_one(threads, address(dx), places, x.shape[2])
    return from_nhwc(dx)


def _of_pixels(at: np.ndarray) -> np.ndarray:
    """H x W x 1 x N indexes in the order in which pixels lie."""
    return np.ascontiguousarray(at.transpose(3, 0, 1, 2), np.int64).ravel()


def _forward(x: np.ndarray, which: int, leak: float) -> np.ndarray:
    with parallel_region() as threads:
        seen = x if dense(x) else from_nhwc(channels_fastest(x))
        y = empty_like(seen)
        _elements(threads, address(seen), address(y), x.size, which, np.float32(leak))
    return y


def _backward(x: np.ndarray, dzdy: np.ndarray, which: int, leak: float) -> np.ndarray:
    with parallel_region() as threads:
        same = x.strides == dzdy.strides and dense(x)
        seen, dy = (x, dzdy) if same else (from_nhwc(channels_fastest(a)) for a in (x, dzdy))
        dx = empty_like(seen)
        _derivatives(threads, address(seen), address(dy), address(dx), x.size, which, np.float32(leak))
    return dx


def add(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x + y, of one shape, in memory that results share."""
    x = x if dense(x) else from_nhwc(channels_fastest(x))
    out = np.add(x, y, out=empty_like(x))
    note(np.add, x, y, out=out)
    return out


def add_to(y: np.ndarray, x: np.ndarray, relu: bool) -> None:
    """y becomes y + x, or max(y + x, 0); both contiguous."""
    with parallel_region() as threads:
        _add_to(threads, address(y), address(x), y.size, relu)


@inner
def _logistic(x):
    """The sigmoid, by exp of negative numbers only."""
    zero, one, low = vset1(np.float32(0)), vset1(np.float32(1)), vset1(np.float32(-87.3))
    e = vexp_within(vmax(low, vneg(vabs(x))))
    return vdiv(vif_greater(low, x, zero, vif_greater(zero, x, e, one)), vadd(one, e))


@parallel
def _add_to(t, threads, y, x, count, relu):
    zero, vectors = np.float32(0), -(-count // 16)
    for i in range(16 * (vectors * t // threads), min(count, 16 * (vectors * (t + 1) // threads)), 16):
        part = min(16, count - i)
        v = vadd(vload_part(y + 4 * i, part, zero), vload_part(x + 4 * i, part, zero))
        vstore_part(y + 4 * i, vmax(v, vset1(zero)) if relu else v, part)


@inner
def _activated(v, which, leak):
    if which == SIGMOID:
        v = _logistic(v)
    elif leak == 0:
        v = vmax(v, vset1(np.float32(0)))
    else:
        v = vif_greater(v, vset1(np.float32(0)), v, vmul(v, vset1(leak)))
    return v


@parallel
def _elements(t, threads, x, y, count, which, leak):
    pairs = -(-count // 32)
    far = which == RELU and count >= STREAMED and y % 64 == 0  # a sigmoid is slower that way
    for i in range(32 * (pairs * t // threads), min(count, 32 * (pairs * (t + 1) // threads)), 32):
        source, target = x + 4 * i, y + 4 * i
        if count - i < 32:
            for k in range(i, count, 16):
                part = min(16, count - k)
                v = vload_part(x + 4 * k, part, np.float32(0))
                vstore_part(y + 4 * k, _activated(v, which, leak), part)
            continue
        if which == SIGMOID:
            for line in range(4 * AHEAD, 4 * AHEAD + 128, 64):
                prefetch(source + line)
                prefetch(target + line)
        # two, so that a division of one and the sums of the other take turns
        first, second = _activated(vload(source), which, leak), _activated(vload(source + 64), which, leak)
        if far:
            vstream(target, first)
            vstream(target + 64, second)
        else:
            vstore(target, first)
            vstore(target + 64, second)
    finish_streams()


@inner
def _derivative(v, d, which, leak):
    if which == SIGMOID:
        y = _logistic(v)
        d = vmul(d, vmul(y, vsub(vset1(np.float32(1)), y)))
    else:
        d = vif_greater(v, vset1(np.float32(0)), d, vmul(d, vset1(leak)))
    return d


@parallel
def _derivatives(t, threads, x, dy, dx, count, which, leak):
    pairs = -(-count // 32)
    far = which == RELU and count >= STREAMED and dx % 64 == 0
    for i in range(32 * (pairs * t // threads), min(count, 32 * (pairs * (t + 1) // threads)), 32):
        source, derivative, target = x + 4 * i, dy + 4 * i, dx + 4 * i
        if count - i < 32:
            for k in range(i, count, 16):
                part = min(16, count - k)
                v, d = vload_part(x + 4 * k, part, np.float32(0)), vload_part(dy + 4 * k, part, np.float32(0))
                vstore_part(dx + 4 * k, _derivative(v, d, which, leak), part)
            continue
        if which == SIGMOID:
            for line in range(4 * AHEAD, 4 * AHEAD + 128, 64):
                prefetch(source + line)
                prefetch(derivative + line)
                prefetch(target + line)
        first = _derivative(vload(source), vload(derivative), which, leak)
        second = _derivative(vload(source + 64), vload(derivative + 64), which, leak)
        if far:
            vstream(target, first)
            vstream(target + 64, second)
        else:
            vstore(target, first)
            vstore(target + 64, second)
    finish_streams()


@inner
def _largest(source, c):
    lowest = np.float32(-np.inf)
    largest = vset1(lowest)
    for k in range(0, c, 16):
        largest = vmax(vload_part(source + 4 * k, min(16, c - k), lowest), largest)
    return vmax_across(largest)


@parallel
def _softmaxlog(t, threads, x, at, y, pixels, c):
    lowest = np.float32(-np.inf)
    for q in range(pixels * t // threads, pixels * (t + 1) // threads):
        source = x + 4 * q * c
        top = _largest(source, c)
        total = vset1(np.float32(0))
        for k in range(0, c, 16):
            total = vadd(total, vexp(vsub(vload_part(source + 4 * k, min(16, c - k), lowest), vset1(top))))
        fstore(y + 4 * q, np.float32(np.log(vsum_across(total))) - (fload(source + 4 * at[q]) - top))


@parallel
def _less_one(t, threads, y, at, c):
    for q in range(at.size * t // threads, at.size * (t + 1) // threads):
        place = y + 4 * (q * c + at[q])
        fstore(place, fload(place) - np.float32(1))


@parallel
def _softmax(t, threads, x, y, pixels, c):
    lowest = np.float32(-np.inf)
    for q in range(pixels * t // threads, pixels * (t + 1) // threads):
        source, target = x + 4 * q * c, y + 4 * q * c
        top = vset1(_largest(source, c))
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


@parallel
def _softmax_backward(t, threads, dy, dx, pixels, c):
    """dx holds y before and the derivative after."""
    zero = np.float32(0)
    for q in range(pixels * t // threads, pixels * (t + 1) // threads):
        source, target = dy + 4 * q * c, dx + 4 * q * c
        total = vset1(zero)
        for k in range(0, c, 16):
            part = min(16, c - k)
            total = vadd(total, vmul(vload_part(source + 4 * k, part, zero), vload_part(target + 4 * k, part, zero)))
        mean = vset1(vsum_across(total))
        for k in range(0, c, 16):
            part = min(16, c - k)
            d = vsub(vload_part(source + 4 * k, part, zero), mean)
            vstore_part(target + 4 * k, vmul(d, vload_part(target + 4 * k, part, zero)), part)
