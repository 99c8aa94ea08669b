"""A trained network on new images: its output without the loss, and the best classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import host_numbers, is_empty, size_text
from pyconvnet.networks import network
from pyconvnet.records import Struct, plain_text
from pyconvnet.text import visible
from pyconvnet.values import whole_number


def predict(net: Any, x: Any) -> np.ndarray:
    """
    predict(net, x) -> y        x: H x W x C x N, prepared (models.preprocess)      y: YH x YW x K x N
    predict(net, {"data": x, ...}) -> y     for a DagNN of several inputs; those read by losses only are left out

    The network's output in test mode. A trailing loss is replaced by the activation it trains: softmaxloss by softmax
    (unless there is one channel, or the labels are real-valued, as in DnCNN), logistic by sigmoid; other losses are
    dropped. A last custom layer of MATLAB functions, and a loss of a type that is not known here, are dropped with a
    warning. x is converted to the precision of the weights, where they share one. Of no images (N is 0) y has none.
    `net` is not changed.

    A DagNN must have one output; of several, one called prob, softmax, prediction or scores is taken.

    Raises ValueError for other graphs, and as vl_simplenn and DagNN.eval do.
    """
    found = network(net, "predict")
    if not isinstance(x, dict) and backends.find(x) is None:
        raise TypeError(
            f"predict: x must be an array H x W x C x N or a dict of such by name, got {type(x).__name__}; "
            "classify and models.preprocess read image files"
        )
    return found.predict(x)


def classes(net: Any) -> list[str]:
    """Names of the classes, from meta.classes: `description`, else `name`, else a list itself; [] if there are none.

    Names are a list or tuple, or an array of strings or objects, in a row or column, as numpy, scipy and h5py give
    them; blanks at their ends, with which MATLAB's char matrices fill them up, are left out.
    """
    meta = getattr(net, "meta", None)
    found = meta.get("classes") if isinstance(meta, dict) else None
    if isinstance(found, np.ndarray) and found.dtype.names and found.size == 1:  # a struct as scipy reads it
        found = {name: found.ravel()[0][name] for name in found.dtype.names}
    if isinstance(found, dict):
        named = [found[k] for k in ("description", "name") if not is_empty(found.get(k))]
        found = named[0] if named else None
    found = plain_text(found)
    if isinstance(found, str):
        found = [found]
    return [_text(name) for name in found] if isinstance(found, (list, tuple)) else []


def _text(name: Any) -> str:
    """A class's name; some files have numbers, and cells in cells."""
    name = plain_text(name)
    if isinstance(name, (list, tuple)):
        return ", ".join(map(_text, name))
    return " ".join(f"{v:g}" for v in np.ravel(name)) if isinstance(name, np.ndarray) else str(name).rstrip(" \0")


class Ranked(Struct):
    """A class and its score, as `best_classes` gives them: its number, from 1, `score` and `name`.

    >>> print(Ranked(number=946, score=0.8481, name="bell pepper"))
    bell pepper (946), score 0.848
    """

    __slots__ = ()

    def __str__(self) -> str:
        return f"{visible(self.name) or 'class'} ({self.number}), score {self.score:.3f}"


def classify(net: Any, image: Any, top: int = 5) -> list[Any]:
    """
    classify(net, image) -> [Ranked(number, score, name), ...]     the classes with the largest scores, best first
    classify(net, [image, ...]) -> [[Ranked, ...], ...]            such a list for each image

    image  an array or the path of one, prepared by the network's own meta: models.preprocess
    top    how many classes

    Numbers count from 1, name is "" where meta has none; as text, one is "bell pepper (946), score 0.848".

    Raises as preprocess and predict do; ValueError for a network that gives an image rather than scores.
    """
    from pyconvnet.models.preprocess import preprocess

    network(net, "classify")
    y = predict(net, preprocess(net, image))
    if is_image(y):
        raise ValueError(f"classify: the network gives an image, {size_text(y.shape[:3])}, rather than scores")
    return best_classes(net, y, top)


def is_image(y: np.ndarray) -> bool:
    """Whether an output is one: more than a pixel, of one or three channels."""
    return y.shape[2] in (1, 3) and y.shape[0] * y.shape[1] > 1


def best_classes(net: Any, y: np.ndarray, top: int = 5) -> list[Any]:
    """The classes with the largest scores, best first.

    best_classes(net, y) -> [Ranked(number, score, name), ...]      y: scores of one image, 1 x 1 x K x 1
    best_classes(net, y) -> [[Ranked, ...], ...]                    y: 1 x 1 x K x N; such a list for each image

    number counts from 1, name is "" where meta has none. A larger map, H x W x K x N, is averaged over its positions.
    Raises ValueError for arrays of other sizes.
    """
    y = host_numbers(y)
    if y.ndim not in (3, 4) or not y.size:
        raise ValueError(f"best_classes: y must be scores H x W x K x N, got {size_text(y.shape)}")
    scores = y.reshape(*y.shape[:3], -1).mean(axis=(0, 1), dtype=float)
    names = classes(net)
    names = names if len(names) == len(scores) else [""] * len(scores)
    order = np.argsort(-scores, axis=0, kind="stable")[: whole_number("best_classes: top", top, 1)]
    best = [
        [Ranked(number=int(k) + 1, score=float(of[k]), name=names[k]) for k in ranks]
        for ranks, of in zip(order.T, scores.T)
    ]
    return best[0] if len(best) == 1 else best
