"""vl_nnconcat: join arrays along one dimension."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty, size_4d, size_text
from pyconvnet.options import matlab_options
from pyconvnet.values import whole_numbers


@matlab_options(names_errors=True)
def vl_nnconcat(
    inputs: Sequence[np.ndarray],
    dim: Any = 3,
    dzdy: np.ndarray | None = None,
    *,
    inputSizes: Sequence[Any] | None = None,
) -> Any:
    """Join arrays along a dimension.

    vl_nnconcat([x1, x2 ...], dim) -> y                       each H x W x C x N, alike but for dimension `dim`
    vl_nnconcat([x1, x2 ...], dim, dzdy) -> [dzdx1, dzdx2 ...]   the parts of dzdy
    vl_nnconcat([], dim, dzdy, inputSizes=[...])              the same without the inputs, from their sizes

    dim  1 to 4 as in MATLAB; 3, the channels, unless given

    Raises TypeError for arrays that are not float32 or float64, or mixed; ValueError for shapes that do not fit.
    Source: MatConvNet, vl_nnconcat.

    >>> vl_nnconcat([np.zeros((1, 1, 2, 1)), np.ones((1, 1, 1, 1))], 3).ravel()
    array([0., 0., 1.])
    """
    (dim,) = whole_numbers("dim", 3 if is_empty(dim) else dim, (1,), least=1)
    if dim > 4:
        raise ValueError(f"dim must be 1 to 4, got {dim}")
    if backends.find(inputs) is not None:
        raise TypeError("inputs must be a list of arrays, got one array")
    if not inputs and (not inputSizes or is_empty(dzdy)):
        raise ValueError("inputs is empty; it must hold at least one array, or dzdy and inputSizes must be given")
    if not is_empty(dzdy) and inputSizes and all(x is None for x in inputs or ()):
        inputs = ()  # backward needs their sizes only
    xs = [as_tensor(f"inputs[{i}]", x) for i, x in enumerate(inputs or ())]
    for i, x in enumerate(xs):
        as_tensor(f"inputs[{i}]", x, like=xs[0])
        if any(a != b for k, (a, b) in enumerate(zip(x.shape, xs[0].shape)) if k != dim - 1):
            raise ValueError(
                f"inputs[{i}] is {size_text(x.shape)}, inputs[0] is {size_text(xs[0].shape)}; they may "
                f"differ in dimension {dim} only"
            )
    if is_empty(dzdy):
        return backends.of(xs[0]).concat(xs, dim - 1)
    dzdy = as_tensor("dzdy", dzdy, like=xs[0] if xs else None)
    sizes = [x.shape for x in xs] or [size_4d(whole_numbers("inputSizes", s, (1, 2, 3, 4))) for s in inputSizes or ()]
    ends = list(accumulate(s[dim - 1] for s in sizes))
    if dzdy.shape[dim - 1] != ends[-1] or any(
        a != b for k, (a, b) in enumerate(zip(dzdy.shape, sizes[0])) if k != dim - 1
    ):
        shape = (*sizes[0][: dim - 1], ends[-1], *sizes[0][dim:])
        raise ValueError(f"dzdy is {size_text(dzdy.shape)}, the output is {size_text(shape)}")
    before = (slice(None),) * (dim - 1)
    return [dzdy[(*before, slice(start, end))] for start, end in zip([0, *ends], ends)]
