"""A loss of the user's own that sums where it says it averages is noticed before its first step."""

import warnings

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn, rng

N = 45


def imdb():
    data = np.random.default_rng(0).standard_normal((1, 1, 4, N)).astype(np.float32)
    return {"images": {"data": data, "target": 2 * data[:, :, :2] + 1, "set": np.ones(N)}}


def batch_of(imdb, images):
    return imdb["images"]["data"][..., images], imdb["images"]["target"][..., images]


class Summed(dagnn.Loss):
    simplenn = "summedforatest"

    def share(self, inputs):
        return 1

    def forward(self, inputs, params):
        y = 0.5 * np.sum((inputs[0] - inputs[1]) ** 2).reshape(1, 1, 1, 1) / self.share(inputs)
        self.accumulateAverage(inputs, [y])
        return [y]

    def backward(self, inputs, params, derOutputs):
        return [(inputs[0] - inputs[1]) * derOutputs[0] / self.share(inputs), None], []


class SaidToSum(Summed):
    simplenn = "saidtosumforatest"
    averages = False


class SaidToAverage(Summed):
    simplenn = "saidtoaverageforatest"
    averages = True


class Mean(Summed):
    simplenn = "meanforatest"

    def share(self, inputs):
        return inputs[0].shape[3]

    def forward(self, inputs, params):
        return super().forward(inputs, params)


class ByItsOption(Mean):
    """As dagnn.Loss does: a mean, unless normalise is false."""

    simplenn = "byitsoptionforatest"

    def share(self, inputs):
        return inputs[0].shape[3] if self.normalise else 1


class Shaken(Mean):
    """Draws random numbers, and keeps what it has seen."""

    simplenn = "shakenforatest"

    def __init__(self, *args, **fields):
        super().__init__(*args, **fields)
        self.seen = []

    def forward(self, inputs, params):
        self.seen.append(inputs[0].shape[3])
        keep = rng.generator().random() + np.random.rand()
        return [super().forward(inputs, params)[0] * np.float32(keep)]


def train(kind, loss, **options):
    f = [np.full((1, 1, 4, 2), 0.1, np.float32), np.zeros(2, np.float32)]
    options = {"expDir": None, "batchSize": 15, "numEpochs": 1, "learningRate": 0.02, "verbose": False, **options}
    if kind == "simplenn":
        layers = [{"type": "conv", "weights": f}, {"type": loss.simplenn, **loss.save()}]
        net, stats = pcn.cnn_train(pcn.SimpleNN(layers=layers), imdb(), batch_of, errorFunction="none", **options)
        return net.layers[0].weights[0], stats
    net = pcn.DagNN()
    net.addLayer("c", dagnn.Conv(size=[1, 1, 4, 2]), "input", "x", ["f", "b"])
    net.addLayer("loss", loss, ["x", "target"], "objective")
    net.params["f"].value, net.params["b"].value = f
    _, stats = pcn.cnn_train_dag(net, imdb(), lambda *a: dict(zip(("input", "target"), batch_of(*a))), **options)
    return net.params["f"].value, stats


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
def test_a_sum_that_inherits_averages_is_refused_with_the_way_out(kind):
    with pytest.raises(ValueError, match=r"Summed sums over the images of a batch .*, 15: write `averages = False`"):
        train(kind, Summed())
    with pytest.raises(ValueError, match="Summed sums over the images"):
        train(kind, Summed(), numSubBatches=3, checkLabels=False)


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
def test_losses_that_say_what_they_are_step_alike(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean, stats = train(kind, Mean())
        total, more = train(kind, SaidToSum())
    assert np.abs(mean - 0.1).max() > 0.01 and np.allclose(mean, total, atol=1e-6)
    assert stats.train[0].objective == pytest.approx(more.train[0].objective, rel=1e-5)


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
@pytest.mark.parametrize(
    "loss",
    [SaidToAverage(), ByItsOption(), ByItsOption(normalise=False), dagnn.PDist()],
    ids=["said to average", "normalise", "normalise=False", "pdist"],
)
def test_other_losses_train_without_a_word(kind, loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(kind, loss, learningRate=1e-4)


def test_the_trial_changes_neither_the_loss_nor_the_random_numbers():
    trusted = type("Trusted", (Shaken,), {"averages": True, "forward": Shaken.forward})
    loss = Shaken()
    tried, a = train("dagnn", loss)
    plain, b = train("dagnn", trusted())
    assert np.array_equal(tried, plain) and a.train[0].objective == b.train[0].objective
    assert loss.seen == [15, 15, 15] and "forward" not in vars(loss)
