"""vl_nncrop: cut rows and columns off the border."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty, size_4d, size_text
from pyconvnet.geometry import borders
from pyconvnet.options import matlab_options
from pyconvnet.values import whole_numbers


@matlab_options(names_errors=True)
def vl_nncrop(x: Any, crop: Any, dzdy: np.ndarray | None = None, inputSize: Any = None) -> np.ndarray:
    """Cut rows and columns off the border of each image.

    vl_nncrop(x, crop) -> y                        x: H x W x C x N     y: YH x YW x C x N
    vl_nncrop(x, crop, dzdy) -> dzdx               dzdy like y, dzdx like x: zero where x was cut off
    vl_nncrop(None, crop, dzdy, inputSize) -> dzdx  the same without x, from its size (H, W, C, N)

    YH = H - top - bottom, and likewise YW.

    crop  0, or (top, bottom, left, right)

    Raises TypeError for arrays that are not float32 or float64; ValueError where nothing is left, or shapes do not fit.
    Source: MatConvNet, vl_nncrop.

    >>> vl_nncrop(np.arange(6.0).reshape(3, 2, 1, 1), (1, 1, 0, 0)).ravel()
    array([2., 3.])
    """
    top, bottom, left, right = borders("crop", crop)
    if not is_empty(x) or (is_empty(inputSize) and backends.find(x) is not None):
        x = as_tensor("x", x)
        size = x.shape
    elif is_empty(inputSize) or is_empty(dzdy):
        raise ValueError("without x, dzdy and inputSize (H, W, C, N) are needed")
    else:
        size = size_4d(whole_numbers("inputSize", inputSize, (2, 3, 4)))
    rows, cols = slice(top, size[0] - bottom), slice(left, size[1] - right)
    out = (rows.stop - rows.start, cols.stop - cols.start, *size[2:])
    if min(out[:2]) < 1:
        raise ValueError(f"crop {[top, bottom, left, right]} leaves nothing of {size_text(size[:2])}")
    if is_empty(dzdy):
        return x[rows, cols]
    dzdy = as_tensor("dzdy", dzdy, like=None if is_empty(x) else x)
    if tuple(dzdy.shape) != out:
        raise ValueError(f"dzdy is {size_text(dzdy.shape)}, the output is {size_text(out)}")
    return backends.of(dzdy).crop_backward(size, top, left, dzdy)
