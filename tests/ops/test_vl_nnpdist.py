"""Targets as they come: in another precision, as vectors, as lists."""

import numpy as np
import pytest

import pyconvnet as pcn

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", [np.float64, np.int16, list])
def test_targets_and_weights_of_any_type_are_taken_in_the_precision_of_x(kind):
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    target, weights = RNG.integers(-3, 3, x.shape), RNG.integers(0, 3, (2, 3, 1, 5))
    given = [a.tolist() if kind is list else a.astype(kind) for a in (target, weights)]
    wanted = [a.astype(np.float32) for a in (target, weights)]
    dy = np.ones((2, 3, 1, 5), np.float32)
    y = pcn.vl_nnpdist(x, given[0], 2, instanceWeights=given[1])
    assert y.dtype == np.float32 and np.array_equal(y, pcn.vl_nnpdist(x, wanted[0], 2, instanceWeights=wanted[1]))
    ders = pcn.vl_nnpdist(x, given[0], 2, dy, instanceWeights=given[1])
    for a, b in zip(ders, pcn.vl_nnpdist(x, wanted[0], 2, dy, instanceWeights=wanted[1])):
        assert a.dtype == np.float32 and np.array_equal(a, b)


@pytest.mark.parametrize("shape", [(1, 1, 1, 7), (1, 1, 7, 1), (7, 1, 1, 1), (1, 7, 1, 1), (2, 3, 1, 7), (2, 3, 7, 1)])
@pytest.mark.parametrize("vector", [(7,), (7, 1), (1, 7), (1, 1, 7), (1, 1, 1, 7)])
def test_a_vector_goes_along_images_or_channels(shape, vector):
    x, target = RNG.standard_normal(shape), RNG.standard_normal(7)
    full = shape if np.prod(shape) == 7 else (1, 1, *shape[2:])
    dy = RNG.standard_normal((*shape[:2], 1, shape[3]))
    given = target.reshape(vector)
    assert np.array_equal(pcn.vl_nnpdist(x, given, 3), pcn.vl_nnpdist(x, target.reshape(full), 3))
    dx, dx0 = pcn.vl_nnpdist(x, given, 3, dy)
    wanted = pcn.vl_nnpdist(x, target.reshape(full), 3, dy)
    assert np.array_equal(dx, wanted[0]) and np.array_equal(dx0.ravel(), wanted[1].ravel())
    assert dx0.shape == (*vector, 1, 1, 1)[:4]


def test_a_vector_of_weights_weighs_images():
    x, weights = RNG.standard_normal((2, 3, 4, 5)), RNG.random(5)
    wanted = pcn.vl_nnpdist(x, np.zeros_like(x), 2) * weights
    np.testing.assert_allclose(pcn.vl_nnpdist(x, np.zeros_like(x), 2, instanceWeights=weights), wanted)


@pytest.mark.parametrize("target", [np.zeros(6), np.zeros((5, 4)), np.zeros(4), np.zeros(5)], ids=np.shape)
def test_a_target_that_could_mean_several_things_is_refused(target):
    with pytest.raises(ValueError, match=r"vl_nnpdist: x0 is .*; it must be 1x1x4x5, or 1 in a dimension"):
        pcn.vl_nnpdist(np.zeros((1, 1, 4, 5)), target, 2)


def test_targets_that_are_no_numbers_are_refused():
    with pytest.raises(TypeError, match="vl_nnpdist: x0 must be numbers, got list"):
        pcn.vl_nnpdist(np.zeros((1, 1, 4, 5)), ["a"], 2)


def test_a_chain_learns_numbers_given_in_double_one_for_each_image():
    images = RNG.standard_normal((2, 2, 1, 40)).astype(np.float32)
    truth = np.array([[1.0, -2], [3, 0.5]])
    targets = (images[:, :, 0] * truth[:, :, None]).sum(axis=(0, 1)).astype(np.float64)
    conv = {"type": "conv", "weights": [np.zeros((2, 2, 1, 1), np.float32), np.zeros((1, 1), np.float32)]}
    net, _ = pcn.cnn_train(
        {"layers": [conv, {"type": "pdist", "noRoot": True}]},
        {"images": {"set": np.ones(40)}},
        lambda imdb, i: (images[..., i], targets[i]),
        expDir=None, batchSize=20, numEpochs=60, learningRate=0.1, weightDecay=0, errorFunction="none", verbose=False,
    )  # fmt: skip
    np.testing.assert_allclose(net.layers[0].weights[0][:, :, 0, 0], truth, atol=0.01)
