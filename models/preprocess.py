"""From an image to the input of a network, by the network's own `meta`."""

from __future__ import annotations

import os
from math import floor
from typing import Any

import numpy as np

from pyconvnet.arrays import from_nhwc, is_empty, size_text
from pyconvnet.images import read_single, single
from pyconvnet.networks import network
from pyconvnet.records import Struct
from pyconvnet.values import brief

FN = "preprocess"


def preprocess(net: Any, image: Any, resize: bool = True) -> np.ndarray:
    """
    preprocess(net, image) -> x             image: H x W, H x W x C, or the path of one    x: IH x IW x IC x 1, single
    preprocess(net, [image, ...]) -> x      x: IH x IW x IC x N; an array H x W x C x N is taken as N images too

    The steps of MatConvNet's examples before vl_simplenn, by net.meta.normalization:

    1. Single precision, 0..255. uint8 as it is, uint16 / 257, logical times 255, single and double as they are.
    2. imageSize(3), else the first layer's filters, say the channels: grey becomes RGB by repetition, RGB becomes grey
       by MATLAB's rgb2gray.
    3. Resize to imageSize(1:2), by `interpolation`, "bicubic" if not given:
       cropSize a    the centre crop of the fraction a of the image's sides (0.875 as a rule), resized; the crop has
                     the shape of imageSize, unless keepAspect is false. As getImageBatch, which is vl_imreadjpeg
       border b      resized to imageSize + b, then the centre is cropped; if keepAspect, the shorter side to that
                     and more of the longer cut off. As cnn_imagenet_get_batch; "bilinear" if not given
       neither       stretched to imageSize; if keepAspect is given and true, as border 0. As the manual's quick start
       keepAspect is true if not given, where there is a border or a cropSize.
    4. Subtract averageImage: an image of that size, a colour (three numbers in any shape), or a number.

    Without imageSize, meta.inputSize says the size, and without that images keep theirs. Networks of 2014 hold
    imageMean instead of averageImage. Further steps of a study (values in 0..1, padding) are not in its file.

    resize  False keeps the size, to run a network on a larger image (see vl_simplenn); an average image then stands for
            its mean colour

    >>> net = pcn.models.build("vgg-f", init=False)
    >>> image = np.zeros((300, 400, 3), np.uint8)  # or the name of a file
    >>> preprocess(net, image).shape
    (224, 224, 3, 1)
    """
    meta = getattr(net, "meta", None)
    meta = meta if isinstance(meta, dict) else {}
    found = meta.get("normalization")
    n = Struct(found) if isinstance(found, dict) else Struct()
    size, channels = _target(meta, n)
    channels = channels or _first_channels(net)
    images = []
    for one in _images(image):
        x = _channels(one, channels)
        images.append(_resized(x, size, n) if resize and size else x)
    shapes = {x.shape for x in images}
    if len(shapes) > 1:
        sizes = ", ".join(sorted(map(size_text, shapes)))
        raise ValueError(f"{FN}: images of one batch must share a size, got {sizes}; give them one by one")
    average = n.get("averageImage")
    average = meta.get("imageMean") if is_empty(average) else average
    batch = np.stack(images)
    if not is_empty(average):
        batch = batch - _average(np.asarray(average, np.float32), batch.shape[1:], exact=resize)
    return from_nhwc(batch)


def _target(meta: dict[str, Any], n: Struct) -> tuple[tuple[int, int] | None, int | None]:
    """(rows, columns) of the result and its channels; None where the network does not say."""
    value: Any
    for name, value in (("normalization.imageSize", n.get("imageSize")), ("inputSize", meta.get("inputSize"))):
        if is_empty(value):
            continue
        v = np.ravel(value).astype(float)
        v = v.repeat(2) if v.size == 1 else v
        whole = v[:3]
        if not (np.all(whole == np.floor(whole)) and np.all(whole > 0)):
            raise ValueError(f"{FN}: net.meta.{name} must be whole numbers [H W C], got {brief(v)}")
        return (int(v[0]), int(v[1])), int(v[2]) if v.size > 2 else None
    return None, None


def _first_channels(net: Any) -> int | None:
    """The channels that the filters of the first layer accept, if these are grey or RGB."""
    first = next(network(net).weights(), ("", []))[1] if getattr(net, "layers", None) else []
    f = first[0] if first else None
    channels = f.shape[2] if isinstance(f, np.ndarray) and f.ndim > 2 else 1 if isinstance(f, np.ndarray) else None
    return channels if channels in (1, 3) else None


def _images(image: Any) -> list[np.ndarray]:
    """Each image as H x W x C, single, 0..255."""
    if isinstance(image, (list, tuple)):
        if not image:
            raise ValueError(f"{FN}: image must be an image or a list of them, got an empty list")
        return [one for i in image for one in _images(i)]
    if isinstance(image, (str, os.PathLike)):
        return [read_single(image)]
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{FN}: image must be an array, a path or a list of them, got {type(image).__name__}")
    if image.ndim == 4 and image.size:
        return [single(one, FN) for one in np.moveaxis(image, 3, 0)]
    if image.ndim not in (2, 3) or not image.size:
        raise ValueError(f"{FN}: image must be H x W or H x W x C, got {size_text(image.shape)}")
    return [single(image, FN)]


def _channels(x: np.ndarray, channels: int | None) -> np.ndarray:
    if channels is None or x.shape[2] == channels:
        return x
    if x.shape[2] == 1:
        return np.repeat(x, channels, axis=2)
    if (x.shape[2], channels) == (3, 1):
        from pyconvnet.compat.matlab import rgb2gray

        return rgb2gray(x)[:, :, None]
    raise ValueError(f"{FN}: the image has {x.shape[2]} channels, the network accepts {channels}")


def _resized(x: np.ndarray, size: tuple[int, int], n: Struct) -> np.ndarray:
    crop: Any = n.get("cropSize")
    border: Any = n.get("border")
    method = n.get("interpolation")
    if not is_empty(method) and not isinstance(method, str):
        raise TypeError(f"{FN}: net.meta.normalization.interpolation must be a name, got {method!r}")
    keep = n.get("keepAspect")
    keep = not (is_empty(crop) and is_empty(border)) if is_empty(keep) else bool(np.all(keep))
    if not is_empty(crop):
        return _crop_then_resize(x, size, np.ravel(crop).astype(float), keep, method or "bicubic")
    if is_empty(border) and not keep:
        return x if x.shape[:2] == size else _imresize(x, size, method or "bicubic")
    margin = np.ravel(0 if is_empty(border) else border).astype(float)[:2]
    return _resize_then_crop(x, size, np.broadcast_to(margin, 2), keep, method or "bilinear")


def _crop_then_resize(x: np.ndarray, size: tuple[int, int], crop: np.ndarray, keep: bool, method: str) -> np.ndarray:
    from pyconvnet.compat.cropresize import WIDTHS, crop_box, resize_along

    if method.lower() not in WIDTHS:
        names = ", ".join(WIDTHS)
        raise ValueError(
            f"{FN}: with cropSize net.meta.normalization.interpolation must be one of {names}; got {method!r}"
        )
    if crop.size > 2 or not 0 < crop.min() <= crop.max() <= 1:
        raise ValueError(f"{FN}: net.meta.normalization.cropSize must be a number in 0..1, got {brief(crop)}")
    aspect = (1.0, 1.0) if keep else (0.0, 0.0)
    # Two numbers are limits for training; draws of 0 mean the larger one.
    limits = (float(crop.min()), float(crop.max()))
    top, left, h, w = crop_box(x.shape[:2], size, aspect, limits, False, np.zeros(4))
    x = resize_along(x, 0, size[0], h, top, method.lower())
    return resize_along(x, 1, size[1], w, left, method.lower())


def _resize_then_crop(x: np.ndarray, size: tuple[int, int], border: np.ndarray, keep: bool, method: str) -> np.ndarray:
    scales = [(size[i] + border[i]) / x.shape[i] for i in range(2)]
    scales = [max(scales)] * 2 if keep else scales
    if max(abs(s - 1) for s in scales) > 1e-4:
        x = _imresize(x, scales, method, "Scale")
    top, left = (floor((x.shape[i] - size[i]) * 0.5) for i in range(2))
    if min(top, left) < 0:
        raise ValueError(f"{FN}: net.meta.normalization.border must be numbers from 0, got {brief(border)}")
    return x[top : top + size[0], left : left + size[1]]


def _imresize(x: np.ndarray, value: Any, method: str, name: str = "OutputSize") -> np.ndarray:
    from pyconvnet.compat.imresize import imresize

    return imresize(x, name, value, "Method", method)


def _average(average: np.ndarray, shape: tuple[int, ...], exact: bool) -> np.ndarray:
    """Something of H x W x C, or that broadcasts to it."""
    channels = shape[2]
    if average.size == 1:
        return average.reshape(1, 1, 1)
    if average.size == channels and max(average.shape) == channels:
        return average.reshape(1, 1, channels)
    image = average.reshape(*average.shape[:2], -1)
    if image.ndim == 3 and image.shape[2] in (1, channels):
        if not exact:
            return image.mean(axis=(0, 1), keepdims=True, dtype=np.float64).astype(np.float32)
        if image.shape[:2] == shape[:2]:
            return image
    raise ValueError(
        f"{FN}: net.meta.normalization.averageImage is {size_text(average.shape)}, the image {size_text(shape)}; it "
        f"must be an image of that size, {channels} numbers or one"
    )
