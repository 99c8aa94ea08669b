"""vl_nnrelu: rectified linear unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import number


@matlab_options(names_errors=True)
def vl_nnrelu(x: np.ndarray, dzdy: np.ndarray | None = None, *, leak: Any = 0.0) -> np.ndarray:
    """Rectified linear unit, element by element.

    vl_nnrelu(x) -> y               x, y: H x W x C x N       y = x where x > 0, leak x elsewhere
    vl_nnrelu(x, dzdy) -> dzdx      dzdy, dzdx like x         dzdx = dzdy where x > 0, leak dzdy elsewhere

    leak  0, or the slope for negative values (leaky ReLU)

    Raises TypeError for arrays that are not float32 or float64; ValueError for shapes that differ.
    Source: MatConvNet manual, section 4.4 "Activation functions".

    >>> vl_nnrelu(np.array([-2.0, 3.0]), leak=0.5).ravel()
    array([-1.,  3.])
    """
    x = as_tensor("x", x)
    slope = number("leak", leak)
    if is_empty(dzdy):
        return backends.of(x).relu(x, slope)
    return backends.of(x).relu_backward(x, check_derivative(dzdy, x, x.shape), slope)
