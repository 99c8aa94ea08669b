"""Image databases: the imdb of MatConvNet's examples, from a .mat file or from folders of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.arrays import padded_to_4d, size_text
from pyconvnet.images import ENDINGS
from pyconvnet.records import Struct
from pyconvnet.text import listed


def load_imdb(path: str | os.PathLike[str]) -> Struct:
    """The imdb in a .mat file (v5 or v7.3), at top level or under `imdb`.

    Struct(images=Struct(data H x W x C x N, labels, set, id ...), meta=Struct(sets, classes ...)); labels, label, set
    and id become vectors, everything else stays as it is in the file. Raises ValueError where there is no `images`.
    """
    from pyconvnet.formats.mat import matfile

    found = matfile.read(path)
    imdb = found.get("imdb", found)
    if not isinstance(imdb, dict) or not isinstance(imdb.get("images"), dict):
        names = listed(found) or "nothing"
        raise ValueError(f"{Path(path).name}: no imdb: it has no `images` struct; found {names}")
    images = imdb["images"]
    for name in ("labels", "label", "set", "id"):
        value = images.get(name)
        if isinstance(value, np.ndarray) and value.ndim == 2 and 1 in value.shape:
            images[name] = value.ravel()
    data = images.get("data")
    if isinstance(data, np.ndarray) and data.ndim < 4:
        count = np.size(images.get("labels", images.get("label", images.get("set", ()))))
        if data.ndim == 3 and data.shape[2] == count != 1:
            images["data"] = data[:, :, None, :]
        else:
            images["data"] = padded_to_4d(data)
    return Struct(imdb)


def imdb_from_folders(
    path: str | os.PathLike[str],
    *,
    imageSize: Sequence[int] | None = None,
    val: float = 0.2,
    seed: int = 0,
    subtractMean: bool = False,
) -> Struct:
    """An imdb from a folder that has one folder of images per class: PATH/cat/*.png, PATH/dog/*.jpg ...

    imageSize     (H, W) or (H, W, C): images are resized (bicubic, as MATLAB's imresize) and turned grey or RGB to fit;
                  without it they must share one size
    val           share of each class marked 2 (validation); the rest is marked 1 (training)
    subtractMean  subtract the mean training image, kept in images.data_mean

    Classes are the folder names in alphabetical order, labels count from 1. Data are single, 0..255.
    Raises ValueError for a folder without classes or images, for sizes that differ, for an image that cannot be read.
    """
    from pyconvnet.compat.matlab import imresize
    from pyconvnet.images import read_single

    root = Path(path)
    classes = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    files = [
        (f, label)
        for label, name in enumerate(classes, 1)
        for f in sorted((root / name).iterdir())
        if f.suffix.lower() in ENDINGS
    ]
    if not files:
        kinds = ", ".join(ENDINGS)
        raise ValueError(f"imdb_from_folders: {root} has no folders of images ({kinds}); give one folder per class")
    if imageSize is not None and np.size(imageSize) not in (2, 3):
        raise ValueError(f"imdb_from_folders: imageSize must be (H, W) or (H, W, C), got {imageSize!r}")
    if not 0 <= val < 1:
        raise ValueError(f"imdb_from_folders: val must be a share from 0 to below 1, got {val!r}")
    data: Any = None
    for i, (file, _) in enumerate(files):
        image = read_single(file)
        if imageSize is not None:
            if image.shape[:2] != tuple(imageSize[:2]):
                image = np.clip(imresize(image, tuple(imageSize[:2])), 0, 255)
            if len(imageSize) > 2:
                image = _channels(image, imageSize[2])
        if data is None:
            data = np.empty((*image.shape, len(files)), np.float32, order="F")
        if image.shape != data.shape[:3]:
            raise ValueError(
                f"imdb_from_folders: {file} is {size_text(image.shape)}, the first image is "
                f"{size_text(data.shape[:3])}; give imageSize=(H, W, C)"
            )
        data[:, :, :, i] = image
    labels = np.array([label for _, label in files])
    marks = np.ones(len(files), int)
    rng = np.random.default_rng(seed)
    for label in range(1, len(classes) + 1):
        own = np.flatnonzero(labels == label)
        marks[rng.permutation(own)[: round(val * own.size)]] = 2
    images = Struct(data=data, labels=labels, set=marks, name=[str(f.relative_to(root)) for f, _ in files])
    if subtractMean:
        images.data_mean = data[:, :, :, marks == 1].mean(axis=3, keepdims=True)
        data -= images.data_mean
    return Struct(images=images, meta=Struct(sets=["train", "val"], classes=classes))


def _channels(image: np.ndarray, count: int) -> np.ndarray:
    if image.shape[2] == count:
        return image
    if image.shape[2] == 1 and count == 3:
        return np.repeat(image, 3, axis=2)
    if image.shape[2] >= 3 and count == 1:
        from pyconvnet.compat.matlab import rgb2gray

        return np.atleast_3d(rgb2gray(image[:, :, :3]))
    if image.shape[2] == 4 and count == 3:
        return image[:, :, :3]
    raise ValueError(f"imdb_from_folders: imageSize asks for {count} channels, an image has {image.shape[2]}")
