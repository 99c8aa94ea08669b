"""Convolution of float32 arrays: which algorithm for which layer."""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu import amx, bfloat16, depthwise, dilated, fully_connected
from pyconvnet.backends.cpu.activations import add_to
from pyconvnet.backends.cpu.direct import PLAIN, Epilogue, direct
from pyconvnet.backends.cpu.layout import channels_fastest
from pyconvnet.backends.cpu.winograd import suits, winograd
from pyconvnet.geometry import Window


def conv(x: np.ndarray, f: np.ndarray, b: np.ndarray | None, window: Window, after: Epilogue = PLAIN) -> np.ndarray:
    """See `backends.reference.conv.conv`; `after` is applied to the result."""
    fully = fully_connected.suits(x, f, window)
    # where memory decides, half precision is as fast, and nearer
    if amx.suits(f, x.shape[2], window) and not (fully and x.shape[3] <= fully_connected.HALF_IMAGES):
        return from_nhwc(amx.convolution(x, f, b, window, after))
    if fully:
        return from_nhwc(fully_connected.fully_connected(x, f, b, window, after))
    # another way, the pad's zeros times infinity are NaN
    if depthwise.suits(f, x.shape[2]) and (not any(window.pad) or np.isfinite(f).all()):
        return from_nhwc(depthwise.depthwise(x, f, b, window, after))
    relu = after.relu and after.add is None
    if suits(x, f, window) and not (window.stride != (1, 1) and bfloat16.suits(f)):
        y = winograd(x, f, b, window, after.scale, relu, read_soon=after.add is not None)
    elif dilated.suits(x, f, window):
        y = dilated.dilated(x, f, b, window, after.scale, relu)
    else:
        return from_nhwc(direct(x, f, b, window, after))
    if after.add is not None:
        add_to(y, channels_fastest(after.add), after.relu)
    return from_nhwc(y)
