"""vl_nnbilinearsampler: bilinear interpolation at the points of a grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty, size_text
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options


@matlab_options(names_errors=True)
def vl_nnbilinearsampler(x: np.ndarray, grid: np.ndarray, dzdy: np.ndarray | None = None) -> Any:
    """Sample images at the points of a grid by bilinear interpolation.

    vl_nnbilinearsampler(x, grid) -> y                        x: H x W x C x N     grid: 2 x YH x YW x M
    vl_nnbilinearsampler(x, grid, dzdy) -> (dzdx, dzdgrid)    y, dzdy: YH x YW x C x M

    grid[0] is the vertical, grid[1] the horizontal coordinate, -1 at the centre of the first pixel and 1 at that of
    the last one. Pixels outside the image are zero, and so is, as in MatConvNet, every point above or left of -1.
    M is a multiple of N: the first M/N grids go with the first image.

    Raises TypeError for arrays that are not float32 or float64, or mixed; ValueError for shapes that do not fit.
    Source: Jaderberg et al. 2015; MatConvNet manual, section 4.5 "Spatial bilinear resampling".

    >>> x = np.arange(4.0).reshape(2, 2, 1, 1)
    >>> vl_nnbilinearsampler(x, np.zeros((2, 1, 1, 1))).item()
    1.5
    """
    x = as_tensor("x", x)
    grid = as_tensor("grid", grid, like=x)
    if grid.shape[0] != 2:
        raise ValueError(f"grid must be 2 x YH x YW x M, got {size_text(grid.shape)}")
    if grid.shape[3] % x.shape[3] if x.shape[3] else grid.shape[3]:
        raise ValueError(f"grid has {grid.shape[3]} grids, which must be a multiple of the {x.shape[3]} images")
    backend, shape = backends.of(x), (*grid.shape[1:3], x.shape[2], grid.shape[3])
    if is_empty(dzdy):
        return backend.bilinear(x, grid) if 0 not in x.shape else backend.zeros(shape, x)
    dzdy = check_derivative(dzdy, x, shape)
    if 0 in x.shape:
        return backend.zeros(x.shape, x), backend.zeros(grid.shape, x)
    return backend.bilinear_backward(x, grid, dzdy)
