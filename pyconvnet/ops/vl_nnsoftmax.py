"""vl_nnsoftmax: softmax across channels."""

from __future__ import annotations

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options


@matlab_options(names_errors=True)
def vl_nnsoftmax(x: np.ndarray, dzdy: np.ndarray | None = None) -> np.ndarray:
    """Softmax across channels, at every pixel.

    vl_nnsoftmax(x) -> y               x, y: H x W x C x N       y_k = exp(x_k) / sum of exp(x_t) over t
    vl_nnsoftmax(x, dzdy) -> dzdx      dzdy, dzdx like x         dzdx_k = y_k (dzdy_k - sum of dzdy_t y_t over t)

    Raises TypeError for arrays that are not float32 or float64; ValueError for shapes that differ.
    Source: MatConvNet manual, section 4.7.4 "Softmax".

    >>> vl_nnsoftmax(np.log(np.array([1.0, 3.0])).reshape(1, 1, 2, 1)).ravel()
    array([0.25, 0.75])
    """
    x = as_tensor("x", x)
    if is_empty(dzdy):
        return backends.of(x).softmax(x)
    return backends.of(x).softmax_backward(x, check_derivative(dzdy, x, x.shape))
