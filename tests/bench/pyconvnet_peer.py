"""The benchmarks as a user of pyconvnet writes them."""

from __future__ import annotations

import numpy as np


def _record(layer):
    from pyconvnet import Struct

    kind, *rest = layer
    if kind == "conv":
        f, b, stride, pad, _ = rest
        return Struct(type="conv", name="conv", weights=[f, b], stride=stride, pad=list(pad))
    if kind == "pool":
        size, stride, pad, method = rest
        return Struct(type="pool", name="pool", pool=[size, size], stride=stride, pad=list(pad), method=method)
    if kind == "lrn":
        return Struct(type="lrn", name="lrn", param=list(rest))
    if kind == "bnorm":
        return Struct(type="bnorm", name="bnorm", weights=list(rest))
    return Struct(type=kind, name=kind)


def _tensor(shape):
    """H x W x C x N with channels fastest in memory, as layers hand it on to each other."""
    h, w, c, n = shape
    return np.random.default_rng(1).standard_normal((n, h, w, c), dtype=np.float32).transpose(1, 2, 3, 0)


def prepare(mode, layers, size, batch):
    """A function to time: one run. mode: "forward", "backward" (forward and backward), "step" (training, with SGD)."""
    import pyconvnet
    from pyconvnet import Struct, vl_simplenn, vl_simplenn_tidy
    from pyconvnet.simplenn import SimpleNN

    x = _tensor((*size, batch))
    net = SimpleNN(layers=[_record(layer) for layer in layers])
    if mode == "forward":
        net = vl_simplenn_tidy(net)
        return lambda: vl_simplenn(net, x, mode="test", conserveMemory=True)[-1].x
    if mode == "backward":
        net = vl_simplenn_tidy(net)
        y = vl_simplenn(net, x, mode="normal")[-1].x
        dzdy = _tensor(y.shape)
        return lambda: vl_simplenn(net, x, dzdy, mode="normal")[0].dzdx
    net.layers.append(Struct(type="softmaxloss", name="loss"))
    net = vl_simplenn_tidy(net)
    net.layers[-1]["class"] = np.random.default_rng(2).integers(1, layers[-1][1].shape[3] + 1, batch).astype(np.float32)
    rate = np.float32(1e-6)

    def step():
        res = vl_simplenn(net, x, 1, mode="normal", conserveMemory=True)
        for layer, r in zip(net.layers, res):
            for w, dw in zip(layer.get("weights") or (), r.dzdw or ()):
                dw *= rate
                w -= dw.reshape(w.shape)

    assert pyconvnet.__version__
    return step
