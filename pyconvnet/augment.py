"""Data expansion: changed copies of the training images of an imdb, written to disk for small studies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.records import Struct


def augment(
    imdb: Any,
    change: Callable[..., np.ndarray],
    copies: int = 4,
    path: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> Struct:
    """An imdb in which every training image is joined by `copies` changed ones: all of set 1, the rest stays as it is.

    change   change(images, rng) -> images of the same size: a jitter, or jitter.compose(...)
    path     if given, the new imdb is also written there as a .mat file (MAT v5, compressed; whole or not at all)

    Every field of images with one value per image is repeated along (labels, set, groups ...); `images.source` says
    which image (0-based) each came from, so that copies stay in the fold of their original:
    groups[out.images.source].
    """
    images = imdb["images"]
    data, marks = images["data"], np.ravel(images["set"])
    if data.ndim != 4 or data.shape[3] != marks.size:
        raise ValueError(
            f"augment: images.data is {data.shape} for {marks.size} marks in images.set; takes H x W x C x N"
        )
    if copies < 1:
        raise ValueError(f"augment: copies takes a whole number from 1 up, got {copies!r}")
    rng = np.random.default_rng(seed)
    own = np.flatnonzero(marks == 1)
    source = np.concatenate([np.arange(marks.size), np.tile(own, copies)])
    out = Struct({name: _repeated(value, source, marks.size) for name, value in images.items() if name != "data"})
    out.data = np.empty((*data.shape[:3], source.size), data.dtype, order="F")
    out.data[..., : marks.size] = data
    for k in range(copies):
        at = marks.size + k * own.size
        out.data[..., at : at + own.size] = change(data[..., own], rng)
    out.source = source
    result = Struct({**imdb, "images": out})
    if path is not None:
        from pyconvnet.compat import matfile

        matfile.write(Path(path), result)
    return result


def _repeated(value: Any, source: np.ndarray, count: int) -> Any:
    if isinstance(value, list) and len(value) == count:
        return [value[i] for i in source]
    if isinstance(value, np.ndarray):
        for axis in reversed(range(value.ndim)):
            if value.shape[axis] == count:
                return np.take(value, source, axis=axis)
    return value
