"""vl_nnnormalizelp: normalization to unit Lp norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import number, whole_numbers


@matlab_options(flags=("spatial",), names_errors=True)
def vl_nnnormalizelp(
    x: np.ndarray,
    dzdy: np.ndarray | None = None,
    *,
    p: Any = None,
    exponent: Any = None,
    epsilon: Any = 1e-2,
    dimensions: Any = 3,
    spatial: bool = False,
) -> np.ndarray:
    """Divide by the Lp norm of the channels, at every pixel.

    vl_nnnormalizelp(x) -> y               x, y: H x W x C x N       y = x / (sum of x^p + epsilon)^(1/p)
    vl_nnnormalizelp(x, dzdy) -> dzdx      dzdy, dzdx like x

    p           2; also called exponent. Take an even one:
                an odd p sums signed powers, as MatConvNet does, and may come to the root of a negative number, NaN
    epsilon     1e-2
    dimensions  3 (channels); the dimensions to sum over, counted from 1
    spatial     sum over dimensions 1 and 2, each channel by itself

    Raises TypeError for arrays that are not float32 or float64; ValueError for dimensions other than 1 to 4.
    Source: MatConvNet, vl_nnnormalizelp.

    >>> vl_nnnormalizelp(np.array([3.0, 4.0]).reshape(1, 1, 2, 1), epsilon=0).ravel()
    array([0.6, 0.8])
    """
    x = as_tensor("x", x)
    if p is not None and exponent is not None:
        raise ValueError("p and exponent are the same option; give one")
    power = number("p", 2 if p is None and exponent is None else exponent if p is None else p)
    eps = number("epsilon", epsilon)
    chosen = np.ravel(dimensions)
    axes = tuple(d - 1 for d in whole_numbers("dimensions", chosen, (1, 2, 3, 4), 1))
    if max(axes) > 3:
        raise ValueError(f"dimensions must be from 1 to 4, got {chosen.tolist()}")
    if spatial:
        axes = (0, 1)
    if is_empty(dzdy):
        return backends.of(x).normalizelp(x, power, eps, axes)
    dzdy = check_derivative(dzdy, x, x.shape)
    return backends.of(x).normalizelp_backward(x, power, eps, axes, dzdy)
