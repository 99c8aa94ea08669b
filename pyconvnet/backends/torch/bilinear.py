"""Bilinear sampling by PyTorch's grid sampler; as MatConvNet's CPU code has it, points above or left of -1 are zero."""

from __future__ import annotations

import torch

from pyconvnet.backends.torch.layout import from_nhwc, hwcn, nchw, nhwc
from pyconvnet.backends.torch.settings import must_fix_order

_BILINEAR, _ZEROS = 0, 0  # PyTorch's numbers of the method, and of what lies outside


def _points(x: torch.Tensor, grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(PyTorch's grid, N x (M/N YH) x YW x 2, with the grids of an image one above another; which points count)."""
    down, across = ((grid[i] + 1) / 2 * (x.shape[i] - 1) for i in (0, 1))
    within = (down >= 0) & (across >= 0) & (down < x.shape[0]) & (across < x.shape[1])
    own = torch.where(within, grid, 0).flip(0).permute(3, 1, 2, 0)
    n = x.shape[3]
    return own.reshape(n, -1, grid.shape[2], 2), within.permute(2, 0, 1).reshape(n, 1, -1, grid.shape[2])


def bilinear(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """x at the points of a grid, between four pixels."""
    points, within = _points(x, grid)
    y = torch.where(within, torch.grid_sampler(nchw(x), points, _BILINEAR, _ZEROS, True), 0)
    _, h, w, m = grid.shape
    return from_nhwc(nhwc(hwcn(y)).view(m, h, w, x.shape[2]))


def bilinear_backward(x: torch.Tensor, grid: torch.Tensor, dzdy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(dx, dgrid)."""
    points, within = _points(x, grid)
    _, h, w, m = grid.shape
    n, c = x.shape[3], x.shape[2]
    dy = torch.where(within, nchw(from_nhwc(nhwc(dzdy).view(n, -1, w, c))), 0)
    fixed_order = must_fix_order(x)
    needs = [not fixed_order, True]
    dx, d = torch.ops.aten.grid_sampler_2d_backward(dy, nchw(x), points, _BILINEAR, _ZEROS, True, needs)
    dx = scattered(x, points, dy) if fixed_order else hwcn(dx)
    return dx, d.view(m, h, w, 2).permute(3, 1, 2, 0).flip(0)


def scattered(x: torch.Tensor, points: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """The derivative by x in a fixed order of summands, which PyTorch's own has not on a GPU."""
    n, c, h, w = nchw(x).shape
    dx = torch.zeros((n * h * w, c), dtype=x.dtype, device=x.device)
    px, py = ((points[..., i] + 1) / 2 * (s - 1) for i, s in ((0, w), (1, h)))
    left, top = px.floor(), py.floor()
    image = torch.arange(n, device=x.device)[:, None, None]
    values = dy.permute(0, 2, 3, 1)
    for i in (0, 1):
        for j in (0, 1):
            r, q = top + i, left + j
            inside = (r >= 0) & (q >= 0) & (r <= h - 1) & (q <= w - 1)
            share = (py - top if i else 1 - py + top) * (px - left if j else 1 - px + left)
            at = (image * h + torch.where(inside, r, 0).long()) * w + torch.where(inside, q, 0).long()
            weighed = values * torch.where(inside, share, 0)[..., None]
            dx.index_put_((at.flatten(),), weighed.reshape(-1, c), accumulate=True)
    return from_nhwc(dx.view(n, h, w, c))
