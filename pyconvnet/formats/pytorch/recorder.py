"""The graph that grows while from_torch goes through the operations of a module, and what flows between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from pyconvnet.dagnn import DagNN
from pyconvnet.formats.names import free_name
from pyconvnet.layers import Conv, Layer

NO_PAD = (0, 0, 0, 0)


class Variable(NamedTuple):
    """A tensor of the network: N x C x H x W, or N x (C H W) where it is flat."""

    name: str
    channels: int
    height: int
    width: int
    flat: bool = False
    pad: tuple[int, int, int, int] = NO_PAD
    """(top, bottom, left, right) still to be put around it, of `fill`; what is below 0 is cut off"""
    fill: float = 0.0

    @property
    def size(self) -> tuple[int, int, int]:
        """(C, H, W), without the pad."""
        return self.channels, self.height, self.width


class Constant(NamedTuple):
    """A parameter or buffer, by its name in the module, or what was computed from such (no name)."""

    name: str
    value: torch.Tensor


class Unsupported(ValueError):
    """An operation, or a use of one, that no layer can express."""


class Recorder:
    """The graph that grows while the operations of an exported program are gone through."""

    def __init__(self, module: torch.nn.Module, inputs: Iterable[str]) -> None:
        self.module, self.net = module, DagNN()
        self.node: Any = None  # the operation that is looked at
        self._taken = set(inputs)

    @property
    def path(self) -> str:
        """The name of the innermost module that the operation is in."""
        stack = list((self.node.meta.get("nn_module_stack") or {}).values())
        return re.sub(r"@\d+", "", stack[-1][0]) if stack else ""

    @property
    def owner(self) -> torch.nn.Module:
        """That module."""
        return self.module.get_submodule(self.path)

    def name(self, suffix: str = "") -> str:
        """A name for a layer: that of the module if it has no others in it, else the operation's in its module."""
        path = self.path
        leaf = path and not any(True for _ in self.owner.children())
        wanted = path if leaf else f"{path}.{self.node.name}" if path else self.node.name
        return free_name(wanted + suffix, self._taken)

    def add(
        self, block: Layer, inputs: Sequence[Variable], *params: tuple[str, Any], size: Any = None, suffix: str = ""
    ) -> Variable:
        """Add a layer. params: (name, value), where the name is that in the module, or begins with '.' for a new one.

        size    (C, H, W) of the output, and whether it is flat; left out, those of the operation's
        suffix  of the layer's name, where an operation is several
        """
        name, keys = self.name(suffix), []
        for key, value in params:
            key = name + key if key.startswith(".") else key
            value = np.array(value.numpy() if isinstance(value, torch.Tensor) else value, order="F")
            known = self.net.params[key].value if key in self.net.params else None
            if known is not None and not (known.shape == value.shape and np.array_equal(known, value)):
                key = f"{key}_{name}"  # the same weights in another shape
            keys.append((key, value))
        self.net.addLayer(name, block, [x.name for x in inputs], name, [key for key, _ in keys])
        for key, value in keys:
            self.net.params[key].value = value
        return Variable(name, *size) if size is not None else variable(name, self.node.meta["val"])

    def padded(self, x: Variable) -> Variable:
        """x with its pad put around it, by a layer that copies each channel."""
        if x.pad == NO_PAD:
            return x
        if x.fill != 0:
            raise Unsupported(f"pads with {x.fill:g}, which is 0 for layers other than pooling")
        added, cut = tuple(max(p, 0) for p in x.pad), tuple(max(-p, 0) for p in x.pad)
        kernel = np.zeros((1 + cut[0] + cut[1], 1 + cut[2] + cut[3], 1, x.channels), np.float32)
        kernel[cut[0], cut[2]] = 1
        size = x.channels, x.height + x.pad[0] + x.pad[1], x.width + x.pad[2] + x.pad[3]
        return self.fixed(Conv(size=kernel.shape, pad=added, hasBias=False), x, kernel, size=size, suffix=".pad")

    def fixed(self, block: Layer, x: Variable, filters: np.ndarray, **options: Any) -> Variable:
        """Add a layer whose filters are no parameters of the module, and are not to be learned."""
        y = self.add(block, [x], (".filters", filters), **options)
        self.net.params[f"{y.name}.filters"].learningRate = 0
        return y


def variable(name: str, value: Any) -> Variable:
    """The variable for what torch.export says of a result; of several results, for the first."""
    if isinstance(value, (tuple, list)):
        value = value[0]
    if value.ndim not in (2, 4):
        raise Unsupported(f"a tensor of {value.ndim} dimensions, {list(value.shape)}")
    _, c, h, w = (*value.shape, 1, 1)[:4]
    return Variable(name, int(c), int(h), int(w), value.ndim == 2)


Operation = Callable[..., Any]
OPERATIONS: dict[str, Operation] = {}


def operation(*names: str) -> Callable[[Operation], Operation]:
    """Say which functions of aten a function is for."""

    def add(function: Operation) -> Operation:
        OPERATIONS.update({f"aten.{name}": function for name in names})
        return function

    return add
