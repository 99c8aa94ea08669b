"""Layers of a SimpleNN that run as one where nobody can see what lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.geometry import Window
from pyconvnet.layers import Conv, Layer, ReLU
from pyconvnet.ops.vl_nnconv import check_biases, check_filters

# What a layer says about cuDNN changes nothing here; any other option goes to vl_nnconv, which checks it.
_IDLE = ("cudnn", "nocudnn")


def is_rectified_convolution(layer: Layer, following: Layer, x: Any) -> bool:
    """Whether convolution_relu computes what the two layers do; a class of the user's own runs as it is written."""
    return (
        type(layer) is Conv
        and type(following) is ReLU
        and not np.any(following.leak)
        and not following.opts
        and all(isinstance(o, str) and o.lower() in _IDLE for o in layer.opts)
        and type(x) is np.ndarray
        and x.dtype == np.float32
    )


def convolution_relu(layer: Conv, weights: Sequence[Any], x: np.ndarray) -> np.ndarray:
    """max(vl_nnconv(x, *weights), 0) as the layer's options have it; x: H x W x C x N, float32."""
    from pyconvnet.kernels import cpu
    from pyconvnet.kernels.cpu.machine import level

    f, b = (*weights, None)[:2]
    if is_empty(f) or level() == "plain" or not x.size:
        y = layer.forward([x], weights)[0]
        return cpu.relu(y, 0.0)
    x = as_tensor("vl_nnconv", "x", x)
    f = as_tensor("vl_nnconv", "f", f, like=x)
    window = Window.parse("vl_nnconv", f.shape[:2], layer.stride, layer.pad, layer.dilate, "f")
    check_filters("vl_nnconv", x, f, window)
    biases = check_biases("vl_nnconv", b, f.shape[3], x)

    from pyconvnet.kernels.cpu.convolution import conv

    return conv(x, f, biases, window, relu=True)
