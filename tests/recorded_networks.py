"""What the tests of recorded runs share: networks of all kinds of layers that are recorded, and images for them."""

import numpy as np

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.engine import recorded, run
from pyconvnet.models.sentence import LETTERS

SIZES = {"letters": (32, 32, 1, 2), "lenet": (28, 28, 1, 3), "blocks": (40, 33, 3, 1), "inception": (20, 21, 3, 2)}


def networks(name):
    if name == "letters":
        return pcn.load(LETTERS)
    if name == "lenet":
        return models.build("lenet", seed=0)
    return blocks() if name == "blocks" else inception()


def conv(random, *size, **options):
    filters = random.standard_normal(size, np.float32) / np.float32(np.sqrt(np.prod(size[:3])))
    return pcn.Struct(type="conv", weights=[filters, random.standard_normal(size[3], np.float32)], **options)


def blocks():
    """Direct convolution, Winograd's, fully connected in both memory orders, both poolings, LRN, sigmoid, softmax."""
    random = np.random.default_rng(0)
    last = conv(random, 4, 3, 32, 300)
    last.weights[0] = np.asfortranarray(last.weights[0])
    layers = [
        conv(random, 3, 3, 3, 16, pad=[1, 1, 1, 1], stride=[1, 1]),
        pcn.Struct(type="relu"),
        pcn.Struct(type="normalize", param=[5, 1, 0.1, 0.75]),
        pcn.Struct(type="pool", method="max", pool=[3, 3], stride=[2, 2], pad=[0, 1, 0, 1]),
        conv(random, 3, 3, 16, 32, pad=[1, 1, 1, 1], stride=[1, 1]),
        pcn.Struct(type="relu", leak=0.1),
        pcn.Struct(type="pool", method="avg", pool=[2, 2], stride=[5, 5], pad=[0, 0, 0, 0]),
        pcn.Struct(type="dropout", rate=0.5),
        last,
        pcn.Struct(type="sigmoid"),
        conv(random, 1, 1, 300, 400),
        pcn.Struct(type="relu"),
        conv(random, 1, 1, 400, 7),
        pcn.Struct(type="softmaxloss"),
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


def inception():
    """Branches that are joined and added up, and normalizations that stay."""
    net, random = pcn.DagNN(), np.random.default_rng(1)
    net.addLayer("a", pcn.dagnn.Conv(size=[3, 3, 3, 16], pad=1), "x", "a", ["af", "ab"])
    net.addLayer("b", pcn.dagnn.Conv(size=[1, 1, 16, 24], pad=0), "a", "b", ["bf", "bb"])
    net.addLayer("c", pcn.dagnn.Conv(size=[3, 3, 16, 24], pad=1), "a", "c", ["cf", "cb"])
    net.addLayer("d", pcn.dagnn.Concat(), ["b", "c"], "d")
    net.addLayer("n", pcn.dagnn.BatchNorm(numChannels=48), "d", "n", ["ng", "nb", "nm"])
    net.addLayer("e", pcn.dagnn.Conv(size=[3, 3, 48, 48], pad=1), "n", "e", ["ef", "eb"])
    net.addLayer("s", pcn.dagnn.Sum(), ["e", "d"], "s")
    net.addLayer("r", pcn.dagnn.ReLU(), "s", "r")
    net.initParams()
    for param in net.params:
        param.value = random.standard_normal(param.value.shape, np.float32) / 5
    net.params["nm"].value = abs(net.params["nm"].value) + 1
    net.mode = "test"
    return net


def images(name, count=3):
    random = np.random.default_rng(7)
    return [random.standard_normal(SIZES[name], np.float32) for _ in range(count)]


def layers_in_python(monkeypatch):
    """How many layers ran in Python, in each run from now on."""
    ran = []
    forward = run.forward
    for module in (run, recorded, __import__("pyconvnet.dagnn.evaluate", fromlist=["evaluate"])):
        monkeypatch.setattr(module, "forward", lambda *given: ran.append(forward(*given)) or ran[-1])
    return ran
