"""Operators that slide windows, as loops over the formulas of MatConvNet's manual, sections 4.1 to 4.3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import pyconvnet as pcn
from tests.differential.bounded import Bounded, sums
from tests.differential.cases import Case, Draw, text, wide

LOOPS = 1500  # so many steps of a loop in Python at most
# Winograd's algorithm multiplies sums of several inputs; as a share of the largest result, measured: 4e-6 and 1e-6
WINOGRAD = {"fast": 1.5e-5, "high": 3e-6}


def size(length: int, window: int, stride: int, before: int, after: int, dilate: int = 1) -> int:
    return (length + before + after - (dilate * (window - 1) + 1)) // stride + 1


def taps(x: Any, f: Any, out: Any, stride: Any, pad: Any, dilate: Any) -> Iterator[tuple[int, ...]]:
    """(row, column of the output, row, column of the filter, row, column of the image), where that is in the image."""
    for i in range(out[0]):
        for j in range(out[1]):
            for u in range(f[0]):
                for v in range(f[1]):
                    r = i * stride[0] + u * dilate[0] - pad[0]
                    s = j * stride[1] + v * dilate[1] - pad[2]
                    if 0 <= r < x[0] and 0 <= s < x[1]:
                        yield i, j, u, v, r, s


def correlate(x: Any, f: Any, b: Any, dzdy: Any, out: Any, stride: Any, pad: Any, dilate: Any) -> tuple[Any, ...]:
    """(y, dx, df, db) of a convolution."""
    depth, count = f.shape[2:]
    groups = x.shape[2] // depth
    y = np.zeros((*out, count, x.shape[3]))
    dx, df = np.zeros(x.shape), np.zeros(f.shape)
    if b is not None:
        y += b.reshape(1, 1, -1, 1)
    for g in range(groups):
        c, k = slice(g * depth, (g + 1) * depth), slice(g * count // groups, (g + 1) * count // groups)
        for i, j, u, v, r, s in taps(x.shape, f.shape, out, stride, pad, dilate):
            y[i, j, k] += f[u, v, :, k].T @ x[r, s, c]
            dx[r, s, c] += f[u, v, :, k] @ dzdy[i, j, k]
            df[u, v, :, k] += x[r, s, c] @ dzdy[i, j, k].T
    return y, dx, df, dzdy.sum((0, 1, 3))


def conv(draw: Draw) -> Case:
    f_size = [draw.pick(1, 4), draw.pick(1, 4)] if draw.chance(0.7) else [draw.one_of(1, 3, 5)] * 2
    stride, dilate = ([draw.pick(1, m), draw.pick(1, m)] for m in (draw.one_of(1, 1, 4), draw.one_of(1, 1, 3)))
    pad, n = draw.borders(4), draw.pick(1, 5)
    if draw.chance(0.1):
        stride, dilate, n = [1, 1], [1, 1], draw.pick(3, 5)
    h, w = draw.pick(1, 9), draw.pick(1, 9)
    if draw.chance(0.15):  # fully connected
        h, w, pad, stride, dilate = *f_size, (0, 0, 0, 0), [1, 1], [1, 1]
    groups = draw.one_of(1, 1, 1, 2, 3, 4)
    depth, each = ((draw.channels() - 1) // groups + 1 for _ in range(2))
    out = [size(*a) for a in zip((h, w), f_size, stride, pad[::2], pad[1::2], dilate)]
    if max(out[0], 1) * max(out[1], 1) * f_size[0] * f_size[1] * groups > LOOPS:
        return conv(draw)
    n = 0 if draw.chance(0.01) else n
    x, f = draw.array(h, w, groups * depth, n), draw.array(*f_size, depth, groups * each)
    b = draw.array(groups * each) if draw.chance(0.7) else None
    options = {"stride": stride, "pad": list(pad), "dilate": dilate}
    words = text("vl_nnconv", x, f, None if b is None else b, groups=groups, **options)
    if min(out) < 1:
        return Case(words, lambda: [pcn.vl_nnconv(x, f, b, **options)], None)
    dzdy, precision = draw.array(*out, groups * each, n), draw.one_of("fast", "high")

    def call() -> list[Any]:
        with pcn.local_precision(precision):
            y = pcn.vl_nnconv(x, f, b, **options)
            return [y, *(d for d in pcn.vl_nnconv(x, f, b, dzdy, **options) if d is not None)] if n else [y]

    def expect() -> list[Bounded]:
        how = (out, stride, pad, dilate)
        exact = correlate(*wide(x, f, b, dzdy), *how)
        terms = correlate(*(None if a is None else abs(a) for a in wide(x, f, b, dzdy)), *how)
        pixels, seen = out[0] * out[1] * n, f_size[0] * f_size[1]
        counts = [seen * depth + 1, seen * each, pixels, pixels]
        found = [sums(e, t, c, draw.real) for e, t, c in zip(exact, terms, counts)]
        if stride == dilate == [1, 1] and f_size in ([3, 3], [5, 5]) and min(depth, each) >= 16 and draw.real == "f4":
            for k in (0, 1):
                within = WINOGRAD[precision] * np.abs(exact[k]).max(initial=0)
                found[k] = Bounded(exact[k], draw.real, np.maximum(found[k].error, within))
        return (found if b is not None else found[:3]) if n else found[:1]

    return Case(f"{words} {precision}", call, expect, not x.size)


def subsample(draw: Draw) -> Case:
    """vl_nnconv without filters."""
    x = draw.array(*draw.shape())
    stride, pad = [draw.pick(1, 4), draw.pick(1, 4)], draw.borders(3)
    out = [size(*a) for a in zip(x.shape, (1, 1), stride, pad[::2], pad[1::2])]
    b = draw.array(x.shape[2]) if draw.chance(0.5) and x.shape[2] else None
    options = {"stride": stride, "pad": list(pad)}
    words = text("vl_nnconv", x, None, b, **options)
    if min(out) < 1:
        return Case(words, lambda: [pcn.vl_nnconv(x, None, b, **options)], None)
    dzdy = draw.array(*out, *x.shape[2:])

    def call() -> list[Any]:
        y = pcn.vl_nnconv(x, None, b, **options)
        if not dzdy.size:
            return [y]
        dx, _, db = pcn.vl_nnconv(x, None, b, dzdy, **options)
        return [y, dx] if b is None else [y, dx, db]

    def expect() -> list[Bounded]:
        y, dx = np.zeros(dzdy.shape), np.zeros(x.shape)
        for i, j, _, _, r, s in taps(x.shape, (1, 1), out, stride, pad, (1, 1)):
            y[i, j] = x[r, s]
            dx[r, s] += dzdy[i, j]
        y = Bounded(y, draw.real)
        found = [y if b is None else y + Bounded(b, draw.real)[None, None, :, None], Bounded(dx, draw.real)]
        if b is not None:
            found.append(Bounded(dzdy, draw.real).sum((0, 1, 3))[0, 0, :, 0])
        return found if dzdy.size else found[:1]

    return Case(words, call, expect, not x.size)


def convt(draw: Draw) -> Case:
    f_size, up = [draw.pick(1, 5), draw.pick(1, 5)], [draw.pick(1, 4), draw.pick(1, 4)]
    groups, h, w, n = draw.one_of(1, 1, 2, 3), draw.pick(1, 6), draw.pick(1, 6), draw.pick(1, 4)
    if h * w * f_size[0] * f_size[1] * groups > LOOPS:
        return convt(draw)
    depth, each = ((draw.channels() - 1) // groups + 1 for _ in range(2))  # channels of x, of y, in a group
    crop = draw.borders(3)
    full = [u * (s - 1) + e for u, s, e in zip(up, (h, w), f_size)]
    out = [full[0] - crop[0] - crop[1], full[1] - crop[2] - crop[3]]
    x, f = draw.array(h, w, groups * depth, n), draw.array(*f_size, each, groups * depth)
    b = draw.array(groups * each) if draw.chance(0.7) else None
    options = {"upsample": up, "crop": list(crop), "numGroups": groups}
    words = text("vl_nnconvt", x, f, b, **options)
    if min(out) < 1:
        return Case(words, lambda: [pcn.vl_nnconvt(x, f, b, **options)], None)
    dzdy = draw.array(*out, groups * each, n)

    def call() -> list[Any]:
        y = pcn.vl_nnconvt(x, f, b, **options)
        return [y, *(d for d in pcn.vl_nnconvt(x, f, b, dzdy, **options) if d is not None)]

    def loops(x: Any, f: Any, b: Any, dzdy: Any) -> tuple[Any, ...]:
        y = np.zeros((*out, groups * each, n)) if b is None else np.zeros(dzdy.shape) + b.reshape(1, 1, -1, 1)
        dx, df = np.zeros(x.shape), np.zeros(f.shape)
        for g in range(groups):
            c, k = slice(g * depth, (g + 1) * depth), slice(g * each, (g + 1) * each)
            for r, s, u, v in np.ndindex(h, w, *f_size):
                i, j = up[0] * r + u - crop[0], up[1] * s + v - crop[2]
                if 0 <= i < out[0] and 0 <= j < out[1]:
                    y[i, j, k] += f[u, v, :, c] @ x[r, s, c]
                    dx[r, s, c] += f[u, v, :, c].T @ dzdy[i, j, k]
                    df[u, v, :, c] += dzdy[i, j, k] @ x[r, s, c].T
        return y, dx, df, dzdy.sum((0, 1, 3))

    def expect() -> list[Bounded]:
        exact = loops(*wide(x, f, b, dzdy))
        terms = loops(*(None if a is None else abs(a) for a in wide(x, f, b, dzdy)))
        seen = f_size[0] * f_size[1]
        counts = [seen * depth + 1, seen * each, h * w * n, out[0] * out[1] * n]
        found = [sums(e, t, c, draw.real) for e, t, c in zip(exact, terms, counts)]
        if up == [1, 1] and f_size in ([3, 3], [5, 5]) and min(depth, each) >= 16 and draw.real == "f4":
            for k in (0, 1):
                within = WINOGRAD["fast"] * np.abs(exact[k]).max(initial=0)
                found[k] = Bounded(exact[k], draw.real, np.maximum(found[k].error, within))
        return found if b is not None else found[:3]

    return Case(words, call, expect)


def pool(draw: Draw) -> Case:
    x = draw.array(*draw.shape(9), ties=draw.chance(0.7))
    window = [draw.pick(1, 5), draw.pick(1, 5)] if draw.chance(0.7) else [draw.pick(1, 3)] * 2
    stride = window if draw.chance(0.3) else [draw.pick(1, 5), draw.pick(1, 5)]
    pad = tuple(draw.pick(0, e - 1) if draw.chance(0.6) else 0 for e in (window[0], window[0], window[1], window[1]))
    options = {"stride": stride, "pad": list(pad), "method": draw.one_of("max", "avg")}
    out = [size(*a) for a in zip(x.shape, window, stride, pad[::2], pad[1::2])]
    words = text("vl_nnpool", x, window, **options)
    if min(*out, *x.shape[:2]) < 1:
        return Case(words, lambda: [pcn.vl_nnpool(x, window, **options)], None)
    if out[0] * out[1] * x.shape[3] > LOOPS // 4:
        return pool(draw)
    dzdy = draw.array(*out, *x.shape[2:])

    def call() -> list[Any]:
        y = pcn.vl_nnpool(x, window, **options)
        return [y, pcn.vl_nnpool(x, window, dzdy, **options)] if dzdy.size else [y]

    def expect() -> list[Bounded]:
        cells = [
            ((i, j, image), (image, *(_cell(k, *a) for k, a in zip((i, j), zip(stride, pad[::2], window, x.shape)))))
            for i, j, image in np.ndindex(*out, x.shape[3])
        ]
        found = pooled(x, cells, dzdy, options["method"], draw.real)
        return found if dzdy.size else found[:1]

    return Case(words, call, expect, not x.size)


def _cell(k: int, stride: int, pad: int, window: int, length: int) -> slice:
    return slice(max(k * stride - pad, 0), min(k * stride - pad + window, length))


def pooled(x: Any, cells: Any, dzdy: Any, method: str, real: Any) -> list[Bounded]:
    """(y, dx) for ((row, column, image of y), (image, rows, columns of x)) of each cell."""
    y, y_error, dx, size = np.zeros(dzdy.shape), np.zeros(dzdy.shape), np.zeros(x.shape), np.zeros(x.shape)
    eps, hits = np.finfo(real).eps, np.zeros(x.shape[:2] + x.shape[3:])
    for (i, j, n), (image, rows, columns) in cells:
        seen = x[rows, columns, :, image].astype(np.float64)
        count = seen.shape[0] * seen.shape[1]
        if not count:
            continue
        hits[rows, columns, image] += 1
        if method == "avg":
            y[i, j, :, n] = seen.sum((0, 1)) / count
            y_error[i, j, :, n] = (count + 2) * eps * np.abs(seen).sum((0, 1)) / count
            dx[rows, columns, :, image] += dzdy[i, j, :, n].astype(np.float64) / count
            size[rows, columns, :, image] += np.abs(dzdy[i, j, :, n].astype(np.float64)) / count
            continue
        for c in range(x.shape[2]):
            best, at = -np.inf, None
            for v in range(columns.start, columns.stop):  # down the columns, as MATLAB's memory runs
                for u in range(rows.start, rows.stop):
                    if x[u, v, c, image] > best:
                        best, at = x[u, v, c, image], (u, v)
            y[i, j, c, n] = best
            if at is not None:
                dx[(*at, c, image)] += dzdy[i, j, c, n]
                size[(*at, c, image)] += abs(dzdy[i, j, c, n])
    return [Bounded(y, real, y_error), Bounded(dx, real, (hits[:, :, None] + 2) * eps * size)]


def roipool(draw: Draw) -> Case:
    x = draw.array(*draw.shape(8), ties=True)
    count, cells = draw.pick(1, 4), (draw.pick(1, 3), draw.pick(1, 3))
    rois = np.zeros((5, count))
    rois[0] = draw.random.integers(1, max(x.shape[3], 1) + 1, count)
    for k, length in ((1, x.shape[1]), (2, x.shape[0])):
        ends = draw.random.integers(-1, length + 4, (2, count))
        rois[k], rois[k + 2] = ends.min(0), ends.max(0)
    options = {"method": draw.one_of("max", "avg"), "subdivisions": list(cells)}
    dzdy = draw.array(*cells, x.shape[2], count)

    def call() -> list[Any]:
        y = pcn.vl_nnroipool(x, rois, **options)
        return [y, pcn.vl_nnroipool(x, rois, dzdy, **options)] if dzdy.size else [y]

    def expect() -> list[Bounded]:
        places = []
        for r, (image, u0, v0, u1, v1) in enumerate(rois.T.astype(int)):
            for i, j in np.ndindex(*cells):
                spans = []
                for k, parts, first, last, length in (
                    (i, cells[0], v0, v1, x.shape[0]),
                    (j, cells[1], u0, u1, x.shape[1]),
                ):
                    extent = max(last - first + 1, 1)
                    ends = (k * extent // parts, -(-(k + 1) * extent // parts))
                    spans.append(slice(*(min(max(e + first - 1, 0), length) for e in ends)))
                if all(s.stop > s.start for s in spans):
                    places.append(((i, j, r), (image - 1, *spans)))
        found = pooled(x, places, dzdy, options["method"], draw.real)
        return found if dzdy.size else found[:1]

    return Case(text("vl_nnroipool", x, rois.tolist(), **options), call, expect, not x.size)


def crop(draw: Draw) -> Case:
    x, cut = draw.array(*draw.shape(8)), draw.borders(4)
    t, b, left, r = cut
    out = (x.shape[0] - t - b, x.shape[1] - left - r)
    words = text("vl_nncrop", x, cut)
    if min(out) < 1:
        return Case(words, lambda: [pcn.vl_nncrop(x, cut)], None)
    dzdy = draw.array(*out, *x.shape[2:])
    dx = np.zeros(x.shape)
    dx[t : t + out[0], left : left + out[1]] = dzdy
    return Case(
        words,
        lambda: [pcn.vl_nncrop(x, cut), pcn.vl_nncrop(x, cut, dzdy)],
        lambda: [Bounded(x[t : t + out[0], left : left + out[1]], draw.real), Bounded(dx, draw.real)],
        not x.size,
    )


def bilinear(draw: Draw) -> Case:
    h, w, c, n = draw.shape(5)
    each, rows, columns = draw.pick(1, 3), draw.pick(1, 4), draw.pick(1, 4)
    x = draw.array(h, w, c, n)
    # points on and between pixels, some outside; of sizes 1 and 2^k + 1 the coordinates of pixels are exact
    grid = draw.array(2, rows, columns, each * n, low=-1.4, high=1.4)
    dzdy = draw.array(rows, columns, c, each * n)
    words = text("vl_nnbilinearsampler", x, grid)

    def call() -> list[Any]:
        y = pcn.vl_nnbilinearsampler(x, grid)
        return [y, *pcn.vl_nnbilinearsampler(x, grid, dzdy)] if dzdy.size else [y]

    def expect() -> list[Bounded]:
        real = draw.real.type
        y, dx, dgrid = np.zeros(dzdy.shape), np.zeros(x.shape), np.zeros(grid.shape)
        size = [np.zeros(a.shape) for a in (y, dx, dgrid)]
        for i, j, m in np.ndindex(rows, columns, each * n):
            # the place of a point is computed as in MatConvNet, in the precision of x: which pixels it lies between
            place = [(grid[k, i, j, m] + real(1)) / real(2) * real(s - 1) for k, s in ((0, h), (1, w))]
            low = [int(np.floor(p)) for p in place]
            if min(low) < 0:
                continue
            (fy, fx), image = (float(p - q) for p, q in zip(place, low)), m // each
            for u, v in np.ndindex(2, 2):
                r, s = low[0] + u, low[1] + v
                if r > h - 1 or s > w - 1:
                    continue
                wy, wx = (fy if u else 1 - fy), (fx if v else 1 - fx)
                seen, d = x[r, s, :, image].astype(float), dzdy[i, j, :, m].astype(float)
                parts = (
                    ((y, size[0]), (i, j, slice(None), m), wy * wx * seen),
                    ((dx, size[1]), (r, s, slice(None), image), wy * wx * d),
                )
                for arrays, at, term in parts:
                    arrays[0][at] += term
                    arrays[1][at] += np.abs(term)
                slope, mass = (seen * d).sum(), np.abs(seen * d).sum()
                for k, (sign, other, s_k) in enumerate((((2 * u - 1), wx, h), ((2 * v - 1), wy, w))):
                    dgrid[k, i, j, m] += sign * other * slope * (s_k - 1) / 2
                    size[2][k, i, j, m] += other * mass * (s_k - 1) / 2
        counts = [10, rows * columns * each + 6, c + 10]
        found = [sums(e, s, k, draw.real) for e, s, k in zip((y, dx, dgrid), size, counts)]
        return found if dzdy.size else found[:1]

    return Case(words, call, expect, not x.size)
