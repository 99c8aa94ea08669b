"""Image databases: the imdb of MatConvNet's examples, from a .mat file or from folders of images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pyconvnet import atomic
from pyconvnet.arrays import padded_to_4d, size_text
from pyconvnet.formats.mat.lazy import LazyArray as LazyArray
from pyconvnet.images import ENDINGS
from pyconvnet.records import Struct
from pyconvnet.text import listed
from pyconvnet.values import flag, path_text


def load_imdb(path: str | os.PathLike[str], *, lazy: bool = False) -> Struct:
    """The imdb in a .mat file (v5 or v7.3), at top level or under `imdb`.

    Struct(images=Struct(data H x W x C x N, labels, set, id ...), meta=Struct(sets, classes ...)); labels, label, set
    and id become vectors, everything else stays as it is in the file.

    lazy  True: images.data stays in the file, and `imdb.images.data[:, :, :, batch]` reads the images in `batch`, so
          that memory never holds more than these: see help(pyconvnet.imdb.LazyArray). It must be a file of version
          7.3, as `save_imdb` writes it, or MATLAB's save(..., '-v7.3'). Where MATLAB put many images into one chunk
          of the file, reading one unpacks them all: save_imdb puts each into its own

    Raises ValueError where there is no `images`, or nothing in it that can be read later.
    """
    from pyconvnet.formats.mat import matfile

    found = matfile.read(path, lazy=("/images/data", "/imdb/images/data") if flag("load_imdb: lazy", lazy) else ())
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
    if lazy and not isinstance(data, LazyArray):
        raise ValueError(
            f"load_imdb: {Path(path).name} has no images.data that could be read image by image: lazy=True is for "
            "files of version 7.3 with an array of H x W x C x N numbers; save_imdb(path, load_imdb(other)) writes one"
        )
    if isinstance(data, LazyArray) and data.has_three_dimensions and data.shape[3] != _count(images):
        data = images["data"] = data[:, :, 0, :]  # of one image
    if isinstance(data, np.ndarray) and data.ndim < 4:
        count = _count(images)
        if data.ndim == 3 and data.shape[2] == count != 1:
            images["data"] = data[:, :, None, :]
        else:
            images["data"] = padded_to_4d(data)
    return Struct(imdb)


def save_imdb(path: str | os.PathLike[str], imdb: dict[str, Any], *, compress: bool = False) -> None:
    """Write an imdb as a .mat file of version 7.3, for load_imdb(path, lazy=True); MATLAB reads it as well.

    imdb      a dict; images.data may be an array H x W x C x N, a LazyArray, or an iterable of images H x W x C (or
              H x W), such as a generator, which are written one after the other, so that memory never holds them all
    compress  True: each image is compressed, which takes longer to read and, of photographs, less room

    Each image is a chunk of its own in the file, which is there whole or not at all.

    Raises ValueError where there is no images.data, for images of different sizes, and for more or fewer images than
    labels or marks; TypeError for values that a MAT file cannot hold.
    """
    images = imdb.get("images") if isinstance(imdb, dict) else None
    if not isinstance(images, dict) or images.get("data") is None:
        raise ValueError("save_imdb: imdb must be a dict with images.data, H x W x C x N or an iterable of images")
    from pyconvnet.formats.mat import write73

    path, count = Path(path_text("save_imdb: path", path)), _count(images)
    atomic.check(path)
    data = write73.Images(_each(images["data"]), flag("save_imdb: compress", compress))
    values = {**imdb, "images": {**images, "data": data}}

    def fill(draft: BinaryIO) -> None:
        write73.write(draft, values)
        if count and data.count != count:
            raise ValueError(f"save_imdb: images.data has {data.count} images, there are labels or marks of {count}")

    atomic.write(path, fill)


def _each(data: Any) -> Iterator[Any]:
    """The images one after the other."""
    if isinstance(data, LazyArray) or (isinstance(data, np.ndarray) and data.dtype != object):
        if data.ndim > 4 or data.ndim < 3:
            raise ValueError(f"save_imdb: images.data must be H x W x C x N, got {size_text(data.shape)}")
        return (data[..., i] for i in range(data.shape[-1]))
    if isinstance(data, (str, bytes, dict)) or not isinstance(data, Iterable):
        raise TypeError(f"save_imdb: images.data must be an array or an iterable of images, got {type(data).__name__}")
    return iter(data)


def _count(images: dict[str, Any]) -> int:
    """The number of images, by what there is one of for each."""
    return int(np.size(images.get("labels", images.get("label", images.get("set", ())))))


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
