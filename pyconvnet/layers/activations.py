"""Further non-linearities, for both wrappers: softplus, tanh, elu, swish. ReLU and Sigmoid are MatConvNet's own."""

from __future__ import annotations

from typing import Any

from pyconvnet import backends
from pyconvnet.layers.elementwise import ElementWise


class Activation(ElementWise, block=False):
    """Base of a non-linearity: subclasses give `value(x)` and `slope(x)`, its derivative, both element by element."""

    def value(self, x: Any) -> Any:
        """y(x)"""
        raise TypeError(f"{type(self).__name__}.value is not defined")

    def slope(self, x: Any) -> Any:
        """dy/dx"""
        raise TypeError(f"{type(self).__name__}.slope is not defined")

    def forward(self, inputs, params):
        return [self.value(inputs[0])]

    def backward(self, inputs, params, derOutputs):
        return [derOutputs[0] * self.slope(inputs[0])], []


class SoftPlus(Activation):
    """y = ln(1 + e^x): a smooth ReLU (Dugas et al. 2001)."""

    simplenn = "softplus"

    def value(self, x):
        return backends.of(x).softplus(x)

    def slope(self, x):
        return backends.of(x).softplus_slope(x)


class Tanh(Activation):
    """y = tanh x."""

    simplenn = "tanh"

    def value(self, x):
        return backends.of(x).tanh(x)

    def slope(self, x):
        return 1 - backends.of(x).tanh(x) ** 2


class ELU(Activation):
    """y = x above 0, alpha (e^x - 1) below (Clevert, Unterthiner, Hochreiter 2016)."""

    alpha = 1.0

    simplenn = "elu"
    simplenn_fields = {"alpha": 1.0}

    def value(self, x):
        return backends.of(x).elu(x, self.alpha)

    def slope(self, x):
        return backends.of(x).elu_slope(x, self.alpha)


class Swish(Activation):
    """y = x / (1 + e^(-beta x)) (Ramachandran, Zoph, Le 2017)."""

    beta = 1.0

    simplenn = "swish"
    simplenn_fields = {"beta": 1.0}

    def value(self, x):
        return backends.of(x).swish(x, self.beta)

    def slope(self, x):
        return backends.of(x).swish_slope(x, self.beta)
