"""The derivatives of convolution of float32 arrays, and transposed convolution, which is one of them.

Apart from convolution.py, since running a network need not import them.
"""

from __future__ import annotations

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu import depthwise, dilated, fully_connected, winograd_gradient
from pyconvnet.backends.cpu.data_gradient import data_gradient
from pyconvnet.backends.cpu.direct import direct
from pyconvnet.backends.cpu.filter_gradient import bias_gradient, filter_gradient
from pyconvnet.geometry import Window


def conv_backward(x, f, dzdy, window: Window, needs=(True, True, True)):
    """(dx, df, db), None where not needed."""
    depth = f.shape[2]
    dx = df = db = None
    if needs[0] and fully_connected.suits(x, f, window):
        dx = from_nhwc(fully_connected.fully_connected_gradient(dzdy, f))
    elif needs[0] and depthwise.suits(f, x.shape[2]):
        dx = from_nhwc(depthwise.data_gradient(dzdy, f, window, x.shape[:2]))
    elif needs[0]:
        dx = from_nhwc(data_gradient(dzdy, f, window, x.shape[:2], x.shape[2] // depth))
    if needs[1] and depthwise.suits(f, x.shape[2]):  # both at once
        df, db = depthwise.filter_gradient(x, dzdy, window, f)
        return dx, df, db if needs[2] else None
    if needs[1]:
        df = _filter_gradient(x, dzdy, window, f)
    if needs[2]:
        db = bias_gradient(dzdy)
    return dx, df, db


def _filter_gradient(x, dzdy, window: Window, f):
    if depthwise.suits(f, x.shape[2]):
        return depthwise.filter_gradient(x, dzdy, window, f)[0]
    if winograd_gradient.suits(x, f, window):
        gradient = winograd_gradient.filter_gradient
    elif dilated.suits(x, f, window):
        gradient = dilated.filter_gradient
    else:
        gradient = filter_gradient
    return gradient(x, dzdy, window, f)


def convt(x, f, b, upsample, crop, groups):
    """The data derivative of a convolution that strides by `upsample` and pads by `crop`, plus b."""
    window = Window(f.shape[:2], upsample, crop)
    size = tuple(u * (s - 1) + e for u, s, e in zip(upsample, x.shape, f.shape))
    size = size[0] - crop[0] - crop[1], size[1] - crop[2] - crop[3]
    if depthwise.suits(f, groups):
        y = depthwise.data_gradient(x, f, window, size)
    else:
        y = data_gradient(x, f, window, size, groups)
    if b is not None:
        y += b.ravel()
    return from_nhwc(y)


def convt_backward(x, f, dzdy, upsample, crop, groups, needs=(True, True, True)):
    """(dx, df, db), None where not needed."""
    window = Window(f.shape[:2], upsample, crop)
    dx = df = db = None
    if needs[0]:
        forward = depthwise.depthwise if depthwise.suits(f, dzdy.shape[2]) else direct
        dx = from_nhwc(forward(dzdy, f, None, window))
    if needs[1]:
        df = _filter_gradient(dzdy, x, window, f)
    if needs[2]:
        db = bias_gradient(dzdy)
    return dx, df, db
