"""EuclideanLoss and LossSmoothL1 in both kinds of network, under the types that users write; they train."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn

rng = np.random.default_rng(8)
X, T = rng.standard_normal((2, 1, 1, 3, 6))


def chain(**loss):
    weights = [rng.standard_normal((1, 1, 3, 3)), np.zeros((3, 1))]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[{"type": "conv", "weights": weights}, loss]))


@pytest.mark.parametrize("kind", ["euclideanloss", "euclidean", "smoothl1", "smoothl1loss"])
def test_a_chain_ends_in_one_and_predictions_leave_it_out(kind, tmp_path):
    net = chain(type=kind)
    net.layers[-1]["class"] = T.reshape(3, 6)
    res = pcn.vl_simplenn(net, X, 1.0, mode="normal")
    function = pcn.vl_nneuclideanloss if kind.startswith("e") else pcn.vl_nnsmoothL1loss
    assert res[-1].x.item() == pytest.approx(function(res[1].x, T).item(), rel=1e-12)
    assert np.allclose(res[1].dzdx, function(res[1].x, T, 1.0))
    assert np.allclose(pcn.predict(net, X), res[1].x)
    graph = pcn.DagNN.fromSimpleNN(net)
    graph.eval({"x0": X, "label": T})
    assert graph.vars["x2"].value.item() == pytest.approx(res[-1].x.item())
    assert graph.toSimpleNN().layers[-1].type in ("euclideanloss", "smoothl1")
    for one in (net, graph):
        pcn.save(tmp_path / "net.mat", one)
        assert np.allclose(pcn.predict(pcn.load(tmp_path / "net.mat"), X), res[1].x)


def test_records_have_weights_and_sigma():
    weights = rng.uniform(size=(1, 1, 3, 6))
    net = chain(type="euclideanloss", instanceWeights=weights, normalise=False, **{"class": T})
    y = pcn.vl_simplenn(net, X, mode="normal")
    expected = pcn.vl_nneuclideanloss(y[1].x, T, instanceWeights=weights, normalise=False)
    assert y[-1].x.item() == pytest.approx(expected.item())
    net = chain(type="smoothl1", sigma=3, **{"class": T})
    y = pcn.vl_simplenn(net, X, mode="normal")
    assert y[-1].x.item() == pytest.approx(pcn.vl_nnsmoothL1loss(y[1].x, T, sigma=3).item())
    assert pcn.DagNN.fromSimpleNN(net).layers[-1].block.sigma == 3


@pytest.mark.parametrize("kind", ["euclideanloss", "smoothl1"])
@pytest.mark.parametrize("graph", [False, True])
def test_they_train_a_regression_and_the_objective_is_the_mean_over_images(kind, graph):
    true = rng.standard_normal((3, 3))
    x = rng.standard_normal((1, 1, 3, 40))
    t = np.einsum("ij,xyjn->xyin", true, x)
    imdb = {"images": {"data": x, "labels": t, "set": np.ones(40)}}
    net = chain(type=kind)
    options = dict(batchSize=20, numEpochs=60, learningRate=0.3, weightDecay=0, expDir=None, plotStatistics=False)
    if graph:
        net = pcn.DagNN.fromSimpleNN(net, canonicalNames=True)

        def named(imdb, at):
            images = imdb["images"]
            return {"input": images["data"][..., at], "label": images["labels"][..., at]}

        net, stats = pcn.cnn_train_dag(net, imdb, named, **options)
    else:

        def pair(imdb, at):
            return imdb["images"]["data"][..., at], imdb["images"]["labels"][..., at]

        net, stats = pcn.cnn_train(net, imdb, pair, errorFunction="none", **options)
    first, last = (stats["train"][i]["objective"] for i in (0, -1))
    assert last < 0.02 * first
    assert np.allclose(pcn.predict(net, x), t, atol=0.5)


def test_a_graph_may_weigh_them_and_counts_their_averages():
    w = np.array([1.0, 0, 2, 1, 1, 1]).reshape(1, 1, 1, 6)
    block = dagnn.EuclideanLoss()
    y = block.forward([X, T, w], [])[0]
    assert y.item() == pytest.approx((w * (X - T) ** 2).sum() / 12)
    assert block.average == pytest.approx(y.item()) and block.numAveraged == 6
    (dx, *rest), _ = block.backward([X, T, w], [], [np.ones((1, 1, 1, 1))])
    assert np.allclose(dx, w * (X - T) / 6) and rest == [None, None]
