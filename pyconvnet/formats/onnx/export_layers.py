"""Nodes of windows, activations, sums and what moves elements about."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import is_empty
from pyconvnet.formats.onnx.builder import Builder, Param
from pyconvnet.formats.onnx.export_table import writes
from pyconvnet.formats.onnx.library import Refused
from pyconvnet.geometry import Window, borders, pair
from pyconvnet.layers import (
    ELU,
    Clip,
    Concat,
    Conv,
    ConvTranspose,
    Crop,
    DropOut,
    HardSigmoid,
    NoiseMap,
    Permute,
    Pooling,
    PReLU,
    ReLU,
    Reshape,
    ROIPooling,
    Scale,
    Sigmoid,
    SoftMax,
    SoftPlus,
    SubP,
    Sum,
    Swish,
    Tanh,
)

# --- windows --------------------------------------------------------------------------------------------------------


def _pads(pad: tuple[int, ...]) -> list[int]:
    """ONNX's order of (top, bottom, left, right)."""
    top, bottom, left, right = pad
    return [top, left, bottom, right]


def _biases(layer: Any, params: list[Param]) -> Param | None:
    return params[1] if layer.hasBias and len(params) > 1 and not is_empty(params[1].value) else None


@writes(Conv)
def conv(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    (x,) = inputs
    if not params:
        raise Refused("it has no parameters")
    options, biases = layer.effective_options(), _biases(layer, params)
    if is_empty(params[0].value):
        return _subsampled(g, x, options, biases)
    shape = (*params[0].value.shape, 1, 1)[:4]
    window = Window.parse(shape[:2], options["stride"], options["pad"], options["dilate"])
    channels = g.known(x, 2) or shape[2]
    if channels % shape[2]:
        raise Refused(f"its input has {channels} channels, its filters take {shape[2]}")
    given = [x, g.param(params[0])] + ([g.param(biases, [shape[3]])] if biases else [])
    return g.add(
        "Conv",
        *given,
        kernel_shape=window.size,
        strides=window.stride,
        pads=_pads(window.pad),
        dilations=window.dilate,
        group=channels // shape[2],
    )


def _subsampled(g: Builder, x: str, options: dict[str, Any], biases: Param | None) -> str:
    """A convolution without filters: padded, every stride-th pixel, and biases added."""
    window = Window.parse(1, options["stride"], options["pad"])
    top, bottom, left, right = window.pad
    if any(window.pad):
        x = g.add("Pad", x, g.constant([0, 0, top, left, 0, 0, bottom, right]))
    if window.stride != (1, 1):
        start, end = g.constant([0, 0]), g.constant([np.iinfo(np.int64).max] * 2)
        x = g.add("Slice", x, start, end, g.constant([2, 3]), g.constant(window.stride))
    return g.add("Add", x, g.param(biases, [1, biases.value.size, 1, 1])) if biases else x


@writes(ConvTranspose)
def convt(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    (x,) = inputs
    if not params:
        raise Refused("it has no parameters")
    options, biases = layer.effective_options(), _biases(layer, params)
    groups = int(np.ravel(options["numGroups"])[0])
    shape = (*params[0].value.shape, 1, 1)[:4]
    given = [x, g.param(params[0])] + ([g.param(biases, [shape[2] * groups])] if biases else [])
    return g.add(
        "ConvTranspose",
        *given,
        kernel_shape=shape[:2],
        strides=pair("convt: upsample", options["upsample"]),
        pads=_pads(borders("convt: crop", options["crop"])),
        group=groups,
    )


@writes(Pooling)
def pool(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    options = layer.effective_options()
    window = Window.parse(layer.poolSize, options["stride"], options["pad"])
    how: dict[str, Any] = {"kernel_shape": window.size, "strides": window.stride, "pads": _pads(window.pad)}
    if str(options["method"]).lower() == "max":
        return g.add("MaxPool", *inputs, **how)
    return g.add("AveragePool", *inputs, count_include_pad=0, **how)


@writes(ROIPooling)
def roipool(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    x, rois = inputs
    factors = np.unique(np.ravel(layer.transform))
    if str(layer.method).lower() != "max":
        raise Refused("method 'avg' has no ONNX operator")
    if factors.size > 1:
        raise Refused("transform must be one number: MaxRoiPool has no other")
    cells = pair("roipool: subdivisions", layer.subdivisions)
    first = len(g.nodes)
    regions = g.add("Sub", g.add("Reshape", rois, g.constant([-1, 5])), g.constant(1.0))
    y = g.add("MaxRoiPool", x, regions, pooled_shape=cells, spatial_scale=float(factors[0]))
    if layer.flatten:
        (channels,) = g.size(x, 2)
        y = g.add("Transpose", y, perm=[0, 1, 3, 2])
        y = g.add("Reshape", y, g.constant([-1, channels * cells[0] * cells[1], 1, 1]))
    g.mark(
        first,
        "ROIPooling",
        inputs,
        {"subdivisions": list(cells), "transform": float(factors[0]), "flatten": bool(layer.flatten)},
    )
    return y


@writes(Crop)
def crop(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    x, like = inputs
    want = [int(v) for v in layer.crop]
    first = len(g.nodes)
    size = g.add("Shape", like, start=2, end=4)
    start = g.constant([0, 0])
    if any(want):  # what is cut off is less where there is less to cut
        start = g.add("Min", g.constant(want), g.add("Sub", g.add("Shape", x, start=2, end=4), size))
    y = g.add("Slice", x, start, g.add("Add", start, size), g.constant([2, 3]))
    g.mark(first, "Crop", inputs, {"crop": want})
    return y


# --- element by element ---------------------------------------------------------------------------------------------


@writes(ReLU)
def relu(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    leak = float(np.ravel(layer.effective_options()["leak"])[0])
    return g.add("LeakyRelu", *inputs, alpha=leak) if leak else g.add("Relu", *inputs)


@writes(Sigmoid)
def sigmoid(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    return g.add("Sigmoid", *inputs)


@writes(SoftPlus)
def softplus(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    return g.add("Softplus", *inputs)


@writes(Tanh)
def tanh(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    return g.add("Tanh", *inputs)


@writes(ELU)
def elu(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    return g.add("Elu", *inputs, alpha=float(layer.alpha))


@writes(PReLU)
def prelu(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    (slopes,) = params
    if slopes.value.ndim > 1 and slopes.value.shape[:2] != (1, 1):
        g.size(inputs[0], 0, 1)  # pixel by pixel: for images of one size
    return g.add("PRelu", *inputs, g.param(slopes))


@writes(HardSigmoid)
def hard_sigmoid(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    return g.add("HardSigmoid", *inputs, alpha=float(layer.alpha), beta=float(layer.beta))


@writes(Clip)
def clip(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    bounds = [g.constant(float(v)) if np.isfinite(v) else "" for v in (layer.min, layer.max)]
    return g.add("Clip", *inputs, *bounds)


@writes(Swish)
def swish(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    (x,) = inputs
    first = len(g.nodes)
    scaled = x if layer.beta == 1 else g.add("Mul", x, g.constant(float(layer.beta)))
    y = g.add("Mul", x, g.add("Sigmoid", scaled))
    g.mark(first, "Swish", inputs, {"beta": float(layer.beta)})
    return y


@writes(DropOut)
def dropout(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    return inputs[0]


@writes(SoftMax)
def softmax(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    return g.add("Softmax", *inputs, axis=1)


@writes(Sum)
def total(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    return g.add("Sum", *inputs) if len(inputs) != 2 else g.add("Add", *inputs)


@writes(Scale)
def scale(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    x, *given = inputs
    factors = given + [g.param(p) for p in params]
    if len(factors) != 1 + bool(layer.hasBias):
        raise Refused(f"it has {len(factors)} factors, {1 + bool(layer.hasBias)} are needed")
    if any(p.value.shape[:2] not in ((), (1,), (1, 1)) for p in params):
        g.size(x, 0, 1)  # pixel by pixel: for images of one size
    y = g.add("Mul", x, factors[0])
    return g.add("Add", y, factors[1]) if layer.hasBias else y


@writes(Permute)
def permute(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    at = {0: 2, 1: 3, 2: 1}  # where H, W, C are in N x C x H x W
    h, w, c = (at[a] for a in layer._axes()[:3])
    return g.add("Transpose", *inputs, perm=[0, c, h, w])


@writes(Reshape)
def reshape(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    # MATLAB's order, H fastest, is the order of rows of N x C x W x H
    h, w, c = layer._size()
    turned = g.add("Transpose", *inputs, perm=[0, 1, 3, 2])
    return g.add("Transpose", g.add("Reshape", turned, g.constant([0, c, w, h])), perm=[0, 1, 3, 2])


@writes(Concat)
def concat(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    return g.add("Concat", *inputs, axis={1: 2, 2: 3, 3: 1, 4: 0}[int(layer.dim)])


@writes(SubP)
def sub_pixels(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    (x,), first = inputs, len(g.nodes)
    up, s = layer.factors()
    # MATLAB counts rows fastest where ONNX counts columns
    turned = g.add("Transpose", x, perm=[0, 1, 3, 2])
    if up:
        y = g.add("DepthToSpace", turned, blocksize=s, mode="CRD")
    else:
        y = g.add("SpaceToDepth", turned, blocksize=s)
        (channels,) = g.size(x, 2)
        if channels > 1:  # ONNX counts channels fastest
            order = np.arange(channels * s * s).reshape(s * s, channels).T.ravel()
            y = g.add("Gather", y, g.constant(order), axis=1)
    y = g.add("Transpose", y, perm=[0, 1, 3, 2])
    g.mark(first, "SubP", inputs, {"scale": s if up else 1 / s})
    return y


@writes(NoiseMap)
def noise_map(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    x, *given = inputs
    first = len(g.nodes)
    if given:
        (level,), (channels,) = given, g.size(given[0], 2)
    else:
        levels = layer.levels()
        level, channels = g.constant(levels.reshape(1, -1, 1, 1)), levels.size
    sizes = g.add("Shape", x)
    images = g.add("Slice", sizes, g.constant([0]), g.constant([1]))
    pixels = g.add("Slice", sizes, g.constant([2]), g.constant([4]))
    size = g.add("Concat", images, g.constant([channels]), pixels, axis=0)
    y = g.add("Concat", x, g.add("Expand", level, size), axis=1)
    g.mark(first, "NoiseMap", inputs, {} if given else {"sigma": levels.tolist()})
    return y
