"""Losses and distances in double precision, with bounds of rounding."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import pyconvnet as pcn
from pyconvnet.ops.vl_nnloss import BINARY, CATEGORICAL
from tests.differential.bounded import Bounded
from tests.differential.cases import Case, Draw, text


def soften(x: Bounded) -> tuple[Bounded, Bounded, Bounded]:
    """(x less the largest of the pixel, the sum of its exp, softmax)."""
    if not x.value.size:
        return x, x, x
    shifted = x - x.value.max(2, keepdims=True)
    e = shifted.exp()
    total = e.sum((2,))
    return shifted, total, e / total


def loss(draw: Draw) -> Case:
    name = draw.one_of("softmaxloss", *CATEGORICAL, *BINARY)
    h, w, c, n = draw.pick(1, 4), draw.pick(1, 4), draw.channels(), draw.pick(1, 5)
    if name == "mshinge":
        c = max(c, 2)
    low = {"log": 0.01, "binarylog": 0.01}.get(name)
    x = draw.array(h, w, c, n, low=low, high=0.99, ties=low is None and name not in ("softmaxloss", "softmaxlog"))
    labels = draw.random.integers(0, c + 1, (h, w, 1, n)).astype(float)
    if name in BINARY:
        labels = draw.one_of(-1.0, 1.0) * draw.random.integers(-1, 2, (h, w, c, n))
        labels.flat[0] = -1  # labels 0 and 1 alone are warned of
    weights = draw.array(h, w, 1, n, low=0.0, high=2.0) if draw.chance(0.4) else None
    options = {"loss": name, "instanceWeights": weights, "topK": draw.pick(1, 5)}
    if name == "softmaxloss":
        given = labels if weights is None else np.concatenate([labels, weights], 2)
        operator = functools.partial(pcn.vl_nnsoftmaxloss, x, given)
    else:
        operator = functools.partial(pcn.vl_nnloss, x, labels, **options)
    factor = Bounded(labels != 0, draw.real) * (1 if weights is None else weights.astype(float)) / n

    def expect() -> list[Bounded]:
        terms, ders = _losses(name, Bounded(x, draw.real), labels, options["topK"])
        return [(terms * factor).sum((0, 1, 2, 3)), ders * (2 * factor)]

    words = text("vl_nnloss", x, loss=name, weights=weights is not None, topK=options["topK"])
    return Case(words, lambda: [operator(), operator(2.0)], expect)


def _losses(name: str, x: Bounded, labels: Any, top: int) -> tuple[Bounded, Bounded]:
    """(the loss of each pixel or value, its derivative by x)."""
    if name in ("binaryerror", "binarylog", "logistic", "hinge"):
        c = labels
        if name == "binaryerror":
            return Bounded(np.sign(x.value) != c, x.real), Bounded(np.zeros(x.value.shape), x.real)
        if name == "binarylog":
            p = c * (x - 0.5) + 0.5
            seen = np.where(c == 0, 1 - x.value, (c - 1) / 2)
            return -p.log(), -(c * c) / (x + seen)
        if name == "hinge":
            return (1 - c * x).at_least(0), Bounded(-c * (1 - c * x.value > 0), x.real)
        e = Bounded(-np.abs(x.value) * np.abs(c), x.real).exp()
        up = -c * x.value
        slope = (e / (1 + e), 1 / (1 + e))
        chosen = Bounded(np.where(up > 0, slope[1].value, slope[0].value), x.real, slope[1].error + slope[0].error)
        return Bounded(np.maximum(up, 0), x.real) + (1 + e).log(), -c * chosen
    terms, ders = np.zeros((2, *labels.shape)), np.zeros((2, *x.value.shape))
    shifted, total, soft = soften(x)
    logs = total.log() - shifted
    for i, j, n in np.ndindex(labels.shape[0], labels.shape[1], labels.shape[3]):
        k = int(labels[i, j, 0, n]) - 1
        if k < 0:
            continue
        at, here, scores = (i, j, k, n), (i, j, 0, n), x.value[i, j, :, n]
        if name in ("softmaxlog", "softmaxloss"):
            terms[:, i, j, 0, n] = logs.value[at], logs.error[at]
            one = soft[at] - 1
            ders[0, i, j, :, n], ders[1, i, j, :, n] = soft.value[i, j, :, n], soft.error[i, j, :, n]
            ders[0][at], ders[1][at] = one.value, one.error
        elif name == "log":
            found = -x[at].log(), -1 / x[at]
            (terms[0][here], ders[0][at]), (terms[1][here], ders[1][at]) = (
                [f.value for f in found],
                [f.error for f in found],
            )
        elif name == "mhinge":
            terms[0][here], ders[0][at] = max(0, 1 - scores[k]), -float(scores[k] < 1)
        elif name == "mshinge":
            rival = max((q for q in range(len(scores)) if q != k), key=lambda q: (scores[q], -q))
            margin = 1 - scores[k] + scores[rival]
            terms[0][here] = max(0, margin)
            ders[0][at], ders[0, i, j, rival, n] = -float(margin > 0), float(margin > 0)
        else:
            before = sum(s > scores[k] or (s == scores[k] and q < k) for q, s in enumerate(scores))
            terms[0][here] = before >= (1 if name == "classerror" else top)
    return Bounded(terms[0], x.real, terms[1]), Bounded(ders[0], x.real, ders[1])


def pdist(draw: Draw) -> Case:
    h, w, c, n = draw.pick(1, 5), draw.pick(1, 5), draw.channels(), draw.pick(1, 5)
    p, root, total = draw.one_of(1, 2, 2, 3, 0.5, 1.5), draw.chance(0.6), draw.chance(0.3)
    x = draw.array(h, w, c, n)
    one = [draw.chance(0.4), draw.chance(0.4), False, draw.chance(0.3)]
    x0 = draw.array(*(1 if o else s for o, s in zip(one, (h, w, c, n))))
    dzdy = draw.array(1, 1, 1, 1) if total else draw.array(h, w, 1, n)
    options = {"noRoot": not root, "aggregate": total}

    def call() -> list[Any]:
        return [pcn.vl_nnpdist(x, x0, p, **options), *pcn.vl_nnpdist(x, x0, p, dzdy, **options)]

    def expect() -> list[Bounded]:
        d, dy = Bounded(x, draw.real) - Bounded(np.broadcast_to(x0, x.shape), draw.real), Bounded(dzdy, draw.real)
        sign = np.sign(d.value)
        # at distances that drown in rounding the derivative of a root is anything
        clear = np.abs(d.value) > 4 * d.error
        size = Bounded(np.where(clear, np.abs(d.value), 1.0), draw.real, np.where(clear, d.error, 0.0))
        powers = size.power(p)
        mass = Bounded(np.where(clear, powers.value, 0), draw.real, np.where(clear, powers.error, (8 * d.error) ** p))
        mass = mass.sum((2,))
        assert (mass.value > mass.error).all()
        y = mass.power(1 / p) if root else mass
        slope = (size.at_least(1e-6) if p < 1 else size).power(p - 1) * sign
        if root:
            slope = (mass if p < 1 else mass.at_least(1e-6)).power((1 - p) / p) * slope
        else:
            slope = p * slope
        dx = dy * slope
        # what is not clear may be anything up to the slope at the least distance
        dx = Bounded(dx.value, draw.real, np.where(clear, dx.error, np.inf))
        axes = tuple(i for i in range(4) if x0.shape[i] == 1 < x.shape[i])
        return [y.sum((0, 1, 3)) if total else y, dx, -(dx.sum(axes) if axes else dx)]

    return Case(text("vl_nnpdist", x, x0, p, **options), call, expect)
