"""A convolution and the layers after it as one: batch normalization at rest, a sum, a rectifier.

What is folded stays with the weights, and is folded anew when PyTorch says that they changed. Changes behind its back,
by way of `.data` or of a numpy array that shares their memory, it does not see.
"""

from __future__ import annotations

from typing import Any

import torch

from pyconvnet.backends.torch.conv import conv
from pyconvnet.geometry import Window


def fused_conv(
    x: torch.Tensor,
    f: torch.Tensor,
    b: torch.Tensor | None,
    window: Window,
    scale: torch.Tensor | None,
    add: torch.Tensor | None,
    relu: bool,
    overwrites: bool = False,
) -> torch.Tensor:
    """max(scale conv(x, f) + b + add, 0), each part if given, in memory of its own."""
    y = conv(x, f if scale is None else _scaled(f, scale), b, window)
    if add is not None:
        y.add_(add)
    return y.relu_() if relu else y


def _scaled(f: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The filters times the scale, which stay with them until one of both changes."""
    if f.is_inference():
        return f * scale
    known = getattr(f, "_scaled", None)
    if known is None or known[0] is not scale or known[1] != f._version:
        known = f._scaled = (scale, f._version, f * scale)
    return known[2]


def folded_bnorm(b: Any, g: Any, offset: Any, moments: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """(scale of the filters, biases), which stay with the moments until something changes; None for odd parameters."""
    parts = [g, offset, moments] if b is None else [g, offset, moments, b]
    if not all(isinstance(p, torch.Tensor) and not p.is_inference() and not p.requires_grad for p in parts):
        return None
    versions = [p._version for p in parts]
    known = getattr(moments, "_folded", None)
    if known is not None and known[1] == versions and all(p is q for p, q in zip(known[0], parts, strict=True)):
        return known[2]
    count = g.numel()
    alike = all(p.dtype == g.dtype and p.device == g.device for p in parts)
    if not alike or [p.numel() for p in parts] != [count, count, 2 * count, count][: len(parts)] or not moments.any():
        return None
    mean, sigma = moments.T.reshape(2, count)
    scale = g.reshape(-1) / sigma
    biases = torch.addcmul(offset.reshape(-1), mean if b is None else mean - b, scale, value=-1)
    moments._folded = (parts, versions, (scale, biases))
    return scale, biases
