"""A sum may be written over the array added to a convolution where nothing else reads that, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvnet import dagnn
from pyconvnet.backends import cpu

pytestmark = pytest.mark.skipif(cpu.isa() == "plain", reason="only compiled kernels run as one")


class Kept(dagnn.Layer):
    """A user's layer, which keeps what it was given."""

    def forward(self, inputs, params):
        self.seen = inputs[0]
        return [inputs[0]]

    def backward(self, inputs, params, derOutputs):
        return derOutputs, []


def graph(between=None, source="a_x", later=False):
    """a = relu(conv(x)), s = conv(relu(conv(a))) + `source`, y = relu(s); `between`, and `later`, read a as well."""
    net = dagnn.DagNN()

    def conv(name, size, depth, count, given, output):
        block = dagnn.Conv(size=[size, size, depth, count], pad=size // 2)
        net.addLayer(name, block, given, output, [f"{name}_f", f"{name}_b"])

    conv("a", 1, 20, 20, "x", "a_y")
    net.addLayer("a_r", dagnn.ReLU(), "a_y", "a_x")
    if between is not None:
        net.addLayer("between", between(), "a_x", "seen")
    conv("b", 3, 20, 24, "a_x", "b_y")
    net.addLayer("b_r", dagnn.ReLU(), "b_y", "b_x")
    conv("c", 1, 24, 20, "b_x", "c_y")
    net.addLayer("s", dagnn.Sum(), ["c_y", source], "s")
    net.addLayer("r", dagnn.ReLU(), "s", "y")
    if later:
        net.addLayer("later", dagnn.Sum(), ["y", "a_x"], "z")
    net.initParams()
    random = np.random.default_rng(0)
    for param in net.params:
        param.value = random.standard_normal(param.value.shape, dtype=np.float32)
    net.mode = "test"
    return net


def overwriting(net):
    return [step.block.overwrites for step in net._plan.fused if hasattr(step.block, "overwrites")]


def results(net, x):
    """Of two evaluations, and the values that layers have one by one."""
    before = x.copy()
    found = []
    for _ in range(2):
        net.eval({"x": x})
        found.append({v.name: v.value.copy() for v in net.vars if v.value is not None})
    assert x.tobytes() == before.tobytes()
    assert all(found[0][name].tobytes() == found[1][name].tobytes() for name in found[0])
    kept = net.copy()
    kept.conserveMemory, kept.mode = False, "test"
    kept.eval({"x": x})
    for name, value in found[1].items():
        exact = kept.vars[name].value
        np.testing.assert_allclose(value, exact, rtol=0, atol=2e-5 * np.abs(exact).max(), err_msg=name)
    return found[1]


def image(h=9, w=11, n=3):
    return np.random.default_rng(1).standard_normal((n, h, w, 20), dtype=np.float32).transpose(1, 2, 3, 0)


def test_a_sum_lies_in_the_memory_of_what_was_added(monkeypatch):
    net = graph()
    given, kernel = [], cpu.CPU.fused_conv
    monkeypatch.setattr(cpu.CPU, "fused_conv", lambda self, *a: given.append((a[5], kernel(self, *a))) or given[-1][1])
    results(net, image())
    assert overwriting(net) == [False, False, True]
    assert [np.may_share_memory(add, y) for add, y in given if add is not None] == [True, True]


@pytest.mark.parametrize(
    "options",
    [
        {"between": dagnn.DropOut},
        {"between": dagnn.Pooling},
        {"between": dagnn.ReLU},
        {"between": Kept},
        {"later": True},
        {"source": "x"},
        {"source": "b_x0"},
    ],
)
def test_what_others_read_stays_as_it_is(options):
    if options.get("source") == "b_x0":  # the convolution reads what is added
        net = graph()
        net.layers["c"].inputs = ["a_x"]
        net.layers["c"].block.size = [1, 1, 20, 20]
        net.params["c_f"].value = net.params["c_f"].value[:, :, :20]
        net.removeLayer(["b", "b_r"])
        net.rebuild()
    else:
        net = graph(**options)
    results(net, image())
    assert not any(overwriting(net))


def test_a_layer_that_keeps_its_input_finds_it_unchanged():
    net = graph(between=Kept)
    x = image()
    net.eval({"x": x})
    seen = net.layers["between"].block.seen.copy()
    net.eval({"x": x})
    assert net.layers["between"].block.seen.tobytes() == seen.tobytes()


def test_precious_variables_and_those_that_are_given_are_not_overwritten():
    net, x = graph(), image()
    net.eval({"x": x})
    assert any(overwriting(net))
    net.vars["a_x"].precious = True
    a = results(net, x)["a_x"]
    assert not any(overwriting(net))
    net.vars["a_x"].precious = False
    before = a.tobytes()
    net.eval({"x": x, "a_x": a})
    assert a.tobytes() == before
