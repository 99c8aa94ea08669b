"""Experiments in MatConvNet's style, experiments/NAME, translated and run: their statistics are those of hand-written
Python."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import pyconvnet as pcn

pytest.importorskip("tree_sitter_matlab", reason="pip install 'pyconvnet[port]'")
from pyconvnet.compat import matlab as ml
from pyconvnet.port import port

EXPERIMENTS = Path(__file__).parent / "experiments"


@pytest.fixture
def ported(tmp_path, monkeypatch):
    """ported(name): the modules of an experiment can be imported, and the summary tells that all is translated."""
    before = set(sys.modules)

    def translate(name):
        folder = port(EXPERIMENTS / name, tmp_path / "python")
        assert not [u.problems for u in folder.units.values() if u.problems]
        monkeypatch.syspath_prepend(str(tmp_path / "python"))
        monkeypatch.chdir(tmp_path)

    yield translate
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def same(ours, theirs, names):
    """Statistics of every epoch are equal."""
    for part in ("train", "val"):
        assert len(ours[part]) == len(theirs[part]) > 0
        for a, b in zip(ours[part], theirs[part]):
            for name in names:
                assert a[name] == pytest.approx(b[name], rel=1e-6), (part, name)


def test_lenet_with_cnn_train(ported, tmp_path):
    ported("lenet")
    _, info = import_module("cnn_toy").cnn_toy("expDir", "exp", "train", pcn.Struct(plotStatistics=False))

    ml.rng(0)
    draw = [0.1 * (ml.rand(*s) - 0.5).astype(np.float32) for s in ((5, 5, 1, 4), (12, 12, 4, 16), (1, 1, 16, 10))]
    zeros = [np.zeros((1, n), np.float32) for n in (4, 16, 10)]
    convs = [pcn.Struct(type="conv", weights=[w, b]) for w, b in zip(draw, zeros)]
    hand = pcn.SimpleNN(
        layers=[
            convs[0],
            pcn.Struct(type="pool", pool=[2, 2], stride=2, method="max"),
            convs[1],
            pcn.Struct(type="relu"),
            convs[2],
            pcn.Struct(type="softmaxloss"),
        ]
    )
    ml.rng(5)
    n = 60
    labels = np.arange(n) % 10 + 1
    data = np.zeros((28, 28, 1, n), np.float32)
    for i, c in enumerate(labels):
        im = 0.1 * ml.rand(28, 28)
        im[2 * c - 1 : 2 * c + 3] += 1
        data[:, :, 0, i] = im
    marks = np.repeat([1, 3], [40, 20])
    data -= data[..., :40].mean(axis=3, keepdims=True)
    imdb = pcn.Struct(images=pcn.Struct(data=data, labels=labels, set=marks))
    _, stats = pcn.cnn_train(
        hand,
        imdb,
        lambda imdb, batch: (imdb.images.data[..., batch], imdb.images.labels[batch]),
        expDir=None,
        learningRate=0.05,
        numEpochs=3,
        batchSize=10,
        val=np.flatnonzero(marks == 3),
        plotStatistics=False,
    )
    same(info, stats, ["objective", "top1err", "top5err"])
    assert stats["train"][-1]["objective"] < stats["train"][0]["objective"]
    assert (tmp_path / "exp" / "net-epoch-3.mat").exists()


class Swish(pcn.dagnn.ElementWise, block=False):
    def forward(self, inputs, params):
        return [inputs[0] / (1 + np.exp(-1.5 * inputs[0]))]

    def backward(self, inputs, params, derOutputs):
        s = 1 / (1 + np.exp(-1.5 * inputs[0]))
        return [derOutputs[0] * (s + 1.5 * inputs[0] * s * (1 - s))], []


class SmoothL1(pcn.dagnn.Loss, block=False):
    averages = False

    def forward(self, inputs, params):
        a = abs(inputs[0] - inputs[1])
        total = np.where(a < 0.25, 2 * a**2, a - 0.125).sum()
        n, m = self.numAveraged, self.numAveraged + inputs[0].shape[3]
        self.average, self.numAveraged = (n * self.average + float(total)) / m, m
        return [total]

    def backward(self, inputs, params, derOutputs):
        d = inputs[0] - inputs[1]
        return [np.where(abs(d) < 0.25, 4 * d, np.sign(d)) * derOutputs[0], None], []


def test_a_dagnn_with_a_layer_and_a_loss_of_its_own(ported):
    ported("own_loss")
    _, stats = import_module("regress").regress("expDir", "exp")

    net = pcn.DagNN()
    net.addLayer("conv1", pcn.dagnn.Conv(size=[3, 3, 1, 4]), "input", "x1", ["f1", "b1"])
    net.addLayer("swish1", Swish(), "x1", "x2")
    net.addLayer("conv2", pcn.dagnn.Conv(size=[4, 4, 4, 2]), "x2", "prediction", ["f2", "b2"])
    net.addLayer("loss", SmoothL1(), ["prediction", "target"], "objective")
    for name, shape in (("f1", (3, 3, 1, 4)), ("f2", (4, 4, 4, 2))):
        values = np.sin(np.arange(1, np.prod(shape) + 1)) / 10
        net.params[name].value = values.reshape(shape, order="F").astype(np.float32)
    for name, count in (("b1", 4), ("b2", 2)):
        net.params[name].value = np.zeros((1, count), np.float32)
        net.params[name].learningRate = 2
    n = 24
    data = np.cos(np.arange(1, 36 * n + 1) ** 1.5).reshape((6, 6, 1, n), order="F").astype(np.float32)
    target = np.stack([np.arange(1, n + 1) % 3, np.arange(1, n + 1) / n])[None, None].astype(np.float32)
    imdb = pcn.Struct(images=pcn.Struct(set=np.repeat([1, 2], [16, 8])))
    _, hand = pcn.cnn_train_dag(
        net,
        imdb,
        lambda imdb, batch: {"input": data[..., batch], "target": target[..., batch]},
        expDir=None,
        batchSize=8,
        numEpochs=3,
        learningRate=np.logspace(-1, -2, 3),
        weightDecay=0,
        plotStatistics=False,
    )
    same(stats, hand, ["objective"])
    assert hand["train"][-1]["objective"] < hand["train"][0]["objective"]


def test_fine_tuning_with_rates_of_each_layer(ported, tmp_path):
    rng = np.random.default_rng(0)
    w = [rng.standard_normal(s).astype(np.float32) / 4 for s in ((3, 3, 1, 5), (2, 2, 5, 7))]
    b = [np.zeros((1, n), np.float32) for n in (5, 7)]
    trained = pcn.SimpleNN(
        layers=[
            pcn.Struct(type="conv", name="conv1", weights=[w[0], b[0]]),
            pcn.Struct(type="relu", name="relu1"),
            pcn.Struct(type="conv", name="fc", weights=[w[1], b[1]]),
            pcn.Struct(type="softmax", name="prob"),
        ]
    )
    pcn.save(tmp_path / "trained.mat", pcn.vl_simplenn_tidy(trained))
    ported("finetune")
    net, info = import_module("finetune").finetune("trained.mat", "exp")

    classes, n = 3, 30
    hand = pcn.vl_simplenn_tidy(trained)
    hand.layers = hand.layers[:3]
    fresh = 0.1 * np.cos(np.arange(1, 5 * classes + 1, dtype=np.float32)).reshape((1, 1, 5, classes), order="F")
    hand.layers[2].weights = [fresh, np.zeros((1, classes), np.float32)]
    for i, rates in ((0, [0.1, 0.1]), (2, [10, 20])):
        hand.layers[i].learningRate, hand.layers[i].weightDecay = np.array([rates]), np.array([[1.0, 0]])
    hand.layers.append(pcn.Struct(name="loss", type="softmaxloss"))
    data = np.zeros((4, 4, 1, n), np.float32)
    for i in range(1, n + 1):
        data[:, :, 0, i - 1] = np.sin(np.arange(1, 17) * (i % classes + 1) + i).reshape((4, 4), order="F")
    marks = np.where(np.arange(n) % 5 == 0, 2, 1)
    centred = data - data[..., marks == 1].mean(axis=3, keepdims=True)
    imdb = pcn.Struct(images=pcn.Struct(data=centred, label=np.arange(1, n + 1) % classes + 1, set=marks))
    _, stats = pcn.cnn_train(
        hand,
        imdb,
        lambda imdb, batch: (imdb.images.data[..., batch], imdb.images.label[batch]),
        expDir=None,
        numEpochs=4,
        batchSize=6,
        learningRate=[0.01, 0.01, 0.005, 0.005],
        weightDecay=0.001,
        plotStatistics=False,
    )
    same(info, stats, ["objective", "top1err"])
    assert net.layers[2].name == "classifier"
