"""The `loss` field of a SimpleNN's last record, which MatConvNet does not have: which loss it is, and with what."""

import warnings

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.dagnn import DagNN
from pyconvnet.ops.vl_nnloss import BINARY, CATEGORICAL

RNG = np.random.default_rng(0)
X = RNG.standard_normal((1, 1, 3, 4))
CLASSES, SIGNS = np.array([1, 2, 0, 3]), np.sign(RNG.standard_normal((1, 1, 3, 4)))
WEIGHTS = RNG.random(4)


def ends_in(**fields):
    return pcn.vl_simplenn_tidy({"layers": [{"type": "relu", "leak": 0.7}, {"type": "loss", "name": "l", **fields}]})


@pytest.mark.parametrize("loss", [*CATEGORICAL, *BINARY])
@pytest.mark.parametrize("more", [{}, {"instanceWeights": WEIGHTS, "topK": 2, "threshold": 0.2, "normalise": False}])
@pytest.mark.parametrize("type", ["loss", "softmaxloss"])
def test_the_fields_of_a_loss_count_forward_and_backward(loss, more, type, tmp_path):
    labels = CLASSES if loss in CATEGORICAL else SIGNS
    x = np.abs(X) / 10 + 0.2 if "log" in loss else X  # probabilities, for the logarithm
    net = ends_in(loss=loss, **more, **{"class": labels})
    net.layers[-1].type = type
    pcn.save(tmp_path / "net.mat", net)
    y = pcn.vl_nnrelu(x, leak=0.7)
    for each in (net, pcn.load(tmp_path / "net.mat")):
        res = pcn.vl_simplenn(each, x, 1)
        np.testing.assert_allclose(res[-1].x, pcn.vl_nnloss(y, labels, loss=loss, **more), rtol=1e-12)
        np.testing.assert_allclose(res[1].dzdx, pcn.vl_nnloss(y, labels, 1, loss=loss, **more), rtol=1e-12)


def test_without_the_field_or_with_an_empty_one_it_is_the_log_loss_as_in_matconvnet():
    wanted = pcn.vl_nnloss(pcn.vl_nnrelu(X, leak=0.7), CLASSES)
    for fields in ({}, {"loss": "", "topK": np.zeros((0, 0)), "instanceWeights": []}):
        net = ends_in(**fields, **{"class": CLASSES})
        assert np.array_equal(pcn.vl_simplenn(net, X)[-1].x, wanted)
    assert "loss" not in ends_in().layers[-1]  # tidy adds none


def test_another_name_is_refused_when_it_runs_and_loads_prints_and_predicts_all_the_same(tmp_path):
    net = ends_in(loss="nonsense", **{"class": CLASSES})
    with pytest.raises(ValueError, match=r"loss must be one of 'classerror'.*got 'nonsense' \.\.\. in layer 2 'l'"):
        pcn.vl_simplenn(net, X)
    pcn.save(tmp_path / "net.mat", net)
    net = pcn.load(tmp_path / "net.mat")
    assert "loss" in pcn.vl_simplenn_display(net)[1]
    assert np.array_equal(pcn.predict(net, X), pcn.vl_nnrelu(X, leak=0.7))


def test_predictions_are_of_the_loss_that_the_field_names():
    y = pcn.vl_nnrelu(X, leak=0.7)
    np.testing.assert_allclose(pcn.predict(ends_in(loss="logistic"), X), pcn.vl_nnsigmoid(y))
    np.testing.assert_allclose(pcn.predict(ends_in(loss="mhinge"), X), y)
    np.testing.assert_allclose(pcn.predict(ends_in(), X), pcn.vl_nnsoftmax(y))


@pytest.mark.parametrize("loss", [*CATEGORICAL, *BINARY])
@pytest.mark.parametrize("more", [{}, {"instanceWeights": WEIGHTS, "topK": 2, "normalise": False}], ids=["", "more"])
def test_a_graph_and_a_chain_say_the_same_of_a_loss(loss, more):
    labels = CLASSES if loss in CATEGORICAL else SIGNS
    x = np.abs(X) / 10 + 0.2
    net = ends_in(loss=loss, **more)
    dag = DagNN.fromSimpleNN(net, canonicalNames=True)
    wanted = pcn.vl_nnloss(x, labels, loss=loss, **more)
    dag.eval({"input": x, "label": labels})
    np.testing.assert_allclose(dag.vars["objective"].value, wanted, rtol=1e-12)
    if loss == "softmaxlog" and not more:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            back = dag.toSimpleNN()
        assert dict(back.layers[-1]) == {"type": "softmaxloss", "name": "l", "precious": False}
    else:
        with pytest.warns(UserWarning, match="layer 'l'.*MatConvNet does not read"):
            back = dag.toSimpleNN()
        assert back.layers[-1].type == "loss"
    back.layers[-1]["class"] = labels
    np.testing.assert_allclose(pcn.vl_simplenn(back, x)[-1].x, wanted, rtol=1e-12)


# --- training --------------------------------------------------------------------------------------------------

SIGN = np.where(np.arange(60) % 2, 1, -1)
IMAGES = (RNG.standard_normal((3, 3, 1, 60)) + SIGN).astype(np.float32)


def train(last, labels, channels=1, **options):
    filters = np.random.default_rng(1).standard_normal((3, 3, 1, channels)).astype(np.float32)
    conv = {"type": "conv", "name": "c", "weights": [filters, np.zeros((1, channels), np.float32)]}
    sets = {"images": {"set": np.r_[np.ones(40), 2 * np.ones(20)]}}
    options = {"expDir": None, "batchSize": 20, "numEpochs": 8, "learningRate": 0.1, "verbose": False, **options}
    return pcn.cnn_train({"layers": [conv, last]}, sets, lambda imdb, i: (IMAGES[..., i], labels[i]), **options)


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_a_chain_learns_two_classes_by_a_binary_loss(loss):
    net, stats = train({"type": "loss", "loss": loss}, SIGN, errorFunction="binary")
    scores = pcn.vl_nnconv(IMAGES[..., 40:], *net.layers[0].weights)
    objective = pcn.vl_nnloss(scores, SIGN[40:], loss=loss).item()
    assert stats["val"][-1]["objective"] == pytest.approx(objective, rel=1e-4)
    assert stats["val"][-1]["binerr"] == pytest.approx(np.mean(scores.ravel() * SIGN[40:] < 0))
    assert stats["val"][-1]["binerr"] < 0.05 and stats["train"][0]["objective"] > 2 * objective


def test_a_step_descends_the_loss_that_the_field_names():
    labels = np.where(SIGN > 0, 1, 2)
    options = {"numEpochs": 1, "train": np.arange(20), "val": np.nan, "weightDecay": 0, "learningRate": 1}
    net, _ = train({"type": "loss", "loss": "mhinge"}, labels, 2, **options)
    f = np.random.default_rng(1).standard_normal((3, 3, 1, 2)).astype(np.float32)
    scores = pcn.vl_nnconv(IMAGES[..., :20], f)
    dy = pcn.vl_nnloss(scores, labels[:20], 1, loss="mhinge")
    _, df, _ = pcn.vl_nnconv(IMAGES[..., :20], f, None, dy)
    np.testing.assert_allclose(net.layers[0].weights[0], f - df, rtol=1e-4, atol=1e-6)


def test_errors_of_classes_are_refused_for_a_binary_loss():
    with pytest.raises(ValueError, match=r"'logistic' has labels \+1 and -1.*errorFunction='binary'"):
        train({"type": "loss", "loss": "logistic"}, SIGN)


def test_labels_of_0_and_1_for_a_binary_loss_are_warned_of():
    with pytest.warns(UserWarning, match="0 stands for 'leave out'.*2 \\* c - 1"):
        train({"type": "loss", "loss": "hinge"}, np.maximum(SIGN, 0), errorFunction="binary", numEpochs=1)
