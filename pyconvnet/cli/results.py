"""What the output of a network says about an image, as rows of a table that pandas and spreadsheets read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from pyconvnet.table import spreadsheet_text
from pyconvnet.text import visible

COLUMNS = {
    "classes": ("image", "rank", "class", "name", "score"),
    "values": ("image", "output", "value"),
    "image": ("image", "channel", "height", "width", "minimum", "maximum", "mean"),
}


def kind_of(net: Any, y: np.ndarray) -> str:
    """What an output H x W x K x 1 is.

    "image"    more than a pixel, of one or three channels
    "classes"  scores of classes: there are as many names in net.meta, or the scores of each position sum up to 1
    "values"   other numbers: a regression, a code, the features of a layer
    """
    from pyconvnet.prediction import classes, is_image

    if is_image(y):
        return "image"
    shares = y.shape[2] > 1 and bool(np.all(y >= 0)) and np.allclose(y.sum(axis=2, dtype=float), 1, atol=1e-3)
    return "classes" if shares or len(classes(net)) == y.shape[2] else "values"


class Table:
    """A table in CSV, written row by row to a binary file: UTF-8, numbers in single precision as they are.

    The first image says which columns there are. Scores and values of a map are means over its positions.
    """

    def __init__(self, file: BinaryIO, top: int) -> None:
        self._file, self._top, self._kind = file, top, ""
        self._csv = csv.writer(self, lineterminator="\n")
        self.rows = 0

    def write(self, text: str) -> None:
        """Write text as UTF-8."""
        self._file.write(text.encode("utf-8"))

    def add(self, net: Any, image: str, y: np.ndarray) -> None:
        """The rows of an image; ValueError where its output is of another kind than those before."""
        kind = kind_of(net, y)
        if not self._kind:
            self._kind = kind
            self._csv.writerow(COLUMNS[kind])
        if kind != self._kind:
            raise ValueError(f"{image}: its output is of the kind {kind}, those before are of the kind {self._kind}")
        for row in _rows(net, kind, y, self._top):
            self._csv.writerow(_cell(value) for value in (image, *row))
            self.rows += 1


def _rows(net: Any, kind: str, y: np.ndarray, top: int) -> Iterator[tuple[Any, ...]]:
    from pyconvnet.prediction import best_classes

    if kind == "classes":
        for rank, best in enumerate(best_classes(net, y, top), 1):
            yield rank, best.number, best.name, best.score
    elif kind == "values":
        yield from enumerate(y.mean(axis=(0, 1), dtype=float).ravel().tolist(), 1)
    else:
        for channel in range(y.shape[2]):
            of = y[:, :, channel]
            yield channel + 1, *y.shape[:2], float(of.min()), float(of.max()), float(of.mean(dtype=float))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    return spreadsheet_text(visible(value)) if isinstance(value, str) else str(value)
