"""Convolution of each channel by a filter of its own (as many groups as channels), 16 channels at a time.

There is nothing to sum over channels, so the matrix kernel has nothing to do: a vector of sums meets each tap once.
"""

from __future__ import annotations

import numpy as np

from pyconvnet.backends.cpu.activations import add_to
from pyconvnet.backends.cpu.compiled import inner, parallel
from pyconvnet.backends.cpu.direct import PLAIN, Epilogue
from pyconvnet.backends.cpu.layout import address, aligned, channels_fastest, empty, empty_like_filters
from pyconvnet.backends.cpu.llvm.simd import vadd, vfma, vload, vmax, vset1, vstore
from pyconvnet.geometry import Window
from pyconvnet.threads import parallel_region

LEAST_CHANNELS = 16  # a vector; where they are no whole number of these, the last one overlaps the one before
TOGETHER = 16  # pixels whose sums are added up first, while all taps meet them in the first-level cache


def suits(f: np.ndarray, channels: int) -> bool:
    """Whether each channel has one filter of its own, and there are enough of them."""
    return f.shape[2] == 1 and f.shape[3] == channels >= LEAST_CHANNELS


def depthwise(
    x: np.ndarray, f: np.ndarray, b: np.ndarray | None, window: Window, after: Epilogue = PLAIN
) -> np.ndarray:
    """The convolution of `backends.reference.conv.conv` as an N x H x W x K array."""
    taps = _taps(f if after.scale is None else f * after.scale)
    bias = aligned(f.shape[3])
    bias[:] = 0 if b is None else b.ravel()
    out = window.output_size(*x.shape[:2])
    with parallel_region() as threads:
        seen = channels_fastest(x)
        y = empty((x.shape[3], *out, f.shape[3]))
        relu = after.relu and after.add is None
        memory = address(seen), address(taps), address(bias), address(y)
        _forward(threads, *memory, *seen.shape, *out, _numbers(window), relu)
        if after.add is not None:
            add_to(y, channels_fastest(after.add), after.relu)
    return y


def data_gradient(dzdy: np.ndarray, f: np.ndarray, window: Window, size: tuple[int, int]) -> np.ndarray:
    """dx as an N x h x w x C array, (h, w) = `size`: each pixel of dzdy goes where its taps saw x."""
    taps = _taps(f)
    with parallel_region() as threads:
        dy = channels_fastest(dzdy)
        n, oh, ow, c = dy.shape
        dx = empty((n, *size, c))
        if window.stride == (1, 1):  # a convolution with the filters turned around
            turned, bias = np.ascontiguousarray(taps[::-1]), aligned(c)
            bias[:] = 0
            before = ((k - 1) * d - p for k, d, p in zip(window.size, window.dilate, window.pad[::2]))
            numbers = np.array([*window.size, 1, 1, *window.dilate, *before])
            memory = address(dy), address(turned), address(bias), address(dx)
            _forward(threads, *memory, *dy.shape, *size, numbers, False)
        else:
            _backward(threads, address(dy), address(taps), address(dx), n, *size, c, oh, ow, _numbers(window))
    return dx


def filter_gradient(x: np.ndarray, dzdy: np.ndarray, window: Window, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(df in the memory order of f, db)."""
    fh, fw = window.size
    with parallel_region() as threads:
        seen, dy = channels_fastest(x), channels_fastest(dzdy)
        _, oh, ow, c = dy.shape
        sums = np.zeros((threads, fh * fw + 1, -(-c // 16), 16), np.float32)  # the last are those of dy itself
        _filters(threads, address(seen), address(dy), address(sums), *seen.shape, oh, ow, _numbers(window))
    total = sums.sum(axis=0).reshape(fh * fw + 1, -1)
    df, found = empty_like_filters(f), np.concatenate([total[:, : c - 16], total[:, -16:]], axis=1)
    df[:, :, 0] = found[:-1].reshape(fh, fw, c)
    if not np.isfinite(found).all():
        _put_nan_of_borders(df, dy, window, x.shape[:2])
    return df, found[-1]


def _put_nan_of_borders(df: np.ndarray, dy: np.ndarray, window: Window, size: tuple[int, ...]) -> None:
    """In df, of each tap that passed over zeros around the image where dy is not finite: zero times that is NaN."""
    odd, outside = ~np.isfinite(dy), []
    for at, (taps, length) in enumerate(zip(window.size, size)):
        places = np.arange(dy.shape[1 + at]) * window.stride[at] - window.pad[2 * at]
        places = places + window.dilate[at] * np.arange(taps)[:, None]
        outside.append((places < 0) | (places >= length))
    for u, v in np.ndindex(*window.size):
        passed = outside[0][u][:, None] | outside[1][v]
        df[u, v, 0, odd[:, passed].any(axis=(0, 1))] = np.nan


def _taps(f: np.ndarray) -> np.ndarray:
    """h w x C, contiguous."""
    return np.ascontiguousarray(f[:, :, 0]).reshape(-1, f.shape[3])


def _numbers(window: Window) -> np.ndarray:
    return np.array([*window.size, *window.stride, *window.dilate, window.pad[0], window.pad[2]])


@parallel
def _forward(t, threads, x, f, b, y, n, h, w, c, oh, ow, numbers, relu):
    """y; four pixels of a row at a time share the filters, but at its ends, where some taps meet no pixel."""
    fh, fw, sh, sw, dh, dw, top, left = numbers
    zero, rows, step = vset1(np.float32(0)), n * oh, 4 * sw * c
    across, down = 4 * dw * c, 4 * dh * w * c
    for q in range(rows * t // threads, rows * (t + 1) // threads):
        image = q // oh
        i = (q - image * oh) * sh - top
        u0, u1 = max(0, -(i // dh)) if i < 0 else 0, max(0, min(fh, (h - 1 - i) // dh + 1))
        line = x + 4 * (image * h + i) * w * c
        whole = fh == 3 and fw == 3 and sw == 1 and dw == 1 and u1 - u0 == 3
        j = 0
        while j < ow:
            first = j * sw - left
            if whole and first >= 0 and min(ow - j, w - 2 - first) >= 4:
                groups = min(ow - j, w - 2 - first) // 4
                _inside(line + 4 * first * c, f, b, y + 4 * (q * ow + j) * c, c, groups, down, relu)
                j += 4 * groups
                continue
            # so many more see all their taps
            last = 0 if first < 0 else max(0, min(3, ow - 1 - j, (w - 1 - first - (fw - 1) * dw) // sw))
            v0, v1 = max(0, -(first // dw)) if first < 0 else 0, max(0, min(fw, (w - 1 - first) // dw + 1))
            second, third, fourth = step * min(1, last), step * min(2, last), step * last
            for block in range(-(-c // 16)):
                k = min(16 * block, c - 16)
                y0 = vload(b + 4 * k)
                y1, y2, y3 = y0, y0, y0
                for u in range(u0, u1):
                    tap = f + 4 * ((u * fw + v0) * c + k)
                    at = line + u * down + 4 * (first * c + k) + v0 * across
                    for _ in range(v0, v1):
                        filters = vload(tap)
                        y0 = vfma(filters, vload(at), y0)
                        if last > 0:
                            y1 = vfma(filters, vload(at + second), y1)
                            y2 = vfma(filters, vload(at + third), y2)
                            y3 = vfma(filters, vload(at + fourth), y3)
                        at += across
                        tap += 4 * c
                out = y + 4 * ((q * ow + j) * c + k)
                # the last one first: where there are fewer than four, it is written over
                _put(out + 4 * c * last, y3, zero, relu)
                _put(out + 4 * c * min(2, last), y2, zero, relu)
                _put(out + 4 * c * min(1, last), y1, zero, relu)
                _put(out, y0, zero, relu)
            j += last + 1


@inner
def _inside(x, f, b, y, c, groups, down, relu):
    """3 x 3 taps that all meet pixels, four neighbours at a time, which see the same ones: these are read once."""
    zero, right = vset1(np.float32(0)), 4 * c
    for _ in range(groups):
        for block in range(-(-c // 16)):
            k = 4 * min(16 * block, c - 16)
            tap, at, out, start = f + k, x + k, y + k, vload(b + k)
            y0, y1, y2, y3 = _three(at, tap, right, start, start, start, start)
            y0, y1, y2, y3 = _three(at + down, tap + 3 * right, right, y0, y1, y2, y3)
            y0, y1, y2, y3 = _three(at + 2 * down, tap + 6 * right, right, y0, y1, y2, y3)
            _put(out, y0, zero, relu)
            _put(out + right, y1, zero, relu)
            _put(out + 2 * right, y2, zero, relu)
            _put(out + 3 * right, y3, zero, relu)
        x += 4 * right
        y += 4 * right


@inner
def _three(at, tap, right, y0, y1, y2, y3):
    """Three taps of a row, for four neighbours."""
    f0, f1, f2 = vload(tap), vload(tap + right), vload(tap + 2 * right)
    x0, x1, x2 = vload(at), vload(at + right), vload(at + 2 * right)
    x3, x4, x5 = vload(at + 3 * right), vload(at + 4 * right), vload(at + 5 * right)
    y0, y1 = vfma(f2, x2, vfma(f1, x1, vfma(f0, x0, y0))), vfma(f2, x3, vfma(f1, x2, vfma(f0, x1, y1)))
    y2, y3 = vfma(f2, x4, vfma(f1, x3, vfma(f0, x2, y2))), vfma(f2, x5, vfma(f1, x4, vfma(f0, x3, y3)))
    return y0, y1, y2, y3


@inner
def _put(out, value, zero, relu):
    vstore(out, vmax(value, zero) if relu else value)


@parallel
def _backward(t, threads, dy, f, dx, n, h, w, c, oh, ow, numbers):
    """dx: each pixel is the sum over the taps that saw it."""
    fh, fw, sh, sw, dh, dw, top, left = numbers
    rows = n * h
    for q in range(rows * t // threads, rows * (t + 1) // threads):
        image = q // h
        i = q - image * h + top
        for j in range(w):
            out = dx + 4 * (q * w + j) * c
            for block in range(-(-c // 16)):
                k = min(16 * block, c - 16)
                total = vset1(np.float32(0))
                for u in range(fh):
                    row = i - u * dh
                    if row < 0 or row % sh != 0 or row // sh >= oh:
                        continue
                    source = dy + 4 * ((image * oh + row // sh) * ow * c + k)
                    tap = f + 4 * (u * fw * c + k)
                    for v in range(fw):
                        column = j + left - v * dw
                        if column >= 0 and column % sw == 0 and column // sw < ow:
                            total = vfma(vload(tap), vload(source + 4 * (column // sw) * c), total)
                        tap += 4 * c
                vstore(out + 4 * k, total)


@parallel
def _filters(t, threads, x, dy, sums, n, h, w, c, oh, ow, numbers):
    """Sums of a thread's rows of dy, for each tap; those of a few pixels are added up first."""
    fh, fw, sh, sw, dh, dw, top, left = numbers
    blocks, rows, down = -(-c // 16), n * oh, 4 * dh * w * c
    own = sums + 64 * t * (fh * fw + 1) * blocks
    for q in range(rows * t // threads, rows * (t + 1) // threads):
        image = q // oh
        i = (q - image * oh) * sh - top
        u0, u1 = max(0, -(i // dh)) if i < 0 else 0, max(0, min(fh, (h - 1 - i) // dh + 1))
        line, row = x + 4 * ((image * h + i) * w - left) * c, dy + 4 * q * ow * c
        if fh == 3 and fw == 3 and sw == 1 and dw == 1:
            _add_three_by_three(row, line, own, c, ow, w, left, u0, u1, down)
        else:
            for j in range(0, ow, TOGETHER):
                for block in range(blocks):
                    k = min(16 * block, c - 16)
                    for tap in range(u0 * fw, u1 * fw):
                        u = tap // fw
                        v = (tap - u * fw) * dw
                        a = max(j, -((v - left) // sw)) if v < left else j
                        b = min(min(ow, j + TOGETHER), (w - 1 - v + left) // sw + 1)
                        here, seen = row + 4 * (a * c + k), line + u * down + 4 * ((a * sw + v) * c + k)
                        _add_tap(here, seen, own + 64 * (tap * blocks + block), 4 * c, 4 * sw * c, b - a)
        for block in range(blocks):
            _add_up(row + 4 * min(16 * block, c - 16), own + 64 * (fh * fw * blocks + block), 4 * c, ow)


@inner
def _add_three_by_three(dy, x, sums, c, ow, w, left, u0, u1, down):
    """The sums of a row of dy for 3 x 3 taps, without strides."""
    begin = min(left, ow)
    end = max(begin, min(ow, w - 2 + left))  # between these, all taps of a pixel meet pixels
    for j in range(begin):
        _add_pixel(dy + 4 * j * c, x + 4 * j * c, sums, c, (u0, u1), (left - j, min(3, w + left - j)), down)
    for j in range(end, ow):
        _add_pixel(dy + 4 * j * c, x + 4 * j * c, sums, c, (u0, u1), (0, w + left - j), down)
    if begin < end and u1 - u0 == 3:
        _add_row(dy + 4 * begin * c, x + 4 * begin * c, sums, c, end - begin, down)
    elif begin < end:
        for u in range(u0, u1):
            at = x + 4 * begin * c + u * down
            _add_three(dy + 4 * begin * c, at, sums + 192 * u * -(-c // 16), c, end - begin)


@inner
def _add_up(dy, out, right, count):
    """The sum of so many pixels of a row."""
    a = vset1(np.float32(0))
    b = a
    for _ in range(count // 2):
        a, b = vadd(a, vload(dy)), vadd(b, vload(dy + right))
        dy += 2 * right
    if count % 2 == 1:
        a = vadd(a, vload(dy))
    vstore(out, vadd(vload(out), vadd(a, b)))


@inner
def _add_pixel(dy, x, sums, c, rows, columns, down):
    """One pixel of dy times what some of its 3 x 3 taps meet."""
    blocks = -(-c // 16)
    for block in range(blocks):
        k = 4 * min(16 * block, c - 16)
        d = vload(dy + k)
        for u in range(rows[0], rows[1]):
            for v in range(columns[0], columns[1]):
                out = sums + 64 * ((3 * u + v) * blocks + block)
                vstore(out, vfma(d, vload(x + u * down + 4 * v * c + k), vload(out)))


@inner
def _add_three(dy, x, sums, c, count):
    """The sums of a row of dy for a row of three taps."""
    right, apart = 4 * c, 64 * -(-c // 16)
    for block in range(-(-c // 16)):
        k = 4 * min(16 * block, c - 16)
        at, here = x + k, dy + k
        s0 = vset1(np.float32(0))
        s1, s2, a0, a1 = s0, s0, vload(at), vload(at + right)
        for _ in range(count):
            d, a2 = vload(here), vload(at + 2 * right)
            s0, s1, s2 = vfma(d, a0, s0), vfma(d, a1, s1), vfma(d, a2, s2)
            a0, a1 = a1, a2
            at += right
            here += right
        _add_to(sums + 64 * block, apart, s0, s1, s2)


@inner
def _add_tap(dy, x, out, right, step, count):
    """The sum of so many pixels of a row for one tap."""
    a = vset1(np.float32(0))
    b = a
    for _ in range(count // 2):
        a = vfma(vload(dy), vload(x), a)
        b = vfma(vload(dy + right), vload(x + step), b)
        dy += 2 * right
        x += 2 * step
    if count > 0 and count % 2 == 1:
        a = vfma(vload(dy), vload(x), a)
    vstore(out, vadd(vload(out), vadd(a, b)))


@inner
def _add_row(dy, x, sums, c, count, down):
    """The sums of a row of dy for 3 x 3 taps, in registers; pixels move from one tap to the next."""
    right, apart = 4 * c, 64 * -(-c // 16)
    for block in range(-(-c // 16)):
        k = 4 * min(16 * block, c - 16)
        at, here, out = x + k, dy + k, sums + 64 * block
        a = vset1(np.float32(0))
        s0, s1, s2, s3, s4, s5, s6, s7, s8 = a, a, a, a, a, a, a, a, a
        a0, a1, b0, b1 = vload(at), vload(at + right), vload(at + down), vload(at + down + right)
        c0, c1 = vload(at + 2 * down), vload(at + 2 * down + right)
        for _ in range(count):
            d = vload(here)
            a2, b2 = vload(at + 2 * right), vload(at + down + 2 * right)
            c2 = vload(at + 2 * down + 2 * right)
            s0, s1, s2 = vfma(d, a0, s0), vfma(d, a1, s1), vfma(d, a2, s2)
            s3, s4, s5 = vfma(d, b0, s3), vfma(d, b1, s4), vfma(d, b2, s5)
            s6, s7, s8 = vfma(d, c0, s6), vfma(d, c1, s7), vfma(d, c2, s8)
            a0, a1, b0, b1, c0, c1 = a1, a2, b1, b2, c1, c2
            at += right
            here += right
        _add_to(out, apart, s0, s1, s2)
        _add_to(out + 3 * apart, apart, s3, s4, s5)
        _add_to(out + 6 * apart, apart, s6, s7, s8)


@inner
def _add_to(out, apart, s0, s1, s2):
    vstore(out, vadd(vload(out), s0))
    vstore(out + apart, vadd(vload(out + apart), s1))
    vstore(out + 2 * apart, vadd(vload(out + 2 * apart), s2))
