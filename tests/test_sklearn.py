"""Classifier: a network as scikit-learn's own classifiers are, by its own checks and in its own tools."""

import copy
import pickle

import numpy as np
import pytest
from support import python

import pyconvnet as pcn

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pyconvnet.sklearn import Classifier, small_network


@parametrize_with_checks([Classifier()])
def test_it_is_a_classifier_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def stripes():
    """(X, y, groups): 120 images 6 x 8 of stripes, upright or flat, in noise; five images have one photographer."""
    draw = np.random.default_rng(0)
    upright = draw.random(120) < 0.5
    X = draw.normal(100, 10, (120, 6, 8))
    X[upright, :, ::2] += 40
    X[~upright, ::2] += 40
    return X, np.where(upright, "upright", "flat"), np.arange(120) // 5


def test_it_learns_images_grey_or_in_colour_or_as_rows(stripes):
    X, y, _ = stripes
    grey = Classifier(random_state=0).fit(X[:80], y[:80])
    assert grey.score(X[80:], y[80:]) > 0.95 and grey.classes_.tolist() == ["flat", "upright"]
    assert grey.net_.layers[0].weights[0].shape == (3, 3, 1, 16)
    proba = grey.predict_proba(X[80:])
    assert proba.shape == (40, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(grey.classes_[proba.argmax(axis=1)], grey.predict(X[80:]))
    colour = Classifier(numEpochs=5, random_state=0).fit(np.repeat(X[..., None], 3, axis=3), y)
    assert colour.net_.layers[0].weights[0].shape == (3, 3, 3, 16)
    rows = Classifier(imageSize=(6, 8), random_state=0).fit(X[:80].reshape(80, -1), y[:80])
    np.testing.assert_array_equal(rows.predict_proba(X[80:].reshape(40, -1)), proba)
    with pytest.raises(ValueError, match="Classifier: images of 6x9 must be 54 numbers, got 48"):
        clone(rows).set_params(imageSize=(6, 9)).fit(X.reshape(120, -1), y)
    with pytest.raises(ValueError, match=r"X has images of 6x7x1, those of fit were 6x8x1"):
        grey.predict(X[:, :, :7])


def test_the_network_sees_standardized_images_and_predicts_what_predict_does(stripes):
    X, y, _ = stripes
    found = Classifier(numEpochs=2, random_state=0).fit(X, y)
    np.testing.assert_allclose(found.mean_[..., 0], X.mean(axis=0))
    assert np.isclose(found.deviation_, np.sqrt(X.var(axis=0).mean()))
    x = ((X - found.mean_[..., 0]) / found.deviation_).transpose(1, 2, 0)[:, :, None].astype(np.float32)
    np.testing.assert_allclose(pcn.predict(found.net_, x)[0, 0].T, found.predict_proba(X), atol=1e-6)
    assert len(found.stats_.train) == 2 and found.stats_.train[1].objective < found.stats_.train[0].objective
    features = Classifier(numEpochs=1).fit(X.reshape(120, -1), y)
    np.testing.assert_allclose(features.deviation_, X.reshape(120, -1).std(axis=0))
    plain = Classifier(numEpochs=1, standardize=False).fit(X, y)
    assert (plain.mean_, plain.deviation_) == (0, 1)


def test_a_random_state_fixes_the_fit_and_no_generator_of_others_moves(stripes):
    X, y, _ = stripes
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    a, b = (Classifier(numEpochs=2, random_state=7).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert not np.array_equal(a, Classifier(numEpochs=2, random_state=8).fit(X, y).predict_proba(X))


def build_graph(size, classes, seed):
    return pcn.DagNN.fromSimpleNN(small_network(size, classes, seed, width=4), canonicalNames=True)


@pytest.mark.parametrize("given", ["lenet", "function", "network", "graph"])
def test_it_trains_networks_of_all_kinds(given):
    draw = np.random.default_rng(0)
    y = np.arange(40) % 2 * 3
    X = draw.normal(0, 0.2, (40, 28, 28)) + y[:, None, None] * np.eye(28)
    net = {
        "lenet": "lenet",
        "function": small_network,
        "network": small_network((28, 28, 1), 5, seed=0),
        "graph": build_graph((28, 28, 1), 2, seed=0) if given == "graph" else build_graph,
    }[given]
    before = pickle.dumps(net)
    found = Classifier(net, numEpochs=10, batchSize=10, learningRate=0.001, random_state=0).fit(X, y)
    assert pickle.dumps(net) == before and found.score(X, y) == 1
    assert found.classes_.tolist() == [0, 3] and found.predict_proba(X).shape == (40, 2)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(X), found.predict_proba(X))
    assert repr(copy.deepcopy(found)) and repr(clone(found))


def test_networks_that_do_not_fit_are_refused(stripes):
    X, y, groups = stripes
    with pytest.raises(ValueError, match="the network has 2 outputs for 24 classes"):
        Classifier(small_network((6, 8, 1), 2, seed=0)).fit(X, groups)
    with pytest.raises(TypeError, match="Classifier: net must be a network, a function that builds one"):
        Classifier(3).fit(X, y)
    with pytest.raises(ValueError, match="no network 'lenot'; did you mean 'lenet'"):
        Classifier("lenot").fit(X, y)
    with pytest.raises(ValueError, match="cnn_train: unknown option 'nepochs'"):
        Classifier(options={"nepochs": 3}).fit(X, y)
    siamese = pcn.DagNN()
    siamese.addLayer("sum", pcn.dagnn.Sum(), ["a", "b"], "y")
    siamese.addLayer("loss", pcn.dagnn.Loss(), ["y", "label"], "objective")
    with pytest.raises(ValueError, match="one input"):
        Classifier(siamese).fit(X, y)


def hinged(size, classes, seed):
    net = small_network(size, classes, seed)
    net.layers[-1] = pcn.Struct(type="loss", loss="mshinge", name="loss")
    return pcn.vl_simplenn_tidy(net)


def test_a_network_without_probabilities_has_classes_all_the_same(stripes):
    X, y, _ = stripes
    found = Classifier(hinged, numEpochs=5, random_state=0).fit(X, y)
    assert found.score(X, y) > 0.95
    with pytest.raises(ValueError, match="must end in a loss that trains a softmax"):
        found.predict_proba(X)


def test_scikit_learns_tools_take_it(stripes):
    X, y, groups = stripes
    folds = StratifiedGroupKFold(3)
    few = Classifier(numEpochs=10, random_state=0)
    assert cross_val_score(few, X, y, cv=folds, groups=groups).min() > 0.8
    pipeline = make_pipeline(StandardScaler(), Classifier(imageSize=(6, 8), numEpochs=10, random_state=0))
    predicted = cross_val_predict(pipeline, X.reshape(120, -1), y, cv=folds, groups=groups)
    assert np.mean(predicted == y) > 0.9
    search = GridSearchCV(few, {"learningRate": [0.0, 0.005], "options": [None, {"shuffle": False}]}, cv=2).fit(X, y)
    assert search.best_params_["learningRate"] == 0.005 and search.best_score_ > 0.9


def test_without_scikit_learn_one_line_says_what_to_install():
    done = python("sys.modules['sklearn'] = None\nimport pyconvnet.sklearn")
    assert done.stderr.splitlines()[-1] == (
        "ImportError: pyconvnet.sklearn needs scikit-learn 1.6 or later: pip install 'pyconvnet[sklearn]'"
    )
