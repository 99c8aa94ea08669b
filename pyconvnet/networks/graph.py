"""A DagNN as a Network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from pyconvnet.arrays import host_numbers, in_precision
from pyconvnet.dagnn import evaluate
from pyconvnet.dagnn.printing import describe
from pyconvnet.dagnn.saved import MissingBlock
from pyconvnet.layers import Loss, PDist, SoftMax, layer_class
from pyconvnet.layers.unchanged import Unchanged
from pyconvnet.networks.chain import _first_filters, known_name, position
from pyconvnet.text import listed, visible


class Graph:
    """The protocol's answers for a DagNN."""

    def __init__(self, net: Any) -> None:
        self.net = net

    def weights(self) -> Iterator[tuple[str, list[Any]]]:
        for layer in self.net.layers:
            yield layer.name, [p.value for p in self.net.params[layer.params]]

    def filters(self, layer: int | str | None) -> Any:
        if layer is None:
            return _first_filters(w for _, (w, *_) in ((n, w) for n, w in self.weights() if w))
        if isinstance(layer, str) and layer in self.net.params:
            return host_numbers(self.net.params[layer].value)
        names, params = [entry.name for entry in self.net.layers], [param.name for param in self.net.params]
        found = self.net.layers[position("view.filters", layer, names, params, "layer or parameter")]
        if not found.params:
            raise ValueError(f"view.filters: layer {layer!r} has no parameters")
        return host_numbers(self.net.params[found.params[0]].value)

    def arrays(self, res: Any = None) -> Iterator[tuple[str, str, Any]]:
        for layer in self.net.layers:
            for j, param in enumerate(self.net.params[layer.params], 1):
                yield layer.name, f"weights {j}", param.value
                yield layer.name, f"dzdw {j}", param.der
            for var in self.net.vars[layer.outputs]:
                yield layer.name, "output", var.value
                yield layer.name, "dzdy", var.der

    def table(self) -> str:
        return describe(self.net, Variables=[])

    def graph(self) -> Any:
        return self.net

    def trainer(self) -> Callable[..., Any]:
        from pyconvnet.training.dag import cnn_train_dag

        return cnn_train_dag

    def predictor(self) -> GraphPredictor:
        return GraphPredictor(self.net)

    def predict(self, x: Any) -> Any:
        kept: list[GraphPredictor] = self.net._predictors  # [the last one], or [] while another thread has it
        try:
            predictor = kept.pop()
        except IndexError:
            predictor = self.predictor()
        if not predictor.fits():
            predictor = self.predictor()
        y = predictor.predict(x)
        kept[:] = [predictor]
        return y


class GraphPredictor:
    """A DagNN without its losses."""

    def __init__(self, net: Any) -> None:
        self.net, self.inputs, self.outputs, self.after = without_losses(net)
        self.made_of = Unchanged([entry.block for entry in net.layers])
        self.params = [(param, net.params[param.name]) for param in self.net.params]

    def fits(self) -> bool:
        """Whether the network still has these layers with these properties; its parameters are taken over anew."""
        for own, param in self.params:
            own.value = param.value
        return bool(self.made_of)

    def predict(self, x: Any) -> Any:
        net, inputs, outputs, after = self.net, self.inputs, self.outputs, self.after
        if len(outputs) != 1 or (len(inputs) != 1 and not isinstance(x, dict)):
            raise ValueError(
                f"predict: net must have one input (or give values of all by name) and one output, got inputs {inputs} "
                f"and outputs {outputs}; use net.eval for others"
            )
        net.vars[outputs[0]].precious = True
        weights = [param.value for param in net.params]
        values = x if isinstance(x, dict) else {inputs[0]: x}
        given = {name: in_precision(values[name], weights) for name in inputs if name in values}
        lacking, y = [name for name in inputs if values.get(name) is None], None
        if lacking != inputs or not inputs:  # given none, eval goes on with those of the last call
            evaluate.run(net, given, empty=True)
            y = net.vars[outputs[0]].value
        if y is None:
            raise ValueError(f"predict: {outputs[0]!r} was not computed; inputs without a value: {listed(lacking)}")
        if outputs[0] in after and (after[outputs[0]] != "softmax" or y.shape[2] > 1):
            y = layer_class(after[outputs[0]])().forward([y], [])[0]
        return y

    def _head(self) -> tuple[Any, str, str]:
        """(the graph without a last softmax, its input, its output)."""
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            raise ValueError(f"view: net must have one input and one output, got {self.inputs} and {self.outputs}")
        head, (source,), (output,) = self.net, self.inputs, self.outputs
        for layer in self.net.layers:
            if output in layer.outputs and isinstance(layer.block, SoftMax):
                head = self.net.copy(shareValues=True)
                head.removeLayer(layer.name)
                output = layer.inputs[0]
        head.conserveMemory = False
        head.vars[source].precious = True
        return head, source, output

    def scores(self, x: Any) -> Any:
        head, source, output = self._head()
        head.eval({source: x})
        return head.vars[output].value

    def values(self, x: Any, layer: int | str) -> Any:
        self._head()
        output = self.output("view.responses", layer)
        self.net.conserveMemory = False
        self.net.eval({self.inputs[0]: x})
        return self.net.vars[output].value

    def output(self, fn: str, layer: int | str) -> str:
        """The variable that a function `fn` is given as `layer`: by its name, or the output of a layer."""
        layers, variables = self.net.layers, [var.name for var in self.net.vars]
        if isinstance(layer, str) and layer in variables:
            return layer
        at = position(fn, layer, [entry.name for entry in layers], variables, "layer or variable")
        name: str = layers[at].outputs[0]
        return name

    def extractor(self, layers: list[str]) -> Callable[[Any], list[Any]]:
        net = self.net.copy(shareValues=True)
        of_layers = {entry.name: entry.outputs[0] for entry in net.layers}
        given = [var.name for var in net.vars if var.fanin]
        known = list(dict.fromkeys([*of_layers, *given]))
        wanted = [n if n in given else of_layers[known_name("layer or variable", n, known)] for n in layers]
        needed, kept = set(wanted), set()
        for at in reversed(net.executionOrder):
            if needed.intersection(net.layers[at].outputs):
                kept.add(at)
                needed.update(net.layers[at].inputs)
        net.layers = [entry for at, entry in enumerate(net.layers) if at in kept]
        inputs = net.getInputs()
        if len(inputs) != 1:
            raise ValueError(
                f"features: {listed(layers)} must depend on one input, not on {listed(inputs)}; use net.eval"
            )
        for name in wanted:
            net.vars[name].precious = True
        weights = [param.value for param in net.params]

        def extract(x: Any) -> list[Any]:
            net.eval({inputs[0]: in_precision(x, weights)})
            return [host_numbers(net.vars[name].value) for name in wanted]

        return extract

    def gradient(self, x: Any, seed: Callable[[Any], Any]) -> tuple[Any, Any]:
        head, source, output = self._head()
        head.eval({source: x})
        y = head.vars[output].value
        head.eval({source: x}, {output: seed(y)})
        return head.vars[source].der, y

    def everything(self, x: Any) -> Iterator[tuple[str, str, Any]]:
        self._head()
        self.net.conserveMemory = False
        self.net.eval({self.inputs[0]: x})
        return (row for row in Graph(self.net).arrays() if not row[1].startswith("dz"))


def without_losses(net: Any) -> tuple[Any, list[str], list[str], dict[str, str]]:
    """(graph, inputs, outputs, after): a copy of a DagNN in test mode that shares its values, without its losses.

    `inputs` and `outputs` are names of variables, labels left out; of several outputs one called prob, softmax,
    prediction or scores, or those whose errors were counted, or the inputs of losses; boxes and the like, regressed
    beside classes, are left out. `after` has the layer type that makes predictions of a variable.
    """
    net = net.copy(shareValues=True)
    net.mode = "test"
    _leave_out_unknown_losses(net)
    losses = [layer for layer in net.layers if isinstance(layer.block, Loss) and not _is_distance(net, layer)]
    labels = {name for layer in losses for name in layer.inputs[1:]}
    after = {layer.inputs[0]: layer.block.prediction for layer in losses if layer.block.prediction}
    fed = {layer.inputs[0] for layer in losses}
    counted = {layer.inputs[0] for layer in losses if str(layer.block.loss).lower().endswith("error")}
    for layer in losses:
        net.removeLayer(layer.name)
    inputs = [name for name in net.getInputs() if name not in labels]
    outputs = [name for name in net.getOutputs() if name not in labels]
    if len(outputs) > 1:
        if any(n in after for n in outputs):
            outputs = [n for n in outputs if n in after or n not in fed]
        known = [n for kind in ("prob", "softmax", "pred", "score") for n in outputs if n.lower().startswith(kind)]
        outputs = known[:1] or [n for n in outputs if n in counted] or [n for n in outputs if n in fed] or outputs
    return net, inputs, outputs, after


def _is_distance(net: Any, entry: Any) -> bool:
    """Whether a PDist is part of what the network computes: between two of its own variables, and not to a target."""
    return isinstance(entry.block, PDist) and all(net.vars[name].fanin for name in entry.inputs)


def _leave_out_unknown_losses(net: Any) -> None:
    """Remove trailing blocks of unknown classes that read outputs and variables read by losses only."""
    used = {name for layer in net.layers for name in layer.inputs}
    last = [e for e in net.layers if isinstance(e.block, MissingBlock) and not used & set(e.outputs)]
    others = {n for e in net.layers if e not in last and not isinstance(e.block, Loss) for n in e.inputs}
    given = {name for layer in net.layers for name in layer.outputs}
    for layer in last:
        if given & set(layer.inputs) and set(layer.inputs) - given - others:
            warnings.warn(
                f"predict: the last layer, {layer.name!r} ({visible(layer.block.matlab_class)}), is left out: "
                "its block is not known here",
                stacklevel=6,
            )
            net.removeLayer(layer.name)
