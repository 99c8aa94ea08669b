"""The table of layer classes that can be written: {layer class: function that adds its nodes}, opset 17."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyconvnet.formats.onnx.builder import Builder, Param
from pyconvnet.formats.onnx.library import Refused
from pyconvnet.layers import Layer

Writer = Callable[[Builder, Any, list[str], list[Param]], str]
TABLE: dict[type[Layer], Writer] = {}


def writes(cls: type[Layer]) -> Callable[[Writer], Writer]:
    """Enter a function as the one that writes the nodes of a layer class:

        @writes(Mish)
        def mish(g, layer, inputs, params):
            (x,) = inputs
            return g.add("Mul", x, g.add("Tanh", g.add("Softplus", x)))

    g       a Builder
    layer   the layer, with its properties
    inputs  names of the tensors that it reads, N x C x H x W
    params  its parameters, each (name, value)

    It returns the name of the output, and raises ValueError for what it cannot write.
    """

    def enter(function: Writer) -> Writer:
        TABLE[cls] = function
        return function

    return enter


def writer_of(layer: Layer) -> Writer:
    """The function for a layer; a subclass has that of its base, unless it computes something else."""
    from pyconvnet.formats.onnx import export_layers, export_normalization  # noqa: F401  they fill the table

    kind = type(layer)
    for base in kind.__mro__:
        if base in TABLE and kind.forward is base.forward and kind.forwardAdvanced is base.forwardAdvanced:
            return TABLE[base]
    raise Refused("its class has no ONNX nodes; pyconvnet.formats.onnx.writes enters them")
