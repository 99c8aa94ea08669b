"""A SimpleNN as a Network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pyconvnet.arrays import host_numbers, in_precision
from pyconvnet.layers import SubP, is_layer_type, layer_class
from pyconvnet.options import did_you_mean
from pyconvnet.records import Opaque, Struct
from pyconvnet.text import listed


class Chain:
    """The protocol's answers for a SimpleNN."""

    def __init__(self, net: Any) -> None:
        self.net = net

    def _name(self, i: int) -> str:
        return self.net["layers"][i].get("name") or f"layer{i + 1}"

    def weights(self) -> Iterator[tuple[str, list[Any]]]:
        for i, record in enumerate(self.net["layers"]):
            # before v1.0-beta12, and so in a network loaded with tidy=False, weights had names of their own
            weights = record.get("weights") or (record.get("filters"), record.get("biases"))
            yield self._name(i), [w for w in weights if w is not None]

    def filters(self, layer: int | str | None) -> Any:
        layers = self.net["layers"]
        if layer is None:
            return _first_filters(w for _, (w, *_) in ((n, w) for n, w in self.weights() if w))
        record = layers[position("view.filters", layer, names_of(self.net))]
        if not record.get("weights"):
            raise ValueError(f"view.filters: layer {layer!r} ({record['type']}) has no weights")
        return host_numbers(record["weights"][0])

    def arrays(self, res: Any = None) -> Iterator[tuple[str, str, Any]]:
        for i, (name, weights) in enumerate(self.weights()):
            for j, w in enumerate(weights, 1):
                yield name, f"weights {j}", w
            if res:
                for j, d in enumerate(res[i].dzdw or (), 1):
                    yield name, f"dzdw {j}", d
                yield name, "output", res[i + 1].x
                yield name, "dzdx", res[i].dzdx

    def table(self) -> str:
        from pyconvnet.display import vl_simplenn_display

        return vl_simplenn_display(self.net)[1]

    def graph(self) -> Any:
        from pyconvnet.dagnn import DagNN

        return DagNN.fromSimpleNN(self.net)

    def trainer(self) -> Callable[..., Any]:
        from pyconvnet.training.simplenn import cnn_train

        return cnn_train

    def predictor(self) -> ChainPredictor:
        return ChainPredictor(self.net)

    def predict(self, x: Any) -> Any:
        predictor = self.predictor()
        kept: list[Any] = getattr(self.net, "_predicting", [])
        if predictor.whole is not self.net:  # the copy of an earlier call has a plan
            if kept and _same(kept[0]["layers"], predictor.whole["layers"], self.net["layers"]):
                predictor.whole = kept[0]
            kept[:] = [predictor.whole]
        return predictor.predict(x)


def _same(layers: list[Any], others: list[Any], own: list[Any]) -> bool:
    """Whether two chains without a loss have the same records of a network, and the same prediction after them."""
    return len(layers) == len(others) and all(
        a is b or (a["type"] == b["type"] and b is not c) for a, b, c in zip(layers, others, own)
    )


class ChainPredictor:
    """A SimpleNN without its loss."""

    def __init__(self, net: Any) -> None:
        self.whole = without_loss(net)
        # a softmax put in place of a loss is not the network's own
        layers = [layer for layer, own in zip(self.whole["layers"], net["layers"]) if layer is own]
        self.net = type(net)({**net, "layers": layers})
        self.depth = len(layers) - bool(layers and layers[-1]["type"] == "softmax")

    def predict(self, x: Any) -> Any:
        from pyconvnet.simplenn import vl_simplenn

        x = in_precision(x, [w for layer in self.whole["layers"] for w in layer.get("weights") or ()])
        return vl_simplenn(self.whole, x, mode="test", conserveMemory=True)[-1].x

    def run(self, x: Any, depth: int, dzdy: Any = None) -> list[Any]:
        """The results of the first `depth` layers."""
        from pyconvnet.simplenn import vl_simplenn

        part = type(self.net)({**self.net, "layers": self.net["layers"][:depth]})
        return vl_simplenn(part, x, dzdy, mode="test")

    def scores(self, x: Any) -> Any:
        return self.run(x, self.depth)[-1].x

    def values(self, x: Any, layer: int | str) -> Any:
        return self.run(x, position("view.responses", layer, names_of(self.net)) + 1)[-1].x

    def extractor(self, layers: list[str]) -> Callable[[Any], list[Any]]:
        from pyconvnet.simplenn import vl_simplenn

        records = self.whole["layers"]
        names = [record.get("name") or f"layer{i}" for i, record in enumerate(records, 1)]
        at = [names.index(known_name("layer", name, names)) for name in layers]
        wanted = [Struct({**r, "precious": True}) if i in at else r for i, r in enumerate(records[: max(at) + 1])]
        part = type(self.net)({**self.net, "layers": wanted})
        weights = [w for record in wanted for w in record.get("weights") or ()]

        def extract(x: Any) -> list[Any]:
            res = vl_simplenn(part, in_precision(x, weights), mode="test", conserveMemory=True)
            return [host_numbers(res[i + 1].x) for i in at]

        return extract

    def gradient(self, x: Any, seed: Callable[[Any], Any]) -> tuple[Any, Any]:
        y = self.scores(x)
        return self.run(x, self.depth, seed(y))[0].dzdx, y

    def everything(self, x: Any) -> Iterator[tuple[str, str, Any]]:
        res = self.run(x, len(self.net["layers"]))
        return (row for row in Chain(self.net).arrays(res) if row[1] != "dzdx")


def known_name(kind: str, name: str, known: list[str]) -> str:
    """The name; ValueError where it is not among those that are known."""
    if name not in known:
        shown = listed(known[:12]) + (", ..." if len(known) > 12 else "")
        raise ValueError(f"features: no {kind} {name!r}; {did_you_mean(name, known, f'there are {shown}')}")
    return name


def names_of(net: Any) -> list[str]:
    """Names of the layers of a SimpleNN, "" for those without one."""
    return [record.get("name", "") for record in net["layers"]]


def position(fn: str, layer: Any, names: Sequence[str], others: Sequence[str] = (), kind: str = "layer") -> int:
    """Which of the layers with these names a name, or a number from 0, means; ValueError where it is none of them.

    others  further names that the function `fn` takes, of which layer is none; kind: what all of them are names of
    """
    if isinstance(layer, str) and layer in names:
        return names.index(layer)
    if isinstance(layer, (int, np.integer)) and not isinstance(layer, bool) and -len(names) <= layer < len(names):
        return int(layer) % len(names)
    known = [name for name in dict.fromkeys([*names, *others]) if name]
    shown = f"there are {listed(known[:12])}{', ...' if len(known) > 12 else ''}" if known else "there is no name"
    hint = did_you_mean(layer, known, shown) if isinstance(layer, str) else shown
    number = f", or a number from 0 to {len(names) - 1}" if names else ""
    raise ValueError(f"{fn}: layer must be the name of a {kind}{number}, got {layer!r}; {hint}")


def _first_filters(found: Iterator[Any]) -> Any:
    """Weights of the first convolution; else the first weights there are."""
    arrays = list(found)
    if not arrays:
        raise ValueError("view.filters: no layer has weights")
    return host_numbers(next((w for w in arrays if w.ndim > 2), arrays[0]))


def without_loss(net: Any) -> Any:
    """A SimpleNN that shares its layers with `net` and ends in predictions: softmax for softmaxloss, and so on."""
    layers, after = list(net["layers"]), None
    while layers and (why := _cannot_run(layers[-1])):
        last = layers.pop()
        warnings.warn(
            f"predict: the last layer, {last.get('name', '')!r} ({last['type']}), is left out: {why}", stacklevel=5
        )
    while layers and is_layer_type(layers[-1]["type"]) and layer_class(layers[-1]["type"]).simplenn_inputs:
        last = layers.pop()
        if _of_classes(last.get("class")):
            after = after or getattr(layer_class(last["type"]).from_record(last), "prediction", None)
    if after == "softmax" and (_channels(layers) == 1 or _gives_pixels(layers)):
        after = None
    if after is not None:
        layers.append(Struct(type=after, name="prediction", weights=[]))
    # itself where nothing is left out, since it keeps its plan from call to call
    return net if len(layers) == len(net["layers"]) and after is None else type(net)({**net, "layers": layers})


def _of_classes(labels: Any) -> bool:
    """Whether labels, which a file may keep of the last batch, can be numbers of classes."""
    if not hasattr(labels, "dtype"):
        return True
    labels = host_numbers(labels)
    return labels.dtype.kind != "f" or bool((labels == labels.round()).all())


def _channels(layers: list[Any]) -> int | None:
    """The number of output channels, by the last filters."""
    filters = (w[0] for layer in reversed(layers) if (w := layer.get("weights")))
    last = next((f for f in filters if getattr(f, "ndim", 0) == 4), None)
    return None if last is None else last.shape[3]


def _gives_pixels(layers: list[Any]) -> bool:
    """Whether the channels of the output are pixels, as in FFDNet, rather than scores of classes."""
    return bool(layers) and layers[-1]["type"] == SubP.simplenn


def _cannot_run(layer: Any) -> str:
    """Why a last layer is left out; "" for one that must run."""
    if isinstance(layer.get("forward"), Opaque):
        return f"it is the MATLAB function {layer['forward'].name!r}, which cannot be run here"
    unknown = "loss" in layer["type"].lower() and not is_layer_type(layer["type"])
    return "it is a loss of a type that is not known here" if unknown else ""
