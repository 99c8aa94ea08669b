"""vl_nnloss: losses and errors of a classifier."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, host_numbers, is_empty, padded_to_4d, shape_of, size_text
from pyconvnet.ops.checks import loss_weight
from pyconvnet.options import matlab_options
from pyconvnet.values import choice, flag, number, whole_number

CATEGORICAL = ("classerror", "topkerror", "log", "softmaxlog", "mhinge", "mshinge")
BINARY = ("binaryerror", "binarylog", "logistic", "hinge")


@matlab_options(names_errors=True)
def vl_nnloss(
    x: np.ndarray,
    c: Any,
    dzdy: Any = None,
    *,
    loss: str = "softmaxlog",
    instanceWeights: np.ndarray | None = None,
    topK: Any = 5,
    threshold: Any = 0,
    normalise: Any = True,
) -> np.ndarray:
    """A loss, summed over the pixels of an image and averaged over images.

    vl_nnloss(x, c) -> y               x: H x W x C x N     c: labels     y: 1 x 1 x 1 x 1
    vl_nnloss(x, c, dzdy) -> dzdx      dzdy: one number, dzdx like x

    y = 1/N sum of w t over pixels and images, where w is 1 unless given. t is, by the name of the loss and with x_c the
    prediction for the label c at one pixel:

    "softmaxlog"   -log(exp(x_c) / sum of exp(x_k)), the default
    "log"          -log(x_c), x are probabilities
    "mhinge"       max(0, 1 - x_c)
    "mshinge"      max(0, 1 - x_c + largest other x_k)
    "classerror"   1 if x_c is not the largest
    "topkerror"    1 if x_c is not among the topK largest

    For labels +1 and -1, one for each value of x (there is a warning for labels 0 and 1: 0 means "leave out"):

    "logistic"     log(1 + exp(-c x))
    "hinge"        max(0, 1 - c x)
    "binarylog"    -log(c (x - 0.5) + 0.5)
    "binaryerror"  1 if sign(x - threshold) is not c

    Errors have no derivative: dzdx is zero.

    c             N labels, one for each image and all its pixels, or H x W x 1 x N, one for each pixel (binary losses:
                  H x W x C x N). Labels count from 1; 0 stands for "leave out"
    instanceWeights  factors of the summands, of the size of c or 1 in a dimension; a vector of N: one for each image
    topK          5       threshold  0
    normalise     True; False leaves the factor 1/N out

    Raises TypeError for arrays that are not float32 or float64; ValueError for labels that do not fit.
    Source: MatConvNet manual, section 4.8 "Categorical losses".

    >>> x = np.log(np.array([1.0, 3.0])).reshape(1, 1, 2, 1)
    >>> round(vl_nnloss(x, np.array([2])).item(), 4)
    0.2877
    >>> vl_nnloss(x, np.array([1]), loss="classerror").item()
    1.0
    """
    return compute(x, c, dzdy, loss, instanceWeights, topK, threshold, normalise)


def compute(
    x: Any,
    c: Any,
    dzdy: Any,
    loss: Any,
    instanceWeights: Any = None,
    topK: Any = 5,
    threshold: Any = 0,
    normalise: Any = True,
) -> np.ndarray:
    """The loss, or its derivative, for vl_nnloss and vl_nnsoftmaxloss, whose names go in front of its errors."""
    x = as_tensor("x", x)
    loss = choice("loss", loss, CATEGORICAL + BINARY)
    backend = backends.of(x)
    host = _labels(host_numbers(c, "c"), x, loss)
    labels = backend.asarray(host, x)
    weights = backend.cast(labels != 0, x)
    if not is_empty(instanceWeights):
        weights = weights * backend.asarray(weights_like(instanceWeights, host.shape), x)
    if flag("normalise", normalise):
        weights = weights / backend.scalar(x, x.shape[3])
    if loss in BINARY:
        kind, of = "binary", number("threshold", threshold)
    else:
        kind, of = "categorical", whole_number("topK", topK, 1) if loss == "topkerror" else 0
    if is_empty(dzdy):
        found = getattr(backend, f"{kind}_loss")(x, labels, loss, of)
        return backend.sum(weights * found, (0, 1, 2, 3))
    weights = weights * loss_weight(dzdy, x)
    found = getattr(backend, f"{kind}_loss_backward")(x, labels, loss, of)
    if found is None:
        return backend.zeros(x.shape, x)
    found *= weights
    return found


def _labels(c: Any, x: np.ndarray, loss: str) -> np.ndarray:
    h, w, depth, n = x.shape
    labels = c
    if labels.dtype.kind not in "iufb":
        raise TypeError(f"c must be numbers, got {c.dtype}")
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise ValueError("c holds NaN; 0 stands for 'leave out'")
    if labels.size == n and (loss in CATEGORICAL or depth == 1):
        labels = np.broadcast_to(labels.reshape(1, 1, 1, n, order="F"), (h, w, 1, n))
    else:
        labels = padded_to_4d(labels)
        if labels.shape != (h, w, 1 if loss in CATEGORICAL else depth, n):
            wanted = size_text((h, w, 1 if loss in CATEGORICAL else depth, n))
            also = f", or {n} labels, one for each image" if loss in CATEGORICAL or depth == 1 else ""
            raise ValueError(f"c is {size_text(np.shape(c))}; for x of {size_text(x.shape)} it must be {wanted}{also}")
    if loss in CATEGORICAL:
        if labels.size and (labels.min() < 0 or labels.max() > depth or (labels != np.floor(labels)).any()):
            raise ValueError(
                f"c must be whole numbers from 1 to {depth}, or 0 to leave out; got {labels.min():g} to "
                f"{labels.max():g}"
            )
        return labels
    if not ((labels == 0) | (np.abs(labels) == 1)).all():
        raise ValueError(f"c must be +1, -1, or 0 to leave out, got {labels.min():g} to {labels.max():g}")
    if labels.size and labels.min() == 0 and labels.max() == 1:
        warnings.warn(
            f"vl_nnloss: c holds 0 and 1 and no -1, and 0 stands for 'leave out': with the loss {loss!r} the two "
            "classes are +1 and -1 (2 * c - 1 where 0 and 1 were meant)",
            stacklevel=5,
        )
    return labels


def is_categorical(loss: Any) -> bool:
    """Whether the labels of a loss are classes, rather than +1 and -1."""
    return isinstance(loss, str) and loss.lower() in CATEGORICAL


def label_weights(x: Any, c: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """(labels, factors of the summands) from labels of classes with a second channel of factors; or (labels, None)."""
    labels = host_numbers(c, "c")
    images = (*shape_of(x), 1, 1, 1, 1)[3]
    if labels.size == images or labels.ndim < 3 or labels.shape[2] != 2:
        return labels, None
    return labels[:, :, :1], labels[:, :, 1:]


def weights_like(weights: Any, shape: tuple[int, ...]) -> np.ndarray:
    """instanceWeights as an array that multiplies one of `shape`, the labels'."""
    factors = host_numbers(weights, "instanceWeights")
    if factors.dtype.kind not in "iufb":
        raise TypeError(f"instanceWeights must be numbers, got {type(weights).__name__}")
    full = padded_to_4d(factors)
    fits = full.ndim == 4 and all(f in (1, s) for f, s in zip(full.shape, shape))
    # a vector is one factor for each image, except where a matrix stands for a row or column of pixels, as in MATLAB
    if factors.size == shape[3] and (factors.ndim == 1 or (factors.ndim == 2 and not fits)):
        return factors.reshape(1, 1, 1, -1, order="F")
    if not fits:
        raise ValueError(
            f"instanceWeights is {size_text(np.shape(weights))}; it must be {size_text(shape)}, or 1 in a dimension"
        )
    return full
