"""Local response normalization, which torch.export records as nine operations."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch


class ResponseNorm(NamedTuple):
    """What was found: the operations inside, the node of the input, and [n, kappa, alpha, beta] as vl_nnnormalize."""

    inner: list[Any]
    input: Any
    param: tuple[float, ...]


def absorbed(node: Any) -> bool:
    """Whether an operation is a part of a local response normalization, which ends in a division of the input."""
    return any(node in found.inner for user in _users(node, 9) if (found := response_norm(user)))


def _users(node: Any, depth: int) -> Any:
    """The operations that follow a node one after the other, each the only reader of what is before it."""
    for _ in range(depth):
        if len(node.users) != 1:
            return
        (node,) = node.users
        yield node


def response_norm(node: Any) -> ResponseNorm | None:
    """The normalization x / (k + alpha average of x^2)^beta that ends in this operation; None if it is another."""
    if str(node.target) != "aten.div.Tensor" or not all(isinstance(a, torch.fx.Node) for a in node.args):
        return None
    inner: list[Any] = []

    def before(at: Any, *names: str) -> Any:
        while at is not None and isinstance(at, torch.fx.Node) and _plain(at) in ("view", "squeeze", "unsqueeze"):
            inner.append(at)
            at = at.args[0]
        if not isinstance(at, torch.fx.Node) or _plain(at) not in names:
            return None
        inner.append(at)
        return at

    x = node.args[0]
    power = before(node.args[1], "pow")
    plus = power and before(power.args[0], "add")
    times = plus and before(plus.args[0], "mul")
    pool = times and before(times.args[0], "avg_pool3d")
    pad = pool and before(pool.args[0], "pad", "constant_pad_nd")
    square = pad and before(pad.args[0], "mul", "pow")
    if not square or square.args[0] is not x or square.args[1] not in (x, 2):
        return None
    size = pool.args[1][0]
    # of an even size, torch's window reaches one channel further down, MatConvNet's further up
    if size % 2 == 0 or list(pool.args[1][1:]) != [1, 1] or list(pad.args[1]) != [0, 0, 0, 0, size // 2, size // 2]:
        return None
    param = (size, plus.args[1], times.args[1] / size, power.args[1])
    return ResponseNorm(inner, x, tuple(map(float, param)))


def _plain(node: Any) -> str:
    return str(node.target).removeprefix("aten.").partition(".")[0]
