"""Clip: values between two bounds (SimpleNN 'clip'); ReLU6 is Clip(min=0, max=6)."""

from __future__ import annotations

import math

from pyconvnet import backends
from pyconvnet.layers.activations import Activation


class Clip(Activation):
    """y = x between min and max, min below, max above."""

    min = -math.inf
    max = math.inf

    simplenn = "clip"

    def value(self, x):
        backend = backends.of(x)
        y = backend.maximum(x, backend.scalar(x, self.min))
        return backend.minimum(y, backend.scalar(x, self.max))

    def slope(self, x):
        backend = backends.of(x)
        return backend.cast((x > self.min) & (x < self.max), x)
