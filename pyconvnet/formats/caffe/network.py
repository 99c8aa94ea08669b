"""A DagNN of a network definition and the weights that belong to it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from pyconvnet.dagnn import DagNN
from pyconvnet.formats.caffe.definition import Definition, LayerDefinition
from pyconvnet.text import visible

LARGEST = 1 << 16  # height, width or channels of an input


class Var(NamedTuple):
    """A blob of Caffe as a variable of the graph.

    size  H, W, C; None where it is not known: of labels, and after a layer that cannot be imported
    bgr   whether its channels are blue, green, red in Caffe and red, green, blue here
    flat  whether it is a vector in Caffe, C x H x W, where the graph keeps H x W x C
    """

    name: str
    size: tuple[int, int, int] | None
    bgr: bool = False
    flat: bool = False


class Network:
    """The graph that is being made: a function of layers.py adds the layers for each one of Caffe's."""

    def __init__(self, definition: Definition, weights: dict[str, list[np.ndarray]], rgb: bool, file: str) -> None:
        self.dag = DagNN()
        self.weights, self.file = weights, file
        self.readers = Counter(bottom for layer in definition.layers for bottom in layer.bottoms)
        self.vars = {
            name: _input(name, size, rgb and i == 0) for i, (name, size) in enumerate(definition.inputs.items())
        }
        self.inputs = list(self.vars.values())
        self._values = dict.fromkeys(self.vars, 1)  # name of a blob or variable -> how many values it had so far
        self._layers: set[str] = set()
        self.unscaled: list[str] = []  # factors and biases of the layer before, if it is a batch normalization

    def blobs(self, layer: LayerDefinition, count: int) -> list[np.ndarray]:
        """The weights of a layer, `count` arrays."""
        found = self.weights.get(layer.name, [])
        if len(found) < count:
            raise ValueError(f"{self.file} has {len(found) or 'no'} arrays of weights for it, it needs {count}")
        return found[:count]

    def output(self, blob: str) -> str:
        """The name of a new variable for a blob: a layer in place makes conv1x of conv1, the next conv1x2."""
        if blob not in self._values:
            self._values[blob] = 1
            return blob
        while (name := f"{blob}x{self._values[blob] if self._values[blob] > 1 else ''}") in self._values:
            self._values[blob] += 1
        self._values[blob] += 1
        self._values[name] = 1
        return name

    def add(
        self,
        layer: LayerDefinition,
        block: Any,
        inputs: list[Var],
        size: tuple[int, int, int] | None,
        params: dict[str, np.ndarray] | None = None,
        suffix: str = "",
        learns: bool = True,
    ) -> Var:
        """Add a layer with parameters (what their names end in -> value); returns its output.

        suffix  of the name of a layer that stands before the layer itself
        learns  whether the parameters are the layer's own, rather than constants
        """
        name = layer.name + suffix
        while name in self._layers:
            name += "x"
        self._layers.add(name)
        own = learns and not block.averaged  # the parameters of a batch normalization are other ones in Caffe
        shared = dict(zip(params or (), layer.shared)) if own else {}
        names = {end: shared.get(end) or f"{name}_{end}" for end in params or ()}
        top = layer.tops[0] if layer.tops else layer.name
        self.unscaled = []
        out = self.output(f"{top}{suffix}" if suffix else top)
        self.dag.addLayer(name, block, [x.name for x in inputs], out, list(names.values()), skipRebuild=True)
        for end, value in (params or {}).items():
            param = self.dag.params[names[end]]
            if param.value is not None and param.value.shape != value.shape:
                raise ValueError(f"parameter {names[end]!r} is shared by layers for which it has different sizes")
            param.value = np.array(value, np.float32, order="F")
        rates = layer.rates if own else [] if learns else [(0.0, 0.0)] * len(names)
        for param_name, (rate, decay) in zip(names.values(), rates):
            self.dag.params[param_name].learningRate, self.dag.params[param_name].weightDecay = rate, decay
        return Var(out, size)


def build(definition: Definition, weights: dict[str, list[np.ndarray]], rgb: bool, file: str) -> DagNN:
    """The graph; ValueError that lists all layers that cannot be imported, each with the reason."""
    from pyconvnet.formats.caffe.layers import CONVERTERS, LEFT_OUT

    net = Network(definition, weights, rgb, file)
    problems = []
    for layer in definition.layers:
        if layer.type in LEFT_OUT:
            continue
        outputs: list[Var] = []
        if layer.type not in CONVERTERS:
            problems.append(f"{layer.name!r} ({layer.written or 'without a type'})")
        else:
            try:
                inputs = [_known(net, name) for name in layer.bottoms]
                unknown = {x.name for x in inputs if x.size is None}
                if unknown <= {x.name for x in net.inputs}:  # otherwise a layer before it is among the problems
                    outputs = _converted(net, layer, inputs, CONVERTERS[layer.type])
            except (ValueError, TypeError, ArithmeticError) as error:
                problems.append(f"{layer.name!r} ({visible(layer.written)}): {error}")
        for i, top in enumerate(layer.tops):
            net.vars[top] = outputs[i] if i < len(outputs) else Var(net.output(top), None)
    if problems:
        more = f"; and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ValueError(f"layers that cannot be imported: {'; '.join(problems[:20])}{more}")
    net.dag.rebuild()
    return net.dag


def _converted(net: Network, layer: LayerDefinition, inputs: list[Var], converter: Callable[..., Any]) -> list[Var]:
    try:
        signature(converter).bind(net, layer, *inputs)
    except TypeError:
        raise ValueError(f"it has {len(inputs)} bottoms") from None
    if inputs[0].size is None:
        raise ValueError(f"the size of its input {inputs[0].name!r} is not known: give inputSize")
    return converter(net, layer, *inputs)


def _known(net: Network, name: str) -> Var:
    if name not in net.vars:
        raise ValueError(f"its bottom {name!r} is neither an input nor the top of a layer before it")
    return net.vars[name]


def _input(name: str, shape: list[int] | None, rgb: bool) -> Var:
    if shape is None or not shape:
        return Var(name, None)
    channels, *sides = [*shape[1:], 1, 1, 1][: max(3, len(shape) - 1)]
    if len(sides) != 2 or not all(1 <= v <= LARGEST for v in (channels, *sides)):
        text = " x ".join(map(str, shape[:8]))
        raise ValueError(f"input {name!r} must have at most 4 axes, each 1 to {LARGEST}, it is {text}")
    return Var(name, (sides[0], sides[1], channels), bgr=rgb and channels == 3 and math.prod(sides) > 1)
