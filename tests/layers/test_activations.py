"""Non-linearities: values, derivatives, both wrappers, and their picture."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import view

FORMULAS = {
    "relu": ({}, lambda x: np.maximum(x, 0)),
    "leaky relu": ({"type": "relu", "leak": 0.1}, lambda x: np.maximum(0.1 * x, x)),
    "sigmoid": ({}, lambda x: 1 / (1 + np.exp(-x))),
    "softplus": ({}, lambda x: np.log(1 + np.exp(x))),
    "tanh": ({}, np.tanh),
    "elu": ({"alpha": 0.7}, lambda x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1))),
    "swish": ({"beta": 1.5}, lambda x: x / (1 + np.exp(-1.5 * x))),
}
CASES = pytest.mark.parametrize("name", FORMULAS)


def network(name):
    record, formula = FORMULAS[name]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[{"type": name, "name": "a", **record}])), formula


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((4, 5, 3, 2)) * 2


@CASES
def test_values_are_those_of_the_formula(name, x):
    net, formula = network(name)
    assert np.allclose(pcn.vl_simplenn(net, x, mode="test")[-1].x, formula(x), rtol=1e-12)


@CASES
@pytest.mark.parametrize("wrapper", ["simplenn", "dagnn"])
def test_the_derivative_is_that_along_a_random_direction(name, wrapper, x):
    net, formula = network(name)
    rng = np.random.default_rng(1)
    dzdy, direction, step = rng.standard_normal(x.shape), rng.standard_normal(x.shape), 1e-6
    expected = np.sum(dzdy * (formula(x + step * direction) - formula(x - step * direction))) / (2 * step)
    if wrapper == "simplenn":
        dzdx = pcn.vl_simplenn(net, x, dzdy)[0].dzdx
    else:
        graph = pcn.DagNN.fromSimpleNN(net)
        source, sink = graph.getInputs()[0], graph.getOutputs()[0]
        graph.vars[source].precious = True
        graph.eval({source: x}, {sink: dzdy})
        dzdx = graph.vars[source].der
    assert np.isclose(np.sum(dzdx * direction), expected, rtol=1e-6)


@CASES
def test_nothing_overflows_and_single_precision_stays(name):
    net, _ = network(name)
    x = np.array([-3e38, -1e4, -100, 0, 100, 1e4, 3e38], np.float32).reshape(1, 1, 7, 1)
    res = pcn.vl_simplenn(net, x, np.ones_like(x))
    assert res[1].x.dtype == res[0].dzdx.dtype == np.float32
    assert np.isfinite(res[1].x).all() and np.isfinite(res[0].dzdx).all()


@CASES
def test_what_is_no_number_shows(name):
    net, _ = network(name)
    y = pcn.vl_simplenn(net, np.full((1, 1, 1, 1), np.nan), mode="test")[-1].x
    # MATLAB's max(x, 0), and so MatConvNet's ReLU, makes NaN 0.
    assert np.isnan(y).all() or name == "relu"


@pytest.mark.parametrize("wrapper", ["simplenn", "dagnn"])
def test_they_are_saved_with_their_numbers(wrapper, tmp_path, x):
    net = pcn.vl_simplenn_tidy(
        pcn.SimpleNN(
            layers=[{"type": name, **record} for name, (record, _) in FORMULAS.items() if name != "leaky relu"]
        )
    )
    expected = pcn.vl_simplenn(net, x, mode="test")[-1].x
    if wrapper == "dagnn":
        net = pcn.DagNN.fromSimpleNN(net)
    pcn.save(tmp_path / "net.mat", net)
    assert np.array_equal(pcn.predict(pcn.load(tmp_path / "net.mat"), x), expected)


@pytest.mark.parametrize("block", ["SoftPlus", "Tanh", "ELU", "Swish"])
def test_they_are_blocks_of_a_graph(block, x):
    record, formula = FORMULAS[block.lower()]
    net = pcn.DagNN()
    net.addLayer("a", getattr(pcn.dagnn, block)(**record), "x", "y")
    net.vars["y"].precious = True
    net.eval({"x": x})
    assert np.allclose(net.vars["y"].value, formula(x))


def test_a_non_linearity_of_the_users_own_takes_its_parameters_from_the_network(tmp_path, x):
    class Bent(pcn.layers.Layer):
        simplenn = "bent"
        strength = 1.0

        def forward(self, inputs, params):
            return [inputs[0] + self.strength * inputs[0] ** 2]

        def backward(self, inputs, params, derOutputs):
            return [derOutputs[0] * (1 + 2 * self.strength * inputs[0])], []

    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[{"type": "bent", "strength": 0.5}, {"type": "bent"}]))
    assert net.layers[1].strength == 1
    pcn.save(tmp_path / "bent.mat", net)
    y = pcn.vl_simplenn(pcn.load(tmp_path / "bent.mat"), x, np.ones_like(x))
    once = x + 0.5 * x**2
    assert np.allclose(y[-1].x, once + once**2)
    assert np.allclose(y[0].dzdx, (1 + 2 * once) * (1 + x))


def test_they_are_drawn_with_their_derivatives():
    pytest.importorskip("matplotlib")
    axes = view.nonlinearities()
    assert len(axes) == 7
    by_title = {ax.get_title().split()[0]: ax for ax in axes}
    at, y = by_title["softplus"].lines[0].get_data()
    assert np.allclose(y, np.log1p(np.exp(at)))
    at, slope = by_title["tanh"].lines[1].get_data()
    assert np.allclose(slope, 1 - np.tanh(at) ** 2)
