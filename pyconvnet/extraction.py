"""Outputs of inner layers for many images: what classifiers, retrieval and comparisons with brains are made of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pyconvnet import atomic
from pyconvnet.arrays import from_nhwc, nhwc, size_text
from pyconvnet.formats.hdf5 import PatientFile
from pyconvnet.formats.mat.lazy import LazyArray
from pyconvnet.networks import network
from pyconvnet.options import did_you_mean
from pyconvnet.text import listed
from pyconvnet.values import flag, path_text

FN = "features"
Blocks = Iterator[list[np.ndarray]]  # for each batch of images, an array for each layer


def features(
    net: Any,
    images: Any,
    layers: str | Sequence[str],
    *,
    batchSize: int = 32,
    out: str | os.PathLike[str] | None = None,
    as_: str = "numpy",
    prepared: bool = False,
) -> dict[str, Any]:
    """
    features(net, images, ["relu7"]) -> {"relu7": N x C}              of a layer that gives one pixel for an image
    features(net, images, ["relu5", "fc8"]) -> {"relu5": N x H x W x C, ...}    of one that gives more

    The outputs of layers for N images, in test mode; layers after the last that is wanted do not run. For a classifier,
    which wants N x features, x.reshape(len(x), -1) makes rows of maps.

    images     an array H x W x C x N, in memory or of load_imdb(lazy=True); or any number of paths or arrays (H x W,
               H x W x C) in a list or an iterator, which is read as batches need it; they are prepared by the network's
               own meta, see models.preprocess
    layers     names of layers; of a DagNN, of variables (which come first where a layer has that name too) or layers
    batchSize  how many images run at once
    out        write to a file as the results come, so that memory need not hold them: "f.h5" (HDF5, a dataset for each
               layer) or "f.npy", with "{layer}" in the name for several; what is returned then reads from there. The
               files are there whole or not at all, after Ctrl-C as well
    as_        "numpy", or "torch": tensors, N x C or N x C x H x W
    prepared   True: images are as the network takes them, all of one size

    Raises ValueError for an unknown layer, with the nearest known one; for images of different sizes, where meta does
    not say to which to resize them; and for a graph of several inputs.

    >>> net = pcn.models.build("lenet-cifar", seed=0)
    >>> images = [np.zeros((32, 32, 3), np.uint8), np.full((40, 30, 3), 255, np.uint8)]
    >>> found = features(net, images, ["layer7", "layer11"])
    >>> found["layer7"].shape, found["layer11"].shape
    ((2, 8, 8, 64), (2, 64))
    """
    names: list[Any] = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"{FN}: layers must be names, each once, got {layers!r}")
    if isinstance(batchSize, bool) or not isinstance(batchSize, (int, np.integer)) or batchSize < 1:
        raise ValueError(f"{FN}: batchSize must be a whole number from 1 up, got {batchSize!r}")
    if not isinstance(as_, str) or as_ not in ("numpy", "torch") or (as_ == "torch" and out is not None):
        raise ValueError(f"{FN}: as_ must be 'numpy', or 'torch' without out, got {as_!r}")
    write = None if out is None else _writer(Path(path_text(f"{FN}: out", out)), names)
    extract = network(net, "features").predictor().extractor(names)
    batches = _batches(net, images, batchSize, flag(f"{FN}: prepared", prepared))
    blocks = ([_images_first(y) for y in extract(x)] for x in batches)
    if write is not None:
        return write(blocks)
    parts = list(blocks)
    found = {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}
    return found if as_ == "numpy" else {name: _tensor(x) for name, x in found.items()}


def _batches(net: Any, images: Any, batchSize: int, prepared: bool) -> Iterator[np.ndarray]:
    """H x W x C x up to batchSize, as the network takes them."""
    from pyconvnet.models.preprocess import preprocess

    many = _each(images)
    first: tuple[int, ...] | None = None
    count = 0
    while batch := list(islice(many, batchSize)):
        ready = []
        for image in batch:
            x = _prepared(image) if prepared else preprocess(net, image)
            count, first = count + 1, first or x.shape[:3]
            if x.shape[:3] != first:
                name = f" ({os.fspath(image)})" if isinstance(image, (str, os.PathLike)) else ""
                raise ValueError(
                    f"{FN}: image {count}{name} is {size_text(x.shape[:3])}, those before are {size_text(first)}; "
                    "images must share a size where net.meta does not say to which to resize them"
                )
            ready.append(nhwc(x))
        yield from_nhwc(np.concatenate(ready))
    if not count:
        raise ValueError(f"{FN}: there are no images")


def _each(images: Any) -> Iterator[Any]:
    """One image after the other."""
    if isinstance(images, (str, os.PathLike)):
        return iter([images])
    if isinstance(images, np.ndarray) and images.dtype != object:
        return iter([images] if images.ndim < 4 else np.moveaxis(images, 3, 0))
    if isinstance(images, LazyArray):
        return (images[:, :, :, i] for i in range(images.shape[3]))
    if not isinstance(images, Iterable) or isinstance(images, dict):
        raise TypeError(f"{FN}: images must be an array, or paths or arrays in a list, got {type(images).__name__}")
    return iter(images)


def _prepared(image: Any) -> np.ndarray:
    ready = isinstance(image, np.ndarray) and image.dtype in (np.float32, np.float64) and image.ndim in (2, 3)
    if not ready or not image.size:
        what = f"{image.dtype}, {size_text(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise TypeError(f"{FN}: a prepared image must be H x W x C, float32 or float64, got {what}")
    return image.reshape(*image.shape[:2], -1)[..., None]


def _images_first(y: np.ndarray) -> np.ndarray:
    """N x H x W x C of H x W x C x N, or N x C of one pixel."""
    y = nhwc(y)
    return y.reshape(len(y), -1) if y.shape[1:3] == (1, 1) else y


def _tensor(x: np.ndarray) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"{FN}: as_='torch' needs PyTorch: pip install torch") from error
    tensor = torch.from_numpy(x)
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def _writer(out: Path, names: list[str]) -> Any:
    """What writes blocks to a file, or one for each layer, and returns what reads them."""
    kind = out.suffix.lower()
    if kind in (".h5", ".hdf5"):
        return lambda blocks: _to_hdf5(out, names, blocks)
    if kind != ".npy":
        near = did_you_mean(kind, [".npy", ".h5", ".hdf5"], "there are .npy, .h5, .hdf5")
        raise ValueError(f"{FN}: out must end in the suffix of a format, got {out.name!r}; {near}")
    if len(names) > 1 and "{layer}" not in out.name:
        raise ValueError(f"{FN}: out must have {{layer}} in its name for several layers, as {out.stem}-{{layer}}.npy")
    # What no system's names can have
    fitting = [re.sub(r'[/\\:*?"<>|\0-\x1f]', "_", name) for name in names]
    paths = [out.with_name(out.name.replace("{layer}", name)) for name in fitting]
    if len(set(paths)) < len(paths):
        raise ValueError(f"{FN}: out must differ for every layer, and is {out.name!r} for two of {listed(names)}")
    return lambda blocks: _to_npy(paths, names, blocks)


def _to_npy(paths: list[Path], names: list[str], blocks: Blocks) -> dict[str, Any]:
    def fill(files: list[BinaryIO]) -> None:
        count, sizes, kinds = 0, [()] * len(files), [np.dtype(np.float32)] * len(files)
        for block in blocks:
            for i, (file, y) in enumerate(zip(files, block)):
                if not count:
                    sizes[i], kinds[i] = y.shape[1:], y.dtype
                    _npy_header(file, (0, *sizes[i]), kinds[i])
                file.write(y.data)
            count += len(block[0])
        for file, size, kind in zip(files, sizes, kinds):
            file.seek(0)
            _npy_header(file, (count, *size), kind)
            file.flush()

    _with_drafts(paths, fill)
    return {name: np.load(path, mmap_mode="r") for name, path in zip(names, paths)}


def _npy_header(file: BinaryIO, shape: tuple[int, ...], kind: np.dtype) -> None:
    """numpy leaves room in it for the first dimension to grow."""
    descr = np.lib.format.dtype_to_descr(kind)
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


def _with_drafts(paths: list[Path], fill: Any, *files: BinaryIO) -> None:
    """Call fill with a draft for each path; all of them become files, or none."""
    if len(files) == len(paths):
        fill(list(files))
    else:
        atomic.write(paths[len(files)], lambda file: _with_drafts(paths, fill, *files, file))


def _to_hdf5(out: Path, names: list[str], blocks: Blocks) -> dict[str, Any]:
    import h5py

    def fill(file: BinaryIO) -> None:
        patient = PatientFile(file)
        with patient, h5py.File(patient, "w") as h5:
            count = 0
            for block in blocks:
                for name, y in zip(names, block):
                    if not count:
                        h5.create_dataset(name, (0, *y.shape[1:]), y.dtype, maxshape=(None, *y.shape[1:]))
                    h5[name].resize(count + len(y), axis=0)
                    h5[name][count:] = y
                if patient.error is not None:
                    break
                count += len(block[0])

    atomic.write(out, fill)
    h5 = h5py.File(out, "r")
    return {name: h5[name] for name in names}
