"""Networks of Caffe: from_caffe, and read for `.caffemodel` files that have their `.prototxt` beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.formats.caffe import prototxt as text_format
from pyconvnet.formats.caffe import wire
from pyconvnet.formats.caffe.definition import Definition, definition
from pyconvnet.formats.registry import found_instead
from pyconvnet.records import Struct
from pyconvnet.text import listed
from pyconvnet.values import path_text, whole_numbers

PathLike = str | os.PathLike[str]


class CaffeFileError(ValueError):
    """A file that is not Caffe's, is damaged, or has a network that cannot be imported; the message names the file."""


Error = CaffeFileError  # what errors about the content of such files are


def from_caffe(
    prototxt: PathLike,
    caffemodel: PathLike,
    *,
    rgb: bool = True,
    mean: Any = None,
    classes: PathLike | Sequence[str] | None = None,
    inputSize: Sequence[int] | None = None,
) -> Any:
    """A network of Caffe: from_caffe("deploy.prototxt", "net.caffemodel") -> SimpleNN where it is a chain, else DagNN.

    Definitions of all versions of Caffe are read (layer { }, layers { }, layers { layer { } }), and of their layers
    those of the test phase; neither Caffe nor protobuf is needed. Images are H x W as in Caffe: filters are not
    transposed, as MatConvNet's import-caffe.py does and undoes.

    rgb        True: images are red, green, blue, as everywhere here: if the first input has three channels, the filters
               that read it are turned round; what the network puts out stays as it is. False: blue, green, red, as in
               Caffe
    mean       what is subtracted from images: a `.binaryproto` file, or numbers in Caffe's order (blue, green, red); an
               image is cropped in the centre to the size of the input. By default the mean_value of the definition
    classes    their names, or a file with one a line, each with its WordNet number in front or not (synset_words.txt)
    inputSize  (H, W, C) of the first input, in place of what the definition says

    Layers: Convolution, InnerProduct, Deconvolution, Pooling, LRN across channels, ReLU, Sigmoid, TanH, ELU, Dropout,
    Softmax, SoftmaxWithLoss, Concat, Eltwise (sum, product), Power 1, Crop, BatchNorm, Scale, Bias, Flatten before
    InnerProduct, ROIPooling; Accuracy and data layers are left out. Values agree with Caffe's. Labels of a loss count
    from 1 here, from 0 in Caffe, and so do the pixels and images of regions (ROIPooling: Caffe's numbers plus 1).

    meta.normalization is that of MatConvNet's importer: for inputs of 224 to 256 pixels images are resized to 256 x 256
    and cropped, as Caffe's ImageNet networks were trained.

    Raises FileNotFoundError; CaffeFileError, a ValueError, for a file that is damaged, and with a list of all layers
    that cannot be imported.
    """
    from pyconvnet.formats.caffe.network import build

    prototxt = path_text("from_caffe: prototxt", prototxt)
    caffemodel = path_text("from_caffe: caffemodel", caffemodel)
    with _about(prototxt):
        net = definition(text_format.parse(_read(prototxt).decode("utf-8", "replace")))
    net = _with_input_size(net, inputSize)
    with _about(prototxt):
        dag = build(net, _weights(caffemodel), rgb, Path(caffemodel).name)
    dag.meta.update(_meta(net, rgb, mean, classes))
    try:
        return dag.toSimpleNN()
    except ValueError:  # it is not a chain, or has layers that a SimpleNN cannot have
        return dag


def read(path: PathLike) -> Any:
    """The network of a `.caffemodel` file, by the definition beside it."""
    return from_caffe(definition_beside(path), path)


def definition_beside(caffemodel: PathLike) -> Path:
    """The `.prototxt` of a `.caffemodel`: of its name, or deploy.prototxt, or the only one with "deploy", or the only
    one, in its folder. Raises CaffeFileError where there is none, or several that may be meant.
    """
    path = Path(caffemodel)
    found = sorted(p for p in path.parent.iterdir() if p.suffix == ".prototxt")
    deploy = [p for p in found if "deploy" in p.stem.lower()]
    for named in (path.with_suffix(".prototxt"), path.with_name("deploy.prototxt")):
        if named in found:
            return named
    for some in (deploy, found):
        if len(some) == 1:
            return some[0]
    there = f"there are {listed(p.name for p in found)}" if found else "there is none"
    raise CaffeFileError(
        f"{path.name} has weights only: which .prototxt beside it defines the network is not clear, {there}; "
        "from_caffe(prototxt, caffemodel) says it"
    )


@contextmanager
def _about(path: PathLike) -> Iterator[None]:
    """Errors about the content of a file name the file."""
    try:
        yield
    except CaffeFileError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError, MemoryError, RecursionError) as error:
        raise CaffeFileError(f"{Path(path).name} cannot be read as a network of Caffe: {error}") from error


def _read(path: PathLike) -> bytes:
    data = Path(path).read_bytes()
    if instead := found_instead(data[:1024]):
        raise ValueError(instead)
    return data


def _weights(path: PathLike) -> dict[str, list[np.ndarray]]:
    with _about(path):
        found = wire.weights(_read(path))
        if not found:
            raise ValueError("it has no weights: it is not a .caffemodel file, or a damaged one")
        return found


def _with_input_size(net: Definition, size: Sequence[int] | None) -> Definition:
    if not net.inputs:
        made = {top for layer in net.layers for top in layer.tops}
        first = next((b for layer in net.layers for b in layer.bottoms if b not in made), "data")
        net = net._replace(inputs={first: None})
    if size is None:
        return net
    h, w, c = whole_numbers("from_caffe: inputSize", size, (3,), least=1)
    return net._replace(inputs={**net.inputs, next(iter(net.inputs)): [1, c, h, w]})


def _meta(net: Definition, rgb: bool, mean: Any, classes: Any) -> Struct:
    name, shape = next(iter(net.inputs.items()))
    meta = Struct()
    if shape and len(shape) == 4:
        _, channels, *sides = shape
        meta.inputs = Struct(name=name, size=[*sides, channels, 10])
        n = meta.normalization = Struct(imageSize=[*sides, channels, 10], interpolation="bicubic", keepAspect=False)
        if all(224 <= side <= 256 for side in sides):
            n.border = [256 - side for side in sides]
        if (average := _average(net.mean_value if mean is None else mean, sides, channels)) is not None:
            n.averageImage = np.array(average[:, :, ::-1] if rgb and channels == 3 else average, order="F")
    if classes is not None:
        names = Path(classes).read_text("utf-8").splitlines() if isinstance(classes, (str, os.PathLike)) else classes
        found = [re.match(r"(n\d{8})?\s*(.*)", str(line).strip()) for line in names if str(line).strip()]
        meta.classes = Struct(
            name=[m[1] or m[2] for m in found if m],
            description=[m[2] for m in found if m],
        )
    return meta


def _average(mean: Any, sides: Sequence[int], channels: int) -> np.ndarray | None:
    """The average image, or colour, H x W x C, blue first."""
    if isinstance(mean, (str, os.PathLike)):
        with _about(mean):
            values = wire.blob(memoryview(_read(mean)))
            if values.ndim not in (3, 4) or values.shape[-3] != channels:
                raise ValueError(f"it must be an image of {channels} channels, it is {values.shape}")
            image = values.reshape(-1, *values.shape[-2:])[:channels].transpose(1, 2, 0)
            top, left = ((have - want) // 2 for have, want in zip(image.shape, sides))
            if min(top, left) < 0:
                raise ValueError(f"the average image is {image.shape[:2]}, smaller than the input, {tuple(sides)}")
            return image[top : top + sides[0], left : left + sides[1]]
    color = np.asarray(mean, np.float32).ravel()
    if not color.size:
        return None
    if color.size not in (1, channels):
        raise ValueError(f"from_caffe: mean must be a file, or {channels} numbers, got {color.size}")
    return np.broadcast_to(color, channels).reshape(1, 1, channels)
