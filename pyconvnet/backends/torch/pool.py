"""Max and average pooling by PyTorch's kernels, with MatConvNet's ties, borders and averages."""

from __future__ import annotations

import math

import torch

from pyconvnet.backends.torch.conv import cut, padded
from pyconvnet.backends.torch.layout import hwcn, nchw
from pyconvnet.geometry import Window

_aten = torch.ops.aten
_NOWHERE = (0, 0, 0, 0)


def _borders(window: Window) -> tuple[list[int], tuple[int, int, int, int]]:
    """What PyTorch pads by itself, the same on both sides and at most half the window, and what is padded before."""
    t, b, left, r = window.pad
    if t == b and left == r and 2 * t <= window.size[0] and 2 * left <= window.size[1]:
        return [t, left], _NOWHERE
    return [0, 0], window.pad


def _counts(window: Window, x: torch.Tensor) -> torch.Tensor:
    """How many pixels of the image each window holds, YH x YW."""

    def along(axis: int) -> torch.Tensor:
        out = window.output_size(*x.shape[2:])[axis]
        start = torch.arange(out, device=x.device) * window.stride[axis] - window.pad[2 * axis]
        return (start + window.size[axis]).clamp_max(x.shape[2 + axis]) - start.clamp_min(0)

    return (along(0)[:, None] * along(1)).to(x.dtype)


def pool(x: torch.Tensor, window: Window, method: str) -> torch.Tensor:
    """Maximum, or mean over the pixels inside the image."""
    view, (pad, rest) = nchw(x), _borders(window)
    if method == "max":
        return hwcn(torch.max_pool2d(padded(view, rest, -math.inf), window.size, window.stride, pad))
    if not any(rest):
        return hwcn(_aten.avg_pool2d(view, window.size, window.stride, pad, False, False))
    sums = _aten.avg_pool2d(padded(view, rest), window.size, window.stride, pad, False, True, 1)
    return hwcn(sums / _counts(window, view))


def pool_backward(x: torch.Tensor, window: Window, method: str, dzdy: torch.Tensor) -> torch.Tensor:
    """The derivative goes to the first maximum, down the columns of the window as MATLAB's memory runs."""
    return (_max_backward if method == "max" else _avg_backward)(nchw(x), window, nchw(dzdy))


def _avg_backward(x: torch.Tensor, window: Window, dy: torch.Tensor) -> torch.Tensor:
    pad, rest = _borders(window)
    how = (window.size, window.stride, pad, False)
    if not any(rest):
        return hwcn(_aten.avg_pool2d_backward(dy, x, *how, False, None))
    return hwcn(cut(_aten.avg_pool2d_backward(dy / _counts(window, x), padded(x, rest), *how, True, 1), rest))


def _max_backward(x: torch.Tensor, window: Window, dy: torch.Tensor) -> torch.Tensor:
    (h, w), (down, across), (pad, rest) = window.size, window.stride, _borders(window)
    source = padded(x, rest, -math.inf)
    if min(h, w) == 1:
        parts = [([h, w], [down, across], pad)]
    else:
        # PyTorch takes the first maximum along rows; this is the first column with the maximum, and in it the first row
        parts = [([h, 1], [down, 1], [pad[0], 0]), ([1, w], [1, across], [0, pad[1]])]
    y, found = source, []
    for how in parts:
        before = y
        y, at = _aten.max_pool2d_with_indices(before, *how)
        found.append((before, how, at))
    d = torch.where(y == y, dy, 0)  # NaN is the maximum of its window, and equal to none of its pixels
    for before, how, at in reversed(found):
        d = _aten.max_pool2d_with_indices_backward(d, before, *how, [1, 1], False, at)
    return hwcn(cut(d, rest))
