"""vl_nnloss: losses and errors of a classifier."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pyconvnet.arrays import as_tensor, is_empty, size_text
from pyconvnet.options import matlab_options

CATEGORICAL = ("classerror", "topkerror", "log", "softmaxlog", "mhinge", "mshinge")
BINARY = ("binaryerror", "binarylog", "logistic", "hinge")


@matlab_options()
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

    y = 1/N sum of w t over pixels and images, where w is 1 unless given, and t is the

    loss          with x_c the prediction for the label c, at one pixel
        "softmaxlog"  -log(exp(x_c) / sum of exp(x_k)) (default)   "log"        -log(x_c), x are probabilities
        "mhinge"      max(0, 1 - x_c)                              "mshinge"    max(0, 1 - x_c + largest other x_k)
        "classerror"  1 if x_c is not the largest                  "topkerror"  1 if x_c is not among the topK largest
    and for labels +1 and -1, one for each value of x (of 0 and 1, of which 0 is left out, there is a warning)
        "logistic"    log(1 + exp(-c x))                           "hinge"      max(0, 1 - c x)
        "binarylog"   -log(c (x - 0.5) + 0.5)                      "binaryerror"  1 if sign(x - threshold) is not c
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
    return compute("vl_nnloss", x, c, dzdy, loss, instanceWeights, topK, threshold, normalise)


def compute(
    fn: str,
    x: Any,
    c: Any,
    dzdy: Any,
    loss: Any,
    instanceWeights: Any = None,
    topK: Any = 5,
    threshold: Any = 0,
    normalise: Any = True,
) -> np.ndarray:
    """vl_nnloss under the name of the function that is called."""
    x = as_tensor(fn, "x", x)
    if not isinstance(loss, str) or loss.lower() not in CATEGORICAL + BINARY:
        raise ValueError(f"{fn}: loss takes one of {', '.join(CATEGORICAL + BINARY)}, got {loss!r}")
    loss = loss.lower()
    labels = _labels(fn, c, x, loss)
    weights = (labels != 0).astype(x.dtype)
    if not is_empty(instanceWeights):
        factors = weights_like(instanceWeights, labels.shape, fn)
        weights = weights * factors.astype(x.dtype, copy=False)
    if np.all(normalise):
        weights = weights / x.dtype.type(x.shape[3])
    if not is_empty(dzdy):
        given = np.asarray(dzdy)
        if given.size != 1 or given.dtype.kind not in "iuf":
            raise ValueError(f"{fn}: dzdy takes one number, got {size_text(given.shape) or type(dzdy).__name__}")
        weights = weights * x.dtype.type(given.item())
    if loss in BINARY:
        found = _binary(x, labels.astype(x.dtype), loss, _number(fn, "threshold", threshold), is_empty(dzdy))
    else:
        found = _categorical(fn, x, labels, loss, int(_number(fn, "topK", topK)), is_empty(dzdy))
    if is_empty(dzdy):
        return (weights * found).sum(dtype=x.dtype).reshape(1, 1, 1, 1)
    return np.zeros_like(x) if found is None else found * weights


def _labels(fn: str, c: Any, x: np.ndarray, loss: str) -> np.ndarray:
    h, w, depth, n = x.shape
    labels = np.asarray(c)
    if labels.dtype.kind not in "iufb":
        raise TypeError(f"{fn}: c takes numbers, got {type(c).__name__}")
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise ValueError(f"{fn}: c holds NaN; 0 stands for 'leave out'")
    if labels.size == n and (loss in CATEGORICAL or depth == 1):
        labels = np.broadcast_to(labels.reshape(1, 1, 1, n, order="F"), (h, w, 1, n))
    else:
        labels = labels.reshape(labels.shape + (1,) * (4 - labels.ndim)) if labels.ndim < 4 else labels
        if labels.shape != (h, w, 1 if loss in CATEGORICAL else depth, n):
            wanted = size_text((h, w, 1 if loss in CATEGORICAL else depth, n))
            also = f", or {n} labels, one for each image" if loss in CATEGORICAL or depth == 1 else ""
            raise ValueError(
                f"{fn}: c is {size_text(np.shape(c))}; for x of {size_text(x.shape)} it takes {wanted}{also}"
            )
    if loss in CATEGORICAL:
        if labels.size and (labels.min() < 0 or labels.max() > depth or (labels != np.floor(labels)).any()):
            raise ValueError(
                f"{fn}: c takes whole numbers from 1 to {depth}, or 0 to leave out; got {labels.min():g} to "
                f"{labels.max():g}"
            )
        return labels
    if not np.isin(labels, (-1, 0, 1)).all():
        raise ValueError(f"{fn}: c takes +1, -1, or 0 to leave out, got {labels.min():g} to {labels.max():g}")
    if labels.size and labels.min() == 0 and labels.max() == 1:
        warnings.warn(
            f"{fn}: c holds 0 and 1 and no -1, and 0 stands for 'leave out': with the loss {loss!r} the two classes "
            "are +1 and -1 (2 * c - 1 where 0 and 1 were meant)",
            stacklevel=5,
        )
    return labels


def is_categorical(loss: Any) -> bool:
    """Whether a loss takes classes as labels, rather than +1 and -1."""
    return isinstance(loss, str) and loss.lower() in CATEGORICAL


def label_weights(x: Any, c: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """(labels, factors of the summands) from labels of classes with a second channel of factors; or (labels, None)."""
    labels = np.asarray(c)
    images = np.shape(x)[3] if np.ndim(x) > 3 else 1
    if labels.size == images or labels.ndim < 3 or labels.shape[2] != 2:
        return labels, None
    return labels[:, :, :1], labels[:, :, 1:]


def weights_like(weights: Any, shape: tuple[int, ...], fn: str = "vl_nnloss") -> np.ndarray:
    """instanceWeights as an array that multiplies one of `shape`, the labels'."""
    factors = np.asarray(weights)
    if factors.dtype.kind not in "iufb":
        raise TypeError(f"{fn}: instanceWeights takes numbers, got {type(weights).__name__}")
    full = factors.reshape(factors.shape + (1,) * (4 - factors.ndim)) if factors.ndim < 4 else factors
    fits = full.ndim == 4 and all(f in (1, s) for f, s in zip(full.shape, shape))
    # a vector is one factor for each image, except where MATLAB takes a matrix for a row or column of pixels
    if factors.size == shape[3] and (factors.ndim == 1 or (factors.ndim == 2 and not fits)):
        return factors.reshape(1, 1, 1, -1, order="F")
    if not fits:
        raise ValueError(
            f"{fn}: instanceWeights is {size_text(np.shape(weights))}; it takes {size_text(shape)}, or 1 in a dimension"
        )
    return full


def _number(fn: str, name: str, value: Any) -> float:
    a = np.asarray(value)
    if a.size != 1 or a.dtype.kind not in "iuf":
        raise ValueError(f"{fn}: {name} takes one number, got {value!r}")
    return float(a.item())


def _categorical(fn: str, x: np.ndarray, labels: np.ndarray, loss: str, k: int, forward: bool) -> Any:
    """The loss at each pixel, or its derivative for each channel; None where that is zero."""
    real = x.dtype.type
    at = np.maximum(labels, 1).astype(np.intp) - 1

    def picked(a):
        return np.take_along_axis(a, at, axis=2)

    def spread(values):
        d = np.zeros_like(x)
        np.put_along_axis(d, at, values, axis=2)
        return d

    if loss == "classerror":
        return (x.argmax(axis=2)[:, :, None] != at).astype(x.dtype) if forward else None
    if loss == "topkerror":
        if not forward:
            return None
        if k < 1:
            raise ValueError(f"{fn}: topK takes a whole number from 1 up, got {k}")
        best = np.argsort(-x, axis=2, kind="stable")[:, :, :k]
        return 1 - (best == at).any(axis=2, keepdims=True).astype(x.dtype)
    if loss == "log":
        p = np.where(labels > 0, picked(x), real(1))
        if not forward:
            return spread(-1 / np.maximum(p, real(1e-8)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return -np.log(p)
    if loss == "softmaxlog":
        shifted = x - x.max(axis=2, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis=2, keepdims=True)
        if forward:
            return np.log(total) - picked(shifted)
        e /= total
        np.put_along_axis(e, at, picked(e) - 1, axis=2)
        return e
    if loss == "mhinge":
        return np.maximum(0, 1 - picked(x)) if forward else spread(-(picked(x) < 1).astype(x.dtype))
    others = x.copy()
    np.put_along_axis(others, at, -np.inf, axis=2)
    rival = others.argmax(axis=2)[:, :, None]
    margin = 1 - picked(x) + np.take_along_axis(others, rival, axis=2)
    if forward:
        return np.maximum(0, margin)
    inside = (margin > 0).astype(x.dtype)
    d = spread(-inside)
    np.put_along_axis(d, rival, np.take_along_axis(d, rival, axis=2) + inside, axis=2)
    return d


def _binary(x: np.ndarray, c: np.ndarray, loss: str, threshold: float, forward: bool) -> Any:
    real = x.dtype.type
    if loss == "binaryerror":
        return (np.sign(x - real(threshold)) != c).astype(x.dtype) if forward else None
    if loss == "binarylog":
        # only pixels with a label are taken: elsewhere the logarithm's argument is 0.5
        return -np.log(c * (x - real(0.5)) + real(0.5)) if forward else -c / (c * (x - real(0.5)) + real(0.5))
    if loss == "logistic":
        a = -c * x
        b = np.maximum(0, a)
        if forward:
            return b + np.log(np.exp(-b) + np.exp(a - b))
        return -c * np.exp(a - b) / (np.exp(-b) + np.exp(a - b))
    margin = 1 - c * x
    return np.maximum(0, margin) if forward else -c * (margin > 0)
