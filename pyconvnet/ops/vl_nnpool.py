"""vl_nnpool: max and average pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty, size_text
from pyconvnet.geometry import Window
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import choice


@matlab_options(names_errors=True)
def vl_nnpool(
    x: np.ndarray,
    pool: Any,
    dzdy: np.ndarray | None = None,
    *,
    stride: Any = 1,
    pad: Any = 0,
    method: str = "max",
) -> np.ndarray:
    """Pool each channel over a sliding window.

    vl_nnpool(x, pool) -> y                     x: H x W x C x N      y: YH x YW x C x N
    vl_nnpool(x, pool, dzdy) -> dzdx            dzdy like y, dzdx like x

    YH = floor((H + top + bottom - pool_h) / stride_h) + 1, and likewise YW.
    pool    window, one number or (height, width)
    stride  1, or (vertical, horizontal)        method  "max" or "avg"
    pad     0, or (top, bottom, left, right), less than the window; padded pixels never win the maximum and are not
            counted in the average

    The derivative of a maximum goes to the first of equal pixels, column by column.

    Raises TypeError for arrays that are not float32 or float64; ValueError for windows that do not fit.
    Source: MatConvNet manual, section 4.3 "Spatial pooling".

    >>> vl_nnpool(np.arange(4.0).reshape(2, 2, 1, 1), 2).item()
    3.0
    """
    x = as_tensor("x", x)
    window = Window.parse(pool, stride, pad, size_name="pool")
    method = choice("method", method, ("max", "avg"))
    out = check_pool(x.shape, window)
    if is_empty(dzdy):
        return backends.of(x).pool(x, window, method)
    dzdy = check_derivative(dzdy, x, (*out, *x.shape[2:]))
    return backends.of(x).pool_backward(x, window, method, dzdy)


def check_pool(shape: tuple[int, ...], window: Window) -> tuple[int, int]:
    """Refuse a window that does not fit x; the size of the output."""
    (h, w), (top, bottom, left, right) = window.size, window.pad
    if max(top, bottom) >= h or max(left, right) >= w:
        raise ValueError(f"pad {list(window.pad)} must be less than the window, {size_text(window.size)}")
    if 0 in shape[:2]:
        raise ValueError(f"x is {size_text(shape)}, it has no pixels")
    out = window.output_size(*shape[:2])
    if min(out) < 1:
        padded = (shape[0] + top + bottom, shape[1] + left + right)
        raise ValueError(f"the window is {size_text(window.size)}, more than x with its pad {size_text(padded)}")
    return out
