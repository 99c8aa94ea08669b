"""Reader: an ONNX graph on its way into a network, node by node, and the table of operators that can be read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, helper

from pyconvnet.formats.names import free_name
from pyconvnet.formats.onnx.fold import fold
from pyconvnet.formats.onnx.library import Refused, SizeNeeded, output_sizes, zeros
from pyconvnet.formats.onnx.marks import Group, layer_of, marked_groups
from pyconvnet.formats.onnx.values import (
    Tensor,
    as_it_lies,
    blocks_of_pixels,
    known,
    pixels_of_blocks,
    rearrangement,
)
from pyconvnet.layers import Conv, ConvTranspose, Layer, Permute, Reshape
from pyconvnet.text import visible

Borders = tuple[int, int, int, int]  # top, bottom, left, right
Handler = Callable[["Reader", "Node"], Any]
OPERATORS: dict[str, Handler] = {}
# What attributes and constants of a broken file lead to, besides Refused
DOUBTS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


def reads(*ops: str) -> Callable[[Handler], Handler]:
    """Enter a function as the one that makes layers of nodes of these operators; it returns the output."""

    def enter(function: Handler) -> Handler:
        OPERATORS.update(dict.fromkeys(ops, function))
        return function

    return enter


@dataclass
class Node:
    """A node: `inputs` are Tensors and arrays, None where one is left out."""

    op: str
    name: str
    inputs: list[Any]
    outputs: list[str]
    given: list[str]
    attributes: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, text as str."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def input(self, i: int) -> Any:
        return self.inputs[i] if i < len(self.inputs) else None

    def constant(self, i: int, what: str) -> Any:
        """Input i, whose value must be in the file; None where it is left out."""
        value = self.input(i)
        if isinstance(value, Tensor):
            raise Refused(f"its {what} must be constant")
        return value

    def tensor(self, i: int = 0) -> Tensor:
        """Input i, which must depend on the network's inputs."""
        value = self.input(i)
        if not isinstance(value, Tensor):
            raise Refused("it must read what depends on an input of the network")
        return value


@dataclass
class Made:
    """A layer of the network that comes of it."""

    name: str
    block: Layer
    inputs: list[str]
    output: str
    params: list[str] = field(default_factory=list)


class Reader:
    """A graph on its way into a network."""

    def __init__(self, graph: GraphProto, opset: int, real: Any) -> None:
        self.opset, self.real = opset, real  # real: the precision of all parameters
        self.values: dict[str, Any] = {}
        self.input_sizes: dict[str, tuple[Any, Any, Any]] = {}  # H, W, C
        self.layers: list[Made] = []
        self.params: dict[str, np.ndarray] = {}
        self.padding: dict[str, tuple[Tensor, Borders]] = {}  # variables that are others with zeros around them
        self.refused: list[str] = []
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.uses.update(v.name for v in graph.output)
        self._vars: set[str] = set()
        self.node = Node("", "", [], [], [], {})

    # --- what functions of OPERATORS use --------------------------------------------------------------------------

    def layer(
        self, block: Layer, inputs: Sequence[Tensor], params: Sequence[tuple[str, Any]] = (), part: str = ""
    ) -> Tensor:
        """Add a layer, whose inputs are variables as they are; its output.

        params  (name, value) of each; `part` names a layer that is not the last of its node
        """
        node = self.node
        output = free_name(node.outputs[0] + (f"_{part}" if part else ""), self._vars)
        sizes: list[Any] = [tuple(math.nan if s is None else s for s in (*t.base[2:], *t.base[1::-1])) for t in inputs]
        h, w, c, n = (known(s) for s in output_sizes(block, sizes)[0])
        if any(s is not None and s < 1 for s in (h, w, c)):
            raise Refused(f"its output would be empty: {h} x {w} x {c}")
        name = free_name((node.name or node.outputs[0]) + (f"_{part}" if part else ""), {m.name for m in self.layers})
        made = Made(name, block, [t.var for t in inputs], output)
        made.params = [self._param(label, value) for label, value in params]
        self.layers.append(made)
        return Tensor(output, (n, c, h, w), (n, c, h, w))

    def _param(self, name: str, value: Any) -> str:
        """The name that a parameter gets: layers that read one share it."""
        value = np.asarray(value, self.real, order="F")
        while name in self.params and not np.array_equal(self.params[name], value):
            name += "_"
        self.params.setdefault(name, value)
        return name

    def name_of(self, i: int | None, other: str) -> str:
        """What to call the parameter that input i of the node is, or one that is computed."""
        given = self.node.given
        found = given[i] if i is not None and i < len(given) else ""
        return found or f"{self.node.name or self.node.outputs[0]}_{other}"

    def image(self, t: Tensor) -> Tensor:
        """The tensor as a variable H x W x C x N of its own, with layers that rearrange where it takes some."""
        x = Tensor(t.var, t.base, t.base)
        if as_it_lies(t):
            return x
        if any(s is None for s in (*t.base, *t.shape)):
            raise SizeNeeded()
        if (f := blocks_of_pixels(t)) is not None:
            return self._one_hot(Conv(size=f.shape, hasBias=False, stride=f.shape[0]), x, f, "order")
        if (f := pixels_of_blocks(t)) is not None:
            return self._one_hot(ConvTranspose(size=f.shape, hasBias=False, upsample=f.shape[0]), x, f, "order")
        how = rearrangement(t)
        if how is None:
            raise Refused("it moves elements in a way that no permutation and reshape of an image gives")
        first, size, last = how
        if first != (0, 1, 2):
            x = self.layer(Permute(order=[a + 1 for a in first]), [x], part="permute")
        if tuple(x.base[i] for i in (2, 3, 1)) != size:
            x = self.layer(Reshape(size=size), [x], part="reshape")
        return x if last == (0, 1, 2) else self.layer(Permute(order=[a + 1 for a in last]), [x], part="order")

    def _one_hot(self, block: Layer, x: Tensor, filters: np.ndarray, part: str) -> Tensor:
        return self.layer(block, [x], [(f"{self.node.outputs[0]}_{part}", filters)], part=part)

    def pick(self, x: Tensor, channels: np.ndarray, part: str) -> Tensor:
        """Channels of x in any order, by a convolution with filters of one 1 each."""
        count = self.channels(x)
        filters = zeros(1, 1, count, len(channels))
        filters[0, 0, channels, np.arange(len(channels))] = 1
        return self._one_hot(Conv(size=filters.shape, hasBias=False), x, filters, part)

    @staticmethod
    def channels(x: Tensor) -> int:
        if x.base[1] is None:
            raise SizeNeeded()
        return x.base[1]

    @staticmethod
    def pixels(x: Tensor) -> tuple[int, int]:
        """Height and width of a variable."""
        if x.base[2] is None or x.base[3] is None:
            raise SizeNeeded()
        return x.base[2], x.base[3]

    @staticmethod
    def in_rank(x: Tensor, rank: int) -> Tensor:
        """An image as the vector N x C, or signal N x C x W, that a node gives."""
        if rank == 4:
            return x
        shape = x.base[:2] if rank == 2 else (*x.base[:2], x.base[3])
        return x.reshaped(shape)

    def last_layer(self, x: Tensor, name: str) -> Made | None:
        """The layer that gives a variable, where that is the tensor `name` alone and this node alone reads it."""
        names = [k for k, v in self.values.items() if isinstance(v, Tensor) and v.var == x.var]
        if names != [name] or self.uses[name] != 1:
            return None
        return next((m for m in self.layers if m.output == x.var), None)

    # --- the graph --------------------------------------------------------------------------------------------------

    def run(self, nodes: Sequence[NodeProto]) -> None:
        groups = marked_groups(nodes)
        done = 0
        for at, proto in enumerate(nodes):
            if at < done:
                continue
            group = groups.get(at)
            if group is not None and self._from_mark(group):
                done = at + len(group.nodes)
                continue
            self._read(proto)

    def _from_mark(self, group: Group) -> bool:
        inputs = [t for name in group.inputs if isinstance(t := self.values.get(name), Tensor)]
        inner = Counter(name for node in group.nodes for name in node.input)
        outside = any(self.uses[name] != inner[name] for node in group.nodes[:-1] for name in node.output)
        if outside or len(inputs) != len(group.inputs):
            return False
        try:
            self.node = Node("", group.layer, inputs, [group.output], list(group.inputs), {})
            images = [self.image(t) for t in inputs]
            constants = {k: v for k, v in self.values.items() if isinstance(v, np.ndarray)}
            block = layer_of(group, images, constants)
            if block is None:
                return False
            self.values[group.output] = self.layer(block, images)
        except DOUBTS:
            return False
        return True

    def _read(self, proto: NodeProto) -> None:
        where = proto.name or (proto.output[0] if proto.output else "")
        handler = OPERATORS.get(proto.op_type) if proto.domain in ("", "ai.onnx") else None
        inputs = [self.values.get(name) if name else None for name in proto.input]
        numbers = [v for name, v in zip(proto.input, inputs) if name]
        self.values.update(dict.fromkeys(proto.output))
        try:
            if all(isinstance(v, np.ndarray) for v in numbers):
                found = fold(proto, numbers, self.opset)
                if found is not None:
                    self.values.update(zip(proto.output, found))
                    return
            if handler is None:
                domain = f" of {proto.domain}" if proto.domain not in ("", "ai.onnx") else ""
                raise Refused(f"there is no layer for this operator{domain}")
            if missing := [name for name in proto.input if name and name not in self.values]:
                raise Refused(f"it reads {missing[0]!r}, which nothing gives")
            if any(v is None for v in numbers):
                return  # it reads what a refused node gives
            if any(self.uses[name] for name in proto.output[1:]) and proto.op_type != "Split":
                raise Refused("only its first output is known here")
            attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
            self.node = Node(proto.op_type, proto.name, inputs, list(proto.output), list(proto.input), attributes)
            made = handler(self, self.node)
            results = made if isinstance(made, list) else [made]
            self.values.update(zip(proto.output, results))
        except DOUBTS as error:
            self.refused.append(visible(f"{where} ({proto.op_type}): {error}"))
