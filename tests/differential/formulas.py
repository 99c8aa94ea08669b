"""Operators that are formulas at a pixel or of a channel, in double precision with bounds of rounding."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import pyconvnet as pcn
from tests.differential.bounded import Bounded
from tests.differential.cases import Case, Draw, text
from tests.differential.losses import soften

CHANNELS = (2,)
BATCH = (0, 1, 3)


def both(draw: Draw, words: str, operator: Any, formula: Any, x: Any, dzdy: Any) -> Case:
    """operator(x), operator(x, dzdy) and what `formula` gives for both."""

    def call() -> list[Any]:
        return [operator(x), operator(x, dzdy)] if x.size else [operator(x)]

    def expect() -> list[Bounded]:
        found = formula(Bounded(x, draw.real), Bounded(dzdy, draw.real))
        return list(found) if x.size else list(found)[:1]

    return Case(words, call, expect, not x.size)


def relu(draw: Draw) -> Case:
    shape, leak = draw.shape(), draw.one_of(0, 0, 0.1, 0.5, 2.0)
    x, dzdy = draw.array(*shape, ties=draw.chance(0.5)), draw.array(*shape)

    def formula(x: Bounded, d: Bounded) -> tuple[Bounded, ...]:
        slope = np.where(x.value > 0, 1, leak)
        return x * slope, d * slope

    operator = functools.partial(pcn.vl_nnrelu, leak=leak)
    return both(draw, text("vl_nnrelu", x, leak=leak), operator, formula, x, dzdy)


def sigmoid(draw: Draw) -> Case:
    shape = draw.shape()
    x, dzdy = draw.array(*shape) * draw.real.type(draw.one_of(1, 10, 100)), draw.array(*shape)

    def formula(x: Bounded, d: Bounded) -> tuple[Bounded, ...]:
        e = Bounded(-np.abs(x.value), draw.real).exp()
        y, rest = 1 / (1 + e), e / (1 + e)
        up = x.value >= 0
        y = Bounded(np.where(up, y.value, rest.value), draw.real, np.where(up, y.error, rest.error))
        # 1 - y is as far off as y is, which is all there is to it for large x
        return y, d * (y * (1 - y))

    return both(draw, text("vl_nnsigmoid", x), pcn.vl_nnsigmoid, formula, x, dzdy)


def softmax(draw: Draw) -> Case:
    shape = draw.shape()
    x, dzdy = draw.array(*shape) * draw.real.type(draw.one_of(1, 10, 100)), draw.array(*shape)

    def formula(x: Bounded, d: Bounded) -> tuple[Bounded, ...]:
        y = soften(x)[2]
        return y, y * (d - (d * y).sum(CHANNELS))

    return both(draw, text("vl_nnsoftmax", x), pcn.vl_nnsoftmax, formula, x, dzdy)


def _fast_power(x: Bounded, y: float) -> Bounded:
    """MatConvNet's: cubic approximations of log2 and exp2, continuous, and truncated to the precision."""
    mantissa, exponent = np.frexp(x.value)
    m = 2 * mantissa - 1
    log2 = exponent - 1 + m * (1.442695040888963 + m * (-0.606737602222409 + m * 0.164042561333445))
    t = y * log2
    z = np.floor(t)
    r = t - z
    value = np.ldexp(1 + r * (0.693147180559945 + r * (0.227411277760219 + r * 0.079441541679836)), z.astype(int))
    eps = np.finfo(x.real).eps
    # slopes of the approximations are below 1.5 times those of log2 and exp2
    exponent_error = 1.5 * abs(y) * (1.5 * x.error / x.value + 8 * eps * (1 + np.abs(log2)))
    return Bounded(value, x.real, value * np.expm1(exponent_error) + 4 * eps * value)


def lrn(draw: Draw) -> Case:
    shape = draw.shape(4)
    n, kappa, alpha = draw.one_of(1, 2, 3, 5, draw.pick(1, 70)), draw.one_of(0.5, 1, 2), draw.one_of(1e-4, 0.1, 1)
    beta, precision = draw.one_of(0.5, 0.75, 1), draw.one_of("fast", "high")
    x, dzdy, param = draw.array(*shape), draw.array(*shape), [n, kappa, alpha, beta]

    def operator(*args: Any) -> Any:
        with pcn.local_precision(precision):
            return pcn.vl_nnnormalize(args[0], param, *args[1:])

    def formula(x: Bounded, d: Bounded) -> tuple[Bounded, ...]:
        count = shape[2]
        # which channels k .. q lie in the window of a channel
        near = np.array([[-((n - 1) // 2) <= q - k <= n // 2 for q in range(count)] for k in range(count)]).reshape(
            count, count
        )

        def windows(v: Bounded, which: Any) -> Bounded:
            parts = v.value[:, :, None] * which[:, :, None], v.error[:, :, None] * which[:, :, None]
            terms = Bounded(parts[0], draw.real, parts[1]).sum((3,))
            return terms[:, :, :, 0]

        mass = kappa + alpha * windows(x * x, near)
        power = mass.power(-beta) if precision == "high" else _fast_power(mass, -beta)
        direct = d * power
        return x * power, direct - (2 * alpha * beta) * x * windows(direct * x / mass, near.T)

    return both(draw, text("vl_nnnormalize", x, param, precision=precision), operator, formula, x, dzdy)


def spnorm(draw: Draw) -> Case:
    shape = draw.shape(5)
    ph, pw, alpha, beta = draw.pick(1, 4), draw.pick(1, 4), draw.one_of(1e-2, 0.5, 2), draw.one_of(0.5, 0.75, 1)
    x, dzdy, param = draw.array(*shape), draw.array(*shape), [ph, pw, alpha, beta]

    def formula(x: Bounded, d: Bounded) -> tuple[Bounded, ...]:
        h, w = shape[:2]
        windows = {}
        for i, j in np.ndindex(h, w):
            top, left = max(i - (ph - 1) // 2, 0), max(j - (pw - 1) // 2, 0)
            windows[i, j] = slice(top, min(i + ph // 2 + 1, h)), slice(left, min(j + pw // 2 + 1, w))
        square, energy = x * x, [np.zeros(shape), np.zeros(shape)]
        for at, (rows, columns) in windows.items():
            count = (rows.stop - rows.start) * (columns.stop - columns.start)
            mean = square[rows, columns].sum((0, 1)) * (1 / count)
            energy[0][at], energy[1][at] = mean.value[0, 0], mean.error[0, 0]
        f = 1 + alpha * Bounded(energy[0], draw.real, energy[1])
        power = f.power(-beta)
        inner, back = d * x * power / f, [np.zeros(shape), np.zeros(shape), np.zeros(shape)]
        for at, (rows, columns) in windows.items():
            share = inner[at] * (1 / ((rows.stop - rows.start) * (columns.stop - columns.start)))
            back[0][rows, columns] += share.value
            back[1][rows, columns] += share.error
            back[2][rows, columns] += np.abs(share.value)
        eps = np.finfo(draw.real).eps
        from_neighbours = Bounded(back[0], draw.real, back[1] + ph * pw * eps * back[2])
        # the code multiplies by x before and after; powers -beta and -beta - 1 apart are as exact as their quotient
        return x * power, d * power - (2 * alpha * beta) * x * from_neighbours

    words = text("vl_nnspnorm", x, param)
    return both(draw, words, lambda a, *d: pcn.vl_nnspnorm(a, param, *d), formula, x, dzdy)


def noffset(draw: Draw) -> Case:
    shape, param = draw.shape(), [draw.one_of(0.5, 1, -1), draw.one_of(0.5, 1, 2)]
    x, dzdy = draw.array(*shape), draw.array(*shape)

    def formula(x: Bounded, d: Bounded) -> tuple[Bounded, ...]:
        alpha, beta = param
        energy = (x * x).sum(CHANNELS).at_least(1e-8)
        slope = (2 * alpha * beta) * x * (d.sum(CHANNELS) * energy.power(beta - 1))
        return x - alpha * energy.power(beta), d - slope

    words = text("vl_nnnoffset", x, param)
    return both(draw, words, lambda a, *d: pcn.vl_nnnoffset(a, param, *d), formula, x, dzdy)


def normalizelp(draw: Draw) -> Case:
    shape, p, epsilon = draw.shape(5), draw.one_of(2, 2, 4, 1, 3), draw.one_of(1e-2, 1)
    x, dzdy = draw.array(*shape, low=0.1), draw.array(*shape)
    if p in (2, 4):
        x = draw.array(*shape)
    axes = draw.one_of((2,), (2,), (0, 1), (0, 2), (3,))
    options = {"p": p, "epsilon": epsilon, "dimensions": [a + 1 for a in axes]}
    if axes == (0, 1):
        options = {"p": p, "epsilon": epsilon, "spatial": True}

    def formula(x: Bounded, d: Bounded) -> tuple[Bounded, ...]:
        def raised(k: int) -> Bounded:
            out = Bounded(np.ones(shape), draw.real)
            for _ in range(k):
                out = out * x
            # pow of numpy, of any sign
            return Bounded(out.value, draw.real, out.error + 4 * np.finfo(draw.real).eps * np.abs(out.value))

        mass = raised(p).sum(axes) + epsilon
        y = d / mass.power(1 / p)
        return x / mass.power(1 / p), y - (y * x).sum(axes) * (raised(p - 1) / mass)

    operator = functools.partial(pcn.vl_nnnormalizelp, **options)
    return both(draw, text("vl_nnnormalizelp", x, **options), operator, formula, x, dzdy)


def bnorm(draw: Draw) -> Case:
    shape, epsilon = draw.shape(), draw.one_of(1e-4, 1e-2)
    k, offset = shape[2], draw.one_of(0, 0, 10)
    x, dzdy = draw.array(*shape) + draw.real.type(offset), draw.array(*shape)
    g, b = draw.array(k), draw.array(k)
    given = np.stack([draw.array(k) + draw.real.type(offset), draw.array(k, low=0.5, high=2)], 1)
    moments = draw.laid_out(given.astype(draw.real)) if draw.chance(0.4) else None

    def call() -> list[Any]:
        y = pcn.vl_nnbnorm(x, g, b, epsilon=epsilon, moments=moments)
        return [*y, *pcn.vl_nnbnorm(x, g, b, dzdy, epsilon=epsilon, moments=moments)]

    def expect() -> list[Bounded]:
        wide, d, mass = Bounded(x, draw.real), Bounded(dzdy, draw.real), x.size // k
        if moments is None:
            mean = wide.sum(BATCH) * (1 / mass)
            centred = wide - mean
            variance = (centred * centred).sum(BATCH) * (1 / mass)
            sigma = (variance + epsilon).power(0.5)
        else:
            mean, sigma = (Bounded(m.reshape(1, 1, k, 1), draw.real) for m in moments.T)
            centred = wide - mean
        gain, bias = (Bounded(v.reshape(1, 1, k, 1), draw.real) for v in (g, b))
        slope = gain / sigma
        y = wide * slope + (bias - slope * mean)
        normal = centred / sigma
        db, dg = d.sum(BATCH), (d * normal).sum(BATCH)
        dx = slope * (d - db * (1 / mass) - normal * (dg * (1 / mass)))
        found = [Bounded(np.ravel(m.value), draw.real, np.ravel(m.error)) for m in (mean, sigma)]
        kept = Bounded(np.stack([m.value for m in found], 1), draw.real, np.stack([m.error for m in found], 1))
        return [y, kept, dx, dg[0, 0, :, 0], db[0, 0, :, 0], kept]

    words = text("vl_nnbnorm", x, epsilon=epsilon, moments=moments is not None, offset=offset)
    if not x.size and (moments is None or not k):
        return Case(words, lambda: pcn.vl_nnbnorm(x, g, b), None)
    if not x.size:
        kept = Bounded(moments, draw.real)
        return Case(words, lambda: pcn.vl_nnbnorm(x, g, b, moments=moments), lambda: [Bounded(x, draw.real), kept])
    return Case(words, call, expect)


def dropout(draw: Draw) -> Case:
    shape = draw.shape()
    x, dzdy, mask = draw.array(*shape), draw.array(*shape), draw.array(*shape, ties=True)

    def operator(x: Any, *d: Any) -> Any:
        return pcn.vl_nndropout(x, *d, mask=mask) if d else pcn.vl_nndropout(x, mask=mask)[0]

    return both(draw, text("vl_nndropout", x), operator, lambda x, d: (x * mask, d * mask), x, dzdy)


def concat(draw: Draw) -> Case:
    shape, dim = list(draw.shape(4)), draw.pick(1, 4)
    lengths = [draw.pick(1, 9) for _ in range(draw.pick(1, 4))]
    xs = [draw.array(*shape[: dim - 1], s, *shape[dim:]) for s in lengths]
    dzdy = draw.array(*shape[: dim - 1], sum(lengths), *shape[dim:])
    whole = np.zeros(dzdy.shape)
    parts, start = [], 0
    for x, s in zip(xs, lengths):
        at = (slice(None),) * (dim - 1) + (slice(start, start + s),)
        whole[at] = x
        parts.append(Bounded(dzdy[at], draw.real))
        start += s
    return Case(
        text("vl_nnconcat", *xs, dim=dim),
        lambda: [pcn.vl_nnconcat(xs, dim), *(pcn.vl_nnconcat(xs, dim, dzdy) if dzdy.size else ())],
        lambda: [Bounded(whole, draw.real), *(parts if dzdy.size else ())],
        not dzdy.size,
    )


def add(draw: Draw) -> Case:
    """The Sum layer."""
    shape = draw.shape()
    xs = [draw.array(*shape) for _ in range(draw.pick(1, 4))]
    wide = [Bounded(x, draw.real) for x in xs]
    block = pcn.dagnn.Sum()
    return Case(
        text("Sum", *xs),
        lambda: [block.forward(xs, [])[0], *block.backward(xs, [], xs[:1])[0]],
        lambda: [functools.reduce(Bounded.__add__, wide), *[wide[0]] * len(xs)],
        not xs[0].size,
    )


def scale(draw: Draw) -> Case:
    """The Scale layer."""
    shape = draw.shape()
    x, dzdy = draw.array(*shape), draw.array(*shape)
    g, h = (draw.array(*(draw.one_of(1, s) for s in shape)) for _ in range(2))
    block = pcn.dagnn.Scale()

    def call() -> list[Any]:
        (dx,), ders = block.backward([x], [g, h], [dzdy])
        return [block.forward([x], [g, h])[0], dx, *ders]

    def expect() -> list[Bounded]:
        d = Bounded(dzdy, draw.real)

        def folded(a: Bounded, like: Any) -> Bounded:
            axes = tuple(i for i in range(4) if like.shape[i] == 1 < shape[i])
            return a.sum(axes) if axes else a

        y = Bounded(x, draw.real) * g + Bounded(h, draw.real)
        return [y, d * g, folded(d * x, g), folded(d, h)]

    return Case(text("Scale", x, g, h), call, expect, not x.size)


def affine_grid(draw: Draw) -> Case:
    """The AffineGridGenerator layer."""
    rows, columns, n = draw.pick(1, 9), draw.pick(1, 9), draw.pick(1, 5)
    theta, dzdy = draw.array(1, 1, 6, n), draw.array(2, rows, columns, n)
    block = pcn.dagnn.AffineGridGenerator(Ho=rows, Wo=columns)

    def expect() -> list[Bounded]:
        grid, error, ders = np.zeros(dzdy.shape), np.zeros(dzdy.shape), np.zeros((2, 1, 1, 6, n))
        eps = np.finfo(draw.real).eps
        for i, j in np.ndindex(rows, columns):
            point = [2 * k / (s - 1) - 1 if s > 1 else 1 for k, s in ((i, rows), (j, columns))] + [1]
            for axis, places in enumerate(((0, 1, 4), (2, 3, 5))):
                for p, c in zip(point, places):
                    grid[axis, i, j] += p * theta[0, 0, c]
                    error[axis, i, j] += 6 * eps * np.abs(p * theta[0, 0, c])
                    term = p * dzdy[axis, i, j].astype(float)
                    ders[0, 0, 0, c] += term
                    ders[1, 0, 0, c] += (rows * columns + 4) * eps * np.abs(term)
        return [Bounded(grid, draw.real, error), Bounded(ders[0], draw.real, ders[1])]

    return Case(
        text("AffineGridGenerator", theta, (rows, columns)),
        lambda: [block.forward([theta], [])[0], block.backward([theta], [], [dzdy])[0][0]],
        expect,
    )
