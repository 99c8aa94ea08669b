"""vl_nnnoffset: norm-dependent offset."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import numbers


@matlab_options(names_errors=True)
def vl_nnnoffset(x: np.ndarray, param: Any, dzdy: np.ndarray | None = None) -> np.ndarray:
    """Subtract from each value an offset that grows with the norm of its pixel's channels.

    vl_nnnoffset(x, [alpha, beta]) -> y              x, y: H x W x C x N
    vl_nnnoffset(x, [alpha, beta], dzdy) -> dzdx     dzdy, dzdx like x

    y = x - alpha L^beta, with L the sum of x^2 over the channels, not less than 1e-8.

    Raises TypeError for arrays that are not float32 or float64; ValueError for other than two numbers.
    Source: MatConvNet, vl_nnnoffset.

    >>> vl_nnnoffset(np.array([3.0, 4.0]).reshape(1, 1, 2, 1), [1, 0.5]).ravel()
    array([-2., -1.])
    """
    x = as_tensor("x", x)
    alpha, beta = numbers("param", param, "[alpha, beta]")
    if is_empty(dzdy):
        return backends.of(x).noffset(x, alpha, beta)
    return backends.of(x).noffset_backward(x, alpha, beta, check_derivative(dzdy, x, x.shape))
