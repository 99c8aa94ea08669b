"""The distance layer hands its options to vl_nnpdist, in a chain and in a graph."""

import numpy as np
import pytest

import pyconvnet as pcn

RNG = np.random.default_rng(0)


@pytest.fixture
def arrays():
    return {"x": RNG.standard_normal((2, 3, 4, 2)), "target": RNG.standard_normal((2, 3, 4, 2))}


@pytest.fixture
def weights():
    return RNG.random((2, 3, 1, 2))


def test_a_chain_keeps_instance_weights_in_the_record(arrays, weights):
    x, target = arrays.values()
    layer = {"type": "pdist", "class": target, "p": 3, "noRoot": True, "instanceWeights": weights}
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[layer]))
    options = {"noRoot": True, "epsilon": 1e-3, "instanceWeights": weights}
    res = pcn.vl_simplenn(net, x, np.ones((2, 3, 1, 2)))
    assert np.array_equal(res[1].x, pcn.vl_nnpdist(x, target, 3, **options))
    assert np.array_equal(res[0].dzdx, pcn.vl_nnpdist(x, target, 3, np.ones((2, 3, 1, 2)), **options)[0])


def test_a_graph_takes_instance_weights_as_third_input(arrays, weights):
    dag = pcn.DagNN()
    dag.addLayer("d", pcn.dagnn.PDist(p=1), ["x", "target", "weights"], "y")
    dag.eval({**arrays, "weights": weights}, {"y": 1.0})
    assert np.isclose(dag.vars["y"].value.item(), (np.abs(arrays["x"] - arrays["target"]) * weights).sum())
    assert np.allclose(dag.vars["x"].der, np.sign(arrays["x"] - arrays["target"]) * weights)
