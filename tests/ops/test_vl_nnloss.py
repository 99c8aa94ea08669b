"""What labels and instance weights of doubtful shape mean, and small probabilities, as in MatConvNet."""

import warnings

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.ops.vl_nnloss import BINARY

RNG = np.random.default_rng(0)


def loss_of_each(x, c):
    """H x W x 1 x N: the summands of the loss."""
    return np.log(np.exp(x).sum(axis=2, keepdims=True)) - np.take_along_axis(x, c - 1, axis=2)


@pytest.fixture
def x():
    return RNG.standard_normal((1, 3, 4, 3))


@pytest.fixture
def c():
    return RNG.integers(1, 5, (1, 3, 1, 3))


def test_a_matrix_of_weights_that_fits_the_pixels_weighs_pixels(x, c):
    weights = np.array([[0.2, 0.3, 0.7]])
    wanted = (loss_of_each(x, c) * weights[:, :, None, None]).sum() / 3
    assert np.isclose(pcn.vl_nnloss(x, c, instanceWeights=weights).item(), wanted)


def test_a_vector_of_weights_weighs_images(x, c):
    weights = np.array([0.2, 0.3, 0.7])
    wanted = (loss_of_each(x, c) * weights).sum() / 3
    assert np.isclose(pcn.vl_nnloss(x, c, instanceWeights=weights).item(), wanted)
    first, label = x[:, :1], c[:, :1]
    wanted = (loss_of_each(first, label) * weights).sum() / 3
    assert np.isclose(pcn.vl_nnloss(first, label, instanceWeights=weights[None]).item(), wanted)


def test_two_labels_for_two_images_are_no_label_and_weight():
    x = RNG.standard_normal((1, 1, 4, 2))
    wanted = pcn.vl_nnsoftmaxloss(x, np.array([3, 1]))
    assert pcn.vl_nnsoftmaxloss(x, np.array([3, 1]).reshape(1, 1, 2)) == wanted


def test_a_second_channel_of_labels_weighs_pixels(x, c):
    weights = RNG.random(c.shape)
    wanted = (loss_of_each(x, c) * weights).sum() / 3
    assert np.isclose(pcn.vl_nnsoftmaxloss(x, np.concatenate([c, weights], axis=2)).item(), wanted)


def test_the_loss_of_a_small_probability_is_its_logarithm_and_the_derivative_is_bounded():
    x = np.array([1e-12, 0.5], np.float32).reshape(1, 1, 2, 1)
    assert np.isclose(pcn.vl_nnloss(x, np.array([1]), loss="log").item(), 12 * np.log(10))
    assert np.isclose(pcn.vl_nnloss(x, np.array([1]), 1, loss="log")[0, 0, 0, 0], -1e8)
    x[0, 0, 0] = 0
    assert pcn.vl_nnloss(x, np.array([1]), loss="log").item() == np.inf
    assert pcn.vl_nnloss(x, np.array([0]), loss="log").item() == 0


def test_scores_that_have_run_off_to_infinity_give_nan_without_a_warning():
    scores = np.array([np.inf, 0.0], np.float32).reshape(1, 1, 2, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(pcn.vl_nnsoftmaxloss(scores, np.array([1]))).all()
        assert np.isnan(pcn.vl_nnsoftmax(scores)[0, 0, 0])
        assert np.isnan(pcn.vl_nnsoftmaxloss(scores, np.array([1]), 1)).any()


@pytest.mark.parametrize("loss", BINARY)
def test_zeros_among_labels_of_a_binary_loss_are_warned_of_where_they_seem_to_be_a_class(loss):
    x = np.array([0.2, 0.4, 0.6]).reshape(1, 1, 1, 3)
    with pytest.warns(UserWarning, match=f"vl_nnloss: c holds 0 and 1 and no -1.*{loss}"):
        y = pcn.vl_nnloss(x, np.array([1, 0, 1]), loss=loss)
    assert np.isclose(y, pcn.vl_nnloss(x[..., ::2], np.array([1, 1]), loss=loss) * 2 / 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for meant in ([1, -1, 0], [1, 1, 1], [0, 0, 0], [-1, 0, -1]):
            pcn.vl_nnloss(x, np.array(meant), loss=loss)
        pcn.vl_nnloss(np.zeros((1, 1, 2, 3)), np.array([0, 1, 1]))


@pytest.mark.parametrize("loss", ["softmaxlog", "log", "mhinge", "mshinge", "classerror", "topkerror"])
def test_infinite_scores_warn_of_nothing(loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for first in (np.inf, -np.inf, np.nan):
            scores = np.array([first, 1, 2], np.float32).reshape(1, 1, 3, 1)
            y = pcn.vl_nnloss(scores, np.array([1]), loss=loss)
            pcn.vl_nnloss(scores, np.array([1]), 1, loss=loss)
            if loss == "softmaxlog":
                assert np.isinf(y.item()) if first == -np.inf else np.isnan(y.item())
