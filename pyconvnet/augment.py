"""Data expansion: changed copies of the training images of an imdb, written to disk for small studies."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.records import Struct
from pyconvnet.values import whole_number


def augment(
    imdb: Any,
    change: Callable[..., np.ndarray],
    copies: int = 4,
    path: str | os.PathLike[str] | None = None,
    seed: int = 0,
    sets: int | Sequence[int] = 1,
) -> Struct:
    """An imdb in which every training image is joined by `copies` changed ones; the other images stay as they are.

    change   change(images, rng) -> images of the same size: a jitter, or jitter.compose(...)
    path     if given, the new imdb is also written there as a .mat file (MAT v5, compressed; whole or not at all)
    sets     marks in images.set of the images to copy: 1 (training), or several

    Every field of images with one value per image is repeated along (labels, set, groups ...), but data_mean is not;
    `images.source` says which image (0-based) each came from, so that copies stay in the fold of their original:
    groups[out.images.source].

    >>> from pyconvnet import jitter
    >>> change = jitter.compose(jitter.rotate(10), jitter.mirror(), jitter.scale(0.9, 1.1), jitter.noise(0.02))
    >>> images = {"data": np.ones((28, 28, 1, 10), np.float32), "labels": np.ones(10), "set": np.ones(10)}
    >>> imdb = augment({"images": images}, change, copies=4, path="expanded.mat")  # later: load_imdb("expanded.mat")
    >>> imdb.images.data.shape
    (28, 28, 1, 50)
    """
    images = imdb.get("images") if isinstance(imdb, dict) else None
    if not isinstance(images, dict) or not isinstance(images.get("data"), np.ndarray) or images.get("set") is None:
        raise ValueError("augment: imdb must be a dict with images.data (H x W x C x N) and images.set (a mark each)")
    data, marks = images["data"], np.ravel(images["set"])
    if data.ndim != 4 or data.shape[3] != marks.size:
        raise ValueError(
            f"augment: images.data is {data.shape} for {marks.size} marks in images.set; it must be H x W x C x N"
        )
    copies = whole_number("augment: copies", copies, 1)
    rng = np.random.default_rng(seed)
    own = np.flatnonzero(np.isin(marks, sets))
    if not own.size:
        raise ValueError(f"augment: no image is in sets {sets!r}; images.set has {np.unique(marks).tolist()}")
    source = np.concatenate([np.arange(marks.size), np.tile(own, copies)])
    fields = {name: value for name, value in images.items() if name != "data"}
    out = Struct({name: v if name == "data_mean" else _repeated(v, source, marks.size) for name, v in fields.items()})
    out.data = np.empty((*data.shape[:3], source.size), data.dtype, order="F")
    out.data[..., : marks.size] = data
    for k in range(copies):
        at = marks.size + k * own.size
        changed = change(data[..., own], rng)
        if changed.shape != (*data.shape[:3], own.size):
            raise ValueError(f"augment: change made {changed.shape} of {(*data.shape[:3], own.size)}; sizes must stay")
        out.data[..., at : at + own.size] = changed
    out.source = source
    result = Struct({**imdb, "images": out})
    if path is not None:
        from pyconvnet.formats.mat import matfile

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
