"""Networks as classifiers of scikit-learn, for its pipelines, cross-validation and grid search."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyconvnet import rng
from pyconvnet.arrays import from_nhwc, size_text
from pyconvnet.layers import Loss
from pyconvnet.networks import is_graph, network
from pyconvnet.prediction import predict
from pyconvnet.records import Struct
from pyconvnet.simplenn import SimpleNN
from pyconvnet.values import whole_numbers

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("pyconvnet.sklearn needs scikit-learn 1.6 or later: pip install 'pyconvnet[sklearn]'") from error

__all__ = ["Classifier"]


class Classifier(ClassifierMixin, BaseEstimator):
    """A network as a classifier of scikit-learn: fit, predict, predict_proba, score, get_params, clone.

    X is N x F (features), N x H x W (grey images) or N x H x W x C, of any type of number; y has N labels of any kind:
    numbers, texts. A network sees features as images of 1 x 1 x F.

    net            what is trained. None: a small network that fits X (`small_network`). The name of one of
                   models.build, such as "lenet". A function net(size, classes, seed) that builds a SimpleNN or DagNN
                   for images of size (H, W, C), which ends in a loss. Or a network, of which each fit trains a copy.
                   Of more outputs than there are classes the first ones are used
    imageSize      (H, W) or (H, W, C): rows of X are such images, as X.reshape(N, H, W, C) has them, for pipelines
                   whose other steps need N x F
    standardize    train on (x - mean_) / deviation_: the mean of the training images, and one deviation for all their
                   values; of features, those of each. False: x as it is
    numEpochs, batchSize, learningRate, weightDecay, momentum, solver, solverOpts
                   as in cnn_train, with other defaults: a small set of data needs many steps
    options        a dict with further options of cnn_train or cnn_train_dag: {"gpus": [0], "progress": True}. Nothing
                   is written or printed unless these say so
    random_state   a whole number: the same weights and order of images in every fit; None: others each time

    After fit: classes_ (labels, sorted), net_ (the trained network, whose input is (x - mean_) / deviation_), stats_
    (of cnn_train), n_features_in_, mean_, deviation_.

    Raises ValueError and TypeError as scikit-learn's own do, for a network with fewer outputs than there are classes,
    and as cnn_train does.

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> digits = load_digits()
    >>> scores = cross_val_score(Classifier(numEpochs=5, random_state=0), digits.images, digits.target, cv=3)
    >>> bool(scores.min() > 0.85)
    True
    """

    def __init__(
        self,
        net: Any = None,
        *,
        imageSize: Any = None,
        standardize: bool = True,
        numEpochs: int = 30,
        batchSize: int = 32,
        learningRate: Any = 0.005,
        weightDecay: float = 0.0005,
        momentum: float = 0.9,
        solver: Any = "adam",
        solverOpts: Any = None,
        options: Any = None,
        random_state: Any = None,
    ) -> None:
        self.net = net
        self.imageSize = imageSize
        self.standardize = standardize
        self.numEpochs = numEpochs
        self.batchSize = batchSize
        self.learningRate = learningRate
        self.weightDecay = weightDecay
        self.momentum = momentum
        self.solver = solver
        self.solverOpts = solverOpts
        self.options = options
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Classifier:
        """Train a new network on X and the labels y; returns self."""
        X, y = validate_data(self, X, y, allow_nd=True)
        check_classification_targets(y)
        self.classes_, coded = np.unique(y, return_inverse=True)
        images = self._images(X)
        self._size = images.shape[1:]
        self._set_standard(images)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with _own_random_numbers():
            net = self._built(images.shape[1:], seed)
            found = self._scores(net, images[:1]).shape[1]
            if found < len(self.classes_):
                raise ValueError(f"Classifier.fit: the network has {found} outputs for {len(self.classes_)} classes")
            inputs = _inputs(net) if is_graph(net) else None

            def getBatch(imdb: Any, batch: np.ndarray) -> Any:
                values = self._input(images[batch]), (coded[batch] + 1).astype(np.float32)
                return values if inputs is None else dict(zip(inputs, values))

            imdb = Struct(images=Struct(set=np.ones(len(images))))
            settings = {
                "expDir": None,
                "verbose": False,
                "plotStatistics": False,
                "randomSeed": seed,
                **{name: getattr(self, name) for name in _SETTINGS},
                **(self.options or {}),
            }
            self.net_, self.stats_ = network(net).trainer()(net, imdb, getBatch, **settings)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The label of each image: N."""
        scores = self._of_all(X)
        return self.classes_[scores[:, : len(self.classes_)].argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, N x classes_; ValueError for a network trained by a loss that gives none."""
        scores = self._of_all(X)
        if scores.min() < 0 or not np.allclose(scores.sum(axis=1), 1, atol=1e-3):
            raise ValueError("Classifier.predict_proba: the network must end in a loss that trains a softmax")
        scores = scores[:, : len(self.classes_)]
        return scores / scores.sum(axis=1, keepdims=True)

    def _of_all(self, X: Any) -> np.ndarray:
        """The network's outputs, N x K, a batch at a time."""
        check_is_fitted(self, "net_")
        X = validate_data(self, X, allow_nd=True, reset=False)
        images = self._images(X)
        if images.shape[1:] != self._size:
            raise ValueError(
                f"Classifier.predict: X has images of {size_text(images.shape[1:])}, "
                f"those of fit were {size_text(self._size)}"
            )
        step = int(self.batchSize)
        parts = [self._scores(self.net_, images[i : i + step]) for i in range(0, len(images), step)]
        return np.concatenate(parts)

    def _scores(self, net: Any, images: np.ndarray) -> np.ndarray:
        """What the network gives for some images, N x K; means over the positions of a map."""
        y = predict(net, self._input(images))
        return y.mean(axis=(0, 1), dtype=float).T

    def _input(self, images: np.ndarray) -> np.ndarray:
        """H x W x C x N, single, of some images."""
        return from_nhwc(((images - self.mean_) / self.deviation_).astype(np.float32))

    def _images(self, X: np.ndarray) -> np.ndarray:
        """X as N x H x W x C."""
        if self.imageSize is not None:
            size = whole_numbers("Classifier: imageSize", self.imageSize, (2, 3), least=1)
            if X[0].size != np.prod(size):
                raise ValueError(
                    f"Classifier: images of {size_text(size)} must be {np.prod(size)} numbers, got {X[0].size}"
                )
            return X.reshape(len(X), *size, *(1,) * (3 - len(size)))
        if X.ndim > 4:
            raise ValueError(f"Classifier: X must be N x F, N x H x W or N x H x W x C, got {size_text(X.shape)}")
        return X[:, None, None, :] if X.ndim == 2 else X.reshape(*X.shape, *(1,) * (4 - X.ndim))

    def _set_standard(self, images: np.ndarray) -> None:
        """Set mean_ and deviation_."""
        self.mean_, self.deviation_ = np.zeros(1), np.ones(1)
        if self.standardize:
            self.mean_ = images.mean(axis=0, dtype=float)
            squares = sum(
                ((part - self.mean_) ** 2).sum(axis=0) for part in np.array_split(images, len(images) // 256 + 1)
            )
            axis = None if images.shape[1] * images.shape[2] > 1 else (0, 1)
            deviation = np.sqrt(np.mean(squares / len(images), axis=axis))
            self.deviation_ = np.where(deviation > 0, deviation, 1)

    def _built(self, size: tuple[int, ...], seed: int) -> Any:
        """The network to train."""
        classes = max(2, len(self.classes_))
        if self.net is None:
            return small_network(size, classes, seed)
        if isinstance(self.net, str):
            from pyconvnet import models

            return models.build(self.net, seed=seed)
        if isinstance(self.net, dict) or is_graph(self.net):
            return copy.deepcopy(self.net)
        if not callable(self.net):
            raise TypeError(
                "Classifier: net must be a network, a function that builds one, a name of models.build or None, "
                f"got {type(self.net).__name__}"
            )
        return self.net(size, classes, seed)


_SETTINGS = ("numEpochs", "batchSize", "learningRate", "weightDecay", "momentum", "solver", "solverOpts")


def small_network(size: tuple[int, ...], classes: int, seed: int, width: int = 16) -> SimpleNN:
    """The network of a Classifier that is given none, for images of (H, W, C).

    Of 1 x 1: a hidden layer of 4 width units. Larger ones: convolutions 3 x 3 with width and 2 width filters, each with
    a ReLU and, where 4 pixels are left, max-pooling by 2; then a hidden layer of 4 width units.
    """
    from pyconvnet.compat.tidy import vl_simplenn_tidy
    from pyconvnet.models.initialize import Draw
    from pyconvnet.models.layer_records import conv, layer, pool

    draw, (h, w, c) = Draw(seed), size
    layers: list[Any] = []

    def block(*shape: int, pad: int = 0) -> None:
        layers.append(conv(draw.normal(shape, np.sqrt(2 / np.prod(shape[:3]))), draw.constant((1, shape[3])), pad=pad))
        layers.append(layer("relu"))

    if h * w > 1:
        for filters in (width, 2 * width):
            block(3, 3, c, filters, pad=1)
            c = filters
            if min(h, w) >= 4:
                layers.append(pool(2, 2))
                h, w = h // 2, w // 2
    block(h, w, c, 4 * width)
    block(1, 1, 4 * width, classes)
    layers[-1] = layer("softmaxloss")
    return vl_simplenn_tidy(SimpleNN(layers=layers, meta=Struct(inputSize=np.array(size, float))))


def _inputs(net: Any) -> tuple[str, str]:
    """Names of the image and of the labels of a DagNN."""
    labels = {name for layer in net.layers if isinstance(layer.block, Loss) for name in layer.inputs[1:]}
    data = [name for name in net.getInputs() if name not in labels]
    if len(data) != 1 or len(labels) != 1:
        raise ValueError(
            f"Classifier.fit: a DagNN must have one input and one of labels, got {data} and {sorted(labels)}"
        )
    return data[0], labels.pop()


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Training seeds this thread's generator and NumPy's global one, which are as before after the block."""
    before = np.random.get_state()
    try:
        with rng.drawing_from(rng.generator()):
            yield
    finally:
        np.random.set_state(before)
