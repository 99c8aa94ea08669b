"""vl_nnsigmoid: sigmoid non-linearity."""

from __future__ import annotations

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options


@matlab_options(names_errors=True)
def vl_nnsigmoid(x: np.ndarray, dzdy: np.ndarray | None = None) -> np.ndarray:
    """Logistic sigmoid, element by element.

    vl_nnsigmoid(x) -> y               x, y: H x W x C x N       y = 1 / (1 + exp(-x))
    vl_nnsigmoid(x, dzdy) -> dzdx      dzdy, dzdx like x         dzdx = dzdy y (1 - y)

    Raises TypeError for arrays that are not float32 or float64; ValueError for shapes that differ.
    Source: MatConvNet manual, section 4.4 "Activation functions".

    >>> vl_nnsigmoid(np.zeros(1)).item()
    0.5
    """
    x = as_tensor("x", x)
    if is_empty(dzdy):
        return backends.of(x).sigmoid(x)
    return backends.of(x).sigmoid_backward(x, check_derivative(dzdy, x, x.shape))
