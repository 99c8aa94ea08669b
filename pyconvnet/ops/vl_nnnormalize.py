"""vl_nnnormalize: local response normalization across channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import numbers


@matlab_options(names_errors=True)
def vl_nnnormalize(x: np.ndarray, param: Any, dzdy: np.ndarray | None = None) -> np.ndarray:
    """Local response normalization (LRN) across channels.

    vl_nnnormalize(x, [n, kappa, alpha, beta]) -> y              x, y: H x W x C x N
    vl_nnnormalize(x, [n, kappa, alpha, beta], dzdy) -> dzdx     dzdy, dzdx like x

    y_k = x_k L_k^-beta,  L_k = kappa + alpha sum of x_q^2 for q from k - floor((n-1)/2) to k + ceil((n-1)/2)

    Channels outside the image are left out of the sum. The power is that of MatConvNet's CPU code, up to 4e-3 off;
    set_precision("high") gives the exact one, which its GPU code has; for PyTorch tensors it is always exact.

    Raises TypeError for arrays that are not float32 or float64; ValueError for other than four numbers.
    Source: Krizhevsky et al. 2012, section 3.3; MatConvNet manual, section 4.7.1 "Local response normalization".

    >>> vl_nnnormalize(np.full((1, 1, 2, 1), 2.0), [2, 0, 1, 0.5]).ravel().round(3)
    array([0.707, 1.   ])
    """
    x = as_tensor("x", x)
    n, kappa, alpha, beta = numbers("param", param, "[n, kappa, alpha, beta]")
    if n < 1 or n != int(n):
        raise ValueError(f"n, the first of param, must be a whole number from 1 up, got {n:g}")
    if is_empty(dzdy):
        return backends.of(x).lrn(x, int(n), kappa, alpha, beta)
    dzdy = check_derivative(dzdy, x, x.shape)
    return backends.of(x).lrn_backward(x, dzdy, int(n), kappa, alpha, beta)
