"""Permute and Reshape, and PReLU, HardSigmoid and Clip, against numpy; they come back from `.mat` files."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.layers import Clip, HardSigmoid, Permute, PReLU, Reshape

X = np.random.default_rng(0).standard_normal((3, 4, 2, 5)).astype(np.float32)


def forward(block, *params):
    return block.forward([X], list(params))[0]


def test_permute_and_reshape_are_matlabs():
    assert np.array_equal(forward(Permute(order=(3, 1, 2))), X.transpose(2, 0, 1, 3))
    image = X[..., 0]  # MATLAB drops the last dimension of 1
    assert np.array_equal(Permute(order=(3, 1, 2)).forward([image], [])[0], image.transpose(2, 0, 1)[..., None])
    y = forward(Reshape(size=(2, 6, 2)))
    assert all(np.array_equal(y[..., n].ravel("F"), X[..., n].ravel("F")) for n in range(5))


def test_their_values_are_those_of_the_formulas():
    assert np.array_equal(forward(Clip(min=-1, max=0.5)), np.clip(X, -1, 0.5))
    assert np.array_equal(forward(Clip(max=0.5)), np.minimum(X, np.float32(0.5)))
    assert np.allclose(forward(HardSigmoid()), np.clip(0.2 * X + 0.5, 0, 1), atol=1e-7)
    slopes = np.array([0.1, -2], np.float32).reshape(1, 1, 2)
    assert np.array_equal(forward(PReLU(), slopes), np.where(X > 0, X, X * slopes[..., None]))


@pytest.mark.parametrize(
    "block, params, message",
    [
        (Permute(order=(1, 2, 2)), [], r"Permute: order must be 1, 2 and 3 in any order, got \[1, 2, 2\]"),
        (Reshape(size=(5, 5, 1)), [], "Reshape: images are 3x4x2, size must have as many elements, got 5x5x1"),
        (PReLU(), [np.ones((1, 1, 3), np.float32)], "PReLU: a is 1x1x3x1, x is 3x4x2x5; each size must be equal or 1"),
        (PReLU(), [], "PReLU: slopes must be its one parameter, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(block, params, message):
    with pytest.raises(ValueError, match=message):
        forward(block, *params)


def test_they_are_saved_in_both_kinds_of_network(tmp_path):
    slopes = np.full((1, 1, 2), 0.3, np.float32)
    layers = [
        {"type": "clip", "min": -1, "max": 1},
        {"type": "prelu", "weights": [slopes]},
        {"type": "hardsigmoid", "alpha": 0.3, "beta": 0.4},
        {"type": "permute", "order": (2, 3, 1)},
        {"type": "reshape", "size": (6, 4, 1)},
    ]
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))
    y = pcn.vl_simplenn(net, X, mode="test")[-1].x
    graph = pcn.DagNN.fromSimpleNN(net)
    for n, one in enumerate((net, graph, graph.toSimpleNN())):
        pcn.save(tmp_path / f"{n}.mat", one)
        assert np.array_equal(pcn.predict(pcn.load(tmp_path / f"{n}.mat"), X), y)
