"""vl_nnsoftmaxloss: softmax and log-loss in one."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.ops.vl_nnloss import compute, label_weights
from pyconvnet.options import matlab_options


@matlab_options(names_errors=True)
def vl_nnsoftmaxloss(x: np.ndarray, c: Any, dzdy: Any = None) -> np.ndarray:
    """Softmax followed by the logarithmic loss, summed over pixels and averaged over images.

    vl_nnsoftmaxloss(x, c) -> y               x: H x W x C x N     c: labels, see vl_nnloss     y: 1 x 1 x 1 x 1
    vl_nnsoftmaxloss(x, c, dzdy) -> dzdx      dzdy: one number, dzdx like x

    y = 1/N sum of -log(exp(x_c) / sum of exp(x_k) over k), the loss "softmaxlog" of vl_nnloss. Labels count from 1;
    0 stands for "leave out". A second channel of c, H x W x 2 x N, holds factors of the summands.

    Raises TypeError for arrays that are not float32 or float64; ValueError for labels that do not fit.
    Source: MatConvNet manual, section 4.8.1 "Classification losses".

    >>> round(vl_nnsoftmaxloss(np.zeros((1, 1, 4, 1)), np.array([3.0])).item(), 4)
    1.3863
    """
    labels, weights = label_weights(x, c)
    return compute(x, labels, dzdy, "softmaxlog", weights)
