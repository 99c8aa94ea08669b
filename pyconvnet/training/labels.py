"""Class labels of a batch: errors of predictions against them, and checks of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, asynchronous, host_numbers, padded_to_4d, size_text
from pyconvnet.ops.vl_nnloss import BINARY
from pyconvnet.records import Struct, plain_text
from pyconvnet.training.progress import warn


def multiclass(opts: Any, labels: Any, res: list[Any]) -> np.ndarray:
    """(top-1, top-5) errors summed over the batch; label 0 is not counted, a second channel of labels weights each.

    The predictions are the input of the loss, H x W x C x N; among equal scores the first class wins.
    """
    if asynchronous(res[-2].x):
        return _multiclass_there(labels, res[-2].x)
    scores = host_numbers(res[-2].x)
    labels, weight = _expanded(labels, scores)
    at = np.clip(labels.astype(int) - 1, 0, scores.shape[2] - 1)
    of_label = np.take_along_axis(scores, at, axis=2)
    ahead = np.arange(scores.shape[2])[:, None] < at
    rank = (scores > of_label).sum(axis=2, keepdims=True) + ((scores == of_label) & ahead).sum(axis=2, keepdims=True)
    missed = (labels != at + 1) | ~np.isfinite(of_label)
    within = min(5, scores.shape[2])
    return np.array([(weight * (missed | (rank >= k))).sum(dtype=float) for k in (1, within)])


def _multiclass_there(labels: Any, scores: Any) -> Any:
    """multiclass on the device of the scores, as an array there of two numbers."""
    backend = backends.of(scores)
    labels, weight = _expanded(labels, scores)
    places = np.clip(labels.astype(int) - 1, 0, scores.shape[2] - 1)
    known, weight, at = (backend.asarray(a, scores) for a in (labels == places + 1, weight, places))
    at = backend.indexes(at)
    own = backend.take(scores, at, 2)
    sums = []
    for k in (1, min(5, scores.shape[2])):
        found = backend.cast(backend.within(scores, at, k) & (own - own == 0), scores) * known
        sums.append(backend.sum(weight * (1 - found), (0, 1, 2, 3)).reshape(1))
    return backend.concat(sums, 0)


class Confusion:
    """Counts, true class x predicted class, over batches with one label per image or pixel; label 0 is not counted."""

    def __init__(self) -> None:
        self._counts: np.ndarray | None = None
        self._waiting: Callable[[], np.ndarray | None] | None = None  # the counts of the last batch

    def add(self, labels: Any, scores: Any) -> None:
        """Count a batch; what a device predicts for it is read when the next one comes."""
        backend = backends.of(scores)
        before, self._waiting = (
            self._waiting,
            partial(_counted, _expanded(labels, scores)[0], backend.later(backend.largest(scores, 2)), scores.shape[2]),
        )
        if before is not None:
            self._take(before())
        if not backend.asynchronous(scores):
            self.counts()

    def counts(self) -> np.ndarray | None:
        """The counts so far; None where no batch had such labels."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._take(waiting())
        return self._counts

    def _take(self, more: np.ndarray | None) -> None:
        if more is not None:
            self._counts = more if self._counts is None else self._counts + more


def _counted(labels: np.ndarray, predictions: Callable[[], np.ndarray], classes: int) -> np.ndarray | None:
    predicted = predictions()
    if labels.shape != predicted.shape:
        return None
    counted = labels > 0
    out = np.zeros((classes, classes), int)
    np.add.at(out, (labels[counted].astype(int) - 1, predicted[counted]), 1)
    return out


def binary(opts: Any, labels: Any, res: list[Any]) -> np.ndarray:
    """Predictions whose sign is not that of their label (-1, 1), counted over the batch."""
    scores, labels = res[-2].x, host_numbers(labels)
    if labels.size == scores.shape[3]:
        labels = labels.reshape(1, 1, 1, -1)
    if asynchronous(scores):
        backend = backends.of(scores)
        wrong = backend.cast(scores * backend.asarray(labels, scores) < 0, scores)
        return backend.sum(wrong, (0, 1, 2, 3)).reshape(1)
    scores = host_numbers(scores)
    return np.array([np.count_nonzero(scores * labels < 0)], float)


def none(opts: Any, labels: Any, res: list[Any]) -> np.ndarray:
    """No errors."""
    return np.zeros(0)


ERRORS = {
    "multiclass": (multiclass, ("top1err", "top5err")),
    "binary": (binary, ("binerr",)),
    "none": (none, ()),
}


def _expanded(labels: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels as H x W x 1 x N, and the weight of each: 0 for label 0, else a second channel of labels, or 1."""
    labels = host_numbers(labels)
    if labels.size == scores.shape[3]:
        labels = labels.reshape(1, 1, 1, -1)
    labels = padded_to_4d(labels)
    weight = (labels[:, :, :1] > 0).astype(float)
    if labels.shape[2] == 2:
        weight = weight * labels[:, :, 1:2]
    return labels[:, :, :1], weight


def is_binary(loss: Any) -> bool:
    """Whether a loss has +1 and -1 as labels, rather than classes."""
    return isinstance(loss, str) and loss.lower() in BINARY


def classes_of(size: Any) -> int | None:
    """The number of classes that scores of that size, H x W x C x N, tell apart; None where it is not known."""
    return int(size[2]) if np.isfinite(size[2]) else None


def check(fn: str, labels: Any, images: np.ndarray, classes: int | None, known: Any = None) -> None:
    """Refuse class labels of a batch that cannot be right, saying what to do.

    classes  number of classes the network tells apart, None where that is not known before it runs
    known    labels of the whole data set, if the imdb has them: more to judge by than one batch
    """
    if labels is None:
        raise ValueError(f"{fn}: getBatch gave images without labels; each image must have one, 1 to {_top(classes)}")
    a = host_numbers(labels)
    count = as_tensor(f"{fn}: images", images).shape[3]
    if a.ndim < 4 and a.size != count and not (a.ndim >= 3 and count == 1):
        raise ValueError(
            f"{fn}: getBatch gave {count} images ({size_text(images.shape)}: H x W x C x N) and {a.size} labels "
            f"({size_text(a.shape)}); each image must have one label, or a map of labels H x W x 1 x N"
        )
    check_values(fn, a, classes, known)


def _top(classes: int | None) -> str:
    return "the number of classes" if classes is None else str(classes)


def check_values(fn: str, labels: Any, classes: int | None, known: Any = None) -> None:
    """Refuse class labels of a batch, or `known` ones of the data set, that are not numbers from 0 to `classes`."""
    a, known = host_numbers(labels), None if known is None else np.asarray(known)
    for where, values in (("the batch", a), ("images.labels", known)):
        if values is None or values.size == 0 or values.dtype.kind not in "iufb":
            continue
        if values.ndim == 4 or (values.ndim == 3 and where == "the batch"):
            values = values[:, :, :1]  # the second channel holds weights
        low, high = values.min(), values.max()
        if not np.isfinite(low) or not np.isfinite(high) or np.any(values != np.floor(values)) or low < 0:
            raise ValueError(
                f"{fn}: labels of {where} must be whole numbers from 1 to {_top(classes)} (0: ignore), got {low:g}; "
                "where the targets are not classes, errorFunction='none'"
            )
        if classes is None:
            continue
        if high > classes:
            raise ValueError(
                f"{fn}: labels of {where} go up to {high:g}, but the network has {classes} classes: give the last "
                f"layer with weights {high:g} filters, or correct the labels"
            )
        if where != "the batch" and low == 0 and high == classes - 1:
            raise ValueError(
                f"{fn}: labels of {where} run from 0 to {high:g} for {classes} classes: they seem to be 0-based. "
                "Labels count from 1, and 0 means 'ignore': add 1 to them (or checkLabels=False if this is meant)"
            )
    if classes is None or a.dtype.kind not in "iufb" or not a.size:
        return
    if known is None or not known.size or known.max() < classes:
        _warn_of_zeros(fn, a, classes)


def _warn_of_zeros(fn: str, labels: np.ndarray, classes: int) -> None:
    """Errors that a batch alone shows: a 0 among labels of images, or a map that has all of 0, 1 ... classes - 1."""
    labels = labels[:, :, :1] if labels.ndim == 4 else labels
    per_image = labels.size == max(labels.shape, default=1)
    ignored = np.count_nonzero(labels == 0)
    if not ignored or labels.max() >= classes or not (per_image or np.unique(labels).size == classes):
        return
    warn(
        f"{fn}: {ignored} of the {labels.size} labels that getBatch gave first are 0, which means 'ignore', and none "
        f"is {classes}, the last class: they seem to be 0-based. Labels count from 1: add 1 to them (or "
        "checkLabels=False if this is meant)",
    )


def class_names(imdb: Any) -> list[str] | None:
    """meta.classes of an imdb, or None."""
    names = plain_text((imdb.get("meta") or {}).get("classes")) if isinstance(imdb, dict) else None
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else None


def of_imdb(imdb: Any) -> Any:
    """images.labels or images.label of an imdb, or None."""
    images = imdb.get("images") if isinstance(imdb, dict) else None
    if not isinstance(images, (dict, Struct)):
        return None
    return images.get("labels", images.get("label"))


def check_precision(fn: str, what: str, images: Any, where: str, weights: Any) -> None:
    """TypeError for images of one precision and weights of the other: as in MATLAB, no layer mixes them."""
    backend = backends.find(images)
    if backend is None or images.dtype not in backend.floats or backends.find(weights) is not backend:
        return
    own = weights.dtype
    if own in backend.floats and own != images.dtype:
        raise TypeError(
            f"{fn}: getBatch gave {what} of {images.dtype}, but the weights of {where} are {own}: give "
            f"{what}.astype(np.{own})"
        )
