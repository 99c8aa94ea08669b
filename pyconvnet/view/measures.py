"""Measures of a classifier by its predictions: confusion matrix, precision, recall, ROC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyconvnet.records import Struct, plain_text
from pyconvnet.text import visible


def confusion_matrix(labels: Any, predictions: Any, classes: int | None = None) -> np.ndarray:
    """Counts, one row per true class, one column per predicted class; labels count from 1 and 0 is left out.

    labels       N (or any shape) whole numbers
    predictions  as many class numbers, or scores H x W x C x N, whose largest in C counts (the first of equals)
    classes      number of classes; otherwise the number of scores, or the largest label

    >>> confusion_matrix([1, 1, 2, 3], [1, 2, 2, 3])
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 0, 1]])
    """
    labels, predicted = np.asarray(labels), np.asarray(predictions)
    if predicted.ndim == 4 and predicted.dtype.kind == "f" and predicted.shape[2] > 1:
        classes = classes or predicted.shape[2]
        predicted = predicted.argmax(axis=2) + 1
    labels, predicted = labels.ravel(), predicted.ravel()
    if labels.size != predicted.size:
        raise ValueError(
            f"confusion_matrix: {labels.size} labels and {predicted.size} predictions; there must be one of each"
        )
    for name, values in (("labels", labels), ("predictions", predicted)):
        if values.size and (values.min() < (name == "predictions") or np.any(values != np.floor(values))):
            raise ValueError(f"confusion_matrix: {name} are class numbers from 1 up, got {values.min():g}")
    top = int(max([0, *labels.tolist(), *predicted.tolist()]))
    classes = classes or top
    if top > classes:
        raise ValueError(f"confusion_matrix: class {top} of {classes}")
    kept = labels > 0
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels[kept].astype(int) - 1, predicted[kept].astype(int) - 1), 1)
    return counts


def normalised(confusion: np.ndarray) -> np.ndarray:
    """Each row divided by its sum: the share of each true class; a class without images has zeros."""
    confusion = np.asarray(confusion, float)
    return confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)


def precision_recall(confusion: np.ndarray) -> Struct:
    """Struct(precision, recall, f1, support, accuracy) of a confusion matrix: one number per class, accuracy of all.

    precision  correct among those predicted as the class     recall  correct among those of the class
    f1         their harmonic mean                            support    number of images of the class
    NaN where a class was never predicted (precision) or never there (recall).
    """
    c = np.asarray(confusion, float)
    right, predicted, there = np.diag(c), c.sum(axis=0), c.sum(axis=1)
    precision = np.divide(right, predicted, out=np.full(right.shape, np.nan), where=predicted > 0)
    recall = np.divide(right, there, out=np.full(right.shape, np.nan), where=there > 0)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.where(total == 0, 0.0, np.nan), where=total > 0)
    return Struct(
        precision=precision,
        recall=recall,
        f1=f1,
        support=there.astype(int),
        accuracy=float(right.sum() / c.sum()) if c.sum() else float("nan"),
    )


def roc(labels: Any, scores: Any, positive: int = 2) -> Struct:
    """Receiver operating characteristic of two classes: Struct(fpr, tpr, threshold, auc).

    labels    class numbers; `positive` is the class that a high score speaks for, every other (but 0) is negative
    scores    one number per label, or N scores of two classes (H x W x 2 x N): then that of `positive`

    Equal scores share a point of the curve, so the area is that of the rank statistic with ties counted as one half.
    """
    labels, scores = np.asarray(labels).ravel(), np.asarray(scores)
    if scores.ndim == 4 and scores.shape[2] == 2:
        scores = scores[:, :, positive - 1]
    scores = scores.ravel()
    if labels.size != scores.size:
        raise ValueError(f"roc: {labels.size} labels and {scores.size} scores; there must be one of each")
    kept = labels > 0
    truth, scores = labels[kept] == positive, scores[kept]
    if truth.all() or not truth.any():
        raise ValueError(
            f"roc: labels must be of both kinds; of {truth.size}, {int(truth.sum())} are of class {positive}"
        )
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits, alarms = np.cumsum(truth[order])[last], np.cumsum(~truth[order])[last]
    tpr, fpr = np.append(0, hits / truth.sum()), np.append(0, alarms / (~truth).sum())
    area = float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2))
    return Struct(fpr=fpr, tpr=tpr, threshold=np.append(np.inf, scores[order][last]), auc=area)


def names_of(classes: int, names: str | Sequence[str] | None) -> list[str]:
    """Class names, '1', '2' ... where there are none."""
    names = plain_text(names)
    if names is None:
        return [str(i + 1) for i in range(classes)]
    if isinstance(names, str):
        names = [names]
    if len(names) != classes:
        raise ValueError(f"class names: got {len(names)} for {classes} classes")
    return [str(n) for n in names]


def confusion_text(confusion: np.ndarray, names: str | Sequence[str] | None = None) -> str:
    """The confusion matrix for a terminal: counts, then recall, precision and F1 of each class, then the accuracy."""
    confusion = np.asarray(confusion)
    names = [visible(name) for name in names_of(len(confusion), names)]
    m = precision_recall(confusion)
    head = ["true \\ predicted", *names, "recall", "precision", "F1"]
    rows = [
        [name, *map(str, counts), *(f"{x:.3f}" for x in (m.recall[i], m.precision[i], m.f1[i]))]
        for i, (name, counts) in enumerate(zip(names, confusion))
    ]
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join([r[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(r[1:], widths[1:]))]) for r in [head, *rows]
    ]
    return "\n".join([*lines, f"accuracy {m.accuracy:.3f} of {int(confusion.sum())}"])
