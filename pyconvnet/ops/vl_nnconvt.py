"""vl_nnconvt: convolution transpose ("deconvolution")."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty, shape_of, size_text
from pyconvnet.geometry import borders, pair
from pyconvnet.ops.checks import check_biases, check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import whole_numbers


@matlab_options(flags=("noDerData", "noDerFilters", "noDerBiases"), names_errors=True)
def vl_nnconvt(
    x: np.ndarray,
    f: np.ndarray,
    b: np.ndarray | None = None,
    dzdy: np.ndarray | None = None,
    *,
    upsample: Any = 1,
    crop: Any = 0,
    numGroups: Any = 1,
    noDerData: bool = False,
    noDerFilters: bool = False,
    noDerBiases: bool = False,
) -> Any:
    """Transpose of a convolution: each pixel of x spreads its filters over the output.

    vl_nnconvt(x, f, b) -> y                        x: H x W x C x N     f: h x w x K/G x C     b: K values
    vl_nnconvt(x, f, b, dzdy) -> (dzdx, dzdf, dzdb)                      y, dzdy: YH x YW x K x N

    YH = upsample (H - 1) + h - top - bottom, and likewise YW.
    upsample   1, or (vertical, horizontal): the stride of the convolution it transposes
    crop       0, or (top, bottom, left, right): rows and columns cut off the output, the convolution's pad
    numGroups  1, or G: channel group g of x meets output channels g K/G .. (g + 1) K/G - 1
    noDerData, noDerFilters, noDerBiases leave that derivative out (None in its place).

    Raises TypeError for arrays that are not float32 or float64, or mixed; ValueError for shapes that do not fit.
    Source: MatConvNet manual, section 4.2 "Convolution transpose".

    >>> vl_nnconvt(np.ones((2, 1, 1, 1)), np.ones((2, 1, 1, 1)), None, upsample=(2, 1))[:, 0, 0, 0]
    array([1., 1., 1., 1.])
    """
    x = as_tensor("x", x)
    filters = as_tensor("f", f, like=x)
    up, cut = pair("upsample", upsample), borders("crop", crop)
    (groups,) = whole_numbers("numGroups", numGroups, (1,), least=1)
    count = filters.shape[2] * groups
    out = check_transposed(x.shape, filters.shape, up, cut, groups)
    biases = check_biases(b, count, x)
    if is_empty(dzdy):
        return backends.of(x).convt(x, filters, biases, up, cut, groups)
    dzdy = check_derivative(dzdy, x, (*out, count, x.shape[3]))
    needs = (not noDerData, not noDerFilters, biases is not None and not noDerBiases)
    dx, df, db = backends.of(x).convt_backward(x, filters, dzdy, up, cut, groups, needs)
    return dx, df if df is None else df.reshape(shape_of(f)), db if db is None else db.reshape(shape_of(b))


def check_transposed(
    shape: tuple[int, ...], filters: tuple[int, ...], up: tuple[int, int], cut: tuple[int, int, int, int], groups: int
) -> tuple[int, int]:
    """Refuse filters whose channels, and crops whose size, do not fit x; the size of the output."""
    channels = shape[2]
    if filters[3] != channels:
        size = size_text(filters)
        raise ValueError(f"x has {channels} channels and f {filters[3]} ({size}); both must be the same")
    if channels % groups:
        raise ValueError(f"numGroups {groups} must divide the {channels} channels of x")
    out = (
        up[0] * (shape[0] - 1) + filters[0] - cut[0] - cut[1],
        up[1] * (shape[1] - 1) + filters[1] - cut[2] - cut[3],
    )
    if min(out) < 1:
        raise ValueError(f"crop {list(cut)} leaves an output of {size_text(out)}")
    return out
