"""Convolution and its transpose by PyTorch's kernels; derivatives by their own backward functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pyconvnet.backends.torch.layout import hwcn, nchw
from pyconvnet.backends.torch.settings import enter, half, leave
from pyconvnet.geometry import Window

_backward = torch.ops.aten.convolution_backward.default
Borders = tuple[int, int, int, int]


def _shared(pad: Borders) -> tuple[list[int], Borders]:
    """Borders as [vertical, horizontal], which are the same on both sides, and what is left of them."""
    t, b, left, r = pad
    v, h = min(t, b), min(left, r)
    return [v, h], (t - v, b - v, left - h, r - h)


def padded(x: torch.Tensor, rest: Borders, value: float = 0.0) -> torch.Tensor:
    """N x C x H x W with borders around it."""
    t, b, left, r = rest
    return torch.nn.functional.pad(x, (left, r, t, b), value=value) if any(rest) else x


def cut(y: torch.Tensor, rest: Borders) -> torch.Tensor:
    """N x C x H x W without its borders."""
    t, b, left, r = rest
    return y[:, :, t : y.shape[2] - b, left : y.shape[3] - r] if any(rest) else y


def _in_precision(compute: Callable[..., Any], *tensors: torch.Tensor | None) -> Any:
    """compute(*tensors), in half precision where autocast says so, and back in that of the first one."""
    kind, own = half(), tensors[0].dtype
    kept = enter(tensors[0], "conv")
    try:
        if kind is None or own != torch.float32:
            return compute(*tensors)
        found = compute(*(t if t is None else t.to(kind) for t in tensors))
    finally:
        leave(kept)
    if isinstance(found, tuple):
        return tuple(t if t is None else t.to(own) for t in found)
    return found.to(own)


def conv(x: torch.Tensor, f: torch.Tensor, b: torch.Tensor | None, window: Window) -> torch.Tensor:
    """y[h, w, k, n] = b[k] + sum over i, j, c of f[i, j, c, k] x[s h + d i - top, s w + d j - left, c, n]."""
    groups = x.shape[2] // f.shape[2]
    pad, rest = _shared(window.pad)

    def compute(x: Any, f: Any, b: Any) -> torch.Tensor:
        return torch.conv2d(padded(x, rest), f, b, window.stride, pad, window.dilate, groups)

    return hwcn(_in_precision(compute, nchw(x), nchw(f), b))


def conv_backward(
    x: torch.Tensor, f: torch.Tensor, dzdy: torch.Tensor, window: Window, needs: Any = (True, True, True)
) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
    """(dx, df, db), None where not needed."""
    groups = x.shape[2] // f.shape[2]
    pad, rest = _shared(window.pad)

    def compute(x: Any, f: Any, dy: Any) -> tuple[torch.Tensor | None, ...]:
        how = (window.stride, pad, window.dilate, False, [0, 0], groups)
        return _backward(dy, padded(x, rest), f, [f.shape[0]], *how, list(needs))

    dx, df, db = _in_precision(compute, nchw(x), nchw(f), nchw(dzdy))
    return hwcn(cut(dx, rest)) if needs[0] else None, hwcn(df) if needs[1] else None, db if needs[2] else None


def convt(
    x: torch.Tensor, f: torch.Tensor, b: torch.Tensor | None, up: tuple[int, int], crop: Borders, groups: int
) -> torch.Tensor:
    """f is h x w x K/groups x C: y[u h + i, u w + j, k] += f[i, j, k, c] x[h, w, c], then cropped."""
    pad, rest = _shared(crop)

    def compute(x: Any, f: Any, b: Any) -> torch.Tensor:
        return torch.conv_transpose2d(x, f, b, up, pad, 0, groups)

    return hwcn(cut(_in_precision(compute, nchw(x), nchw(f), b), rest))


def convt_backward(
    x: torch.Tensor,
    f: torch.Tensor,
    dzdy: torch.Tensor,
    up: tuple[int, int],
    crop: Borders,
    groups: int,
    needs: Any = (True, True, True),
) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
    """(dx, df, db), None where not needed."""
    pad, rest = _shared(crop)

    def compute(x: Any, f: Any, dy: Any) -> tuple[torch.Tensor | None, ...]:
        how = (up, pad, [1, 1], True, [0, 0], groups)
        return _backward(padded(dy, rest), x, f, [f.shape[1] * groups], *how, list(needs))

    dx, df, db = _in_precision(compute, nchw(x), nchw(f), nchw(dzdy))
    return hwcn(dx) if needs[0] else None, hwcn(df) if needs[1] else None, db if needs[2] else None
