"""vl_nnconv: convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty, shape_of, size_text
from pyconvnet.geometry import Window
from pyconvnet.ops.checks import check_biases, check_derivative, check_filters
from pyconvnet.options import matlab_options


@matlab_options(flags=("noDerData", "noDerFilters", "noDerBiases"), names_errors=True)
def vl_nnconv(
    x: np.ndarray,
    f: np.ndarray | None,
    b: np.ndarray | None = None,
    dzdy: np.ndarray | None = None,
    *,
    stride: Any = 1,
    pad: Any = 0,
    dilate: Any = 1,
    noDerData: bool = False,
    noDerFilters: bool = False,
    noDerBiases: bool = False,
) -> Any:
    """Convolve images with a bank of filters (cross-correlation: the filters are not turned over).

    vl_nnconv(x, f, b) -> y                        x: H x W x C x N     f: h x w x C/G x K     b: K values
    vl_nnconv(x, f, b, dzdy) -> (dzdx, dzdf, dzdb)                      y, dzdy: YH x YW x K x N

    y[i, j, k, n] = b[k] + sum f[u, v, c, k] x[i stride + u dilate - top, j stride + v dilate - left, c, n]
    YH = floor((H + top + bottom - dilate (h - 1) - 1) / stride) + 1, and likewise YW.

    stride  1, or (vertical, horizontal)        dilate  1, or (vertical, horizontal)
    pad     0, or (top, bottom, left, right); padded pixels are zero
    The number of groups G follows from the shapes: channel group g of x meets filters g K/G .. (g + 1) K/G - 1.
    f None (MATLAB's []): every channel passes as it is, subsampled by stride; b None: no biases.
    noDerData, noDerFilters, noDerBiases leave that derivative out (None in its place).

    A filter as large as the image makes the layer fully connected.

    Raises TypeError for arrays that are not float32 or float64, or mixed; ValueError for shapes that do not fit.
    Source: MatConvNet manual, section 4.1 "Convolution".

    >>> x = np.ones((3, 3, 1, 1), np.float32)
    >>> vl_nnconv(x, np.ones((2, 2, 1, 1), np.float32), None)[:, :, 0, 0]
    array([[4., 4.],
           [4., 4.]], dtype=float32)
    """
    x = as_tensor("x", x)
    if is_empty(f):
        window = Window.parse(1, stride, pad, dilate)
        if window.dilate != (1, 1):
            raise ValueError(f"without filters there is nothing to dilate, got dilate {list(window.dilate)}")
        return _subsample(x, b, dzdy, window, noDerData, noDerBiases)
    filters = as_tensor("f", f, like=x)
    window = Window.parse(filters.shape[:2], stride, pad, dilate, "f")
    out = check_filters(x.shape, filters.shape, window)
    biases = check_biases(b, filters.shape[3], x)
    if is_empty(dzdy):
        return backends.of(x).conv(x, filters, biases, window)
    dzdy = check_derivative(dzdy, x, (*out, filters.shape[3], x.shape[3]))
    needs = (not noDerData, not noDerFilters, biases is not None and not noDerBiases)
    dx, df, db = backends.of(x).conv_backward(x, filters, dzdy, window, needs)
    return dx, df if df is None else df.reshape(shape_of(f)), db if db is None else db.reshape(shape_of(b))


def _subsample(x: Any, b: Any, dzdy: Any, window: Window, noDerData: bool, noDerBiases: bool) -> Any:
    """vl_nnconv without filters: pad, take every stride-th pixel, add biases."""
    biases = check_biases(b, x.shape[2], x)
    out = window.output_size(*x.shape[:2])
    if min(out) < 1:
        raise ValueError(f"x is {size_text(x.shape)}, which leaves no pixels")
    backend, how = backends.of(x), (window.stride, window.pad, out)
    if is_empty(dzdy):
        y = backend.subsampled(x, *how)
        return y if biases is None else y + biases[:, None]
    dzdy = check_derivative(dzdy, x, (*out, *x.shape[2:]))
    dx = None if noDerData else backend.subsampled_backward(x, *how, dzdy)
    db = None if biases is None or noDerBiases else backend.bias_gradient(dzdy).reshape(b.shape)
    return dx, None, db
