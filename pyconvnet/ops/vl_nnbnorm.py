"""vl_nnbnorm: batch normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, check_like, is_empty, size_text
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import number


@matlab_options(names_errors=True)
def vl_nnbnorm(
    x: np.ndarray,
    g: np.ndarray,
    b: np.ndarray,
    dzdy: np.ndarray | None = None,
    *,
    epsilon: Any = 1e-4,
    moments: Any = None,
) -> Any:
    """Normalize each channel to mean b and standard deviation g over the batch.

    vl_nnbnorm(x, g, b) -> (y, moments)                          x, y: H x W x K x N     g, b: K values
    vl_nnbnorm(x, g, b, dzdy) -> (dzdx, dzdg, dzdb, moments)     moments: K x 2

    y = g (x - mean) / sigma + b, with sigma = sqrt(variance + epsilon) and the variance divided by H W N.
    moments   columns mean and sigma (not the variance); give those of training to use them instead of the batch's;
              backward too treats them as those of the batch, as MatConvNet does
    epsilon   1e-4

    Raises TypeError for arrays that are not float32 or float64, or mixed; ValueError for shapes that do not fit.
    Source: Ioffe and Szegedy 2015; MatConvNet manual, section 4.7.2 "Batch normalization".

    >>> y, moments = vl_nnbnorm(np.array([1.0, 3.0]).reshape(1, 2, 1, 1), np.ones(1), np.zeros(1), epsilon=0)
    >>> y.ravel(), moments
    (array([-1.,  1.]), array([[2., 1.]]))
    """
    x = as_tensor("x", x)
    backend, channels = backends.of(x), x.shape[2]
    gain, offset = _vector("g", g, channels, x), _vector("b", b, channels, x)
    eps = number("epsilon", epsilon)
    if is_empty(moments):
        moments = None
        if 0 in x.shape:
            raise ValueError(f"x is {size_text(x.shape)}, of which there is no mean; moments must be given")
    else:
        check_like("moments", moments, x)
        size = math.prod(moments.shape)
        if size != 2 * channels or (channels > 1 and moments.ndim <= 2 and moments.shape[0] != channels):
            raise ValueError(
                f"moments has {size} elements ({size_text(moments.shape)}), x has {channels} channels; "
                f"it must be {channels}x2"
            )
        moments = backend.flat(moments).reshape(2, channels).T
    if is_empty(dzdy):
        return backend.bnorm(x, gain, offset, eps, moments)
    dzdy = check_derivative(dzdy, x, x.shape)
    dx, dg, db, moments = backend.bnorm_backward(x, gain, offset, dzdy, eps, moments)
    return dx, dg.reshape(g.shape), db.reshape(b.shape), moments


def _vector(name: str, v: Any, channels: int, x: np.ndarray) -> np.ndarray:
    check_like(name, v, x)
    if math.prod(v.shape) != channels:
        raise ValueError(f"{name} has {math.prod(v.shape)} elements, x has {channels} channels")
    return backends.of(v).flat(v)
