"""vl_nnspnorm: spatial normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.geometry import Window, pair
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import numbers


@matlab_options(names_errors=True)
def vl_nnspnorm(x: np.ndarray, param: Any, dzdy: np.ndarray | None = None) -> np.ndarray:
    """Divide each value by the energy of its channel around it.

    vl_nnspnorm(x, [ph, pw, alpha, beta]) -> y              x, y: H x W x C x N
    vl_nnspnorm(x, [ph, pw, alpha, beta], dzdy) -> dzdx     dzdy, dzdx like x

    y = x (1 + alpha n)^-beta, where n is the average of x^2 over the ph x pw window around the pixel
    (as vl_nnpool averages: over the pixels inside the image).

    Raises TypeError for arrays that are not float32 or float64; ValueError for other than four numbers.
    Source: MatConvNet manual, section 4.7.3 "Spatial normalization".

    >>> vl_nnspnorm(np.full((1, 1, 1, 1), 2.0), [1, 1, 0.75, 0.5]).item()
    1.0
    """
    x = as_tensor("x", x)
    ph, pw, alpha, beta = numbers("param", param, "[ph, pw, alpha, beta]")
    size = pair("the window in param", [ph, pw])
    # the window is centred; an even one reaches further to the bottom right
    low, high = [(s - 1) // 2 for s in size], [s // 2 for s in size]
    window = Window(size, pad=(low[0], high[0], low[1], high[1]))
    if is_empty(dzdy):
        return backends.of(x).spnorm(x, window, alpha, beta)
    return backends.of(x).spnorm_backward(x, check_derivative(dzdy, x, x.shape), window, alpha, beta)
