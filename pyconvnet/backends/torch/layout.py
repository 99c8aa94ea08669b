"""H x W x C x N tensors and the N x C x H x W views of them, in the channels_last memory format, that PyTorch takes.

In memory both are N x H x W x C, so that no layer copies what another one made.
"""

from __future__ import annotations

import torch

CHANNELS_LAST = torch.channels_last


def nchw(x: torch.Tensor) -> torch.Tensor:
    """The N x C x H x W view in the channels_last format; copies only a tensor that lies otherwise in memory."""
    view = x.permute(3, 2, 0, 1).contiguous(memory_format=CHANNELS_LAST)
    n, c, h, w = view.shape
    strides = (h * w * c, 1, w * c, c)
    # dimensions of 1 may have any stride, by which PyTorch takes the tensor for one of another format
    return view if view.stride() == strides else view.as_strided((n, c, h, w), strides)


def hwcn(y: torch.Tensor) -> torch.Tensor:
    """The H x W x C x N view of N x C x H x W; copies only a tensor that is not in the channels_last format."""
    return y.contiguous(memory_format=CHANNELS_LAST).permute(2, 3, 1, 0)


def nhwc(x: torch.Tensor) -> torch.Tensor:
    """The contiguous N x H x W x C view; copies only a tensor that lies otherwise in memory."""
    return x.permute(3, 0, 1, 2).contiguous()


def from_nhwc(y: torch.Tensor) -> torch.Tensor:
    """N x H x W x C seen as H x W x C x N; copies nothing."""
    return y.permute(1, 2, 3, 0)
