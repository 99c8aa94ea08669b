"""What `soak` runs again and again: small networks on images of many sizes, each time with the same numbers."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import pyconvnet as pcn
from pyconvnet import dagnn, models, rng

SIZES = [
    (9, 9, 3),
    (16, 23, 1),
    (24, 20, 2),
    (31, 17, 4),
    (33, 40, 1),
    (40, 12, 5),
    (12, 48, 2),
    (45, 45, 1),
]  # H, W, N
STEPS = 2  # of a training run


def chain() -> pcn.SimpleNN:
    """LeNet for CIFAR without its last pooling, so that it takes images from 9 x 9 pixels on."""
    net = models.lenet_cifar(seed=0, deployed=True)
    del net.layers[8:11]
    return net


def graph() -> pcn.DagNN:
    """Residual: 3 x 3, 1 x 1 and strided convolutions, normalizations that fuse in test mode, a sum, dropout."""
    net = pcn.DagNN()

    def add(name: str, block: Any, inputs: Any, params: int = 0) -> None:
        net.addLayer(name, block, inputs, name, [f"{name}{i}" for i in range(params)])

    add("c1", dagnn.Conv(size=[3, 3, 3, 16], pad=1), "x", 2)
    add("n1", dagnn.BatchNorm(numChannels=16), "c1", 3)
    add("r1", dagnn.ReLU(), "n1")
    add("c2", dagnn.Conv(size=[3, 3, 16, 32], pad=1), "r1", 2)
    add("n2", dagnn.BatchNorm(numChannels=32), "c2", 3)
    add("side", dagnn.Conv(size=[1, 1, 16, 32]), "r1", 2)
    add("sum", dagnn.Sum(), ["n2", "side"])
    add("r2", dagnn.ReLU(), "sum")
    add("lrn", dagnn.LRN(), "r2")
    add("drop", dagnn.DropOut(rate=0.3), "lrn")
    add("c3", dagnn.Conv(size=[5, 5, 32, 16], pad=2, stride=2), "drop", 2)
    add("up", dagnn.ConvTranspose(size=[4, 4, 8, 16], upsample=2, crop=1), "c3", 2)
    add("y", dagnn.SoftMax(), "up")
    with rng.drawing_from(np.random.default_rng(0)):
        net.initParams()
    for name in ("n12", "n22"):
        net.params[name].value = np.random.default_rng(1).random(net.params[name].value.shape, np.float32) + 0.5
    return net


def images(h: int, w: int, n: int) -> np.ndarray:
    return np.random.default_rng((h, w, n)).standard_normal((h, w, 3, n), dtype=np.float32)


def digest(arrays: Iterable[Any]) -> str:
    """Equal for arrays of the same bits."""
    found = hashlib.blake2b(digest_size=16)
    for a in arrays:
        found.update(repr((a.shape, a.dtype)).encode() + np.ascontiguousarray(a).tobytes())
    return found.hexdigest()


class Jobs:
    """Jobs by name; each returns a digest of all that it computed. For one thread: a graph holds its results.

    net     a chain, which threads may share
    folder  with the networks in files
    device  where arrays are
    """

    def __init__(self, net: pcn.SimpleNN, folder: Path, device: str = "cpu", sizes: Any = None) -> None:
        self.net, self.graph, self.folder, self.device = net, graph(), folder, device
        self.sizes = sizes or SIZES
        if device != "cpu":
            self.net = pcn.vl_simplenn_move(net, device)
            self.graph.move(device)
        self.all: dict[str, Callable[[], str]] = {}
        for size in self.sizes:
            for kind in (self.predict_chain, self.train_chain, self.predict_graph, self.train_graph):
                for precision in ("fast", "high"):
                    name = f"{kind.__name__}, {' x '.join(map(str, size))}, {precision}"
                    self.all[name] = lambda kind=kind, size=size, precision=precision: kind(size, precision)
        if device == "cpu":
            for suffix in ("chain", "graph"):
                self.all[f"load the {suffix}"] = lambda suffix=suffix: self.load(suffix)
            self.all["steps of a chain"], self.all["steps of a graph"] = self.step_chain, self.step_graph

    def _array(self, x: np.ndarray) -> Any:
        return x if self.device == "cpu" else pcn.gpuArray(x, self.device)

    def _host(self, arrays: Iterable[Any]) -> list[np.ndarray]:
        return [np.asarray(pcn.gather(a)) for a in arrays if a is not None]

    def predict_chain(self, size: tuple[int, ...], precision: str) -> str:
        with pcn.local_precision(precision):
            return digest(self._host([pcn.predict(self.net, self._array(images(*size)))]))

    def train_chain(self, size: tuple[int, ...], precision: str) -> str:
        with pcn.local_precision(precision):
            res = pcn.vl_simplenn(self.net, self._array(images(*size)), mode="normal")
            res = pcn.vl_simplenn(self.net, res[0].x, res[-1].x * 2, res, skipForward=True)
        return digest(self._host([*(r.x for r in res), *(r.dzdx for r in res), *(d for r in res for d in r.dzdw)]))

    def predict_graph(self, size: tuple[int, ...], precision: str) -> str:
        self.graph.mode, self.graph.conserveMemory = "test", True
        with pcn.local_precision(precision):
            self.graph.eval({"x": self._array(images(*size))})
        return digest(self._host([self.graph.vars["y"].value]))

    def train_graph(self, size: tuple[int, ...], precision: str) -> str:
        """Memory is conserved with "high", so that both ways are met."""
        self.graph.mode, self.graph.conserveMemory = "normal", precision == "high"
        self.graph.inputDers = True
        rng.seed(sum(size))
        x = images(*size)
        high = tuple((s + 1) // 2 * 2 for s in size[:2])
        der = np.random.default_rng(size).standard_normal((*high, 8, size[2]), dtype=np.float32)
        with pcn.local_precision(precision):
            self.graph.eval({"x": self._array(x)}, {"y": self._array(der)})
        return digest(self._host([p.der for p in self.graph.params]))

    def load(self, which: str) -> str:
        net, x = pcn.load(self.folder / f"{which}.mat"), images(*self.sizes[0])
        with pcn.local_precision("fast"):
            return digest([pcn.predict(net, x)])

    def step_chain(self) -> str:
        """A short training run whose checkpoint goes to a file and comes back."""
        with tempfile.TemporaryDirectory() as folder:
            net, _ = pcn.cnn_train(letter_chain(), imdb(), batch, **training(folder))
            last = pcn.load(Path(folder, f"net-epoch-{STEPS}.mat"))
        assert digest(weights(last)) == digest(weights(net)), "the checkpoint has other weights"
        return digest(weights(net))

    def step_graph(self) -> str:
        net = dagnn.DagNN.fromSimpleNN(letter_chain(), canonicalNames=True)
        net, _ = pcn.cnn_train_dag(net, imdb(), named_batch, **{**training(None), "prefetch": True})
        return digest([p.value for p in net.params])


def weights(net: pcn.SimpleNN) -> list[np.ndarray]:
    return [w for layer in net.layers for w in layer.get("weights", ())]


def letter_chain() -> pcn.SimpleNN:
    random = np.random.default_rng(5)

    def conv(*size: int) -> dict[str, Any]:
        f = random.standard_normal(size, dtype=np.float32) / 10
        return {"type": "conv", "weights": [f, np.zeros((1, size[3]), np.float32)]}

    layers = [conv(3, 3, 1, 8), {"type": "relu"}, {"type": "dropout", "rate": 0.3}, conv(6, 6, 8, 3)]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[*layers, {"type": "softmaxloss"}]))


def imdb(count: int = 24) -> pcn.Struct:
    labels = np.arange(count) % 3 + 1
    data = np.random.default_rng(0).standard_normal((8, 8, 1, count)).astype(np.float32) + labels
    return pcn.Struct(images=pcn.Struct(data=data.astype(np.float32), labels=labels, set=np.ones(count)))


def batch(imdb: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return imdb.images.data[..., images], imdb.images.labels[images].astype(np.float32)


def named_batch(imdb: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(("input", "label"), batch(imdb, images)))


def training(folder: Any, epochs: int = STEPS) -> dict[str, Any]:
    given = {"numEpochs": epochs, "batchSize": 10, "learningRate": 0.01, "expDir": folder and Path(folder)}
    return {**given, "plotStatistics": False, "verbose": False}
