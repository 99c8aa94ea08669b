"""Network: the protocol that training, prediction, views, reports and preprocessing go by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from pyconvnet.devices import move
from pyconvnet.records import check_weights, reader_hint
from pyconvnet.values import as_array


class Network(Protocol):
    """A network of either kind. `net` is the SimpleNN or DagNN, which is not changed."""

    net: Any

    def weights(self) -> Iterator[tuple[str, list[Any]]]:
        """The layers in their order: (name, arrays of its parameters)."""

    def filters(self, layer: int | str | None) -> Any:
        """The first parameter of a layer; for None, the first that has more than two dimensions, else the first."""

    def arrays(self, res: Any = None) -> Iterator[tuple[str, str, Any]]:
        """(layer, "weights 1", array) and so on: weights, and outputs and derivatives that are still held.

        res  results of vl_simplenn, for a SimpleNN; a graph holds its own
        """

    def table(self) -> str:
        """The network as text."""

    def graph(self) -> Any:
        """The network as a DagNN."""

    def trainer(self) -> Callable[..., Any]:
        """cnn_train or cnn_train_dag."""

    def predictor(self) -> Predictor:
        """The network without its losses, in test mode."""

    def predict(self, x: Any) -> Any:
        """What the predictor makes of x; for the next call it may be kept."""


class Predictor(Protocol):
    """A network without its losses, in test mode, of one input and one output."""

    def predict(self, x: Any) -> Any:
        """The output, made into probabilities where a loss was trained on scores; x may be a dict of inputs by name."""

    def scores(self, x: Any) -> Any:
        """The network's output before a last softmax."""

    def values(self, x: Any, layer: int | str) -> Any:
        """The output of a layer."""

    def extractor(self, layers: list[str]) -> Callable[[Any], list[Any]]:
        """What gives the outputs of some layers for x, as host arrays, and runs no layers after them.

        ValueError for a name that is not known, with the nearest that is.
        """

    def gradient(self, x: Any, seed: Callable[[Any], Any]) -> tuple[Any, Any]:
        """(derivative of the scores, weighed by seed(scores), with respect to x; scores)."""

    def everything(self, x: Any) -> Iterator[tuple[str, str, Any]]:
        """Weights and outputs of all layers, as Network.arrays has them."""


def is_graph(net: Any) -> bool:
    """Whether a network is a DagNN, rather than a SimpleNN."""
    from pyconvnet.dagnn import DagNN

    return isinstance(net, DagNN)


def moved(fn: str, net: Any, device: str) -> Any:
    """The network with its weights on a device (a full name, see pyconvnet.devices); itself where they are there."""
    if not is_graph(net):
        from pyconvnet.simplenn import vl_simplenn_move

        return vl_simplenn_move(net, device)
    if all(move(fn, param.value, device) is param.value for param in net.params):
        return net
    net = net.copy(shareValues=True)
    net.move(device)
    return net


def network(net: Any, fn: str = "network") -> Network:
    """The protocol's answers for a SimpleNN or a DagNN; TypeError, which names `fn`, for anything else."""
    if is_graph(net):
        from pyconvnet.networks.graph import Graph

        return Graph(net)
    if not isinstance(net, dict) or not isinstance(net.get("layers"), (list, tuple)):
        raise TypeError(f"{fn}: net must be a SimpleNN or a DagNN, got {type(net).__name__}{reader_hint(net)}")
    check_weights(fn, net["layers"])
    from pyconvnet.networks.chain import Chain

    return Chain(net)


def sizes_in(meta: Any) -> dict[str, tuple[float, float, float, float]]:
    """(H, W, C, 1) of the inputs that meta names, and under "" the size of an image; C is NaN where it is not said.

    `inputSize` is a size or, in graphs, names and sizes in turn; `inputs` of some files has records with both.
    """
    meta = meta if isinstance(meta, dict) else {}
    normalization, inputs, own = meta.get("normalization"), meta.get("inputs"), meta.get("inputSize")
    named: list[Any] = [("", normalization.get("imageSize"))] if isinstance(normalization, dict) else []
    if isinstance(own, (list, tuple)) and any(isinstance(v, str) for v in own):
        named += zip(own[::2], own[1::2])
    else:
        named.insert(0, ("", own))
    records = [inputs] if isinstance(inputs, dict) else inputs if isinstance(inputs, (list, tuple)) else []
    named += [(record.get("name"), record.get("size")) for record in records if isinstance(record, dict)]
    found = {}
    for name, size in named:
        numbers = as_array([] if size is None else size).ravel()
        if isinstance(name, str) and numbers.dtype.kind in "iuf" and numbers.size >= 2 and np.all(numbers >= 1):
            found[name] = (
                float(numbers[0]),
                float(numbers[1]),
                float(numbers[2]) if numbers.size > 2 else math.nan,
                1.0,
            )
    return found
