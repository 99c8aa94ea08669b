"""Labels of classes with a second channel, H x W x 2 x N: factors of the summands, in every loss of classes."""

import numpy as np
import pytest
from support import cases

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.ops.vl_nnloss import CATEGORICAL

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4, 5))
CLASSES, WEIGHTS = RNG.integers(0, 5, (2, 3, 1, 5)), RNG.random((2, 3, 1, 5))
BOTH = np.concatenate([CLASSES, WEIGHTS], axis=2)


def four(a):
    return a.reshape(a.shape + (1,) * (4 - a.ndim))


@pytest.mark.parametrize("case", cases("vl_nnsoftmaxloss"), ids=str)
def test_the_layer_gives_matconvnets_numbers_for_one_channel_of_labels_and_for_two(case):
    x, labels = case.inputs
    net = pcn.SimpleNN(layers=[{"type": "softmaxloss", "class": labels}])
    res = pcn.vl_simplenn(net, x, case.dzdy)
    np.testing.assert_allclose(res[1].x.item(), np.asarray(case.outputs[0]).item(), rtol=2e-5)
    np.testing.assert_allclose(res[0].dzdx, four(case.ders[0]), rtol=2e-4, atol=1e-6)


def test_the_reference_is_a_mean_over_images_with_weights_as_without():
    # not the sum of release 1.0-beta25: two images, labels of one and of two channels
    for at, channels in ((6, 1), (8, 2)):
        case = cases("vl_nnsoftmaxloss")[at]
        x, labels = (four(a).astype(float) for a in case.inputs)
        assert labels.shape == (*x.shape[:2], channels, 2)
        at = np.maximum(labels[:, :, :1], 1).astype(int) - 1
        terms = np.log(np.exp(x).sum(axis=2, keepdims=True)) - np.take_along_axis(x, at, axis=2)
        factors = (labels[:, :, :1] > 0) * (labels[:, :, 1:] if channels == 2 else 1)
        assert np.asarray(case.outputs[0]).item() == pytest.approx((terms * factors).sum() / 2, rel=1e-5)


@pytest.mark.parametrize("loss", CATEGORICAL)
@pytest.mark.parametrize("given", [None, RNG.random(5)], ids=["", "instanceWeights"])
def test_a_block_takes_the_factors_as_instance_weights(loss, given):
    x = np.abs(X) / 10 + 0.2
    net = dagnn.DagNN()
    opts = () if given is None else ("instanceWeights", given)
    net.addLayer("l", dagnn.Loss(loss=loss, opts=opts), ["x", "label"], "y")
    net.eval({"x": x, "label": BOTH}, {"y": 1})
    factors = WEIGHTS if given is None else WEIGHTS * given
    wanted = {"loss": loss, "instanceWeights": factors}
    np.testing.assert_allclose(net.vars["y"].value, pcn.vl_nnloss(x, CLASSES, **wanted), rtol=1e-12)
    np.testing.assert_allclose(net.vars["x"].der, pcn.vl_nnloss(x, CLASSES, 1, **wanted), rtol=1e-12, atol=1e-15)


def test_one_label_and_weight_for_each_image_go_for_all_its_pixels():
    both = np.stack([np.array([1, 4, 0, 2, 3]), RNG.random(5)])[None, None]
    net = pcn.SimpleNN(layers=[{"type": "softmaxloss", "class": both}])
    wanted = pcn.vl_nnloss(X, both[:, :, 0], instanceWeights=both[0, 0, 1])
    np.testing.assert_allclose(pcn.vl_simplenn(net, X)[1].x, wanted)


def test_two_channels_of_signs_are_labels():
    x, signs = X[:, :, :2], np.sign(RNG.standard_normal((2, 3, 2, 5)))
    net = pcn.SimpleNN(layers=[{"type": "loss", "loss": "hinge", "class": signs}])
    assert np.array_equal(pcn.vl_simplenn(net, x)[1].x, pcn.vl_nnloss(x, signs, loss="hinge"))


@pytest.mark.parametrize("loss", ["softmaxlog", "mhinge"])
@pytest.mark.parametrize("graph", [False, True], ids=["cnn_train", "cnn_train_dag"])
def test_training_weighs_objective_errors_and_derivatives(loss, graph):
    images = RNG.standard_normal((1, 1, 6, 20)).astype(np.float32)
    classes, weights = np.arange(20) % 2 + 1, np.where(np.arange(20) % 2, 1.0, 5.0)
    labels = np.stack([classes, weights])[None, None].astype(np.float32)
    filters = RNG.standard_normal((1, 1, 6, 2)).astype(np.float32)
    last = {"type": "loss", "loss": loss}
    chain = pcn.SimpleNN(layers=[{"type": "conv", "weights": [filters, np.zeros((1, 2), np.float32)]}, last])
    options = {"expDir": None, "batchSize": 20, "numEpochs": 1, "learningRate": 0.1, "weightDecay": 0, "verbose": False}
    imdb = {"images": {"set": np.ones(20)}}
    if graph:
        net = dagnn.DagNN.fromSimpleNN(chain, canonicalNames=True)
        batch = lambda imdb, i: {"input": images[..., i], "label": labels[..., i]}  # noqa: E731
        net, stats = pcn.cnn_train_dag(net, imdb, batch, **options)
        trained = net.params[0].value
    else:
        net, stats = pcn.cnn_train(chain, imdb, lambda imdb, i: (images[..., i], labels[..., i]), **options)
        trained = net.layers[0].weights[0]
    scores = pcn.vl_nnconv(images, filters)
    weighed = {"loss": loss, "instanceWeights": weights}
    assert stats["train"][0]["objective"] == pytest.approx(pcn.vl_nnloss(scores, classes, **weighed).item(), rel=1e-4)
    if not graph:
        wrong = pcn.vl_nnloss(scores, classes, loss="classerror", instanceWeights=weights).item()
        assert stats["train"][0]["top1err"] == pytest.approx(wrong, rel=1e-5)
    _, df, _ = pcn.vl_nnconv(images, filters, None, pcn.vl_nnloss(scores, classes, 1, **weighed))
    np.testing.assert_allclose(trained, filters - 0.1 * df, rtol=1e-4, atol=1e-6)


def test_maps_of_labels_and_weights_of_one_image_are_checked_by_their_labels():
    maps = np.concatenate([CLASSES[..., 0] % 3, 100 * WEIGHTS[..., 0] + 0.5], axis=2)
    image = RNG.standard_normal((2, 3, 4, 1)).astype(np.float32)
    conv = {"type": "conv", "weights": [np.zeros((1, 1, 4, 2), np.float32), np.zeros((1, 2), np.float32)]}
    options = {"expDir": None, "batchSize": 1, "numEpochs": 1, "verbose": False}
    net, imdb = {"layers": [conv, {"type": "softmaxloss"}]}, {"images": {"set": np.ones(1)}}
    _, stats = pcn.cnn_train(net, imdb, lambda imdb, i: (image, maps), **options)
    wanted = np.log(2) * ((maps[:, :, 0] > 0) * maps[:, :, 1]).sum()
    assert stats["train"][0]["objective"] == pytest.approx(wanted, rel=1e-4)
