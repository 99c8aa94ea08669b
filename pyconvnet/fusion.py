"""Layers that run as one where nobody can see what lies between them.

A convolution, and after it batch normalization in test mode, a sum with another array, a rectifier, each or none of
them: the normalization is multiplied into the filters, and the rest done before the result leaves the registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.geometry import Window
from pyconvnet.layers import BatchNorm, Conv, Layer, ReLU, Sum
from pyconvnet.ops.vl_nnconv import check_biases, check_filters
from pyconvnet.options import option_list

# In the order in which they come, and what of each says how it runs.
_OPTIONS: dict[type, tuple[str, ...]] = {
    Conv: ("opts", "stride", "pad", "dilate"),
    BatchNorm: ("opts", "mode"),
    Sum: (),
    ReLU: ("opts", "leak"),
}
_ORDER = list(_OPTIONS)
_SINGLE = np.dtype(np.float32)  # comparing with that is faster than with the type
# What a layer's opts say about cuDNN changes nothing here; with any other option it runs alone, by what they say.
_IDLE = ("cudnn", "nocudnn")
# What was folded last for an array of moments, and of what: that takes longer than to see that nothing changed.
_known: dict[int, tuple[list, tuple[np.ndarray, np.ndarray]]] = {}
_MOST_KNOWN = 4096


def starts(layer: Layer) -> bool:
    """Whether other layers may join this one; a class of the user's own runs as it is written."""
    return type(layer) is Conv and _allowed(_options(layer))


def joins(layer: Layer, last: Layer) -> bool:
    """Whether `layer` may run in one with the layers before it, of which `last` is the last."""
    kind = type(layer)
    return kind in _ORDER and _ORDER.index(kind) > _ORDER.index(type(last)) and _allowed(_options(layer))


def strides(conv: Conv, f: Any) -> tuple[int, int] | None:
    """The strides of a 1 x 1 convolution, which never looks at the pixels between; None for any other."""
    if not isinstance(f, np.ndarray) or f.shape[:2] != (1, 1):
        return None
    try:
        found = _known_plan((_options(conv),), (1, 1, 1, 1), (1, 1, 1, 1), False, (1, 1))
    except (TypeError, ValueError):  # the layer will say so
        return None
    return None if found is None or any(found[0].pad) else found[0].stride


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
    level, convolve, epilogue = _kernels()
    f, b = (*params[0], None)[:2]
    if type(x) is not np.ndarray or x.dtype != _SINGLE or not x.size or is_empty(f) or level() == "plain":
        return None
    x = as_tensor("vl_nnconv", "x", x)
    f = as_tensor("vl_nnconv", "f", f, like=x)
    facts = tuple(map(_options, layers)), x.shape, f.shape, thin, every
    try:
        found = _known_plan(*facts)
    except TypeError:  # options that cannot be looked up, or wrong ones, which are refused again
        found = _plan(*facts)
    if found is None:
        return None
    window, out = found
    b, scale = check_biases("vl_nnconv", b, f.shape[3], x), None
    kinds = [type(layer) for layer in layers]
    if BatchNorm in kinds:
        found = _folded(b, params[kinds.index(BatchNorm)], f.shape[3])
        if found is None:
            return None
        scale, b = found
    if Sum in kinds:
        if type(other) is not np.ndarray or other.dtype != _SINGLE or other.ndim != 4:
            return None
        other = other[:: every[0], :: every[1]]
        if other.shape != (*out, f.shape[3], x.shape[3]):
            return None
    return convolve(x, f, b, window, epilogue(scale, other if Sum in kinds else None, ReLU in kinds))


@lru_cache(maxsize=1)
def _kernels() -> tuple:
    """Imported at the first call, since they import numba."""
    from pyconvnet.kernels.cpu.convolution import conv
    from pyconvnet.kernels.cpu.direct import Epilogue
    from pyconvnet.kernels.cpu.machine import level

    return level, conv, Epilogue


def _options(layer: Layer) -> tuple:
    """Its class and its options, which can be looked up in a table unless they are arrays."""
    kind = type(layer)
    values = [getattr(layer, name) for name in _OPTIONS[kind]]
    return kind, *[tuple(v) if type(v) is list else v for v in values]


def _allowed(options: tuple) -> bool:
    """Whether a layer may run in one with others."""
    kind, *values = options
    if (kind is BatchNorm and values[1] != "test") or (kind is ReLU and not _is_zero(values[1])):
        return False
    return kind is Sum or all(isinstance(o, str) and o.lower() in _IDLE for o in option_list(values[0]))


def _plan(
    options: tuple, shape: tuple[int, ...], filters: tuple[int, ...], thin: bool, every: tuple[int, int]
) -> tuple[Window, tuple[int, int]] | None:
    """(window, size of the output) of layers with such options; None where they must run one by one."""
    if not all(map(_allowed, options)):  # they may have changed since the layers were found to go together
        return None
    _, _, stride, pad, dilate = options[0]
    window = Window.parse("vl_nnconv", filters[:2], stride, pad, dilate, "f")
    if thin:
        window = replace(window, stride=(1, 1))
    elif every != (1, 1):
        window = replace(window, stride=(window.stride[0] * every[0], window.stride[1] * every[1]))
    return window, check_filters("vl_nnconv", shape, filters, window)


_known_plan = lru_cache(maxsize=1024)(_plan)  # the same is asked at each call


def _folded(b: np.ndarray | None, params: Sequence[Any], count: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(scale of the filters, biases) with batch normalization in them; None where vl_nnbnorm has something to say."""
    if len(params) != 3 or any(type(p) is not np.ndarray or p.dtype != _SINGLE for p in params):
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
