"""Backward of BatchNorm takes the moments that forward found, in the same call only: what is edited between counts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn

SIZE = (6, 5, 8, 3)


@pytest.fixture
def given(monkeypatch):
    """Whether each backward pass of batch normalization was given moments."""
    from pyconvnet.layers import batchnorm

    found, original = [], batchnorm.vl_nnbnorm

    def watched(x, g, b, dzdy=None, **options):
        if dzdy is not None:
            found.append(options.get("moments") is not None)
        return original(x, g, b, dzdy, **options)

    watched.read_opts = original.read_opts
    monkeypatch.setattr(batchnorm, "vl_nnbnorm", watched)
    return found


def array(seed=0):
    return np.random.default_rng(seed).standard_normal(SIZE, np.float32)


def weights():
    random = np.random.default_rng(9)
    return [*random.standard_normal((2, 8)).astype(np.float32), np.ones((8, 2), np.float32)]


def chain():
    layers = [{"type": "relu"}, {"type": "bnorm", "weights": weights()}, {"type": "relu"}]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[pcn.Struct(layer) for layer in layers]))


def graph():
    net = dagnn.DagNN()
    net.addLayer("r", dagnn.ReLU(), ["x"], ["y"])
    net.addLayer("b", dagnn.BatchNorm(numChannels=8), ["y"], ["z"], ["g", "o", "m"])
    net.params["g"].value, net.params["o"].value, net.params["m"].value = weights()
    return net


@pytest.mark.parametrize("conserve", [False, True])
def test_a_call_with_both_passes_computes_them_once(given, conserve):
    x, dzdy = np.abs(array()), array(1)
    g, b, _ = weights()
    eps = {"epsilon": 1e-5}
    behind = dzdy * (pcn.vl_nnbnorm(x, g, b, **eps)[0] > 0)
    dx, *ders = pcn.vl_nnbnorm(x, g, b, behind, **eps)
    res = pcn.vl_simplenn(chain(), x, dzdy, mode="normal", conserveMemory=conserve)
    assert given == [True]
    assert [d.tobytes() for d in res[1].dzdw] == [d.tobytes() for d in ders]
    assert res[0].dzdx.tobytes() == dx.tobytes()
    net = graph()
    net.conserveMemory = conserve
    net.eval({"x": x}, {"z": behind})
    assert given == [True, True]
    assert [net.params[name].der.tobytes() for name in "gom"] == [d.tobytes() for d in ders]


def test_edits_between_two_calls_count(given):
    net, x, dzdy = chain(), array(), array(1)
    res = pcn.vl_simplenn(net, x, mode="normal")
    res[1].x[...] = array(2)
    back = pcn.vl_simplenn(net, x, dzdy, res, mode="normal", skipForward=True)
    g, b, _ = weights()
    exact = pcn.vl_nnbnorm(array(2), g, b, dzdy * (res[2].x > 0), epsilon=1e-5)
    assert given == [False] and [d.tobytes() for d in back[1].dzdw] == [d.tobytes() for d in exact[1:]]

    graphs = graph()
    graphs.conserveMemory = False
    graphs.forward({"x": x})
    graphs.vars["y"].value[...] = array(2)
    graphs.backward({"z": dzdy})
    exact = pcn.vl_nnbnorm(array(2), g, b, dzdy, epsilon=1e-5)
    assert given == [False, False] and graphs.params["g"].der.tobytes() == exact[1].tobytes()


def test_test_mode_passes_back_through_the_batch(given):
    x, dzdy = array(), array(1)
    pcn.vl_simplenn(chain(), x, dzdy, mode="test")
    assert given == [False]


class Breaks(dagnn.Layer):
    """Fails on the way back."""

    def forward(self, inputs, params):
        return [inputs[0]]

    def backward(self, inputs, params, derOutputs):
        raise ValueError("broken")


def test_nothing_is_left_after_a_call(given):
    net, x = graph(), array()
    net.addLayer("e", Breaks(), ["z"], ["e"])
    with pytest.raises(ValueError, match="broken"):
        net.eval({"x": x}, {"e": x})
    assert net.layers["b"].block._for_backward is None and not net._passes_back
    net.eval({"x": x})
    assert net.layers["b"].block._for_backward is None
    net = graph()
    net.eval({"x": x}, {"z": x})
    pickle.loads(pickle.dumps(net)).eval({"x": x}, {"z": x})
    assert given == [True, True]
