"""Max and average pooling of float32 arrays, 16 channels at a time."""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu.compiled import inner, parallel
from pyconvnet.backends.cpu.layout import address, channels_fastest, empty, zeros
from pyconvnet.backends.cpu.llvm.simd import (
    vadd,
    vif_equal,
    vif_greater,
    vload,
    vload_part,
    vmax,
    vmul,
    vset1,
    vstore,
    vstore_part,
)
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

# Averages over more pixels are made of sums of so many: in single precision, a sum of 2^24 ones no longer grows by one.
LARGE, TOGETHER = 1 << 12, 1 << 8


def pool(x: np.ndarray, window: Window, method: str) -> np.ndarray:
    """Maximum, or mean over the pixels inside the image."""
    with parallel_region() as threads:
        seen = channels_fastest(x)
        n, h, w, c = seen.shape
        out = window.output_size(h, w)
        y = empty((n, *out, c))
        given = threads, address(seen), address(y), n, h, w, c, *out, _numbers(window)
        if method == "avg" and window.size[0] * window.size[1] > LARGE:
            _large_averages(*given)
        else:
            _pool(*given, method == "avg")
    return from_nhwc(y)


def pool_backward(x: np.ndarray, window: Window, method: str, dzdy: np.ndarray) -> np.ndarray:
    """The derivative goes to the first maximum, down the columns of the window as MATLAB's memory runs."""
    with parallel_region() as threads:
        seen, dy = channels_fastest(x), channels_fastest(dzdy)
        n, h, w, c = seen.shape
        out = dy.shape[1:3]
        apart = all(s >= k for s, k in zip(window.stride, window.size))
        # Windows that overlap add to the same pixels: then a thread owns some channels of an image, else some rows.
        parts = out[0] if apart else min(-(-c // 16), -(-threads // n))
        ends = (o * s - p for o, s, p in zip(out, window.stride, window.pad[::2]))
        once = window.stride == window.size and all(e >= length for e, length in zip(ends, (h, w)))
        dx = empty(seen.shape) if once else zeros(seen.shape)
        memory = address(seen), address(dy), address(dx)
        _pool_backward(threads, *memory, n, h, w, c, *out, _numbers(window), method == "avg", apart, once, parts)
    return from_nhwc(dx)


def _numbers(window: Window) -> np.ndarray:
    return np.array([*window.size, *window.stride, window.pad[0], window.pad[2]])


@inner
def _span(i, stride, pad, size, length):
    """The pixels of an image that window `i` holds along one axis: first, one after the last."""
    start = i * stride - pad
    return max(start, 0), min(start + size, length)


@parallel
def _pool(t, threads, x, y, n, h, w, c, oh, ow, numbers, average):
    fh, fw, sh, sw, top, left = numbers
    rows = n * oh
    lowest = np.float32(0 if average else -np.inf)
    for q in range(rows * t // threads, rows * (t + 1) // threads):
        image = q // oh
        h0, h1 = _span(q - image * oh, sh, top, fh, h)
        for j in range(ow):
            w0, w1 = _span(j, sw, left, fw, w)
            scale = np.float32(1) / np.float32(max(1, (h1 - h0) * (w1 - w0)))
            out = y + 4 * (q * ow + j) * c
            if not average and h1 - h0 == 2 and w1 - w0 == 2:
                _largest_of_four(x + 4 * ((image * h + h0) * w + w0) * c, 4 * w * c, c, out)
                continue
            for first in range(0, c, 16):
                k = _overlapping(first, c)
                part = min(16, c - k)
                value = vset1(lowest)
                for u in range(h0, h1):
                    pixel = x + 4 * (((image * h + u) * w + w0) * c + k)
                    for _ in range(w0, w1):
                        seen = vload(pixel) if part == 16 else vload_part(pixel, part, np.float32(0))
                        value = vadd(value, seen) if average else vmax(seen, value)
                        pixel += 4 * c
                if average:
                    value = vmul(value, vset1(scale))
                if part == 16:
                    vstore(out + 4 * k, value)
                else:
                    vstore_part(out + 4 * k, value, part)


@inner
def _largest_of_four(x, row, c, out):
    """The maximum of 2 x 2 pixels: without loops over them it takes three quarters of the time."""
    for first in range(0, c, 16):
        k = _overlapping(first, c)
        part, at = min(16, c - k), x + 4 * k
        value = vmax(_load(at, part), vset1(np.float32(-np.inf)))
        value = vmax(_load(at + 4 * c, part), value)
        value = vmax(_load(at + row, part), value)
        _store(out + 4 * k, vmax(_load(at + row + 4 * c, part), value), part)


@parallel
def _large_averages(t, threads, x, y, n, h, w, c, oh, ow, numbers):
    fh, fw, sh, sw, top, left = numbers
    blocks = -(-c // 16)
    units = n * oh * ow * blocks
    for unit in range(units * t // threads, units * (t + 1) // threads):
        q = unit // blocks
        k = _overlapping(16 * (unit - q * blocks), c)
        part = min(16, c - k)
        row, image = q // ow, q // (oh * ow)
        h0, h1 = _span(row - image * oh, sh, top, fh, h)
        w0, w1 = _span(q - row * ow, sw, left, fw, w)
        total = vset1(np.float32(0))
        value, seen = total, 0
        for u in range(h0, h1):
            for first in range(w0, w1, TOGETHER):
                count = min(TOGETHER, w1 - first)
                pixel = x + 4 * (((image * h + u) * w + first) * c + k)
                for _ in range(count):
                    value = vadd(value, _load(pixel, part))
                    pixel += 4 * c
                seen += count
                if seen >= TOGETHER:
                    total = vadd(total, value)
                    value, seen = vset1(np.float32(0)), 0
        scale = np.float32(1) / np.float32(max(1, (h1 - h0) * (w1 - w0)))
        _store(y + 4 * (q * c + k), vmul(vadd(total, value), vset1(scale)), part)


@parallel
def _pool_backward(t, threads, x, dy, dx, n, h, w, c, oh, ow, numbers, average, apart, once, parts):
    units = n * parts
    chunks = -(-c // 16)
    for q in range(units * t // threads, units * (t + 1) // threads):
        image = q // parts
        i = q - image * parts
        if apart:
            _scatter(x, dy, dx, image, h, w, c, oh, ow, numbers, average, once, i, i + 1, 0, c)
        else:
            first, last = 16 * (chunks * i // parts), min(c, 16 * (chunks * (i + 1) // parts))
            _scatter(x, dy, dx, image, h, w, c, oh, ow, numbers, average, once, 0, oh, first, last)


@inner
def _scatter(x, dy, dx, image, h, w, c, oh, ow, numbers, average, once, first_row, last_row, first, last):
    """The derivatives of some rows and channels of an image, added to dx; written to it if each pixel gets one."""
    fh, fw, sh, sw, top, left = numbers
    zero, lowest = vset1(np.float32(0)), vset1(np.float32(-np.inf))
    for i in range(first_row, last_row):
        h0, h1 = _span(i, sh, top, fh, h)
        for j in range(ow):
            w0, w1 = _span(j, sw, left, fw, w)
            scale = vset1(np.float32(1) / np.float32(max(1, (h1 - h0) * (w1 - w0))))
            for start in range(first, last, 16):
                k = _overlapping(start, last) if once else start
                part = min(16, last - k)
                pending = _load(dy + 4 * (((image * oh + i) * ow + j) * c + k), part)
                origin = 4 * (image * h * w * c + k)
                if average:
                    pending = vmul(pending, scale)
                    for u in range(h0, h1):
                        for v in range(w0, w1):
                            here = dx + origin + 4 * (u * w + v) * c
                            _store(here, pending if once else vadd(_load(here, part), pending), part)
                    continue
                if once and h1 - h0 == 2 and w1 - w0 == 2:
                    _to_largest_of_four(
                        x + origin + 4 * (h0 * w + w0) * c,
                        dx + origin + 4 * (h0 * w + w0) * c,
                        4 * w * c,
                        4 * c,
                        pending,
                        part,
                    )
                    continue
                largest = lowest
                for u in range(h0, h1):
                    for v in range(w0, w1):
                        largest = vmax(_load(x + origin + 4 * (u * w + v) * c, part), largest)
                pending = vif_greater(largest, lowest, pending, zero)
                for v in range(w0, w1):
                    for u in range(h0, h1):
                        place = origin + 4 * (u * w + v) * c
                        seen = _load(x + place, part)
                        mine = vif_equal(seen, largest, pending, zero)
                        pending = vif_equal(seen, largest, zero, pending)
                        _store(dx + place, mine if once else vadd(_load(dx + place, part), mine), part)


@inner
def _to_largest_of_four(x, dx, row, pixel, pending, part):
    """The same for a window of 2 x 2, whose pixels stay in registers."""
    zero, lowest = vset1(np.float32(0)), vset1(np.float32(-np.inf))
    a, b, c, d = _load(x, part), _load(x + row, part), _load(x + pixel, part), _load(x + row + pixel, part)
    largest = vmax(d, vmax(b, vmax(c, vmax(a, lowest))))
    pending = vif_greater(largest, lowest, pending, zero)
    _store(dx, vif_equal(a, largest, pending, zero), part)
    pending = vif_equal(a, largest, zero, pending)
    _store(dx + row, vif_equal(b, largest, pending, zero), part)
    pending = vif_equal(b, largest, zero, pending)
    _store(dx + pixel, vif_equal(c, largest, pending, zero), part)
    pending = vif_equal(c, largest, zero, pending)
    _store(dx + row + pixel, vif_equal(d, largest, pending, zero), part)


@inner
def _overlapping(first, count):
    """Where to begin instead of `first`: a whole vector that repeats some lanes is faster than a part of one."""
    return first if first + 16 <= count or count < 16 else count - 16


@inner
def _load(address, part):
    return vload(address) if part == 16 else vload_part(address, part, np.float32(0))


@inner
def _store(address, value, part):
    if part == 16:
        vstore(address, value)
    else:
        vstore_part(address, value, part)
