"""Further non-linearities, for both wrappers: softplus, tanh, elu, swish. ReLU and Sigmoid are MatConvNet's own."""

from __future__ import annotations

import numpy as np

from pyconvnet.layers.elementwise import ElementWise


class Activation(ElementWise, block=False):
    """Base of a non-linearity: subclasses give `value(x)` and `slope(x)`, its derivative, both element by element."""

    def value(self, x: np.ndarray) -> np.ndarray:
        """y(x)"""
        raise TypeError(f"{type(self).__name__}.value is not defined")

    def slope(self, x: np.ndarray) -> np.ndarray:
        """dy/dx"""
        raise TypeError(f"{type(self).__name__}.slope is not defined")

    def forward(self, inputs, params):
        return [self.value(inputs[0])]

    def backward(self, inputs, params, derOutputs):
        return [derOutputs[0] * self.slope(inputs[0])], []


def _logistic(x: np.ndarray) -> np.ndarray:
    # exp of a negative number only, so that nothing overflows
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _finite(x: np.ndarray) -> np.ndarray:
    """Infinities become the largest number, as infinity times zero is no number; NaN stays."""
    limits = np.finfo(x.dtype)
    return np.clip(x, limits.min, limits.max)


class SoftPlus(Activation):
    """y = ln(1 + e^x): a smooth ReLU (Dugas et al. 2001)."""

    simplenn = "softplus"

    def value(self, x):
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def slope(self, x):
        return _logistic(x)


class Tanh(Activation):
    """y = tanh x."""

    simplenn = "tanh"

    def value(self, x):
        return np.tanh(x)

    def slope(self, x):
        return 1 - np.tanh(x) ** 2


class ELU(Activation):
    """y = x above 0, alpha (e^x - 1) below (Clevert, Unterthiner, Hochreiter 2016)."""

    alpha = 1.0

    simplenn = "elu"
    simplenn_fields = {"alpha": 1.0}

    def value(self, x):
        return np.where(x > 0, x, x.dtype.type(self.alpha) * np.expm1(np.minimum(x, 0)))

    def slope(self, x):
        return np.where(x > 0, x.dtype.type(1), x.dtype.type(self.alpha) * np.exp(np.minimum(x, 0)))


class Swish(Activation):
    """y = x / (1 + e^(-beta x)) (Ramachandran, Zoph, Le 2017)."""

    beta = 1.0

    simplenn = "swish"
    simplenn_fields = {"beta": 1.0}

    def value(self, x):
        return _finite(x) * _logistic(self._scaled(x))

    def slope(self, x):
        z = self._scaled(x)
        s = _logistic(z)
        return s + z * s * (1 - s)

    def _scaled(self, x):
        with np.errstate(over="ignore"):
            return _finite(x.dtype.type(self.beta) * x)
