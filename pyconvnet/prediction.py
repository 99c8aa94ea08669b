"""A trained network on new images: what it gives without its loss, and the classes that come out best."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pyconvnet.arrays import is_empty, size_text
from pyconvnet.records import Opaque, Struct, plain_text


def predict(net: Any, x: Any) -> np.ndarray:
    """
    predict(net, x) -> y        x: H x W x C x N, prepared (models.preprocess)      y: YH x YW x K x N
    predict(net, {"data": x, ...}) -> y     for a DagNN of several inputs; what only its losses take is left out

    The network's output in test mode. A loss at the end is left out, for what it is the loss of: a softmaxloss becomes
    softmax, but for one channel or labels that are no classes (DnCNN, whose loss MATLAB calls by the same name and is
    another), a logistic loss a sigmoid, any other goes; a last custom layer of MATLAB functions, and a loss of a type
    that is not known here, go with a warning. x is taken in the precision of the weights, where they share one.
    `net` is not changed.

    A DagNN must have one output; of several, one called prob, softmax, prediction or scores is taken.

    Raises ValueError for other graphs, and as vl_simplenn and DagNN.eval do.
    """
    if hasattr(net, "params"):
        return _of_graph(net, x)
    from pyconvnet.simplenn import vl_simplenn

    x = _in_precision(x, [w for layer in net.layers for w in layer.get("weights") or ()])
    return vl_simplenn(without_loss(net), x, mode="test", conserveMemory=True)[-1].x


def _in_precision(x: Any, weights: list[Any]) -> Any:
    """x like the weights, single or double: MATLAB mixes no single with double, and images come as single."""
    kinds = {w.dtype for w in weights if isinstance(w, np.ndarray) and w.size and w.dtype.kind == "f"}
    if len(kinds) == 1 and isinstance(x, np.ndarray) and x.dtype.kind == "f":
        return x.astype(kinds.pop(), copy=False)
    return x


def without_loss(net: Any) -> Any:
    """A SimpleNN that shares its layers with `net` and ends in predictions: softmax for softmaxloss, and so on."""
    from pyconvnet.layers import is_layer_type, layer_class

    layers, after = list(net.layers), None
    while layers and (why := _cannot_run(layers[-1])):
        last = layers.pop()
        warnings.warn(
            f"predict: the last layer, {last.get('name', '')!r} ({last['type']}), is left out: {why}", stacklevel=3
        )
    while layers and is_layer_type(layers[-1]["type"]) and layer_class(layers[-1]["type"]).simplenn_inputs:
        last = layers.pop()
        if _of_classes(last.get("class")):
            after = after or getattr(layer_class(last["type"]).from_record(last), "prediction", None)
    if after == "softmax" and _channels(layers) == 1:
        after = None
    if after is not None:
        layers.append(Struct(type=after, name="prediction", weights=[]))
    return type(net)({**net, "layers": layers})


def _of_classes(labels: Any) -> bool:
    """Whether labels, which a file may keep of the last batch, can be numbers of classes."""
    return not isinstance(labels, np.ndarray) or labels.dtype.kind != "f" or bool(np.all(labels == np.floor(labels)))


def _channels(layers: list[Any]) -> int | None:
    """What the last filters say of how many channels come out."""
    filters = (w[0] for layer in reversed(layers) if (w := layer.get("weights")))
    last = next((f for f in filters if isinstance(f, np.ndarray) and f.ndim == 4), None)
    return None if last is None else last.shape[3]


def _cannot_run(layer: Any) -> str:
    """Why a last layer is left out; "" for one that must run."""
    from pyconvnet.layers import is_layer_type

    if isinstance(layer.get("forward"), Opaque):
        return f"it is the MATLAB function {layer['forward'].name!r}, which cannot be run here"
    unknown = "loss" in layer["type"].lower() and not is_layer_type(layer["type"])
    return "it is a loss of a type that is not known here" if unknown else ""


def classes(net: Any) -> list[str]:
    """Names of the classes, from meta.classes: `description`, else `name`, else a list itself; [] if there are none.

    Names are a list or tuple, or an array of strings or objects, in a row or column, as numpy, scipy and h5py give
    them; blanks at their ends, with which MATLAB's char matrices fill them up, are left out.
    """
    meta = getattr(net, "meta", None)
    found = meta.get("classes") if isinstance(meta, dict) else None
    if isinstance(found, np.ndarray) and found.dtype.names and found.size == 1:  # a struct as scipy reads it
        found = {name: found.ravel()[0][name] for name in found.dtype.names}
    if isinstance(found, dict):
        named = [found[k] for k in ("description", "name") if not is_empty(found.get(k))]
        found = named[0] if named else None
    found = plain_text(found)
    if isinstance(found, str):
        found = [found]
    return [_text(name) for name in found] if isinstance(found, (list, tuple)) else []


def _text(name: Any) -> str:
    """A class's name; some files have numbers, and cells in cells."""
    name = plain_text(name)
    if isinstance(name, (list, tuple)):
        return ", ".join(map(_text, name))
    return " ".join(f"{v:g}" for v in np.ravel(name)) if isinstance(name, np.ndarray) else str(name).rstrip(" \0")


def best_classes(net: Any, y: np.ndarray, top: int = 5) -> list[Any]:
    """The classes with the largest scores, best first.

    best_classes(net, y) -> [Struct(number, score, name), ...]      y: scores of one image, 1 x 1 x K x 1
    best_classes(net, y) -> [[Struct, ...], ...]                    y: 1 x 1 x K x N; such a list for each image

    number counts from 1, name is "" where meta has none. A larger map, H x W x K x N, is averaged over its positions.
    """
    y = np.asarray(y)
    if y.ndim not in (3, 4) or not y.size:
        raise ValueError(f"best_classes: y takes scores H x W x K x N, got {size_text(y.shape)}")
    scores = y.reshape(*y.shape[:3], -1).mean(axis=(0, 1), dtype=float)
    names = classes(net)
    names = names if len(names) == len(scores) else [""] * len(scores)
    order = np.argsort(-scores, axis=0, kind="stable")[:top]
    best = [
        [Struct(number=int(k) + 1, score=float(of[k]), name=names[k]) for k in ranks]
        for ranks, of in zip(order.T, scores.T)
    ]
    return best[0] if len(best) == 1 else best


def graph_without_loss(net: Any) -> tuple[Any, list[str], list[str], dict[str, str]]:
    """(graph, inputs, outputs, after): a copy of a DagNN in test mode that shares its values, without its losses.

    `inputs` and `outputs` are names of variables, labels left out; of several outputs those called prob, softmax,
    prediction or scores, or those that a loss took. `after` says which layer type makes predictions of a variable.
    """
    from pyconvnet.layers import Loss

    net = net.copy(shareValues=True)
    net.mode = "test"
    _leave_out_unknown_losses(net)
    losses = [layer for layer in net.layers if isinstance(layer.block, Loss)]
    labels = {name for layer in losses for name in layer.inputs[1:]}
    after = {layer.inputs[0]: layer.block.prediction for layer in losses if layer.block.prediction}
    fed = {layer.inputs[0] for layer in losses}
    for layer in losses:
        net.removeLayer(layer.name)
    inputs = [name for name in net.getInputs() if name not in labels]
    outputs = [name for name in net.getOutputs() if name not in labels]
    if len(outputs) > 1:
        known = [n for n in outputs if n.lower().startswith(("prob", "softmax", "pred", "score"))]
        outputs = known[:1] or [n for n in outputs if n in fed] or outputs
    return net, inputs, outputs, after


def _of_graph(net: Any, x: Any) -> np.ndarray:
    from pyconvnet.layers import layer_class

    net, inputs, outputs, after = graph_without_loss(net)
    if len(outputs) != 1 or (len(inputs) != 1 and not isinstance(x, dict)):
        raise ValueError(
            f"predict: takes a graph of one input (or values of all by name) and one output, got inputs {inputs} and "
            f"outputs {outputs}; use net.eval for others"
        )
    net.vars[outputs[0]].precious = True
    weights = [param.value for param in net.params]
    x = {name: _in_precision(v, weights) for name, v in x.items()} if isinstance(x, dict) else _in_precision(x, weights)
    net.eval({name: x[name] for name in inputs if name in x} if isinstance(x, dict) else {inputs[0]: x})
    y = net.vars[outputs[0]].value
    if outputs[0] in after and (after[outputs[0]] != "softmax" or y.shape[2] > 1):
        y = layer_class(after[outputs[0]])().forward([y], [])[0]
    return y


def _leave_out_unknown_losses(net: Any) -> None:
    """Remove the last blocks of unknown classes that take, beside outputs, what no layer gives and only losses take."""
    from pyconvnet.dagnn.saved import MissingBlock
    from pyconvnet.layers import Loss

    used = {name for layer in net.layers for name in layer.inputs}
    last = [e for e in net.layers if isinstance(e.block, MissingBlock) and not used & set(e.outputs)]
    others = {n for e in net.layers if e not in last and not isinstance(e.block, Loss) for n in e.inputs}
    given = {name for layer in net.layers for name in layer.outputs}
    for layer in last:
        if given & set(layer.inputs) and set(layer.inputs) - given - others:
            warnings.warn(
                f"predict: the last layer, {layer.name!r} ({layer.block.matlab_class}), is left out: its block is not "
                "known here",
                stacklevel=4,
            )
            net.removeLayer(layer.name)
