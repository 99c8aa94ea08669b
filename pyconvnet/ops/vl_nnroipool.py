"""vl_nnroipool: pooling of regions of interest."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, host_numbers, is_empty, shape_of, size_text
from pyconvnet.geometry import pair
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import choice


@matlab_options(names_errors=True)
def vl_nnroipool(
    x: np.ndarray,
    rois: np.ndarray,
    dzdy: np.ndarray | None = None,
    *,
    method: str = "max",
    subdivisions: Any = (1, 1),
    transform: Any = 1,
) -> np.ndarray:
    """Pool regions of interest into grids of one size.

    vl_nnroipool(x, rois) -> y               x: H x W x C x N     rois: 5 x R     y: SH x SW x C x R
    vl_nnroipool(x, rois, dzdy) -> dzdx      dzdy like y, dzdx like x

    A column of rois is [image, u0, v0, u1, v1]: image, columns and rows counted from 1, both corners included. There
    may be none (R = 0); numbers of any type are converted to the precision of x.
    method        "max" or "avg"; a cell that lies outside the image is zero
    subdivisions  1, or (SH, SW)
    transform     1; maps the regions to pixels of x before they are rounded: a factor t or a pair of factors (u, v),
                  u -> t (u - 1) + 1 (the first pixel stays), or an affine map, 2 x 3

    A cell spans rows floor(i h / SH) to ceil((i + 1) h / SH) of the region of height h: cells may overlap.
    The derivative of a maximum goes to the first of equal pixels, column by column.

    Raises TypeError for x that is not float32 or float64; ValueError for shapes that do not fit.
    Source: Girshick 2015 (Fast R-CNN); MatConvNet manual, section 4.6 "Region of interest pooling".

    >>> x = np.arange(16.0).reshape(4, 4, 1, 1)
    >>> vl_nnroipool(x, np.array([[1.0, 1, 1, 4, 4]]).T, subdivisions=2)[:, :, 0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    x = as_tensor("x", x)
    rois = _regions(rois, x)
    if rois.size and not x.shape[3]:
        raise ValueError(f"x is {size_text(x.shape)}, no images, and rois has {rois.shape[1]} regions of them")
    method = choice("method", method, ("max", "avg"))
    cells = pair("subdivisions", subdivisions)
    spans = _spans(rois, _affine(transform), cells, x.shape)
    shape = (*cells, x.shape[2], rois.shape[1])
    # of no regions, the derivative has no elements
    if is_empty(dzdy) and (rois.size or shape_of(dzdy) != shape):
        return backends.of(x).roipool(x, spans, cells, method)
    dzdy = check_derivative(dzdy, x, shape)
    return backends.of(x).roipool_backward(x, spans, method, dzdy)


def _regions(rois: Any, x: Any) -> np.ndarray:
    """5 x R in main memory, any numbers converted to the precision of x, that of MATLAB's arithmetic."""
    a = host_numbers(rois, "rois")
    if a.dtype.kind not in "iuf":
        raise TypeError(f"rois must be numbers, 5 x R, got {type(rois).__name__} of {a.dtype}")
    if a.shape[:1] != (5,) and (a.ndim < 3 or a.shape[:3] != (1, 1, 5)):
        hint = "; its columns are the regions: transpose it" if a.ndim > 1 and a.shape[1] == 5 else ""
        raise ValueError(f"rois must be 5 x R, got {size_text(a.shape) or 'a number'}{hint}")
    if not np.isfinite(a).all():
        raise ValueError("rois must be finite numbers, got NaN or infinite ones")
    single = x.dtype == backends.of(x).floats[0]
    return a.astype(np.float32 if single else np.float64).reshape(5, a.size // 5, order="F")


def _affine(transform: Any) -> np.ndarray:
    t = np.asarray(transform)
    if t.dtype.kind in "biuf":
        t = t.astype(float)
        if t.size in (1, 2):
            u, v = np.broadcast_to(t.ravel(), 2)
            return np.array([[u, 0, 1 - u], [0, v, 1 - v]])
        if t.shape == (2, 3):
            return t
    raise ValueError(f"transform must be 1 or 2 numbers or a 2x3 matrix, got {transform!r}")


def _spans(rois: np.ndarray, affine: np.ndarray, cells: tuple[int, int], size: tuple[int, ...]) -> list[Any]:
    """Per region (image, [(first row, end) of each cell down], [(first column, end) of each cell across])."""
    height, width, _, count = size
    real = rois.dtype.type
    out = []
    for image, u0, v0, u1, v1 in rois.T.astype(float):
        corners = (affine @ np.array([[u0, u1], [v0, v1], [1, 1]])).astype(real)
        # halves round away from zero, as C's round does
        (left, right), (top, bottom) = (np.trunc(corners + np.copysign(real(0.5), corners)) - 1).astype(int)
        out.append(
            (
                min(max(int(image) - 1, 0), count - 1),
                _cells(top, bottom, cells[0], height, real),
                _cells(left, right, cells[1], width, real),
            )
        )
    return out


def _cells(first: int, last: int, count: int, limit: int, real: type) -> list[tuple[int, int]]:
    step = real(max(last - first + 1, 1)) / real(count)
    edges = [(int(np.floor(real(i) * step)), int(np.ceil(real(i + 1) * step))) for i in range(count)]
    return [(min(max(a + first, 0), limit), min(max(b + first, 0), limit)) for a, b in edges]
