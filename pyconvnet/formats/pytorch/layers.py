"""The modules that each layer class becomes in torch: a function for each, of the block and its parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pyconvnet import layers
from pyconvnet.arrays import is_empty
from pyconvnet.geometry import Window, borders, pair, whole_numbers
from pyconvnet.ops.vl_nnnormalize import numbers
from pyconvnet.ops.vl_nnroipool import _affine


class Part(NamedTuple):
    """A module for a layer, or for a part of it; the first gets the inputs, the others what the one before returns."""

    kind: str
    """nn.Conv2d, or the name of a class in modules.py"""
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}
    state: dict[str, tuple[int, np.ndarray]] = {}
    """key -> (which of the parameters it is from, its values in torch's order)"""
    suffix: str = ""
    """of the module's name, where a layer has several"""


Convert = Callable[[Any, list[np.ndarray], float], list[Part]]
CONVERT: dict[type, Convert] = {}


def convert(*classes: type) -> Callable[[Convert], Convert]:
    """Say which layer classes a function is for. It is given (block, parameters, channels of the input or NaN)."""

    def add(function: Convert) -> Convert:
        CONVERT.update(dict.fromkeys(classes, function))
        return function

    return add


def turned(a: np.ndarray) -> np.ndarray:
    """H x W x C x N as N x C x H x W."""
    return a.reshape(a.shape + (1,) * (4 - a.ndim)).transpose(3, 2, 0, 1)


def _flat(a: np.ndarray) -> np.ndarray:
    return a.ravel(order="F")


def _bias(block: Any, params: list[np.ndarray], at: int = 1) -> dict[str, tuple[int, np.ndarray]]:
    has = block.hasBias and len(params) > at and not is_empty(params[at])
    return {"bias": (at, _flat(params[at]))} if has else {}


def _sides(pad: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) in torch's order."""
    top, bottom, left, right = pad
    return left, right, top, bottom


def _even(pad: tuple[int, int, int, int]) -> bool:
    return pad[0] == pad[1] and pad[2] == pad[3]


def _unless(usual: Any, **options: Any) -> dict[str, Any]:
    """The options that differ from what torch takes unless told."""
    return {name: value for name, value in options.items() if value != usual}


@convert(layers.Conv)
def _conv(block: layers.Conv, params: list[np.ndarray], channels: float) -> list[Part]:
    options = block.effective_options()
    if not params or is_empty(params[0]):
        window = Window.parse(1, options["stride"], options["pad"])
        bias = _bias(block, params)
        count = (bias["bias"][1].size,) if bias else ()
        return [*_zeros(window.pad), Part("Subsample", (window.stride, *count), state=bias)]
    weight, bias = turned(params[0]), _bias(block, params)
    window = Window.parse(weight.shape[2:], options["stride"], options["pad"], options["dilate"])
    count, depth = weight.shape[:2]
    groups = 1 if math.isnan(channels) else int(channels) // depth
    if not math.isnan(channels) and (channels % depth or count % max(groups, 1)):
        raise ValueError(
            f"its {count} filters of depth {depth} do not fit the {channels:g} channels of its input (inputSize= says "
            "what goes into the network, where meta does not)"
        )
    before = [] if _even(window.pad) else _zeros(window.pad)
    settings = {
        **_unless((1, 1), stride=window.stride, dilation=window.dilate),
        **({} if before else _unless((0, 0), padding=(window.pad[0], window.pad[2]))),
        **_unless(1, groups=groups),
        **_unless(True, bias=bool(bias)),
    }
    args = (depth * groups, count, window.size)
    return [*before, Part("nn.Conv2d", args, settings, {"weight": (0, weight), **bias})]


def _zeros(pad: tuple[int, int, int, int]) -> list[Part]:
    return [Part("nn.ZeroPad2d", (_sides(pad),), suffix="pad")] if any(pad) else []


@convert(layers.ConvTranspose)
def _convt(block: layers.ConvTranspose, params: list[np.ndarray], channels: float) -> list[Part]:
    options = block.effective_options()
    weight, bias = turned(params[0]), _bias(block, params)
    crop = borders("ConvTranspose: crop", options["crop"])
    (groups,) = whole_numbers("ConvTranspose: numGroups", options["numGroups"], (1,), 1)
    settings = {
        **_unless((1, 1), stride=pair("ConvTranspose: upsample", options["upsample"])),
        **(_unless((0, 0), padding=(crop[0], crop[2])) if _even(crop) else {}),
        **_unless(1, groups=groups),
        **_unless(True, bias=bool(bias)),
    }
    args = (weight.shape[0], weight.shape[1] * groups, weight.shape[2:])
    out = [Part("nn.ConvTranspose2d", args, settings, {"weight": (0, weight), **bias})]
    if not _even(crop):
        out.append(Part("nn.ZeroPad2d", (tuple(-side for side in _sides(crop)),), suffix="crop"))
    return out


@convert(layers.Pooling)
def _pooling(block: layers.Pooling, params: list[np.ndarray], channels: float) -> list[Part]:
    window, method = block.window(), str(block.effective_options()["method"]).lower()
    if method not in ("max", "avg"):
        raise ValueError(f"its method is {method!r}, and must be 'max' or 'avg'")
    (top, _, left, _), size = window.pad, window.size
    # torch pads both ends alike, by half the window at most
    plain = _even(window.pad) and 2 * top <= size[0] and 2 * left <= size[1]
    settings = {"stride": window.stride, **_unless((0, 0), padding=(top, left) if plain else (0, 0))}
    if method == "max":
        infinite = Part("nn.ConstantPad2d", (_sides(window.pad), -math.inf), suffix="pad")
        return [*([] if plain else [infinite]), Part("nn.MaxPool2d", (size,), settings)]
    if plain:
        return [Part("nn.AvgPool2d", (size,), {**settings, **_unless(True, count_include_pad=not any(window.pad))})]
    return [Part("AveragePool", (size, window.stride, _sides(window.pad)))]


@convert(layers.BatchNorm)
def _batch_norm(block: layers.BatchNorm, params: list[np.ndarray], channels: float) -> list[Part]:
    if len(params) < 2:
        raise ValueError(f"it has {len(params)} parameters, and must have multipliers and biases")
    count = params[0].size
    moments = _flat(params[2]).reshape(2, count) if len(params) > 2 else np.zeros((2, count), params[0].dtype)
    (epsilon,) = numbers("BatchNorm", block.effective_options()["epsilon"], "epsilon")
    state = {
        "weight": (0, _flat(params[0])),
        "bias": (1, _flat(params[1])),
        "running_mean": (2, moments[0]),
        "running_sigma": (2, moments[1]),
    }
    # without moments, which training would set, the batch's own are used for ever
    settings = {**({"momentum": 0.0} if len(params) == 2 else {}), **_unless(True, trained=bool(moments.any()))}
    return [Part("BatchNorm", (count, epsilon), settings, state)]


@convert(layers.ReLU)
def _relu(block: layers.ReLU, params: list[np.ndarray], channels: float) -> list[Part]:
    (leak,) = numbers("ReLU", block.effective_options()["leak"], "leak")
    return [Part("nn.LeakyReLU", (leak,)) if leak else Part("nn.ReLU")]


@convert(layers.Sigmoid, layers.Tanh, layers.SoftPlus)
def _plain(block: Any, params: list[np.ndarray], channels: float) -> list[Part]:
    return [Part({"SoftPlus": "nn.Softplus"}.get(type(block).__name__, f"nn.{type(block).__name__}"))]


@convert(layers.ELU)
def _elu(block: layers.ELU, params: list[np.ndarray], channels: float) -> list[Part]:
    return [Part("nn.ELU", numbers("ELU", block.alpha, "alpha"))]


@convert(layers.Swish)
def _swish(block: layers.Swish, params: list[np.ndarray], channels: float) -> list[Part]:
    (beta,) = numbers("Swish", block.beta, "beta")
    return [Part("nn.SiLU") if beta == 1 else Part("Swish", (beta,))]


@convert(layers.PReLU)
def _prelu(block: layers.PReLU, params: list[np.ndarray], channels: float) -> list[Part]:
    if len(params) != 1:
        raise ValueError(f"it has {len(params)} parameters, and must have its slopes")
    slopes = turned(params[0])
    if slopes.size == slopes.shape[1]:
        return [Part("nn.PReLU", (slopes.size,), state={"weight": (0, slopes.ravel())})]
    return [Part("PReLU", (slopes.shape,), state={"weight": (0, slopes)})]


@convert(layers.Clip)
def _clip(block: layers.Clip, params: list[np.ndarray], channels: float) -> list[Part]:
    (low,), (high,) = numbers("Clip", block.min, "min"), numbers("Clip", block.max, "max")
    return [Part("nn.ReLU6") if (low, high) == (0, 6) else Part("nn.Hardtanh", (low, high))]


@convert(layers.HardSigmoid)
def _hard_sigmoid(block: layers.HardSigmoid, params: list[np.ndarray], channels: float) -> list[Part]:
    (alpha,), (beta,) = numbers("HardSigmoid", block.alpha, "alpha"), numbers("HardSigmoid", block.beta, "beta")
    return [Part("HardSigmoid", (alpha, beta))]


@convert(layers.Permute)
def _permute(block: layers.Permute, params: list[np.ndarray], channels: float) -> list[Part]:
    height, width, depth = ((2, 3, 1)[i - 1] for i in whole_numbers("Permute: order", block.order, (3,), 1))
    return [Part("Permute", ((0, depth, height, width),))]


@convert(layers.Reshape)
def _reshape(block: layers.Reshape, params: list[np.ndarray], channels: float) -> list[Part]:
    return [Part("Reshape", whole_numbers("Reshape: size", block.size, (3,), 1))]


@convert(layers.SubP)
def _sub_pixels(block: layers.SubP, params: list[np.ndarray], channels: float) -> list[Part]:
    up, s = block.factors()
    return [Part("SubPixels" if up else "SubImages", (s,))]


@convert(layers.NoiseMap)
def _noise_map(block: layers.NoiseMap, params: list[np.ndarray], channels: float) -> list[Part]:
    return [Part("NoiseMap", () if is_empty(block.sigma) else (tuple(block.levels().tolist()),))]


@convert(layers.SoftMax)
def _softmax(block: layers.SoftMax, params: list[np.ndarray], channels: float) -> list[Part]:
    return [Part("nn.Softmax", options={"dim": 1})]


@convert(layers.DropOut)
def _dropout(block: layers.DropOut, params: list[np.ndarray], channels: float) -> list[Part]:
    return [Part("nn.Dropout", numbers("DropOut", block.rate, "rate"))]


@convert(layers.LRN)
def _lrn(block: layers.LRN, params: list[np.ndarray], channels: float) -> list[Part]:
    n, kappa, alpha, beta = numbers("LRN", block.param, "[n, kappa, alpha, beta]")
    (size,) = whole_numbers("LRN: n", n, (1,), 1)
    if size % 2:
        return [Part("nn.LocalResponseNorm", (size,), {"alpha": alpha * size, "beta": beta, "k": kappa})]
    # the window of torch's reaches one channel further down, MatConvNet's further up
    return [Part("LocalResponseNorm", (size,), {"alpha": alpha, "beta": beta, "k": kappa})]


@convert(layers.NormOffset)
def _norm_offset(block: layers.NormOffset, params: list[np.ndarray], channels: float) -> list[Part]:
    alpha, beta = numbers("NormOffset", block.param, "[alpha, beta]")
    return [Part("NormOffset", options={"alpha": alpha, "beta": beta})]


@convert(layers.SpatialNorm)
def _spatial_norm(block: layers.SpatialNorm, params: list[np.ndarray], channels: float) -> list[Part]:
    height, width, alpha, beta = numbers("SpatialNorm", block.param, "[ph, pw, alpha, beta]")
    h, w = pair("SpatialNorm: the window in param", [height, width])
    pad = ((w - 1) // 2, w // 2, (h - 1) // 2, h // 2)
    return [Part("SpatialNorm", ((h, w), pad), {"alpha": alpha, "beta": beta})]


@convert(layers.Concat)
def _concat(block: layers.Concat, params: list[np.ndarray], channels: float) -> list[Part]:
    (dim,) = whole_numbers("Concat: dim", block.dim, (1,), 1)
    if dim > 4:
        raise ValueError(f"its dim is {dim}, and must be 1 to 4")
    return [Part("Concat", options={"dim": (2, 3, 1, 0)[dim - 1]})]


@convert(layers.Sum, layers.BilinearSampler)
def _same_name(block: Any, params: list[np.ndarray], channels: float) -> list[Part]:
    return [Part(type(block).__name__)]


@convert(layers.Scale)
def _scale(block: layers.Scale, params: list[np.ndarray], channels: float) -> list[Part]:
    arrays = [turned(p) for p in params]
    names = ("weight", "bias")[: 1 + bool(block.hasBias)][-len(arrays) :] if arrays else ()
    if len(arrays) > len(names):
        raise ValueError(f"it has {len(arrays)} parameters, and must have {len(names)} at most")
    return [
        Part(
            "Scale",
            options={name: a.shape for name, a in zip(names, arrays)},
            state={name: (at, a) for at, (name, a) in enumerate(zip(names, arrays))},
        )
    ]


@convert(layers.Crop)
def _crop(block: layers.Crop, params: list[np.ndarray], channels: float) -> list[Part]:
    return [Part("Crop", (pair("Crop: crop", block.crop, 0),))]


@convert(layers.AffineGridGenerator, layers.UniformScalingGridGenerator)
def _grid(block: Any, params: list[np.ndarray], channels: float) -> list[Part]:
    kind = "AffineGrid" if isinstance(block, layers.AffineGridGenerator) else "UniformScalingGrid"
    return [Part(kind, pair(f"{type(block).__name__}: Ho and Wo", [block.Ho, block.Wo]))]


@convert(layers.ROIPooling)
def _roi_pooling(block: layers.ROIPooling, params: list[np.ndarray], channels: float) -> list[Part]:
    if not isinstance(block.method, str) or block.method.lower() not in ("max", "avg"):
        raise ValueError(f"its method is {block.method!r}, and must be 'max' or 'avg'")
    cells = pair("ROIPooling: subdivisions", block.subdivisions)
    affine = tuple(tuple(row) for row in _affine(block.transform).tolist())
    return [Part("RoiPool", (block.method.lower(), cells, affine, bool(np.all(block.flatten))))]
