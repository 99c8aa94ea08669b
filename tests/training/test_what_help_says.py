"""What docs/reference/training.md says of postEpochFn and of batch normalization is so."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet.training.options import COMMON, DAGNN, SIMPLENN

sys.path.insert(0, str(Path(__file__).parent))
import processes

PAGE = (ROOT / "docs" / "reference" / "training.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
def test_postEpochFn_is_given_what_the_page_names(kind):
    given = []
    processes.fit(kind, numEpochs=2, evalSets={"few": [3, 4]}, postEpochFn=lambda *args: given.append(args))
    names = {name for name in re.findall(r"`((?:opts|state)\.[\w.]+)`", PAGE) if "errors" not in name}
    assert {"opts.epoch", "opts.learningRate", "opts.train", "opts.imdb", "opts.getBatch"} < names
    assert {"state.solverState", "state.stats.train.objective", "state.stats.val.time"} < names
    for epoch, (net, opts, state) in enumerate(given, 1):
        for name in names:
            value = {"opts": opts, "state": state}
            for part in name.split("."):
                value = value[part]
        assert (opts.epoch, opts.learningRate, opts.batchSize) == (epoch, 0.05, 10)
        assert {*COMMON, *(DAGNN if kind == "dagnn" else SIMPLENN)} < set(opts)
        assert opts.train.tolist() == list(range(29)) and opts.few.tolist() == [3, 4]
        assert set(state) == {"solverState", "stats"} and list(state.stats) == ["train", "val", "few"]
        assert state.stats.val.num == 17
        if kind == "dagnn":
            assert [np.shape(m) for m in state.solverState] == [p.value.shape for p in net.params]
        else:
            assert [len(of_layer) for of_layer in state.solverState] == [len(r.get("weights", [])) for r in net.layers]


@pytest.mark.parametrize("rates, moved", [(None, [1, 0.1]), ([1, 1, 1], [1, 1]), ([1, 1, 0.1], [0.1, 0.1])])
def test_moments_move_by_the_rate_that_the_page_names(rates, moved):
    """Of a SimpleNN, of the graph that is made of it."""
    bnorm = {"type": "bnorm", "weights": [np.ones((4, 1)), np.zeros((4, 1)), np.array([[2.0, 3.0]] * 4)]}
    if rates is not None:
        bnorm["learningRate"] = rates
    conv = {"type": "conv", "weights": [np.ones((1, 1, 4, 3)), np.zeros((1, 3))]}
    net = pcn.vl_simplenn_tidy({"layers": [bnorm, conv, {"type": "softmaxloss"}]})
    x = np.random.default_rng(0).standard_normal((2, 2, 4, 6))
    of_batch = np.stack([x.mean(axis=(0, 1, 3)), np.sqrt(x.var(axis=(0, 1, 3)) + 1e-5)], axis=1)
    imdb, labels = {"images": {"set": np.ones(6)}}, np.arange(6) % 3 + 1
    options = {"numEpochs": 1, "expDir": None, "plotStatistics": False, "verbose": False, "shuffle": False}
    chain, _ = pcn.cnn_train(net, imdb, lambda imdb, batch: (x[..., batch], labels[batch]), **options)
    graph = pcn.DagNN.fromSimpleNN(net)
    named = lambda imdb, batch: {"x0": x[..., batch], "label": labels[batch]}  # noqa: E731
    pcn.cnn_train_dag(graph, imdb, named, derOutputs={"x3": 1}, **options)
    for found, r in zip((chain.layers[0].weights[2], graph.params["layer1x"].value), moved):
        np.testing.assert_allclose(found, (1 - r) * np.array([2.0, 3.0]) + r * of_batch, rtol=1e-6)
    assert "`learningRate` has rate 1" in PAGE and "0.1" in PAGE
