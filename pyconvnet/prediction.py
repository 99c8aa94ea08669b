"""A trained network on new images: what it gives without its loss, and the classes that come out best."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import host_numbers, is_empty, size_text
from pyconvnet.networks import network
from pyconvnet.records import Struct, plain_text


def predict(net: Any, x: Any) -> np.ndarray:
    """
    predict(net, x) -> y        x: H x W x C x N, prepared (models.preprocess)      y: YH x YW x K x N
    predict(net, {"data": x, ...}) -> y     for a DagNN of several inputs; what only its losses take is left out

    The network's output in test mode. A loss at the end is left out, for what it is the loss of: a softmaxloss becomes
    softmax, but for one channel or labels that are no classes (DnCNN, whose loss MATLAB calls by the same name and is
    another), a logistic loss a sigmoid, any other goes; a last custom layer of MATLAB functions, and a loss of a type
    that is not known here, go with a warning. x is taken in the precision of the weights, where they share one.
    `net` is not changed.

    A DagNN must have one output; of several, one called prob, softmax, prediction or scores is taken.

    Raises ValueError for other graphs, and as vl_simplenn and DagNN.eval do.
    """
    return network(net).predictor().predict(x)


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


def best_classes(net: Any, y: np.ndarray, top: int = 5) -> list[Any]:
    """The classes with the largest scores, best first.

    best_classes(net, y) -> [Struct(number, score, name), ...]      y: scores of one image, 1 x 1 x K x 1
    best_classes(net, y) -> [[Struct, ...], ...]                    y: 1 x 1 x K x N; such a list for each image

    number counts from 1, name is "" where meta has none. A larger map, H x W x K x N, is averaged over its positions.
    """
    y = host_numbers(y)
    if y.ndim not in (3, 4) or not y.size:
        raise ValueError(f"best_classes: y takes scores H x W x K x N, got {size_text(y.shape)}")
    scores = y.reshape(*y.shape[:3], -1).mean(axis=(0, 1), dtype=float)
    names = classes(net)
    names = names if len(names) == len(scores) else [""] * len(scores)
    order = np.argsort(-scores, axis=0, kind="stable")[:top]
    best = [
        [Struct(number=int(k) + 1, score=float(of[k]), name=names[k]) for k in ranks]
        for ranks, of in zip(order.T, scores.T)
    ]
    return best[0] if len(best) == 1 else best
