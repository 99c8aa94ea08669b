"""Pooling of regions with PyTorch: first along rows, then along columns, many regions at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pyconvnet.backends.torch.layout import from_nhwc, nhwc
from pyconvnet.backends.torch.settings import exact

Spans = list[tuple[int, list[tuple[int, int]], list[tuple[int, int]]]]
_MOST = 1 << 26  # elements of an array in between


def _parts(spans: Spans, xs: torch.Tensor) -> Iterator[tuple[int, list[int], torch.Tensor, torch.Tensor]]:
    """(image, its regions, their rows R x SH x 2, their columns R x SW x 2), in parts that memory has room for."""
    of: dict[int, list[int]] = {}
    for r, (image, _, _) in enumerate(spans):
        of.setdefault(image, []).append(r)
    for image, regions in of.items():
        tallest = max((b - a for r in regions for a, b in spans[r][1]), default=1)
        each = max(tallest, 1) * len(spans[regions[0]][1]) * xs.shape[2] * xs.shape[3]
        step = max(1, _MOST // max(each, 1))
        for start in range(0, len(regions), step):
            own = regions[start : start + step]
            rows, columns = (torch.tensor([spans[r][k] for r in own], device=xs.device) for k in (1, 2))
            yield image, own, rows, columns


def _places(ends: torch.Tensor) -> torch.Tensor:
    """Indexes along an axis of each cell, R x S x L: the last one again and again where a cell has less than L."""
    start, stop = ends[..., :1], ends[..., 1:]
    longest = max(int((stop - start).max()), 1)
    at = start + torch.arange(longest, device=ends.device)
    return torch.minimum(at, (stop - 1).clamp_min(0)).clamp_min(0)


def _empty(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Which cells hold no pixel, R x SH x SW x 1."""
    none = [ends[..., 1] <= ends[..., 0] for ends in (rows, columns)]
    return (none[0][:, :, None] | none[1][:, None, :])[..., None]


def _maxima(image: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(maxima, their rows, their columns) of an image H x W x C, each R x SH x SW x C; the first, column by column."""
    down, across = _places(rows), _places(columns)
    w, c = image.shape[1:]
    (r, sh, _), sw = down.shape, across.shape[1]
    best, at = (found.view(r, sh, w, c) for found in torch.max(image[down.flatten(0, 1)], dim=1))
    where = across.reshape(r, 1, -1, 1).expand(r, sh, -1, c)
    values = best.gather(2, where).view(r, sh, sw, -1, c)
    y, first = values.max(dim=3)
    column = across[:, None, :, :, None].expand(r, sh, sw, -1, c).gather(3, first[:, :, :, None]).squeeze(3)
    nth = at.gather(2, column)
    row = down[:, :, None, :, None].expand(r, sh, sw, -1, c).gather(3, nth[:, :, :, None]).squeeze(3)
    return y, row, column


def _shares(ends: torch.Tensor, length: int, like: torch.Tensor) -> torch.Tensor:
    """R x S x length: 1 / size at the places of a cell, 0 elsewhere."""
    at = torch.arange(length, device=ends.device)
    inside = (at >= ends[..., :1]) & (at < ends[..., 1:])
    return inside.to(like.dtype) / (ends[..., 1:] - ends[..., :1]).clamp_min(1)


def roipool(x: torch.Tensor, spans: Spans, cells: tuple[int, int], method: str) -> torch.Tensor:
    """Maximum or mean of each of the cells (rows, columns) of every region; 0 for an empty one."""
    xs = nhwc(x)
    y = torch.zeros((len(spans), *cells, x.shape[2]), dtype=x.dtype, device=x.device)
    with exact(x, "matmul"):
        for image, own, rows, columns in _parts(spans, xs):
            if method == "max":
                found = _maxima(xs[image], rows, columns)[0]
            else:
                a, b = (_shares(ends, n, x) for ends, n in ((rows, xs.shape[1]), (columns, xs.shape[2])))
                found = torch.einsum("rtw,rswc->rstc", b, torch.einsum("rsh,hwc->rswc", a, xs[image]))
            y[own] = torch.where(_empty(rows, columns), 0, found)
    return from_nhwc(y)


def roipool_backward(x: torch.Tensor, spans: Spans, method: str, dzdy: torch.Tensor) -> torch.Tensor:
    """The derivative goes to the first maximum, column by column, or in equal parts to the cell."""
    xs, dy = nhwc(x), nhwc(dzdy)
    dx = torch.zeros_like(xs)
    _, h, w, c = xs.shape
    with exact(x, "matmul"):
        for image, own, rows, columns in _parts(spans, xs):
            d = torch.where(_empty(rows, columns), 0, dy[own])
            if method == "max":
                _, row, column = _maxima(xs[image], rows, columns)
                at = (row * w + column) * c + torch.arange(c, device=x.device)
                # its summands come in a fixed order on every device
                dx[image].view(-1).index_put_((at.flatten(),), d.flatten(), accumulate=True)
            else:
                a, b = (_shares(ends, n, x) for ends, n in ((rows, h), (columns, w)))
                dx[image] += torch.einsum("rsh,rswc->hwc", a, torch.einsum("rtw,rstc->rswc", b, d))
    return from_nhwc(dx)
