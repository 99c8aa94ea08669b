"""cnn_train_dag where losses meet inside the graph, and where layers do not say what size they give."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.dagnn import DagNN

random = np.random.default_rng(0)
X = random.standard_normal((1, 1, 4, 40))
LABELS, TARGETS = (X[0, 0, 0] > 0) + 1, np.sign(X[:, :, :1])


def graph(second):
    """Two branches: a softmaxlog loss, which averages over images, and `second`, as o1 and o2."""
    net = DagNN()
    net.addLayer("c1", dagnn.Conv(size=[1, 1, 4, 2]), "input", "p1", ["f1", "b1"])
    net.addLayer("l1", dagnn.Loss(), ["p1", "label"], "o1")
    net.addLayer("c2", dagnn.Conv(size=[1, 1, 4, 1]), "input", "p2", ["f2", "b2"])
    net.addLayer("l2", second, ["p2", "target"], "o2")
    start = np.random.default_rng(1)
    for name, value in (("f1", (1, 1, 4, 2)), ("b1", (2, 1)), ("f2", (1, 1, 4, 1)), ("b2", (1, 1))):
        net.params[name].value = 0.1 * start.standard_normal(value)
    return net


def trained(net, derOutputs, **options):
    usual = {"batchSize": 20, "numEpochs": 2, "learningRate": 0.1, "verbose": False, "shuffle": False}
    net, _ = pcn.cnn_train_dag(
        net,
        {"images": {"set": np.ones(40)}},
        lambda imdb, batch: {"input": X[..., batch], "label": LABELS[batch], "target": TARGETS[..., batch]},
        derOutputs=derOutputs,
        expDir=None,
        **{**usual, **options},
    )
    return {p.name: p.value for p in net.params}


class OwnSum(dagnn.Layer):
    """A loss of the user's own, summed over the images: half the squared distance."""

    def forward(self, inputs, params):
        return [((inputs[0] - inputs[1]) ** 2).sum(keepdims=True) / 2]

    def backward(self, inputs, params, derOutputs):
        return [derOutputs[0] * (inputs[0] - inputs[1]), None], []


SECOND = {
    "the same kind": lambda: dagnn.Loss(loss="logistic"),
    "a sum over images": lambda: dagnn.PDist(noRoot=True),
    "the user's own": OwnSum,
}


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("second", SECOND)
def test_losses_added_in_the_graph_train_as_two_objectives_do(second, parts):
    apart = trained(graph(SECOND[second]()), {"o1": 1, "o2": 1}, numSubBatches=parts)
    net = graph(SECOND[second]())
    net.addLayer("total", dagnn.Sum(), ["o1", "o2"], "objective")
    together = trained(net, {"objective": 1}, numSubBatches=parts)
    for name, value in apart.items():
        np.testing.assert_allclose(together[name], value, rtol=1e-10)
        assert np.abs(value - graph(SECOND[second]()).params[name].value).max() > 1e-3


def test_a_weighted_sum_of_losses_trains_with_the_weights():
    apart = trained(graph(dagnn.PDist(noRoot=True)), {"o1": 0.3, "o2": 1})
    net = graph(dagnn.PDist(noRoot=True))
    net.addLayer("weigh", dagnn.Scale(size=[1, 1, 1], hasBias=False), "o1", "w1", ["w"])
    net.params["w"].value = np.full((1, 1, 1), 0.3)
    net.params["w"].learningRate = net.params["w"].weightDecay = 0
    net.addLayer("total", dagnn.Sum(), ["w1", "o2"], "objective")
    together = trained(net, {"objective": 1})
    for name, value in apart.items():
        np.testing.assert_allclose(together[name], value, rtol=1e-10)


def test_a_loss_weighed_by_a_learnt_number_moves_it_by_the_mean_loss():
    net = graph(dagnn.Loss(loss="logistic"))
    net.addLayer("weigh", dagnn.Scale(size=[1, 1, 1], hasBias=False), "o1", "objective", ["w"])
    net.params["w"].value = np.ones((1, 1, 1))
    net.params["w"].weightDecay = 0
    options = {"batchSize": 40, "numEpochs": 1, "learningRate": 0.5}
    before = net.copy()
    before.vars["o1"].precious = True
    before.eval({"input": X, "label": LABELS, "target": TARGETS})
    after = trained(net, {"objective": 1}, **options)
    np.testing.assert_allclose(after["w"].item(), 1 - 0.5 * before.vars["o1"].value.item(), rtol=1e-10)


def test_layers_of_ones_own_that_change_the_size_train_in_both_kinds_of_network():
    class Maxout(dagnn.Layer):
        simplenn = "maxout-of-this-test"

        def forward(self, inputs, params):
            return [np.maximum(inputs[0][:, :, 0::2], inputs[0][:, :, 1::2])]

        def backward(self, inputs, params, derOutputs):
            (x,) = inputs
            first, out = x[:, :, 0::2] >= x[:, :, 1::2], np.zeros_like(x)
            out[:, :, 0::2], out[:, :, 1::2] = derOutputs[0] * first, derOutputs[0] * ~first
            return [out], []

    filters, labels = random.standard_normal((1, 1, 4, 6)), np.arange(40) % 3 + 1
    imdb = {"images": {"set": np.ones(40), "labels": labels}}
    options = {"expDir": None, "batchSize": 20, "numEpochs": 3, "verbose": False, "learningRate": 0.1}
    chain = pcn.SimpleNN(
        layers=[
            {"type": "conv", "weights": [filters, np.zeros((1, 6))]},
            {"type": "maxout-of-this-test"},
            {"type": "softmaxloss"},
        ]
    )
    chain, stats = pcn.cnn_train(chain, imdb, lambda imdb, batch: (X[..., batch], labels[batch]), **options)
    net = DagNN()
    net.addLayer("c", dagnn.Conv(size=[1, 1, 4, 6]), "input", "a", ["f", "b"])
    net.addLayer("k", Maxout(), "a", "p")
    net.addLayer("o", dagnn.Loss(), ["p", "label"], "objective")
    net.params["f"].value, net.params["b"].value = filters, np.zeros((6, 1))
    assert np.isnan(net.getVarSizes({"input": [1, 1, 4, 10]})[net.getVarIndex("p")]).all()
    net, of_graph = pcn.cnn_train_dag(
        net, imdb, lambda imdb, batch: {"input": X[..., batch], "label": labels[batch]}, **options
    )
    np.testing.assert_allclose(net.params["f"].value, chain.layers[0].weights[0], rtol=1e-9)
    np.testing.assert_allclose(of_graph.train[-1].objective, stats.train[-1].objective, rtol=1e-9)


@pytest.mark.parametrize("aggregate", [True, False])
def test_distances_behind_a_layer_of_unknown_size_train_alike(aggregate):
    class Half(dagnn.Layer):
        simplenn = "half-of-this-test"

        def forward(self, inputs, params):
            return [np.ascontiguousarray(inputs[0][::2, ::2])]

        def backward(self, inputs, params, derOutputs):
            out = np.zeros_like(inputs[0])
            out[::2, ::2] = derOutputs[0]
            return [out], []

    x = random.standard_normal((8, 8, 1, 20)).astype(np.float32)
    net = pcn.SimpleNN(
        layers=[
            {"type": "conv", "weights": [np.ones((1, 1, 1, 1), np.float32), np.zeros((1, 1), np.float32)]},
            {"type": "half-of-this-test"},
            {"type": "pdist", "noRoot": True, "aggregate": aggregate},
        ]
    )
    net, stats = pcn.cnn_train(
        net,
        {"images": {"set": np.ones(20)}},
        lambda imdb, batch: (x[..., batch], 2 * x[::2, ::2, :, batch]),
        expDir=None,
        batchSize=5,
        numEpochs=20,
        learningRate=0.01,
        weightDecay=0,
        errorFunction="none",
        verbose=False,
    )
    assert abs(net.layers[0].weights[0].item() - 2) < 0.02 and stats.train[-1].objective < 0.01


def test_tables_say_that_the_size_behind_such_a_layer_is_not_known():
    class Twice(dagnn.Layer):
        simplenn = "twice-of-this-test"

        def forward(self, inputs, params):
            return [inputs[0], inputs[0]]

    net = DagNN()
    net.addLayer("t", Twice(), "input", ["a", "b"])
    net.addLayer("s", dagnn.Sum(), ["a", "b"], "y")
    assert all(np.isnan(s).all() for s in net.getVarSizes({"input": [4, 4, 3, 1]})[1:])
    assert "NaN" in net.print({"input": [4, 4, 3, 1]})
    info, _ = pcn.vl_simplenn_display(
        pcn.SimpleNN(layers=[{"type": "relu"}, {"type": "twice-of-this-test"}]), inputSize=[4, 4, 3, 1]
    )
    assert info.dataSize[:, 1].tolist() == [4, 4, 3, 1] and np.isnan(info.dataSize[:, 2]).all()
