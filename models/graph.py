"""What the builders of graphs share: first values, errors, and what takes their place where a network is deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet import rng
from pyconvnet.models.initialize import Draw
from pyconvnet.models.layer_records import layer

if TYPE_CHECKING:
    from pyconvnet.dagnn import DagNN

WORKSPACE = 1024 * 1024 * 1204  # bytes for cuDNN, as MatConvNet's examples write it


def add_losses(net: DagNN, losses: dict[str, tuple[str, str]], prediction: str = "prediction") -> None:
    """Losses and errors of a variable for `label`: layer name -> (kind of loss, variable)."""
    from pyconvnet.dagnn import Loss

    for name, (loss, variable) in losses.items():
        block = Loss(loss=loss, opts=["topK", 5]) if loss == "topkerror" else Loss(loss=loss)
        net.addLayer(name, block, [prediction, "label"], variable)


def add_softmax(net: DagNN, prediction: str = "prediction", name: str = "prob", output: str = "prob") -> None:
    """The layer that stands for the losses in a deployed network."""
    from pyconvnet.dagnn import SoftMax

    net.addLayer(name, SoftMax(), prediction, output)


def first_values(net: DagNN, seed: int | None, init: bool) -> None:
    """What DagNN.initParams gives, drawn from `seed`; zeros that take no memory where `init` is false."""
    if not init:
        zeros = Draw(init=False)
        for entry in net.layers:
            for name, shape in zip(entry.params, _shapes(entry.block)):
                net.params[name].value = zeros.constant(shape)
        return
    with rng.drawing_from(np.random.default_rng(seed)):
        net.initParams()


def _shapes(block: Any) -> list[tuple[int, ...]]:
    """Of the parameters of a convolution or a batch normalization."""
    if hasattr(block, "numChannels"):
        return [(block.numChannels, 1), (block.numChannels, 1), (block.numChannels, 2)]
    return [block.size, (block.size[3], 1)] if hasattr(block, "size") else []


def with_dropout(fn: str, net: Any, after: dict[str, str]) -> Any:
    """A SimpleNN with dropout layers: after which layer -> name, and no others. It shares its layers with `net`."""
    if not isinstance(net, dict):
        raise TypeError(f"{fn}: source must be a SimpleNN, got {type(net).__name__}")
    missing = [name for name in after if name not in [layer.get("name") for layer in net["layers"]]]
    if missing:
        raise ValueError(f"{fn}: source must have the layers of VGG, {', '.join(map(repr, missing))} among them")
    layers = []
    for record in net["layers"]:
        if record["type"] != "dropout":
            layers.append(record)
        if record.get("name") in after:
            layers.append(layer("dropout", after[record["name"]], rate=0.5))
    return type(net)({**net, "layers": layers})


def without_training(net: DagNN) -> None:
    """Take out losses and dropout, as MatConvNet's examples do to deploy a graph."""
    from pyconvnet.dagnn import DropOut, Loss

    for entry in [e for e in net.layers if isinstance(e.block, (DropOut, Loss))]:
        net.removeLayer(entry.name)
        if isinstance(entry.block, DropOut):
            net.renameVar(entry.outputs[0], entry.inputs[0])
