"""Networks by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pyconvnet.models.alexnet import alexnet
from pyconvnet.models.fast_rcnn import fast_rcnn
from pyconvnet.models.fcn import fcn
from pyconvnet.models.googlenet import googlenet
from pyconvnet.models.imagenet import ImageNet
from pyconvnet.models.inception import inception
from pyconvnet.models.lenet import lenet_cifar, lenet_mnist, ocr
from pyconvnet.models.nin import nin
from pyconvnet.models.resnet import resnet
from pyconvnet.models.spatial_transformer import spatial_transformer
from pyconvnet.models.vgg_fms import vgg_f, vgg_m, vgg_m_1024, vgg_s
from pyconvnet.models.vgg_vd import vgg_vd_16, vgg_vd_19
from pyconvnet.options import did_you_mean, unknown_option
from pyconvnet.rng import chosen
from pyconvnet.values import whole_number

BUILDERS: dict[str, Callable[..., Any]] = {
    "lenet": lenet_mnist,
    "lenet-mnist": lenet_mnist,
    "lenet-cifar": lenet_cifar,
    "nin": nin,
    "nin-cifar": nin,
    "ocr": ocr,
    "alexnet": alexnet,
    "vgg-f": vgg_f,
    "vgg-m": vgg_m,
    "vgg-m-1024": vgg_m_1024,
    "vgg-s": vgg_s,
    "vgg-vd-16": vgg_vd_16,
    "vgg-vd-19": vgg_vd_19,
    "googlenet": googlenet,
    "inception": inception,
    "inception-v3": inception,
    "resnet-50": partial(resnet, 50),
    "resnet-101": partial(resnet, 101),
    "resnet-152": partial(resnet, 152),
    "spatial-transformer": spatial_transformer,
    "stn-cluttered-mnist": spatial_transformer,
    "fcn-32s": partial(fcn, 32),
    "fcn-16s": partial(fcn, 16),
    "fcn-8s": partial(fcn, 8),
    "fast-rcnn": fast_rcnn,
}


def names() -> list[str]:
    """The names that `build` knows."""
    return list(BUILDERS)


def build(name: str, **options: Any) -> Any:
    """The network of that name with fresh weights: a SimpleNN, or a DagNN.

    batchNormalization  False; True where MatConvNet has such a version (lenet, alexnet, vgg-*)
    networkType         "simplenn", or "dagnn" with the example's layers that measure errors; networks that are no chain
                        are graphs in any case
    seed                a whole number: the same weights every time; None: fresh ones
    rng                 "numpy"; "matlab" draws the weights that MATLAB draws after rng(seed) or, without a seed, those
                        that its global stream gives next (compat.matlab.rng)
    init                True; False: zeros that take neither memory nor time and cannot be trained, to see the table
    deployed            False; True: no dropout, a softmax instead of the loss, and for the ImageNet networks an average
                        image of their size, as in the trained networks that MatConvNet offers for download
    others              as each builder says: those for ImageNet take the options of models.imagenet.ImageNet

    Raises ValueError for an unknown name or option, with the nearest known one.

    >>> net = build("lenet", seed=0)
    >>> len(net.layers)
    8
    """
    if name not in BUILDERS:
        hint = did_you_mean(str(name), BUILDERS, f"there are {', '.join(BUILDERS)}")
        raise ValueError(f"models.build: no network {name!r}; {hint}")
    builder = BUILDERS[name]
    seed = options.get("seed")
    if not (seed is None or isinstance(seed, np.random.Generator)):
        options["seed"] = whole_number("models.build: seed", seed, 0)
    if (kind := options.pop("rng", "numpy")) != "numpy":
        options["seed"] = chosen("models.build: rng", kind, options.get("seed"))
    for option, usual in (("batchNormalization", False), ("networkType", "dagnn")):
        if option not in _options(builder) and options.get(option) == usual:
            del options[option]
    for option in options:
        if option not in _options(builder):
            raise unknown_option(f"models.build({name!r})", option, _options(builder))
    return builder(**options)


def _options(builder: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(builder).parameters.values()
    own = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        own |= {p.name for p in inspect.signature(ImageNet).parameters.values() if p.kind is p.KEYWORD_ONLY}
    return own
