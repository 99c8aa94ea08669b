"""HardSigmoid: a sigmoid made of three lines (SimpleNN 'hardsigmoid')."""

from __future__ import annotations

from pyconvnet import backends
from pyconvnet.layers.activations import Activation


class HardSigmoid(Activation):
    """y = alpha x + beta between 0 and 1, 0 below, 1 above (Courbariaux et al. 2015)."""

    alpha = 0.2
    beta = 0.5

    simplenn = "hardsigmoid"

    def value(self, x):
        backend = backends.of(x)
        y = backend.maximum(self._line(x), backend.scalar(x, 0))
        return backend.minimum(y, backend.scalar(x, 1))

    def slope(self, x):
        backend, y = backends.of(x), self._line(x)
        return backend.scalar(x, self.alpha) * backend.cast((y > 0) & (y < 1), x)

    def _line(self, x):
        backend = backends.of(x)
        return backend.scalar(x, self.alpha) * x + backend.scalar(x, self.beta)
