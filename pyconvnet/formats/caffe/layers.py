"""Caffe's layers as blocks of a DagNN: a function for each type, which gets the network, the layer and its inputs.

It returns the outputs. Values agree with Caffe's own, also where MatConvNet's importer (utils/layers.py) differs:
windows of average pooling count the padding, ReLU has its slope, convolution its dilation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyconvnet import dagnn
from pyconvnet.formats.caffe.definition import LayerDefinition
from pyconvnet.formats.caffe.network import Network, Var
from pyconvnet.formats.caffe.prototxt import Message

Pair = tuple[int, int]
LEFT_OUT = {"accuracy", "silence"}  # no other layer reads what they give
CONVERTERS: dict[str, Callable[..., list[Var]]] = {}


def converts(*types: str) -> Callable[[Any], Any]:
    def known(function: Any) -> Any:
        CONVERTERS.update(dict.fromkeys(types, function))
        return function

    return known


@converts("convolution", "deconvolution")
def convolution(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    _no_vector(x)
    options = layer.options("convolution_param")
    kernel, stride = pair(options, "kernel_size", "kernel", None), pair(options, "stride", "stride", 1)
    pad, dilate = pair(options, "pad", "pad", 0), pair(options, "dilation", "", 1)
    count, group = options.count("num_output", 0), options.count("group", 1)
    bias = options.flag("bias_term", True)
    if options.number("axis", 1) != 1:
        raise ValueError("axis must be 1")
    h, w, channels = x.size or (0, 0, 0)
    if not count or not group or channels % group or count % group:
        raise ValueError(
            f"num_output {count} and the {channels} channels of its input must be multiples of group {group}"
        )
    up = layer.type == "deconvolution"
    arrays = net.blobs(layer, 1 + bias)
    shape = (channels, count // group, *kernel) if up else (count, channels // group, *kernel)
    f = sized(arrays[0], shape).transpose(2, 3, 1, 0)
    if x.bgr:
        if group != 1:
            raise ValueError("it has groups and reads the image, whose channels rgb=True turns round")
        f = f[:, :, :, ::-1] if up else f[:, :, ::-1]
    params = {"filter": f, **({"bias": sized(arrays[1], (count, 1))} if bias else {})}
    pads = (pad[0], pad[0], pad[1], pad[1])
    if up:
        if dilate != (1, 1):
            raise ValueError(f"dilation {dilate[0]} x {dilate[1]} of a transposed convolution")
        size = [s * (n - 1) + k - 2 * p for n, k, s, p in zip((h, w), kernel, stride, pad)]
        block: Any = dagnn.ConvTranspose(size=f.shape, hasBias=bias, upsample=stride, crop=pads, numGroups=group)
    else:
        size = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip((h, w), kernel, stride, pad, dilate)]
        block = dagnn.Conv(size=f.shape, hasBias=bias, stride=stride, pad=pads, dilate=dilate)
    return [net.add(layer, block, [x], _output(x, size, count), params)]


@converts("innerproduct")
def inner_product(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    """A convolution by filters of the size of the input."""
    options = layer.options("inner_product_param")
    count, bias = options.count("num_output", 0), options.flag("bias_term", True)
    if options.number("axis", 1) != 1:
        raise ValueError("axis must be 1")
    h, w, channels = x.size or (0, 0, 0)
    arrays = net.blobs(layer, 1 + bias)
    if options.flag("transpose", False):
        f = sized(arrays[0], (channels, h, w, count)).transpose(1, 2, 0, 3)
    else:
        f = sized(arrays[0], (count, channels, h, w)).transpose(2, 3, 1, 0)
    f = f[:, :, ::-1] if x.bgr else f
    params = {"filter": f, **({"bias": sized(arrays[1], (count, 1))} if bias else {})}
    return [net.add(layer, dagnn.Conv(size=f.shape, hasBias=bias), [x], (1, 1, count), params)]


@converts("pooling")
def pooling(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    """Caffe rounds the size of the output up: the last windows hang over the edge."""
    _no_vector(x)
    options = layer.options("pooling_param")
    h, w, channels = x.size or (0, 0, 0)
    method = {"MAX": "max", "0": "max", "AVE": "avg", "1": "avg"}.get(_choice(options, "pool", "MAX"))
    if method is None:
        raise ValueError(f"pool: {_choice(options, 'pool', '')}")
    if options.flag("global_pooling", False):
        kernel, stride, pad = (h, w), (1, 1), (0, 0)
    else:
        kernel, stride = pair(options, "kernel_size", "kernel", None), pair(options, "stride", "stride", 1)
        pad = pair(options, "pad", "pad", 0)
    if any(p >= k for p, k in zip(pad, kernel)) or pair(options, "dilation", "", 1) != (1, 1):
        raise ValueError("pad must be below kernel_size, and dilation 1")
    floor = _choice(options, "round_mode", "CEIL") in ("FLOOR", "1") or not options.flag("ceil_mode", True)
    # for images of every size these give the outputs that rounding up does, and none that begins in the padding
    ends = [p if floor else min(p + s - 1, k - 1) for p, k, s in zip(pad, kernel, stride)]
    size = [(n + p + e - k) // s + 1 for n, p, e, k, s in zip((h, w), pad, ends, kernel, stride)]
    bgr = x.bgr
    if method == "avg" and any(pad):
        # Caffe divides by all pixels of a window, those of the padding too: a filter of ones puts zeros around
        ones = np.ones((1, 1, 1, channels), np.float32)
        block: Any = dagnn.Conv(size=ones.shape, hasBias=False, pad=(pad[0], pad[0], pad[1], pad[1]))
        padded = (h + 2 * pad[0], w + 2 * pad[1], channels)
        x = net.add(layer, block, [x], padded, {"filter": ones}, suffix="_pad", learns=False)
        ends, pad = [e - p for e, p in zip(ends, pad)], (0, 0)
    pads = (pad[0], ends[0], pad[1], ends[1])
    block = dagnn.Pooling(method=method, poolSize=kernel, stride=stride, pad=pads)
    return [net.add(layer, block, [x], _output(x, size, channels))._replace(bgr=bgr)]


@converts("lrn")
def lrn(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    _no_vector(x)
    options = layer.options("lrn_param")
    if _choice(options, "norm_region", "ACROSS_CHANNELS") not in ("ACROSS_CHANNELS", "0"):
        raise ValueError("norm_region: WITHIN_CHANNEL")
    n = options.count("local_size", 5)
    if n % 2 == 0:
        raise ValueError(f"local_size must be odd, got {n}")
    param = (n, options.number("k", 1), options.number("alpha", 1) / n, options.number("beta", 0.75))
    return [_same(net, layer, dagnn.LRN(param=param), x)]


@converts("relu")
def relu(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    slope = layer.options("relu_param").number("negative_slope", 0)
    return [_same(net, layer, dagnn.ReLU(leak=slope), x)]


@converts("sigmoid", "tanh", "elu", "dropout")
def element_by_element(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    if layer.type == "dropout":
        rate = layer.options("dropout_param").number("dropout_ratio", 0.5)
        if not 0 <= rate < 1:
            raise ValueError(f"dropout_ratio must be in 0..1, got {rate}")
        block: Any = dagnn.DropOut(rate=rate)
    elif layer.type == "elu":
        block = dagnn.ELU(alpha=layer.options("elu_param").number("alpha", 1))
    else:
        block = dagnn.Sigmoid() if layer.type == "sigmoid" else dagnn.Tanh()
    return [_same(net, layer, block, x)]


@converts("softmax")
def softmax(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    _no_vector(x)
    if layer.options("softmax_param").number("axis", 1) != 1:
        raise ValueError("axis must be 1")
    return [_same(net, layer, dagnn.SoftMax(), x)]


@converts("softmaxwithloss")
def softmax_with_loss(net: Network, layer: LayerDefinition, x: Var, label: Var | None = None) -> list[Var]:
    _no_vector(x)
    return [net.add(layer, dagnn.Loss(loss="softmaxlog"), [x, label or Var("label", None)], (1, 1, 1))]


@converts("split")
def split(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    return [x] * len(layer.tops)


@converts("flatten")
def flatten(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    """Nothing is done: a layer with full connections that reads the vector reads the image instead."""
    options = layer.options("flatten_param")
    if options.number("axis", 1) != 1 or options.number("end_axis", -1) not in (-1, 3):
        raise ValueError("axis must be 1, end_axis -1")
    return [x._replace(flat=math.prod((x.size or (1,))[:2]) > 1)]


@converts("concat")
def concat(net: Network, layer: LayerDefinition, first: Var, *others: Var) -> list[Var]:
    inputs = [first, *others]
    _no_vector(*inputs)
    options = layer.options("concat_param")
    axis = options.count("axis" if "axis" in options else "concat_dim", 1)
    if not 1 <= axis <= 3:
        raise ValueError(f"axis must be 1, 2 or 3, got {axis}")
    if any(x.bgr for x in inputs):
        raise ValueError("it reads the image, whose channels rgb=True turns round")
    at = (2, 0, 1)[axis - 1]
    sizes = [x.size or (0, 0, 0) for x in inputs]
    if any(s[:at] + s[at + 1 :] != sizes[0][:at] + sizes[0][at + 1 :] for s in sizes):
        raise ValueError(f"its inputs are {', '.join('x'.join(map(str, s)) for s in sizes)}")
    size = [*sizes[0]]
    size[at] = sum(s[at] for s in sizes)
    return [net.add(layer, dagnn.Concat(dim=at + 1, numInputs=len(inputs)), inputs, (size[0], size[1], size[2]))]


@converts("eltwise")
def eltwise(net: Network, layer: LayerDefinition, first: Var, *others: Var) -> list[Var]:
    inputs = [first, *others]
    options = layer.options("eltwise_param")
    operation = _choice(options, "operation", "SUM")
    factors = options.numbers("coeff") or [1.0] * len(inputs)
    if operation not in ("SUM", "1", "PROD", "0") or len(factors) != len(inputs) or len(inputs) < 2:
        raise ValueError(f"operation: {operation} with {len(inputs)} inputs and {len(factors)} factors")
    if any((x.size, x.bgr, x.flat) != (first.size, first.bgr, first.flat) for x in inputs):
        raise ValueError("its inputs differ in their sizes, or one is the image, whose channels rgb=True turns round")
    if operation in ("SUM", "1"):
        terms = [
            x if factor == 1 else _scaled(net, layer, x, factor, None, f"_{k}")
            for k, (x, factor) in enumerate(zip(inputs, factors), 1)
        ]
        return [_kept(net.add(layer, dagnn.Sum(), terms, first.size), first)]
    product = first
    for k, x in enumerate(others, 1):
        suffix = f"_{k}" if k < len(inputs) - 1 else ""
        product = net.add(layer, dagnn.Scale(hasBias=False), [product, x], x.size, suffix=suffix)
    return [_kept(product, first)]


@converts("power")
def power(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    options = layer.options("power_param")
    if options.number("power", 1) != 1:
        raise ValueError(f"power must be 1, got {options.number('power', 1)}")
    return [_scaled(net, layer, x, options.number("scale", 1), options.number("shift", 0))]


@converts("batchnorm")
def batch_norm(net: Network, layer: LayerDefinition, x: Var) -> list[Var]:
    """Blobs are sums of means, of variances and of weights: the moments are the quotients."""
    _no_vector(x)
    epsilon = layer.options("batch_norm_param").number("eps", 1e-5)
    channels = (x.size or (0, 0, 0))[2]
    mean, variance, weight = net.blobs(layer, 3)
    total = sized(weight, (1,)).item()
    factor = 1 / total if total else 0.0
    mean, variance = (sized(v, (channels,)).astype(float) * factor for v in (mean, variance))
    if epsilon <= 0 or not (variance + epsilon > 0).all():
        raise ValueError("eps must be above 0, and so must be variances and eps together")
    moments = np.stack([mean, np.sqrt(variance + epsilon)], axis=1)
    params = {
        "mult": np.ones((channels, 1)),
        "bias": np.zeros((channels, 1)),
        "moments": moments[::-1] if x.bgr else moments,
    }
    block = dagnn.BatchNorm(numChannels=channels, epsilon=epsilon)
    y = _kept(net.add(layer, block, [x], x.size, params), x)
    net.unscaled = net.dag.layers[-1].params[:2]
    return [y]


@converts("scale", "bias")
def scale(net: Network, layer: LayerDefinition, x: Var, other: Var | None = None) -> list[Var]:
    """y = x g + h; after a batch normalization, which has no factors of its own in Caffe, it becomes a part of that."""
    _no_vector(x)
    options = layer.options(f"{layer.type}_param")
    axis = options.count("axis", 1)
    if other is not None:
        if layer.type == "bias" or axis or options.flag("bias_term", False) or other.size is None:
            raise ValueError("with two inputs it must be a Scale of axis 0 without bias_term")
        return [_kept(net.add(layer, dagnn.Scale(hasBias=False), [x, other], x.size), x)]
    h, w, channels = x.size or (0, 0, 0)
    both = layer.type == "scale" and options.flag("bias_term", False)
    arrays = [_aligned(blob, axis, x) for blob in net.blobs(layer, 1 + both)]
    if layer.type == "bias":
        arrays.insert(0, np.ones_like(arrays[0]))
    if (
        net.unscaled
        and net.dag.layers[-1].outputs == [x.name]
        and (layer.tops == layer.bottoms or net.readers[layer.bottoms[0]] == 1)
        and all(a.shape == (1, 1, channels, 1) for a in arrays)
    ):
        for name, a in zip(net.unscaled, arrays):
            net.dag.params[name].value = np.array(a.reshape(channels, 1), order="F")
        net.unscaled = []
        return [x]
    params = dict(zip(("mult", "bias"), arrays))
    block = dagnn.Scale(size=arrays[0].shape, hasBias=len(arrays) > 1)
    return [_kept(net.add(layer, block, [x], (h, w, channels), params), x)]


@converts("crop")
def crop(net: Network, layer: LayerDefinition, x: Var, like: Var) -> list[Var]:
    """Without crop_param, as in the networks that Crop was made for (Long et al.), by the receptive fields."""
    _no_vector(x)
    options = layer.options("crop_param")
    if like.size is None or x.size is None:
        raise ValueError("the size of its inputs is not known")
    if options.number("axis", 2) not in (2, -2):
        raise ValueError("axis must be 2")
    given = options.counts("offset")
    offset = (*given, *given)[:2] if given else (0, 0) if "crop_param" in layer.message else _offset(net, x, like)
    if any(o + b > a for o, a, b in zip(offset, x.size, like.size)):
        raise ValueError(f"offset {offset[0]}, {offset[1]} and {like.size[:2]} do not fit into {x.size[:2]}")
    size = (like.size[0], like.size[1], x.size[2])
    return [net.add(layer, dagnn.Crop(crop=offset), [x, like], size)._replace(bgr=x.bgr)]


@converts("roipooling")
def roi_pooling(net: Network, layer: LayerDefinition, x: Var, regions: Var) -> list[Var]:
    _no_vector(x)
    options = layer.options("roi_pooling_param")
    cells = (options.count("pooled_h", 0), options.count("pooled_w", 0))
    if not all(1 <= c <= 1 << 10 for c in cells):
        raise ValueError(f"pooled_h and pooled_w must be from 1 up, got {cells[0]} and {cells[1]}")
    block = dagnn.ROIPooling(subdivisions=cells, transform=options.number("spatial_scale", 1))
    return [net.add(layer, block, [x, regions], (*cells, (x.size or (0, 0, 0))[2]))._replace(bgr=x.bgr)]


def pair(options: Message, both: str, each: str, default: int | None) -> Pair:
    """(vertical, horizontal) of a field that is one number, a number for each, or two fields NAME_h and NAME_w."""
    if each and (f"{each}_h" in options or f"{each}_w" in options):
        usual = 0 if default is None else default
        values = [options.count(f"{each}_h", usual), options.count(f"{each}_w", usual)]
    else:
        values = options.counts(both) or ([] if default is None else [default])
    least = 0 if default == 0 else 1
    if len(values) not in (1, 2) or min(values) < least:
        raise ValueError(f"{both} must be one or two numbers from {least}, got {values}")
    return values[0], values[-1]


def sized(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Weights in the shape that the layer's options and input give them; old files have axes of 1 in front."""
    if array.size != math.prod(shape):
        texts = [" x ".join(map(str, s)) for s in (array.shape, shape)]
        raise ValueError(f"its weights are {texts[0]}, its options and input ask for {texts[1]}")
    return array.reshape(shape)


def _aligned(blob: np.ndarray, axis: int, x: Var) -> np.ndarray:
    """Factors along some of Caffe's axes N x C x H x W, from `axis` on, as H x W x C x N."""
    if axis + blob.ndim > 4:
        raise ValueError(f"axis {axis} and weights of {blob.ndim} axes, of the 4 that there are")
    h, w, channels = x.size or (0, 0, 0)
    out = blob.reshape((1,) * axis + blob.shape + (1,) * (4 - axis - blob.ndim)).transpose(2, 3, 1, 0)
    if any(n not in (1, m) for n, m in zip(out.shape, (h, w, channels, 1))):
        raise ValueError(f"its weights are {blob.shape}, which does not repeat to its input")
    return out[:, :, ::-1] if x.bgr else out


def _offset(net: Network, x: Var, like: Var) -> Pair:
    """Where the first pixel of `like` lies in `x`, by what both see of the network's first input."""
    net.dag.rebuild()
    fields = net.dag.getVarReceptiveFields(net.inputs[0].name)
    a, b = (fields[net.dag.getVarIndex(v.name)] for v in (x, like))
    if len(a.stride) != 2 or len(b.stride) != 2 or not np.allclose(a.stride, b.stride):
        raise ValueError("its inputs see the image with different strides: crop_param must say the offset")
    steps = [(ob - oa) / s for oa, ob, s in zip(a.offset, b.offset, a.stride)]
    if not all(math.isfinite(v) and abs(v - round(v)) < 1e-6 and round(v) >= 0 for v in steps):
        raise ValueError(f"its inputs are shifted by {steps[0]:g}, {steps[1]:g} pixels: crop_param must say the offset")
    return round(steps[0]), round(steps[1])


def _choice(options: Message, name: str, default: str) -> str:
    """The value of an enum, a name or a number, as text."""
    values = options.fields.get(name) or [default]
    return str(values[-1]) if isinstance(values[-1], (str, int)) else "a message"


def _no_vector(*inputs: Var) -> None:
    if any(x.flat for x in inputs):
        raise ValueError("it reads a flattened image, which only InnerProduct and layers element by element can here")


def _output(x: Var, size: list[int], channels: int) -> tuple[int, int, int]:
    h, w = size
    if min(size) < 1:
        raise ValueError(f"its input, {x.size[0] if x.size else 0} x {x.size[1] if x.size else 0}, is too small")
    return h, w, channels


def _same(net: Network, layer: LayerDefinition, block: Any, x: Var) -> Var:
    return _kept(net.add(layer, block, [x], x.size), x)


def _kept(out: Var, x: Var) -> Var:
    """The output of a layer that keeps the order of channels and whether it is a vector."""
    return out._replace(bgr=x.bgr, flat=x.flat)


def _scaled(net: Network, layer: LayerDefinition, x: Var, factor: float, shift: float | None, suffix: str = "") -> Var:
    params = {"mult": np.full((1, 1, 1, 1), factor)}
    if shift is not None:
        params["bias"] = np.full((1, 1, 1, 1), shift)
    block = dagnn.Scale(hasBias=shift is not None)
    return _kept(net.add(layer, block, [x], x.size, params, suffix, learns=False), x)
