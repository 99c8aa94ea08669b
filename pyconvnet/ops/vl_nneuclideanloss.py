"""vl_nneuclideanloss: half the squared distance to a target."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.ops.checks import loss_weight, target_of
from pyconvnet.options import matlab_options
from pyconvnet.values import flag


@matlab_options(names_errors=True)
def vl_nneuclideanloss(
    x: np.ndarray, t: Any, dzdy: Any = None, *, instanceWeights: Any = None, normalise: Any = True
) -> np.ndarray:
    """Half the squared distance of x to t, summed over all values of an image and averaged over images.

    vl_nneuclideanloss(x, t) -> y               x: H x W x C x N     t like x     y: 1 x 1 x 1 x 1
    vl_nneuclideanloss(x, t, dzdy) -> dzdx      dzdy: one number, dzdx like x

    y = 1/(2N) sum of w (x - t)^2, where w is 1 unless given

    t                targets: of the size of x or 1 in a dimension; N numbers where C is 1, C x N for 1 x 1 x C x N; NaN
                     stands for "leave out"
    instanceWeights  factors of the summands, of the size of x or 1 in a dimension
    normalise        True; False leaves the factor 1/N out, as the function of mcnExtraLayers does

    MatConvNet has no such function; users' programs have it under this name, and most of them divide by nothing and
    let cnn_train divide by the number of images.

    Raises TypeError for arrays that are not float32 or float64; ValueError for targets that do not fit.
    Source: mcnExtraLayers, vl_nneuclideanloss.

    >>> x = np.array([3.0, 4.0]).reshape(1, 1, 2, 1)
    >>> vl_nneuclideanloss(x, np.zeros_like(x)).item()
    12.5
    """
    x = as_tensor("x", x)
    backend = backends.of(x)
    t = target_of("t", t, x)
    distance = backend.where(t == t, x - t, backend.scalar(x, 0))
    weights = backend.scalar(x, 1 / x.shape[3] if flag("normalise", normalise) else 1)
    if not is_empty(instanceWeights):
        weights = weights * target_of("instanceWeights", instanceWeights, x)
    if is_empty(dzdy):
        return backend.sum(weights * distance * distance * backend.scalar(x, 0.5), (0, 1, 2, 3))
    return weights * loss_weight(dzdy, x) * distance
