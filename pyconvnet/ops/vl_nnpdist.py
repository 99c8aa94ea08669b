"""vl_nnpdist: p-distance to a target."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.ops.checks import check_derivative, fitting, numbers_like
from pyconvnet.options import matlab_options
from pyconvnet.values import flag, number


@matlab_options(names_errors=True)
def vl_nnpdist(
    x: np.ndarray,
    x0: np.ndarray,
    p: Any,
    dzdy: np.ndarray | None = None,
    *,
    noRoot: Any = False,
    epsilon: Any = 1e-6,
    aggregate: Any = False,
    instanceWeights: np.ndarray | None = None,
) -> Any:
    """Distance of the channels of x to those of x0, at every pixel.

    vl_nnpdist(x, x0, p) -> y                       x: H x W x C x N     x0 like x, or of size 1 in a dimension
    vl_nnpdist(x, x0, p, dzdy) -> (dzdx, dzdx0)     y, dzdy: H x W x 1 x N

    y = (sum over channels of |x - x0|^p)^(1/p)

    x0 may be a vector: N numbers, one for each image, where C is 1, or C numbers where N is 1. x0 and instanceWeights
    are converted to the precision of x.

    noRoot           leave the power 1/p out
    aggregate        sum over all pixels and images: y and dzdy are 1 x 1 x 1 x 1
    instanceWeights  factors of y, of its size or 1 in a dimension
    epsilon          1e-6, the least divisor in the derivative
    A target that is NaN does not count (no distance, no derivative).

    Raises TypeError for x or dzdy that are not float32 or float64, or mixed; ValueError for shapes that do not fit.
    Source: MatConvNet manual, section 4.9.1 "p-distance".

    >>> x = np.array([3.0, 4.0]).reshape(1, 1, 2, 1)
    >>> vl_nnpdist(x, np.zeros_like(x), 2).item()
    5.0
    """
    x = as_tensor("x", x)
    given = numbers_like("x0", x0, x)
    x0 = fitting("x0", given, x.shape)
    power = number("p", p, "one number above 0", lambda v: v > 0)
    eps = number("epsilon", epsilon)
    root, total = not flag("noRoot", noRoot), flag("aggregate", aggregate)
    backend, shape = backends.of(x), (*x.shape[:2], 1, x.shape[3])
    weights = None
    if not is_empty(instanceWeights):
        weights = fitting("instanceWeights", numbers_like("instanceWeights", instanceWeights, x), shape)
    if is_empty(dzdy):
        y = backend.pdist(x, x0, power, root)
        if weights is not None:
            y = y * weights
        return backend.sum(y, (0, 1, 3)) if total else y

    dzdy = check_derivative(dzdy, x, (1, 1, 1, 1) if total else shape)
    if weights is not None:
        dzdy = dzdy * weights
    dx = backend.pdist_backward(x, x0, power, root, eps, dzdy)
    axes = tuple(i for i in range(4) if x0.shape[i] == 1 < x.shape[i])
    return dx, -(backend.sum(dx, axes) if axes else dx).reshape(given.shape)
