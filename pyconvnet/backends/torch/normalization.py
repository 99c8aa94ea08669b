"""Batch normalization and LRN of PyTorch tensors."""

from __future__ import annotations

import torch

from pyconvnet.backends.torch.layout import from_nhwc, hwcn, nchw, nhwc

_aten = torch.ops.aten


def moments_of(x: torch.Tensor, epsilon: float) -> torch.Tensor:
    """K x 2: the mean of each channel, and sqrt(variance + epsilon).

    They stay with x until it changes: backward asks for those that forward found.
    """
    known = getattr(x, "_moments", None)
    if known is not None and known[0] == _stamp(x, epsilon):
        return known[1]
    if x.device.type == "cuda":
        found = torch.batch_norm_stats(nchw(x), epsilon)
    else:
        found = torch.native_batch_norm(nchw(x), None, None, None, None, True, 0.0, epsilon)[1:]
    return _kept(x, epsilon, *found)


def _stamp(x: torch.Tensor, epsilon: float) -> object:
    """Equal for the same values of the same tensor; to nothing where PyTorch does not say when a tensor changes."""
    return object() if x.is_inference() else (x._version, epsilon)


def _kept(x: torch.Tensor, epsilon: float, mean: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    moments = torch.stack([mean, inverse.reciprocal()], 1)
    x._moments = (_stamp(x, epsilon), moments)
    return moments


def bnorm(
    x: torch.Tensor, g: torch.Tensor, b: torch.Tensor, epsilon: float, moments: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(g (x - mean) / sigma + b, moments)."""
    if moments is None:
        y, *found = torch.native_batch_norm(nchw(x), g, b, None, None, True, 0.0, epsilon)
        return hwcn(y), _kept(x, epsilon, *found)
    slope = g / moments[:, 1]
    offset = torch.addcmul(b, slope, moments[:, 0], value=-1)
    return torch.addcmul(offset[:, None], x, slope[:, None]), moments


def bnorm_backward(
    x: torch.Tensor,
    g: torch.Tensor,
    b: torch.Tensor,
    dzdy: torch.Tensor,
    epsilon: float,
    moments: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(dx, dg, db, moments); given moments are taken for those of the batch, as MatConvNet does."""
    if moments is None:
        moments = moments_of(x, epsilon)
    mean, inverse = moments[:, 0].contiguous(), moments[:, 1].reciprocal()
    dx, dg, db = _aten.native_batch_norm_backward(
        nchw(dzdy), nchw(x), g.contiguous(), None, None, mean, inverse, True, epsilon, [True, True, True]
    )
    return hwcn(dx), dg, db, moments


def _window_sums(v: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """Sums over channels k - before .. k + after of N x H x W x C."""
    rows = v.reshape(1, -1, 1, v.shape[-1])
    if before == after:
        sums = _aten.avg_pool2d(rows, [1, before + after + 1], [1, 1], [0, before], False, True, 1)
    else:
        rows = torch.nn.functional.pad(rows, (before, after))
        sums = _aten.avg_pool2d(rows, [1, before + after + 1], [1, 1], [0, 0], False, True, 1)
    return sums.view(v.shape)


def lrn(x: torch.Tensor, n: int, kappa: float, alpha: float, beta: float) -> torch.Tensor:
    """x (kappa + alpha sum of x^2 over n neighbouring channels)^-beta; the power is exact, as on MatConvNet's GPUs."""
    xs = nhwc(x)
    mass = kappa + alpha * _window_sums(xs * xs, (n - 1) // 2, n // 2)
    return from_nhwc(xs * mass**-beta)


def lrn_backward(x: torch.Tensor, dzdy: torch.Tensor, n: int, kappa: float, alpha: float, beta: float) -> torch.Tensor:
    """dzdy L^-beta - 2 alpha beta x sum of dzdy x L^(-beta-1) over the channels whose window holds this one."""
    xs, dy = nhwc(x), nhwc(dzdy)
    mass = kappa + alpha * _window_sums(xs * xs, (n - 1) // 2, n // 2)
    scaled = dy * mass**-beta
    from_neighbours = _window_sums(scaled * xs / mass, n // 2, (n - 1) // 2)
    return from_nhwc(torch.addcmul(scaled, xs, from_neighbours, value=-2 * alpha * beta))
