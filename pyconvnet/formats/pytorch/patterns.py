"""Layers that torch.export records as several operations: local response normalization, averages of the inside, grids
and what is sampled at their points."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from pyconvnet.layers import LRN, Layer, Pooling


class Pattern(NamedTuple):
    """What was found: the operations inside, the nodes of the inputs, and the layer that they are together."""

    inner: list[Any]
    inputs: list[Any]
    block: Layer


def patterns(graph: Any) -> tuple[dict[Any, Pattern], set[Any]]:
    """Such layers of a graph by the last of their operations, and the operations that are parts of one and no more."""
    from pyconvnet.formats.pytorch.own import grid, sampler

    found: dict[Any, Pattern] = {}
    inside: set[Any] = set()
    for node in graph.nodes:
        if node.op == "call_function" and (layer := _division(node) or grid(node) or sampler(node)):
            found[node] = layer
            absorbed = set(layer.inner)
            while read := {each for each in absorbed if not absorbed.issuperset(each.users.keys() - {node})}:
                absorbed -= read
            inside |= absorbed
    return found, inside


def _division(node: Any) -> Pattern | None:
    if str(node.target) != "aten.div.Tensor" or not all(isinstance(a, torch.fx.Node) for a in node.args):
        return None
    return _response_norm(*node.args) or _inside_average(*node.args)


def _before(inner: list[Any], at: Any, names: str, passed: str) -> Any:
    """The operation `at`, or the first before it that is none of `passed`, if it is one of `names`; put in `inner`."""
    while isinstance(at, torch.fx.Node) and _plain(at) in passed.split():
        inner.append(at)
        at = at.args[0]
    if not isinstance(at, torch.fx.Node) or _plain(at) not in names.split():
        return None
    inner.append(at)
    return at


def _response_norm(x: Any, divisor: Any) -> Pattern | None:
    """x / (k + alpha average of x^2)^beta"""
    inner: list[Any] = []

    def before(at: Any, names: str) -> Any:
        return _before(inner, at, names, "view squeeze unsqueeze")

    power = before(divisor, "pow")
    plus = power and before(power.args[0], "add")
    times = plus and before(plus.args[0], "mul")
    pool = times and before(times.args[0], "avg_pool3d")
    pad = pool and before(pool.args[0], "pad constant_pad_nd")
    square = pad and before(pad.args[0], "mul pow")
    if not square or square.args[0] is not x or square.args[1] not in (x, 2):
        return None
    size = pool.args[1][0]
    # of an even size, torch's window reaches one channel further down, MatConvNet's further up
    if size % 2 == 0 or list(pool.args[1][1:]) != [1, 1] or list(pad.args[1]) != [0, 0, 0, 0, size // 2, size // 2]:
        return None
    kappa, alpha, beta = (at.args[1] for at in (plus, times, power))
    if any(isinstance(v, torch.fx.Node) for v in (kappa, alpha, beta)):
        return None
    return Pattern(inner, [x], LRN(param=(float(size), float(kappa), float(alpha / size), float(beta))))


def _inside_average(dividend: Any, divisor: Any) -> Pattern | None:
    """Averages of x with zeros around it, divided by those of ones: AveragePool of to_torch."""
    inner: list[Any] = []
    pools = [_before(inner, at, "avg_pool2d", "") for at in (dividend, divisor)]
    pads = [pool and _before(inner, pool.args[0], "pad constant_pad_nd", "") for pool in pools]
    ones = pads[1] and _before(inner, pads[1].args[0], "ones_like", "")
    if not ones or not pads[0] or any(a.args[1:] != b.args[1:] for a, b in (pools, pads)):
        return None
    x, like = pads[0].args[0], ones.args[0]
    while like is not x and _plain(like) == "slice":  # one channel of one image is enough
        inner.append(like)
        like = like.args[0]
    if like is not x or ones.meta["val"].shape[2:] != x.meta["val"].shape[2:]:
        return None
    (pad, *how), (window, *stride) = pads[0].args[1:], pools[0].args[1:]
    if how not in ([], ["constant"], ["constant", 0.0]) or len(pad) != 4 or len(window) != 2 or len(stride) != 1:
        return None
    left, right, top, bottom = pad
    if min(pad) < 0 or max(top, bottom) >= window[0] or max(left, right) >= window[1]:
        return None
    block = Pooling(method="avg", poolSize=tuple(window), stride=tuple(stride[0]), pad=(top, bottom, left, right))
    return Pattern(inner, [x], block)


def _plain(node: Any) -> str:
    return str(node.target).removeprefix("aten.").partition(".")[0]
