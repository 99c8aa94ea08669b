"""vl_nndropout: dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet import rng as library_rng
from pyconvnet.arrays import as_tensor, is_empty, size_text
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import number


@matlab_options(names_errors=True)
def vl_nndropout(
    x: np.ndarray,
    dzdy: np.ndarray | None = None,
    *,
    rate: Any = 0.5,
    mask: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> Any:
    """Set a random share of the values to zero and scale the rest up, so that the mean stays.

    vl_nndropout(x) -> (y, mask)                   x, y, mask: H x W x C x N     y = mask x
    vl_nndropout(x, mask=mask) -> (y, mask)        the same with a mask of before
    vl_nndropout(x, dzdy, mask=mask) -> dzdx       dzdx = mask dzdy

    rate  probability of zero (0.5); mask is 0 with this probability, 1 / (1 - rate) otherwise
    rng   a numpy Generator, or else the library's own, which pyconvnet.rng.seed starts; in training one per image

    Raises TypeError for arrays that are not float32 or float64, or mixed; ValueError for shapes that differ.
    Source: Srivastava et al. 2014; MatConvNet, vl_nndropout.

    >>> y, mask = vl_nndropout(np.ones((1, 4, 1, 1)), rate=0.5, rng=np.random.default_rng(0))
    >>> sorted({*y.ravel().tolist()}), bool(np.all(y == mask))
    ([0.0, 2.0], True)
    """
    x = as_tensor("x", x)
    share = number("rate", rate, "one number from 0 to below 1", lambda v: 0 <= v < 1)
    if rng is not None and not hasattr(rng, "standard_normal"):
        raise TypeError(f"rng must be a random number generator of numpy, got {type(rng).__name__}")
    if not is_empty(mask):
        mask = as_tensor("mask", mask, like=x)
        if tuple(mask.shape) != tuple(x.shape):
            raise ValueError(f"mask is {size_text(mask.shape)}, x is {size_text(x.shape)}")
    if is_empty(dzdy):
        if is_empty(mask):
            backend = backends.of(x)
            drawn = backend.random(x.shape, x, library_rng.source(x.shape[3]) if rng is None else rng)
            mask = backend.cast(drawn >= share, x) * backend.scalar(x, 1 / (1 - share))
        return x * mask, mask
    if is_empty(mask):
        raise ValueError("backward must be given mask=, the one that forward returned")
    return check_derivative(dzdy, x, x.shape) * mask
