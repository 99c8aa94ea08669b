"""PReLU: a rectifier whose slope below zero is learned (SimpleNN 'prelu')."""

from __future__ import annotations

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, size_text
from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.layers.scale import folded


class PReLU(ElementWise):
    """y = x above 0, a x below (He et al. 2015); the parameter a has the size of x, or 1 in a dimension.

    size  of the first values that initParams gives a, all 0.25: (1, 1, C) for one number each channel
    """

    size = (1, 1, 1)

    simplenn = "prelu"
    param_suffixes = ("a",)

    def forward(self, inputs, params):
        x, a = self._arguments(inputs, params)
        return [backends.of(x).where(x > 0, x, x * a)]

    def backward(self, inputs, params, derOutputs):
        x, a = self._arguments(inputs, params)
        backend, dy = backends.of(x), derOutputs[0]
        below = backend.where(x > 0, backend.scalar(x, 0), dy)
        dx = backend.where(x > 0, dy, dy * a)
        return [dx], [folded(below * x, a).reshape(params[0].shape)]

    def initParams(self):
        return [np.full(tuple(int(s) for s in np.ravel(self.size)), 0.25, np.float32)]

    def _arguments(self, inputs, params):
        if len(params) != 1:
            raise ValueError(f"PReLU: slopes must be its one parameter, got {len(params)} parameters")
        x = as_tensor("PReLU: x", inputs[0])
        a = as_tensor("PReLU: a", params[0], like=x)
        if any(s not in (1, t) for s, t in zip(a.shape, x.shape)):
            raise ValueError(
                f"PReLU: a is {size_text(a.shape)}, x is {size_text(x.shape)}; each size must be equal or 1"
            )
        return x, a
