"""Layers that run as one where nobody can see what lies between them.

A convolution, and after it batch normalization in test mode, a sum with another array, a rectifier, each or none of
them: the normalization is multiplied into the filters, and the rest done before the result leaves the registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.geometry import Window
from pyconvnet.layers import BatchNorm, Conv, Layer, ReLU, Sum
from pyconvnet.ops.vl_nnconv import check_biases, check_filters

_ORDER: tuple[type, ...] = (Conv, BatchNorm, Sum, ReLU)
# What a layer says about cuDNN changes nothing here; any other option goes to the operator, which checks it.
_IDLE = ("cudnn", "nocudnn")
# What was folded last for an array of moments, and of what: that takes longer than to see that nothing changed.
_known: dict[int, tuple[list, tuple[np.ndarray, np.ndarray]]] = {}
_MOST_KNOWN = 4096


def starts(layer: Layer) -> bool:
    """Whether other layers may join this one; a class of the user's own runs as it is written."""
    return type(layer) is Conv and _idle(layer.opts)


def joins(layer: Layer, last: Layer) -> bool:
    """Whether `layer` may run in one with the layers before it, of which `last` is the last."""
    kind = type(layer)
    if kind not in _ORDER or _ORDER.index(kind) <= _ORDER.index(type(last)):
        return False
    if kind is BatchNorm:
        return layer.mode == "test" and _idle(layer.opts)
    return kind is Sum or (_is_zero(layer.leak) and _idle(layer.opts))


def strides(conv: Conv, f: Any) -> tuple[int, int] | None:
    """The strides of a 1 x 1 convolution, which never looks at the pixels between; None for any other."""
    if not isinstance(f, np.ndarray) or f.shape[:2] != (1, 1):
        return None
    try:
        window = Window.parse("vl_nnconv", 1, conv.stride, conv.pad, conv.dilate, "f")
    except (TypeError, ValueError):  # the layer will say so
        return None
    return None if any(window.pad) else window.stride


def run(
    layers: Sequence[Layer],
    params: Sequence[Sequence[Any]],
    x: Any,
    other: Any = None,
    thin: bool = False,
    every: tuple[int, int] = (1, 1),
) -> np.ndarray | None:
    """The output of the last of `layers`, None where they must run one by one; `other` is the other input of a Sum.

    x       H x W x C x N, float32
    params  those of each layer
    thin    whether x lacks the pixels that a 1 x 1 convolution leaves out, so that the result is of those wanted
    every   which pixels of the result are wanted, vertically and horizontally: each of them for (1, 1)
    """
    from pyconvnet.kernels.cpu.machine import level

    f, b = (*params[0], None)[:2]
    if type(x) is not np.ndarray or x.dtype != np.float32 or not x.size or is_empty(f) or level() == "plain":
        return None
    if not starts(layers[0]) or not all(map(joins, layers[1:], layers)):  # options may have changed meanwhile
        return None
    conv = layers[0]
    x = as_tensor("vl_nnconv", "x", x)
    f = as_tensor("vl_nnconv", "f", f, like=x)
    window = Window.parse("vl_nnconv", f.shape[:2], conv.stride, conv.pad, conv.dilate, "f")
    if thin:
        window = replace(window, stride=(1, 1))
    elif every != (1, 1):
        window = replace(window, stride=(window.stride[0] * every[0], window.stride[1] * every[1]))
    out = check_filters("vl_nnconv", x.shape, f.shape, window)
    b, scale = check_biases("vl_nnconv", b, f.shape[3], x), None
    kinds = [type(layer) for layer in layers]
    if BatchNorm in kinds:
        found = _folded(b, params[kinds.index(BatchNorm)], f.shape[3])
        if found is None:
            return None
        scale, b = found
    if Sum in kinds:
        if type(other) is not np.ndarray or other.dtype != np.float32 or other.ndim != 4:
            return None
        other = other[:: every[0], :: every[1]]
        if other.shape != (*out, f.shape[3], x.shape[3]):
            return None
    from pyconvnet.kernels.cpu.convolution import conv as convolve
    from pyconvnet.kernels.cpu.direct import Epilogue

    return convolve(x, f, b, window, Epilogue(scale, other if Sum in kinds else None, ReLU in kinds))


def _folded(b: np.ndarray | None, params: Sequence[Any], count: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(scale of the filters, biases) with batch normalization in them; None where vl_nnbnorm has something to say."""
    if len(params) != 3 or any(type(p) is not np.ndarray or p.dtype != np.float32 for p in params):
        return None
    g, shift, moments = params
    if (g.size, shift.size, moments.size) != (count, count, 2 * count):
        return None
    numbers = [a.tobytes(order="A") for a in (g, shift, moments)] + [None if b is None else b.tobytes()]
    key = id(moments)
    known = _known.get(key)
    if known is not None and known[0] == numbers:
        return known[1]
    if not moments.any():
        return None
    mean, sigma = moments.reshape(count, 2, order="F").T.astype(np.float64)
    scale = g.ravel(order="F") / sigma
    biases = shift.ravel(order="F") - mean * scale + (0 if b is None else b * scale)
    folded = scale.astype(np.float32), biases.astype(np.float32)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key] = numbers, folded
    return folded


def _is_zero(leak: Any) -> bool:
    return leak == 0 if type(leak) is int or type(leak) is float else not np.any(leak)


def _idle(opts: Sequence[Any]) -> bool:
    return not len(opts) or all(isinstance(o, str) and o.lower() in _IDLE for o in opts)
