"""Networks made ready for use: normalizations merged into convolutions, losses and dropout gone, weights that last.

merge_bnorm is the first step of MatConvNet's examples/imagenet/cnn_imagenet_deploy.m, deploy the whole of it, and more.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from pyconvnet.arrays import host_numbers, is_empty, padded_to_4d
from pyconvnet.dagnn import DagNN
from pyconvnet.devices import move
from pyconvnet.formats.names import free_name
from pyconvnet.layers import BatchNorm, Conv, ConvTranspose, DropOut, layer_class
from pyconvnet.networks import is_graph, network
from pyconvnet.networks.chain import without_loss
from pyconvnet.networks.graph import without_losses
from pyconvnet.records import Struct

_CONVOLUTIONS = {"conv": Conv, "convt": ConvTranspose}


def merge_bnorm(net: Any) -> Any:
    """A copy of a network, each batch normalization merged into the convolution before it, for use in test mode.

    net  SimpleNN or DagNN, which is not changed

    A convolution, or transposed convolution, whose output only a normalization reads gets filters times g / sigma and
    biases b + (its biases - mu) g / sigma, where g, b are the normalization's multipliers and biases, mu and sigma its
    moments (Ioffe and Szegedy, 2015, section 3.1); the normalization is removed. One without moments, with moments that
    are all zero, after another layer, or after filters that several layers share stays. Results in test mode are the
    same to rounding.

    Raises TypeError for what is not a network.
    """
    network(net, "merge_bnorm")
    return _merged_graph(net) if is_graph(net) else _merged_chain(net)


def deploy(net: Any) -> Any:
    """A copy of a network for predictions alone, which runs with less work in each call.

    net  SimpleNN or DagNN, which is not changed

    Batch normalizations are merged (`merge_bnorm`), dropout and losses are removed; a softmax stands where a loss was
    trained on scores. A graph is in test mode; run a chain by `predict`, or vl_simplenn with mode="test". Weights on
    the CPU cannot be written to any more, so that forms of filters which are kept from call to call need not be checked
    for changes. To train, or to change weights, go on with `net`. A network that was saved and loaded must be deployed
    again.

    The second time that single-precision numpy images of a size come to `predict` or `classify`, to vl_simplenn with
    mode="test" and conserveMemory=True, or to the eval of a graph, the run is recorded, and played from then on, kernel
    after kernel, without the Python between layers, to the same bits. That is for convolution, batch and local response
    normalization, ReLU, sigmoid, pooling, softmax, sums and concatenation; a network with a layer of another kind runs
    as ever. A recording takes as much memory as a run. A network has four at most, for sizes of images and numbers of
    threads: a fifth takes the place of the one that was not used for longest. All are gone with the network, and after
    `clear_caches()`. Other networks are recorded, too, where a layer takes less than 2 ms, but later, and their weights
    are read before each run, since they may have changed.

    Raises TypeError for what is not a network.

    >>> import numpy as np, pyconvnet as pcn
    >>> net = pcn.models.build("lenet", seed=0)
    >>> ready = pcn.deploy(net)
    >>> net.layers[-1].type, ready.layers[-1].type
    ('softmaxloss', 'softmax')
    >>> pcn.predict(ready, np.zeros((28, 28, 1, 1), np.float32)).shape
    (1, 1, 10, 1)
    """
    network(net, "deploy")
    if not is_graph(net):
        chain = without_loss(_merged_chain(net))
        layers = [Struct(record) for record in chain["layers"] if record["type"] != "dropout"]
        for record in layers:
            if not is_empty(record.get("weights")):
                record["weights"] = [_lasting(w) for w in record["weights"]]
        return type(net)({**chain, "layers": layers})
    graph, _, outputs, after = without_losses(_merged_graph(net))
    for entry in [entry for entry in graph.layers if type(entry.block) is DropOut]:
        _bridge(graph, entry)
    for name in outputs:
        if name in after:
            kind = after[name]
            layer, variable = (free_name("prediction", set(table.index)) for table in (graph.layers, graph.vars))
            graph.addLayer(layer, layer_class(kind)(), name, variable)
    for param in graph.params:
        param.value = _lasting(param.value)
    return graph


def _bridge(graph: DagNN, entry: Any) -> None:
    """Remove a layer of one input and one output that passes its input on."""
    (source,), (output,) = entry.inputs, entry.outputs
    readers = [e for e in graph.layers if output in e.inputs]
    graph.removeLayer(entry.name)
    for reader in readers:
        graph.setLayerInputs(reader.name, [source if name == output else name for name in reader.inputs])
    if not readers:
        graph.renameVar(source, output)


def _merged_graph(net: Any) -> Any:
    graph = net.copy(shareValues=True)
    for entry in list(graph.layers):
        if type(entry.block) is not BatchNorm or len(entry.params) != 3:
            continue
        between = graph.vars[entry.inputs[0]]
        before = next((e for e in graph.layers if between.name in e.outputs), None)
        if before is None or type(before.block) not in _CONVOLUTIONS.values() or between.fanout > 1 or between.precious:
            continue
        params = [graph.params[name] for name in before.params]
        if any(p.fanout > 1 for p in params):
            continue
        old = [p.value for p in params] if before.block.hasBias else [params[0].value]
        groups = int(getattr(before.block, "numGroups", 1))
        new = _folded(type(before.block), old, [graph.params[name].value for name in entry.params], groups)
        if new is None:
            continue
        names = [before.params[0], *before.params[1:2]]
        if len(names) == 1:
            names.append(free_name(f"{before.name}_b", set(graph.params.index)))
        graph.removeLayer(entry.name)
        before.block.hasBias = True
        graph.setLayerParams(before.name, names)
        graph.setLayerOutputs(before.name, entry.outputs)
        for name, value in zip(names, new):
            graph.params[name].value = value
    return graph


def _merged_chain(net: Any) -> Any:
    layers: list[Any] = []
    for record in net["layers"]:
        last = layers[-1] if layers else None
        if (
            record["type"] == "bnorm"
            and last is not None
            and last["type"] in _CONVOLUTIONS
            and not last.get("precious")
        ):
            kind = _CONVOLUTIONS[last["type"]]
            new = _folded(kind, last["weights"], record["weights"], int(last.get("numGroups", 1)))
            if new is not None:
                layers[-1] = Struct({**last, "weights": new, "precious": record.get("precious", False)})
                continue
        layers.append(record)
    return type(net)({**net, "layers": layers})


def _folded(kind: type, weights: Any, normalization: Any, groups: int) -> list[Any] | None:
    """Filters and biases of a convolution and a normalization in one; None where they cannot be."""
    if len(normalization) != 3 or any(is_empty(w) for w in (*normalization, weights[0])):
        return None
    f, g, b, moments = (np.asarray(host_numbers(w), np.float64) for w in (weights[0], *normalization))
    f = padded_to_4d(f)
    count = f.shape[3] if kind is Conv else f.shape[2] * groups
    if (g.size, b.size, moments.size) != (count, count, 2 * count) or not moments.any():
        return None
    mean, sigma = moments.reshape(count, 2, order="F").T
    scale = g.ravel() / sigma
    biases = np.asarray(host_numbers(weights[1]), np.float64) if len(weights) > 1 and not is_empty(weights[1]) else None
    biases = b.ravel() - mean * scale + (0 if biases is None else biases.ravel() * scale)
    if kind is Conv:
        filters = f * scale
    else:  # h x w x K x C, of each group some of the inputs and all K outputs
        h, w, k, c = f.shape
        parts = f.reshape((h, w, k, c // groups, groups), order="F") * scale.reshape((k, 1, groups), order="F")
        filters = parts.reshape(f.shape, order="F")
    return [_like(filters, weights[0]), _like(biases[:, None], weights[0])]


def _like(value: np.ndarray, old: Any) -> Any:
    """In the element type, the memory order and on the device of an array."""
    if isinstance(old, np.ndarray):
        return np.asarray(value, old.dtype, order="F" if old.flags.f_contiguous else "C")
    made = move("merge_bnorm", value.astype(np.float32), str(old.device))
    return made.to(old.dtype)


def _lasting(value: Any) -> Any:
    """The same array in memory that nothing can write to: that of a bytes object."""
    if not isinstance(value, np.ndarray) or value.dtype.hasobject or not value.size:
        return value
    order: Literal["C", "F"] = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    # after so many bytes, most large objects reach the beginning of a cache line
    memory = bytes(16) + value.tobytes(order=order)
    return np.frombuffer(memory, value.dtype, offset=16).reshape(value.shape, order=order)
