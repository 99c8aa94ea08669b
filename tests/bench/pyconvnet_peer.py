"""The benchmarks as a user of pyconvnet writes them."""

from __future__ import annotations

import networks
import numpy as np


def record(layer):
    from pyconvnet import Struct

    kind, *rest = layer
    if kind == "conv":
        f, b, stride, pad, _, *dilate = rest
        more = {"dilate": dilate[0]} if dilate else {}
        return Struct(type="conv", name="conv", weights=[f, b], stride=stride, pad=list(pad), **more)
    if kind == "pool":
        size, stride, pad, method = rest
        return Struct(type="pool", name="pool", pool=[size, size], stride=stride, pad=list(pad), method=method)
    if kind == "lrn":
        return Struct(type="lrn", name="lrn", param=list(rest))
    if kind == "bnorm":
        return Struct(type="bnorm", name="bnorm", weights=list(rest))
    return Struct(type=kind, name=kind)


def _graph(layers):
    """A DagNN from "x" to the variable that is returned with it."""
    from pyconvnet.dagnn import BatchNorm, Conv, DagNN, Pooling, ReLU, SoftMax, Sum

    net, count = DagNN(), 0

    def put(block, inputs, *values):
        nonlocal count
        count += 1
        names = [f"p{count}_{i}" for i in range(len(values))]
        net.addLayer(f"l{count}", block, inputs, f"x{count}", names or None, skipRebuild=True)
        for name, value in zip(names, values):
            net.params[name].value = value
        return f"x{count}"

    def chain(layers, at):
        for kind, *rest in layers:
            if kind == "conv":
                f, b, stride, pad, _ = rest
                at = put(Conv(size=list(f.shape), stride=stride, pad=list(pad)), at, f, b)
            elif kind == "pool":
                size, stride, pad, method = rest
                at = put(Pooling(poolSize=[size, size], stride=stride, pad=list(pad), method=method), at)
            elif kind == "bnorm":
                at = put(BatchNorm(numChannels=rest[0].size), at, *rest)
            elif kind == "sum":
                at = put(Sum(), [chain(branch, at) for branch in rest])
            else:
                at = put({"relu": ReLU, "softmax": SoftMax}[kind](), at)
        return at

    last = chain(layers, "x")
    net.rebuild()
    net.mode = "test"
    return net, last


def _tensor(shape, kind=np.float32):
    """H x W x C x N with channels fastest in memory, as layers hand it on to each other."""
    h, w, c, n = shape
    return np.random.default_rng(1).standard_normal((n, h, w, c), dtype=kind).transpose(1, 2, 3, 0)


def prepare(mode, layers, size, batch):
    """A function to time: one run.

    mode  "forward", "deployed", "half", "bfloat16", "backward" (forward and backward), "step" (training, with SGD)
    """
    from pyconvnet import Struct, deploy, set_precision, vl_simplenn, vl_simplenn_tidy
    from pyconvnet.simplenn import SimpleNN

    set_precision(mode if mode in ("half", "bfloat16") else "fast")
    x = _tensor((*size, batch), networks.precision(layers))
    if any(layer[0] == "sum" for layer in layers):
        graph, last = _graph(layers)
        if mode != "forward":
            graph = deploy(graph)
            graph.vars[last].precious = True

        def run():
            graph.eval({"x": x})
            return graph.vars[last].value

        return run
    net = SimpleNN(layers=[record(layer) for layer in layers])
    if mode not in ("backward", "step"):
        net = vl_simplenn_tidy(net)
        net = net if mode == "forward" else deploy(net)
        return lambda: vl_simplenn(net, x, mode="test", conserveMemory=True)[-1].x
    if mode == "backward":
        net = vl_simplenn_tidy(net)
        y = vl_simplenn(net, x, mode="normal")[-1].x
        dzdy = _tensor(y.shape, y.dtype)
        return lambda: vl_simplenn(net, x, dzdy, mode="normal")[0].dzdx
    net.layers.append(Struct(type="softmaxloss", name="loss"))
    net = vl_simplenn_tidy(net)
    net.layers[-1]["class"] = np.random.default_rng(2).integers(1, layers[-1][1].shape[3] + 1, batch).astype(np.float32)
    rate = np.float32(1e-6)

    def step():
        res = vl_simplenn(net, x, 1, mode="normal", conserveMemory=True, inputDer=False)
        for layer, r in zip(net.layers, res):
            for w, dw in zip(layer.get("weights") or (), r.dzdw or ()):
                dw *= rate
                w -= dw.reshape(w.shape)

    return step
