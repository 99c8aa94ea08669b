"""Builders: the records of MatConvNet's examples. Their tables are compared in tests/test_display.py."""

from pathlib import Path

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.models.initialize import Draw, method
from pyconvnet.networks import network

NETS = Path(__file__).parents[2] / "matlab_fixtures" / "nets"


def same(found, expected, path):
    """Equal but for the values of weights; MATLAB stores every number as a matrix."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), path
        for key in expected:
            same(found[key], expected[key], f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for i, (a, b) in enumerate(zip(found, expected)):
            same(a, b, f"{path}{{{i}}}")
    elif isinstance(expected, str):
        assert found == expected, path
    elif ".weights" in path:
        assert np.shape(found) == expected.shape and found.dtype == expected.dtype, path
    else:
        np.testing.assert_array_equal(np.atleast_2d(found), expected, err_msg=path)


@pytest.mark.parametrize(
    "name, file, options",
    [
        ("lenet-mnist", "lenet", {}),
        ("lenet-mnist", "lenet-bn", {"batchNormalization": True}),
        ("lenet-cifar", "lenet-cifar", {}),
    ],
)
def test_records_and_meta_equal_those_of_matconvnet(name, file, options):
    net = models.build(name, seed=0, **options)
    expected = pcn.load(NETS / f"{file}.mat", tidy=False)
    same(net.layers, expected.layers, "layers")
    same(net.meta, expected.meta, "meta")


@pytest.mark.parametrize("name", models.names())
def test_every_network_builds_without_taking_memory(name):
    net = models.build(name, init=False)
    weights = [w for _, of in network(net).weights() for w in of if w.size and w.size > 100_000]
    assert all(w.strides == (0,) * w.ndim for w in weights)
    if isinstance(net, pcn.SimpleNN):
        assert net.layers[-1].type == "softmaxloss"
    else:
        assert "label" in net.getInputs()
    assert [layer.name for layer in net.layers if not layer.name] == []


def test_a_seed_gives_the_same_weights_every_time():
    a, b, c = (models.build("lenet", seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(a.layers[0].weights[0], b.layers[0].weights[0])
    assert (a.layers[0].weights[0] != c.layers[0].weights[0]).any()
    assert a.layers[0].weights[0].dtype == np.float32 and a.layers[0].weights[0].flags.f_contiguous


@pytest.mark.parametrize(
    "name, scale, deviation",
    [
        ("gaussian", 1, 0.01),
        ("Gaussian", 2, 0.005),
        ("xavier", 1, np.sqrt(1 / (3 * 3 * 64))),
        ("xavierimproved", 1, np.sqrt(2 / (3 * 3 * 128))),
    ],
)
def test_the_three_methods_have_their_deviation(name, scale, deviation):
    f = method(name)(Draw(seed=0), (3, 3, 64, 128), scale)
    assert f.shape == (3, 3, 64, 128) and f.dtype == np.float32
    assert f.std() == pytest.approx(deviation, rel=0.01)
    assert abs(f.mean()) < deviation / 50


def test_xavier_makes_the_last_layer_of_an_imagenet_network_ten_times_smaller():
    net = models.build("vgg-m-1024", weightInitMethod="xavier", seed=0)
    f = next(layer for layer in net.layers if layer.name == "fc8").weights[0]
    assert np.abs(f).max() == pytest.approx(np.sqrt(3 / 1024) / 10, rel=0.01)


def test_options_reach_their_fields():
    net = models.build("alexnet", init=False, weightDecay=2, cudnnWorkspaceLimit=5, classNames=["a", "b"])
    conv = net.layers[0]
    np.testing.assert_array_equal(conv.weightDecay, [[2, 0]])
    assert conv.opts == ["CudnnWorkspaceLimit", 5.0] and net.meta.classes.name == ["a", "b"]
    assert net.meta.trainOpts.batchSize == 256 and net.meta.trainOpts.learningRate.shape == (1, 60)
    bias = models.build("lenet", seed=0).layers[0].weights[1]
    assert bias.shape == (1, 20) and not bias.any()
    f = models.build("vgg-m-1024", seed=0, initBias=0.5).layers[0].weights[1]
    assert f.shape == (96, 1) and (f == 0.5).all()


def test_batch_normalization_replaces_lrn_and_dropout():
    types = [layer.type for layer in models.build("vgg-f", batchNormalization=True, init=False).layers]
    assert types.count("bnorm") == 7 and "normalize" not in types and "dropout" not in types


def test_a_deployed_network_ends_in_softmax_and_drops_nothing():
    net = models.build("vgg-vd-16", deployed=True, init=False)
    assert len(net.layers) == 37 and net.layers[-1].type == "softmax"
    assert not any(layer.type == "dropout" for layer in net.layers)
    average = net.meta.normalization.averageImage
    assert average.shape == (224, 224, 3) and average.dtype == np.float64


def test_a_built_network_runs():
    net = models.build("lenet", seed=0, deployed=True)
    x = np.random.default_rng(0).random((28, 28, 1, 2), dtype=np.float32)
    y = pcn.vl_simplenn(net, x, mode="test")[-1].x
    assert y.shape == (1, 1, 10, 2)
    np.testing.assert_allclose(y.sum(axis=2), 1, rtol=1e-6)


@pytest.mark.parametrize("name, last", [("lenet", ["top1err", "top5err"]), ("nin", ["error"])])
def test_a_dagnn_measures_errors_too(name, last):
    dag = models.build(name, networkType="dagnn", init=False)
    assert [entry.name for entry in dag.layers][-len(last) :] == last
    assert {"input", "label", "prediction", "objective"} <= {v.name for v in dag.vars}


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("vgg-vd-17", {}, "no network 'vgg-vd-17'; did you mean 'vgg-vd-1"),
        ("resnet", {}, "no network 'resnet'"),
        ("alexnet", {"batchNormalisation": True}, "did you mean 'batchNormalization'"),
        ("nin", {"batchNormalization": True}, "unknown option 'batchNormalization'"),
        (
            "alexnet",
            {"weightInitMethod": "he"},
            "weightInitMethod must be one of 'gaussian', 'xavier', 'xavierimproved'",
        ),
        ("lenet", {"networkType": "graph"}, "networkType must be 'simplenn' or 'dagnn'"),
    ],
)
def test_unknown_names_and_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        models.build(name, init=False, **options)


def test_batch_normalization_off_is_taken_by_every_network():
    for name in models.names():
        models.build(name, batchNormalization=False, init=False)


@pytest.mark.parametrize("seed", ["a", -1, 1.5])
def test_a_seed_that_is_not_a_whole_number_is_refused_by_name(seed):
    with pytest.raises(ValueError, match=f"^models.build: seed must be a whole number from 0 up, got {seed!r}$"):
        models.build("lenet", seed=seed)
