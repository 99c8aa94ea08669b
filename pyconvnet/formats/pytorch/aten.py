"""What each of aten's functions is as a layer: a function of the recorder and of the arguments by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from pyconvnet import layers
from pyconvnet.formats.pytorch.recorder import NO_PAD, Constant, Recorder, Unsupported, Variable, operation


def _is(name: str, value: Any, *allowed: Any) -> None:
    if value not in allowed:
        raise Unsupported(f"its {name} is {value}, and must be {' or '.join(map(str, allowed))}")


def _pair(value: Any) -> tuple[int, int]:
    value = list(value)
    return (value[0], value[-1])


# --- convolution -------------------------------------------------------------------------------------------------


@operation("conv2d", "convolution")
def _conv(recorder: Recorder, x: Variable, weight: Constant, bias: Any, **options: Any) -> Variable:
    if options.get("transposed"):
        return _conv_transpose(recorder, x, weight, bias, **options)
    _constant("filters", weight)
    x = x if x.fill == 0 and min(x.pad) >= 0 else recorder.padded(x)
    kernel, dilation = weight.value.shape[2:], _pair(options["dilation"])
    if isinstance(options["padding"], str):
        total = [d * (k - 1) if options["padding"] == "same" else 0 for d, k in zip(dilation, kernel)]
        own = (total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)
    else:
        down, across = _pair(options["padding"])
        own = (down, down, across, across)
    filters = weight.value.permute(2, 3, 1, 0)
    block = layers.Conv(
        size=tuple(filters.shape),
        hasBias=bias is not None,
        stride=_pair(options["stride"]),
        pad=tuple(a + b for a, b in zip(x.pad, own)),
        dilate=dilation,
    )
    return recorder.add(block, [x], *_weights((weight, filters), bias))


@operation("conv_transpose2d")
def _conv_transpose(recorder: Recorder, x: Variable, weight: Constant, bias: Any, **options: Any) -> Variable:
    _constant("filters", weight)
    _is("dilation", _pair(options["dilation"]), (1, 1))
    (down, across), (more, wider) = _pair(options["padding"]), _pair(options["output_padding"])
    if more > down or wider > across:
        raise Unsupported("its output_padding is more than its padding")
    filters = weight.value.permute(2, 3, 1, 0)
    block = layers.ConvTranspose(
        size=tuple(filters.shape),
        hasBias=bias is not None,
        upsample=_pair(options["stride"]),
        crop=(down, down - more, across, across - wider),
        numGroups=options["groups"],
    )
    return recorder.add(block, [recorder.padded(x)], *_weights((weight, filters), bias))


@operation("linear")
def _linear(recorder: Recorder, x: Variable, weight: Constant, bias: Any) -> Variable:
    _constant("weight", weight)
    if not x.flat:
        raise Unsupported("it is of the last dimension of an image")
    filters = weight.value.reshape(-1, *x.size).permute(2, 3, 1, 0)
    block = layers.Conv(size=tuple(filters.shape), hasBias=bias is not None)
    return recorder.add(block, [x], *_weights((weight, filters), bias))


def _weights(filters: tuple[Constant, torch.Tensor], bias: Any) -> list[tuple[str, Any]]:
    named = [(filters[0].name or ".weight", filters[1])]
    if bias is not None:
        _constant("bias", bias)
        named.append((bias.name or ".bias", bias.value[:, None]))
    return named


def _constant(name: str, value: Any) -> None:
    if not isinstance(value, Constant):
        raise Unsupported(f"its {name} must not depend on the input")


# --- pooling, padding, sizes ---------------------------------------------------------------------------------------


@operation("max_pool2d", "max_pool2d_with_indices")
def _max_pool(recorder: Recorder, x: Variable, kernel_size: Any, stride: Any, padding: Any, **options: Any) -> Variable:
    _is("dilation", _pair(options["dilation"]), (1, 1))
    x = x if x.fill == -math.inf and min(x.pad) >= 0 else recorder.padded(x)
    return _pooling(recorder, x, "max", kernel_size, stride, padding, x.pad)


@operation("avg_pool2d")
def _avg_pool(recorder: Recorder, x: Variable, kernel_size: Any, stride: Any, padding: Any, **options: Any) -> Variable:
    _is("divisor_override", options["divisor_override"], None)
    x = recorder.padded(x)
    if any(padding) and options["count_include_pad"]:
        down, across = _pair(padding)
        x, padding = recorder.padded(x._replace(pad=(down, down, across, across))), [0, 0]
    return _pooling(recorder, x, "avg", kernel_size, stride, padding, NO_PAD)


def _pooling(
    recorder: Recorder, x: Variable, method: str, kernel_size: Any, stride: Any, padding: Any, pad: Any
) -> Variable:
    size, step, own = _pair(kernel_size), _pair(stride or kernel_size), _pair(padding)
    out = _shape(recorder)[2:]
    ends = []
    for at, length in enumerate((x.height, x.width)):
        before, after = pad[2 * at] + own[at], pad[2 * at + 1] + own[at]
        # ceil_mode: the last window reaches over the end
        after += max((int(out[at]) - 1) * step[at] + size[at] - (length + before + after), 0)
        if max(before, after) >= size[at]:
            raise Unsupported(f"its window of {size[at]} lies wholly in the padding")
        ends += [before, after]
    return recorder.add(layers.Pooling(method=method, poolSize=size, stride=step, pad=tuple(ends)), [x])


@operation("adaptive_avg_pool2d", "_adaptive_avg_pool2d")
def _adaptive_avg_pool(recorder: Recorder, x: Variable, output_size: Any) -> Variable:
    return _adaptive(recorder, x, "avg")


@operation("adaptive_max_pool2d")
def _adaptive_max_pool(recorder: Recorder, x: Variable, output_size: Any) -> Variable:
    return _adaptive(recorder, x, "max")


def _adaptive(recorder: Recorder, x: Variable, method: str) -> Variable:
    x = recorder.padded(x)
    out = [int(n) for n in _shape(recorder)[2:]]
    if x.height % out[0] or x.width % out[1]:
        raise Unsupported(f"{x.height} x {x.width} pixels are not a multiple of {out[0]} x {out[1]}")
    if out == [x.height, x.width]:
        return x
    window = x.height // out[0], x.width // out[1]
    return recorder.add(layers.Pooling(method=method, poolSize=window, stride=window), [x])


@operation("mean")
def _mean(recorder: Recorder, x: Variable, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Variable:
    if x.flat or dim is None or sorted(d % 4 for d in dim) != [2, 3]:
        raise Unsupported("it is not of height and width together")
    x = recorder.padded(x)
    return recorder.add(layers.Pooling(method="avg", poolSize=(x.height, x.width)), [x])


@operation("pad", "constant_pad_nd")
def _pad(recorder: Recorder, x: Variable, pad: Any, mode: str = "constant", value: Any = 0) -> Variable:
    _is("mode", mode, "constant")
    if x.flat or len(pad) > 4:
        raise Unsupported("it is not of height and width")
    left, right, top, bottom = (*pad, 0, 0)[:4]
    x = recorder.padded(x)
    return x._replace(pad=(top, bottom, left, right), fill=float(value or 0))


@operation("slice")
def _slice(recorder: Recorder, x: Variable, dim: int, start: Any, end: Any, step: int) -> Variable:
    _is("step", step, 1)
    if x.flat or dim % 4 == 0:
        raise Unsupported("it is of the batch, or of a flattened image")
    x = x if max(x.pad) <= 0 else recorder.padded(x)
    length = (x.channels, x.height + x.pad[0] + x.pad[1], x.width + x.pad[2] + x.pad[3])[dim % 4 - 1]
    first, last, _ = slice(start, end).indices(length)
    if dim % 4 > 1:
        cut = (0, 0, first, length - last) if dim % 4 == 3 else (first, length - last, 0, 0)
        top, bottom, left, right = (p - c for p, c in zip(x.pad, cut))
        return x._replace(pad=(top, bottom, left, right))
    chosen = np.eye(length, dtype=np.float32)[None, None, :, first:last]
    return recorder.fixed(layers.Conv(size=chosen.shape, hasBias=False), recorder.padded(x), chosen)


@operation("upsample_nearest2d")
def _upsample(recorder: Recorder, x: Variable, **options: Any) -> Variable:
    x = recorder.padded(x)
    out = [int(n) for n in _shape(recorder)[2:]]
    if out[0] % x.height or out[1] % x.width:
        raise Unsupported(f"{x.height} x {x.width} pixels to {out[0]} x {out[1]} is not by whole factors")
    factors = out[0] // x.height, out[1] // x.width
    filters = np.ones((*factors, 1, x.channels), np.float32)
    block = layers.ConvTranspose(size=filters.shape, hasBias=False, upsample=factors, numGroups=x.channels)
    return recorder.fixed(block, x, filters)


@operation("view", "reshape", "_unsafe_view", "flatten", "squeeze", "unsqueeze")
def _view(recorder: Recorder, x: Variable, **options: Any) -> Variable:
    x, shape = recorder.padded(x), _shape(recorder)[1:]
    if shape == [math.prod(x.size)]:
        return x._replace(flat=True)
    if shape == list(x.size):
        return x._replace(flat=False)
    raise Unsupported(f"it makes N x {' x '.join(map(str, shape))} of N x {' x '.join(map(str, x.size))}")


@operation("clone", "alias", "detach", "contiguous", "_to_copy", "dropout", "lift_fresh_copy")
def _same(recorder: Recorder, x: Variable, **options: Any) -> Variable:
    if recorder.node.meta["val"].dtype.is_floating_point and options.get("dtype") in (None, torch.float32):
        owner = recorder.owner
        return recorder.add(layers.DropOut(rate=owner.p), [x], size=x[1:]) if type(owner) is nn.Dropout else x
    raise Unsupported("it changes the element type")


def _shape(recorder: Recorder) -> list[int]:
    value = recorder.node.meta["val"]
    return [int(n) for n in (value[0] if isinstance(value, (tuple, list)) else value).shape]


# --- element by element --------------------------------------------------------------------------------------------


def _element(recorder: Recorder, x: Variable, block: layers.Layer) -> Variable:
    x = recorder.padded(x)
    return recorder.add(block, [x], size=x[1:])


@operation("relu")
def _relu(recorder: Recorder, x: Variable) -> Variable:
    return _element(recorder, x, layers.ReLU())


@operation("leaky_relu")
def _leaky_relu(recorder: Recorder, x: Variable, negative_slope: float) -> Variable:
    return _element(recorder, x, layers.ReLU(leak=negative_slope))


@operation("sigmoid")
def _sigmoid(recorder: Recorder, x: Variable) -> Variable:
    return _element(recorder, x, layers.Sigmoid())


@operation("tanh")
def _tanh(recorder: Recorder, x: Variable) -> Variable:
    return _element(recorder, x, layers.Tanh())


@operation("softplus")
def _softplus(recorder: Recorder, x: Variable, beta: float, threshold: float) -> Variable:
    _is("beta", beta, 1)
    if threshold < 17:  # above that the two are equal in single precision
        raise Unsupported(f"its threshold is {threshold:g}, and must be 17 or more")
    return _element(recorder, x, layers.SoftPlus())


@operation("elu")
def _elu(recorder: Recorder, x: Variable, alpha: float, scale: float, input_scale: float) -> Variable:
    _is("scale", scale, 1)
    _is("input_scale", input_scale, 1)
    return _element(recorder, x, layers.ELU(alpha=float(alpha)))


@operation("silu")
def _silu(recorder: Recorder, x: Variable) -> Variable:
    return _element(recorder, x, layers.Swish())


@operation("prelu")
def _prelu(recorder: Recorder, x: Variable, weight: Constant) -> Variable:
    _constant("weight", weight)
    if x.flat and x.height * x.width > 1:
        raise Unsupported("it is of a flattened image")
    slopes = weight.value.reshape(1, 1, -1)
    return recorder.add(layers.PReLU(size=tuple(slopes.shape)), [x], (weight.name or ".weight", slopes), size=x[1:])


@operation("hardtanh", "clamp", "clamp_min", "clamp_max", "relu6")
def _clip(recorder: Recorder, x: Variable, **bounds: Any) -> Variable:
    low, high = (bounds.get(f"{end}_val", bounds.get(end)) for end in ("min", "max"))
    if isinstance(low, (Constant, Variable)) or isinstance(high, (Constant, Variable)):
        raise Unsupported("its bounds are tensors")
    low, high = (-math.inf if low is None else float(low)), (math.inf if high is None else float(high))
    return _element(recorder, x, layers.Clip(min=low, max=high))


@operation("hardsigmoid")
def _hard_sigmoid(recorder: Recorder, x: Variable) -> Variable:
    return _element(recorder, x, layers.HardSigmoid(alpha=1 / 6, beta=0.5))


@operation("hardswish")
def _hard_swish(recorder: Recorder, x: Variable) -> Variable:
    gate = _hard_sigmoid(recorder, x := recorder.padded(x))
    return recorder.add(layers.Scale(hasBias=False), [x, gate], size=x[1:])


@operation("permute", "transpose")
def _permute(recorder: Recorder, x: Variable, **options: Any) -> Variable:
    dims = list(range(2 if x.flat else 4))
    if "dims" in options:
        dims = [d % len(dims) for d in options["dims"]]
    else:
        first, second = options["dim0"], options["dim1"]
        dims[first], dims[second] = dims[second], dims[first]
    if x.flat or dims[0] != 0:
        raise Unsupported("it moves the batch")
    x = recorder.padded(x)
    depth, height, width = ((3, 1, 2)[d - 1] for d in dims[1:])
    return recorder.add(layers.Permute(order=(height, width, depth)), [x])


@operation("softmax", "_softmax")
def _softmax(recorder: Recorder, x: Variable, dim: int, **options: Any) -> Variable:
    if dim % (2 if x.flat else 4) != 1 or (x.flat and x.height * x.width > 1):
        raise Unsupported("it is not of the channels")
    return _element(recorder, x, layers.SoftMax())


# --- normalization -------------------------------------------------------------------------------------------------


@operation("_native_batch_norm_legit_no_training", "batch_norm", "native_batch_norm")
def _batch_norm(
    recorder: Recorder, x: Variable, weight: Any, bias: Any, running_mean: Any, running_var: Any, **options: Any
) -> Variable:
    for name, value in (("running_mean", running_mean), ("running_var", running_var)):
        _constant(name, value)
    if x.flat and x.height * x.width > 1:
        raise Unsupported("it is of a flattened image")
    mean, variance = running_mean.value, running_var.value
    sigma, epsilon = torch.sqrt(variance + options["eps"]), options["eps"]
    owner: Any = recorder.module.get_submodule(running_mean.name.rpartition(".")[0])
    if hasattr(owner, "running_sigma"):  # of to_torch, which keeps sigma itself
        sigma, epsilon = owner.running_sigma, owner.eps
    moments = torch.stack([mean, sigma], 1)
    gain = (weight.name or ".weight", weight.value[:, None]) if weight else (".weight", torch.ones(len(mean), 1))
    offset = (bias.name or ".bias", bias.value[:, None]) if bias else (".bias", torch.zeros(len(mean), 1))
    name = f"{running_mean.name.rpartition('.')[0]}.moments"
    x = recorder.padded(x)
    block = layers.BatchNorm(numChannels=len(mean), epsilon=epsilon)
    y = recorder.add(block, [x], gain, offset, (name, moments), size=x[1:])
    recorder.net.params[recorder.net.layers[y.name].params[2]].learningRate = options["momentum"]
    return y
