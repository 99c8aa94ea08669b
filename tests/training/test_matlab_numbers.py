"""With rng="matlab" a run draws what MATLAB draws, in its order: weights, order of images, dropout."""

import numpy as np
import pytest
from twister import Twister

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.compat.matlab import RandStream, rand, randn, rng
from pyconvnet.layers import dropout
from pyconvnet.models.initialize import Draw, xavier

COUNT, BATCH, EPOCHS, SEED, RATE = 20, 6, 2, 3, 0.3


@pytest.fixture(autouse=True)
def _afterwards():
    yield
    rng("default")
    pcn.rng.seed(0)


@pytest.fixture
def imdb():
    data = np.random.default_rng(0).standard_normal((6, 6, 1, COUNT)).astype(np.float32)
    return pcn.Struct(images=pcn.Struct(data=data, labels=np.arange(COUNT) % 3 + 1.0, set=np.array([1] * 14 + [2] * 6)))


def network(filters):
    layers = [
        pcn.Struct(type="conv", weights=[filters[0], np.zeros((1, 4), np.float32)]),
        pcn.Struct(type="dropout", rate=RATE),
        pcn.Struct(type="conv", weights=[filters[1], np.zeros((1, 3), np.float32)]),
        pcn.Struct(type="softmaxloss"),
    ]
    return pcn.SimpleNN(layers=layers)


def trained(net, imdb, getBatch, **options):
    return pcn.cnn_train(
        net,
        imdb,
        getBatch,
        batchSize=BATCH,
        numEpochs=EPOCHS,
        learningRate=0.1,
        randomSeed=SEED,
        expDir=None,
        verbose=False,
        **options,
    )


def test_a_network_initialised_and_trained_from_rng_1_is_the_one_derived_by_hand(imdb):
    rng(1)
    filters = [pcn.rng.scaled(randn(*size, "single"), 0.1) for size in ((3, 3, 1, 4), (4, 4, 4, 3))]
    seen = []

    def getBatch(imdb, batch):
        seen.append(batch.tolist())
        return imdb.images.data[..., batch] + rand(1, 1, "single"), imdb.images.labels[batch]

    ours, stats = trained(network(filters), imdb, getBatch, rng="matlab")

    # The same with numbers drawn one by one: orders, what getBatch adds and masks are laid down in advance.
    scalar = Twister(1)
    filters = [scalar.filters(3, 3, 1, 4, scale=0.1), scalar.filters(4, 4, 4, 3, scale=0.1)]
    batches, shifts, masks = [], [], []
    for epoch in range(1, EPOCHS + 1):
        scalar = Twister(epoch + SEED)
        orders = scalar.randperm(14), [14 + i for i in scalar.randperm(6)]
        for order in orders:
            for t in range(0, len(order), BATCH):
                batches.append(order[t : t + BATCH])
                shifts.append(scalar.rand())
                if order is orders[0]:
                    masks.append(scalar.mask(4, 4, 4, len(batches[-1]), rate=RATE))
    assert seen == batches
    number = iter(range(len(batches)))

    def laid_down(imdb, batch):
        k = next(number)
        return imdb.images.data[..., batches[k]] + np.float32(shifts[k]), imdb.images.labels[batches[k]]

    dropped = iter(masks)

    def with_masks(x, dzdy=None, **options):
        if dzdy is None:
            options["mask"] = next(dropped)
        return pcn.vl_nndropout(x, dzdy, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dropout, "vl_nndropout", with_masks)
        theirs, again = trained(network(filters), imdb, laid_down, shuffle=False)
    assert next(dropped, None) is None
    for a, b in zip(ours.layers, theirs.layers):
        for u, v in zip(a.get("weights", []), b.get("weights", [])):
            assert np.array_equal(u, v)
    assert [e["objective"] for e in stats["train"]] == [e["objective"] for e in again["train"]]
    assert [e["objective"] for e in stats["val"]] == [e["objective"] for e in again["val"]]


def test_a_graph_trains_in_matlabs_order(imdb):
    seen = []

    def getBatch(imdb, batch):
        seen.append(batch.tolist())
        return {"input": imdb.images.data[..., batch], "label": imdb.images.labels[batch]}

    net = pcn.DagNN()
    net.addLayer("conv", pcn.dagnn.Conv(size=[6, 6, 1, 3]), "input", "x", ["f", "b"])
    net.addLayer("loss", pcn.dagnn.Loss(), ["x", "label"], "objective")
    net.initParams(rng="matlab", seed=1)
    assert np.array_equal(net.params["f"].value, Twister(1).filters(6, 6, 1, 3, scale=np.sqrt(2 / (36 * 3))))
    options = {"batchSize": 7, "numEpochs": 1, "randomSeed": 4, "expDir": None, "verbose": False}
    pcn.cnn_train_dag(net, imdb, getBatch, rng="matlab", **options)
    scalar = Twister(5)
    train, val = scalar.randperm(14), scalar.randperm(6)
    assert seen == [train[:7], train[7:], [14 + i for i in val]]


def test_first_weights_of_a_graph_come_in_the_order_of_its_layers():
    def graph():
        net = pcn.DagNN()
        net.addLayer("a", pcn.dagnn.Conv(size=[3, 3, 1, 4], hasBias=False), "input", "x", "fa")
        net.addLayer("b", pcn.dagnn.ConvTranspose(size=[2, 2, 3, 4]), "x", "y", ["fb", "bb"])
        net.addLayer("c", pcn.dagnn.BatchNorm(numChannels=3), "y", "z", ["g", "h", "m"])
        return net

    scalar = Twister(2)
    a = scalar.filters(3, 3, 1, 4, scale=np.sqrt(2 / 36))
    b = scalar.filters(2, 2, 3, 4, scale=np.sqrt(2 / 16))
    by_option, by_rng, by_seed = graph(), graph(), graph()
    by_option.initParams(rng="matlab", seed=2)
    rng(2)
    by_rng.initParams()
    pcn.rng.seed(2, "matlab")
    by_seed.initParams(rng="matlab")
    for net in (by_option, by_rng, by_seed):
        assert np.array_equal(net.params["fa"].value, a) and np.array_equal(net.params["fb"].value, b)
    numpys = graph(), graph()
    for net in numpys:
        net.initParams(rng="numpy", seed=2)
    assert np.array_equal(numpys[0].params["fa"].value, numpys[1].params["fa"].value)
    assert not np.array_equal(numpys[0].params["fa"].value, a)
    with pytest.raises(ValueError, match="seed=2 must come with rng"):
        graph().initParams(seed=2)


def test_built_networks_have_matlabs_first_weights():
    net = models.build("lenet", rng="matlab", seed=0)
    scalar = Twister(0)
    for layer in net.layers:
        if layer.type == "conv":
            f = layer.weights[0]
            drawn = scalar.filters(*f.shape[:3], min(f.shape[3], 20), scale=0.01)
            assert np.array_equal(f[..., : drawn.shape[3]], drawn)
            if drawn.shape != f.shape:  # the rest is too much to draw one by one
                break
    rng(0)
    again = models.build("lenet", rng="matlab", networkType="dagnn")
    assert [np.array_equal(a, b) for a, b in zip(weights(net), weights(again))] == [True] * 8
    with pytest.raises(ValueError, match="rng must be one of 'numpy', 'matlab', got 'mersenne'"):
        models.build("lenet", rng="mersenne")


def weights(net):
    if isinstance(net, pcn.DagNN):
        return [p.value for p in net.params]
    return [w for layer in net.layers for w in layer.get("weights", [])]


def test_xavier_weights_are_those_of_matlabs_rand():
    f, scalar = xavier(Draw(RandStream(Seed=5)), (11, 11, 3, 4)), Twister(5)
    drawn = np.array([scalar.rand() for _ in range(f.size)], np.float32) * 2 - 1
    bound = np.sqrt(3 / (11 * 11 * 3))
    assert np.array_equal(f.ravel(order="F"), (drawn.astype(float) * bound).astype(np.float32))


def test_batches_cannot_be_fetched_ahead(imdb):
    with pytest.raises(ValueError, match="cnn_train: prefetch must be False with rng='matlab'"):
        trained(
            network([np.zeros((3, 3, 1, 4), np.float32), np.zeros((4, 4, 4, 3), np.float32)]),
            imdb,
            None,
            rng="matlab",
            prefetch=True,
        )
