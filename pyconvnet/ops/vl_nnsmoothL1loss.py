"""vl_nnsmoothL1loss: the distance to a target, rounded off near zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.ops.checks import loss_weight, target_of
from pyconvnet.options import matlab_options
from pyconvnet.values import flag, number


@matlab_options(names_errors=True)
def vl_nnsmoothL1loss(
    x: np.ndarray,
    t: Any,
    dzdy: Any = None,
    *,
    sigma: Any = 1,
    insideWeights: Any = None,
    outsideWeights: Any = None,
    normalise: Any = True,
) -> np.ndarray:
    """Smooth L1 (Huber) distance of x to t, summed over all values of an image and averaged over images.

    vl_nnsmoothL1loss(x, t) -> y               x: H x W x C x N     t like x     y: 1 x 1 x 1 x 1
    vl_nnsmoothL1loss(x, t, dzdy) -> dzdx      dzdy: one number, dzdx like x

    y = 1/N sum of o f(i (x - t)), with f(d) = sigma^2 d^2 / 2 where |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2)

    t               as in vl_nneuclideanloss; NaN stands for "leave out"
    sigma           1
    insideWeights   the factors i, outsideWeights the factors o: of the size of x or 1 in a dimension; 1 unless given
    normalise       True; False leaves the factor 1/N out, as the function of mcnExtraLayers does

    Raises TypeError for arrays that are not float32 or float64; ValueError for targets that do not fit.
    Source: mcnExtraLayers, vl_nnsmoothL1loss; Girshick, Fast R-CNN, arXiv:1504.08083.

    >>> x = np.array([0.5, -3.0]).reshape(1, 1, 2, 1)
    >>> vl_nnsmoothL1loss(x, np.zeros_like(x)).item()
    2.625
    """
    x = as_tensor("x", x)
    backend = backends.of(x)
    limit = number("sigma", sigma, "one number above 0", lambda v: v > 0) ** -2
    t = target_of("t", t, x)
    distance = backend.where(t == t, x - t, backend.scalar(x, 0))
    weights = backend.scalar(x, 1 / x.shape[3] if flag("normalise", normalise) else 1)
    inside = None if is_empty(insideWeights) else target_of("insideWeights", insideWeights, x)
    if inside is not None:
        distance = distance * inside
    if not is_empty(outsideWeights):
        weights = weights * target_of("outsideWeights", outsideWeights, x)
    weights = weights * backend.scalar(x, 1 / limit)
    if is_empty(dzdy):
        size = backend.abs(distance)
        curved = backend.minimum(size, backend.scalar(x, limit))  # how much of it lies where f is a parabola
        return backend.sum(weights * curved * (size - curved * backend.scalar(x, 0.5)), (0, 1, 2, 3))
    slope = backend.minimum(backend.maximum(distance, backend.scalar(x, -limit)), backend.scalar(x, limit))
    slope = weights * loss_weight(dzdy, x) * slope
    return slope if inside is None else slope * inside
