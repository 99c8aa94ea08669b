"""The derivatives of convolution of float32 arrays, and transposed convolution, which is one of them.

Apart from convolution.py, since running a network need not import them.
"""

from __future__ import annotations

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu import fully_connected
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
    elif needs[0]:
        dx = from_nhwc(data_gradient(dzdy, f, window, x.shape[:2], x.shape[2] // depth))
    if needs[1]:
        df = filter_gradient(x, dzdy, window, f)
    if needs[2]:
        db = bias_gradient(dzdy)
    return dx, df, db


def convt(x, f, b, upsample, crop, groups):
    """The data derivative of a convolution that strides by `upsample` and pads by `crop`, plus b."""
    window = Window(f.shape[:2], upsample, crop)
    size = tuple(u * (s - 1) + e for u, s, e in zip(upsample, x.shape, f.shape))
    size = size[0] - crop[0] - crop[1], size[1] - crop[2] - crop[3]
    y = data_gradient(x, f, window, size, groups)
    if b is not None:
        y += b.ravel()
    return from_nhwc(y)


def convt_backward(x, f, dzdy, upsample, crop, groups, needs=(True, True, True)):
    """(dx, df, db), None where not needed."""
    window = Window(f.shape[:2], upsample, crop)
    dx = df = db = None
    if needs[0]:
        dx = from_nhwc(direct(dzdy, f, None, window))
    if needs[1]:
        df = filter_gradient(dzdy, x, window, f)
    if needs[2]:
        db = bias_gradient(dzdy)
    return dx, df, db
