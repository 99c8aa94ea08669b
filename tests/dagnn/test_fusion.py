"""Layers of a graph run as one where nobody sees what is between; results stay what they were."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvnet import dagnn


def graph():
    """Two residual blocks: conv, bnorm, relu, conv, bnorm, + shortcut, relu; the first shortcut has filters."""
    net = dagnn.DagNN()

    def conv(name, source, size, depth, count, relu=False, **options):
        net.addLayer(
            name,
            dagnn.Conv(size=[size, size, depth, count], **options),
            source,
            f"{name}_y",
            [f"{name}_f", f"{name}_b"],
        )
        names = [f"{name}_{p}" for p in ("g", "o", "m")]
        net.addLayer(f"{name}_n", dagnn.BatchNorm(numChannels=count), f"{name}_y", f"{name}_z", names)
        if relu:
            net.addLayer(f"{name}_r", dagnn.ReLU(), f"{name}_z", f"{name}_x")
        return f"{name}_x" if relu else f"{name}_z"

    x = "x"
    for block, depth in (("a", 4), ("b", 24)):
        left = conv(f"{block}2", conv(f"{block}1", x, 3, depth, 20, relu=True, pad=1), 1, 20, 24)
        right = conv(f"{block}3", x, 1, depth, 24) if block == "a" else x
        net.addLayer(f"{block}_sum", dagnn.Sum(), [left, right], f"{block}_s")
        net.addLayer(f"{block}_relu", dagnn.ReLU(), f"{block}_s", f"{block}_x")
        x = f"{block}_x"
    net.addLayer("pool", dagnn.Pooling(poolSize=[9, 9], method="avg"), x, "y")
    net.initParams()
    random = np.random.default_rng(0)
    for param in net.params:
        param.value = random.standard_normal(param.value.shape, dtype=np.float32)
        if param.trainMethod == "average" or param.name.endswith("_m"):
            param.value = np.abs(param.value) + np.float32(0.5)
    net.mode = "test"
    return net


def image(dtype=np.float32):
    return np.random.default_rng(1).standard_normal((9, 9, 4, 2)).astype(dtype)


def plainly(net, x):
    """The value of y, layer by layer."""
    kept = net.copy()
    kept.conserveMemory = False
    kept.mode = net.mode
    kept.eval({"x": x})
    return {v.name: v.value for v in kept.vars}


def near(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * np.abs(b).max())


def together(net):
    """How many layers each step runs."""
    return [len(getattr(step.block, "blocks", [0])) for step in net._plan.fused]


@pytest.mark.parametrize(("mode", "steps"), [("test", [3, 2, 4, 3, 4, 1]), ("normal", None)])
def test_results_are_those_of_layers_that_run_one_by_one(mode, steps):
    net, x = graph(), image()
    net.mode = mode
    net.eval({"x": x})
    near(net.vars["y"].value, plainly(net, x)["y"])
    assert [v.name for v in net.vars if v.value is not None] == ["y"]
    if steps:
        assert sorted(together(net)) == sorted(steps)


def test_biases_count_only_where_the_layer_has_some():
    net, x = graph(), image()
    for name in ("a1", "b2"):
        net.layers[name].block.hasBias = False
    net.eval({"x": x})
    near(net.vars["y"].value, plainly(net, x)["y"])


def test_a_precious_variable_is_seen_as_it_is():
    net, x = graph(), image()
    net.eval({"x": x})
    expected = plainly(net, x)
    for name in ("a1_y", "a2_z", "b_s"):
        net.vars[name].precious = True
        net.eval({"x": x})
        near(net.vars[name].value, expected[name])
        near(net.vars["y"].value, expected["y"])


def test_parameters_and_options_changed_between_evaluations_are_seen():
    net, x = graph(), image()
    net.eval({"x": x})
    net.params["a1_f"].value[0] = 2
    net.params["a2_g"].value[3] = -4
    net.params["b2_m"].value = net.params["b2_m"].value + 1
    net.eval({"x": x})
    near(net.vars["y"].value, plainly(net, x)["y"])
    net.layers["b_relu"].block.leak = 0.5
    net.eval({"x": x})
    near(net.vars["y"].value, plainly(net, x)["y"])
    net.params["a1_m"].value[:] = 0
    with pytest.warns(UserWarning, match="moments are all zero"):
        net.eval({"x": x})
        expected = plainly(net, x)
    near(net.vars["y"].value, expected["y"])


def test_a_variable_given_in_the_middle_is_taken():
    net, x = graph(), image()
    expected = plainly(net, x)
    net.eval({"b1_z": expected["b1_z"], "a_x": expected["a_x"]})
    near(net.vars["y"].value, expected["y"])


def test_what_can_be_computed_is_where_an_input_is_missing():
    net = dagnn.DagNN()
    net.addLayer("c", dagnn.Conv(size=[1, 1, 4, 3]), "x", "c", ["f", "b"])
    net.addLayer("s", dagnn.Sum(), ["c", "other"], "y")
    net.initParams()
    net.eval({"x": image()})
    assert net.vars["c"].value.shape == (9, 9, 3, 2) and net.vars["y"].value is None


def test_double_precision_runs_layer_by_layer():
    net, x = graph(), image(np.float64)
    for param in net.params:
        param.value = param.value.astype(np.float64)
    net.eval({"x": x})
    np.testing.assert_allclose(net.vars["y"].value, plainly(net, x)["y"], rtol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("a2_f", (1, 1, 7, 24)), r"7 must divide 20.*in layer 'a2' \(Conv\)"),
        (("a2_g", (5,)), r"g has 5 elements.*in layer 'a2_n' \(BatchNorm\)"),
        (("b2_f", (1, 1, 20, 12)), r"in layer 'b2_n' \(BatchNorm\)|b has 24 elements.*in layer 'b2'"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_the_layer(change, message):
    net = graph()
    name, shape = change
    net.params[name].value = np.ones(shape, np.float32)
    with pytest.raises(ValueError, match=message) as error:
        net.eval({"x": image()})
    assert str(error.value).count("in layer") == 1
