"""Modules for the layers that torch has none for. They need torch alone: pyconvnet.save("net.py") copies their source.

Tensors are N x C x H x W. (A grid of points, H x W of them, is N x W x 2 x H: every array of MatConvNet is turned
round in the same way, also those that are not images.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """weight (x - mean) / sigma + bias, channel by channel, as MatConvNet computes it.

    In training, mean and sigma = sqrt(variance + eps) are those of the batch, the variance divided by the number of
    values, and the buffers go towards them by `momentum`; else they are those in the buffers.

    trained  False: while the buffers are still all zero, those of the batch are used, in evaluation too
    """

    running_mean: Tensor
    running_sigma: Tensor

    def __init__(self, channels: int, eps: float, momentum: float = 0.1, trained: bool = True) -> None:
        super().__init__()
        self.eps, self.momentum, self.trained = eps, momentum, trained
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_sigma", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, sigma = self.running_mean, self.running_sigma
        if self.trained and not self.training:  # one operation, by which from_torch knows the layer
            return F.batch_norm(x, mean, sigma * sigma, self.weight, self.bias, False, self.momentum, 0.0)
        variance, batch_mean = torch.var_mean(x, (0, 2, 3), correction=0)
        batch_sigma = torch.sqrt(variance + self.eps)
        if self.training:
            with torch.no_grad():
                mean.lerp_(batch_mean, self.momentum)
                sigma.lerp_(batch_sigma, self.momentum)
            mean, sigma = batch_mean, batch_sigma
        else:
            known = sigma.any()
            mean, sigma = torch.where(known, mean, batch_mean), torch.where(known, sigma, batch_sigma)
        slope = self.weight / sigma
        return x * slope[:, None, None] + (self.bias - slope * mean)[:, None, None]


class AveragePool(nn.Module):
    """Averages over windows, of the pixels inside the image only; pad is (left, right, top, bottom)."""

    def __init__(self, kernel_size: tuple, stride: tuple, pad: tuple) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.pad = kernel_size, stride, pad

    def forward(self, x: Tensor) -> Tensor:
        inside = F.pad(torch.ones_like(x[:1, :1]), self.pad)
        share = F.avg_pool2d(inside, self.kernel_size, self.stride)
        return F.avg_pool2d(F.pad(x, self.pad), self.kernel_size, self.stride) / share


class SpatialNorm(AveragePool):
    """x (1 + alpha average of x^2 over a window around the pixel)^-beta."""

    def __init__(self, kernel_size: tuple, pad: tuple, alpha: float, beta: float) -> None:
        super().__init__(kernel_size, (1, 1), pad)
        self.alpha, self.beta = alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + self.alpha * super().forward(x * x)) ** -self.beta


class LocalResponseNorm(nn.Module):
    """x (k + alpha sum of x^2 over `size` channels)^-beta; an even size reaches one channel further up."""

    def __init__(self, size: int, alpha: float, beta: float, k: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        squares = F.pad((x * x).unsqueeze(1), (0, 0, 0, 0, (self.size - 1) // 2, self.size // 2))
        average = F.avg_pool3d(squares, (self.size, 1, 1), stride=1).squeeze(1)
        return x * (self.k + self.alpha * self.size * average) ** -self.beta


class NormOffset(nn.Module):
    """x - alpha L^beta, with L the sum of x^2 over the channels, not less than 1e-8."""

    def __init__(self, alpha: float, beta: float) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        return x - self.alpha * (x * x).sum(1, keepdim=True).clamp(min=1e-8) ** self.beta


class Subsample(nn.Module):
    """Every stride-th pixel, and biases added where there are any."""

    def __init__(self, stride: tuple, channels: int = 0) -> None:
        super().__init__()
        self.stride = stride
        self.bias = nn.Parameter(torch.zeros(channels)) if channels else None

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride[0], :: self.stride[1]]
        return x if self.bias is None else x + self.bias[:, None, None]


class Swish(nn.Module):
    """x / (1 + e^(-beta x))"""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.beta * x)


class PReLU(nn.Module):
    """x above 0, weight x below; the weight has the size of an image, or 1 in a dimension."""

    def __init__(self, size: tuple) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(size, 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, x * self.weight)


class HardSigmoid(nn.Module):
    """alpha x + beta between 0 and 1, 0 below, 1 above"""

    def __init__(self, alpha: float, beta: float) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        return F.hardtanh(self.alpha * x + self.beta, 0.0, 1.0)


class Permute(nn.Module):
    """The dimensions in another order."""

    def __init__(self, dims: tuple) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


class Reshape(nn.Module):
    """The elements of each image as one of another size, in MATLAB's order, in which the height counts fastest."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        self.size = channels, width, height

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(2, 3).reshape(-1, *self.size).transpose(2, 3)


class SubPixels(nn.Module):
    """Channels as pixels, as PixelShuffle does, but rows count fastest, as in MATLAB."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(x.transpose(2, 3), self.scale).transpose(2, 3)


class SubImages(nn.Module):
    """Pixels as channels: the inverse of SubPixels."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_unshuffle(x.transpose(2, 3), self.scale).transpose(2, 3)


class NoiseMap(nn.Module):
    """The image with the noise level as further channels; the level is sigma, or a second input N x P x H x W."""

    def __init__(self, sigma: tuple = ()) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        level = given[0] if given else x.new_tensor(self.sigma).reshape(1, -1, 1, 1)
        return torch.cat([x, level.expand(x.shape[0], -1, x.shape[2], x.shape[3])], 1)


class Concat(nn.Module):
    """The inputs, one after the other along a dimension."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, self.dim)


class Sum(nn.Module):
    """The sum of the inputs."""

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            x = x + other
        return x


class Scale(nn.Module):
    """x weight + bias; what the module does not hold of the two comes as further inputs; there may be no bias."""

    def __init__(self, weight: tuple = (), bias: tuple = ()) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(weight)) if weight else None
        self.bias = nn.Parameter(torch.zeros(bias)) if bias else None

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        given += tuple(p for p in (self.weight, self.bias) if p is not None)
        return x * given[0] + given[1] if len(given) == 2 else x * given[0]


class Crop(nn.Module):
    """x cut to the height and width of another: at most `offset` from the top and left, the rest from the other end."""

    def __init__(self, offset: tuple) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        (height, width), (down, across) = like.shape[2:], self.offset
        top, left = min(x.shape[2] - height, down), min(x.shape[3] - width, across)
        return x[:, :, top : top + height, left : left + width]


class AffineGrid(nn.Module):
    """Transformations c, N x 6 x 1 x 1, to grids of points: y = c1 v + c2 u + c5, x = c3 v + c4 u + c6."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, c: Tensor) -> Tensor:
        v = torch.linspace(-1, 1, self.height, dtype=c.dtype, device=c.device) if self.height > 1 else c.new_ones(1)
        u = torch.linspace(-1, 1, self.width, dtype=c.dtype, device=c.device) if self.width > 1 else c.new_ones(1)
        c1, c2, c3, c4, c5, c6 = c.reshape(-1, 6, 1, 1).unbind(1)
        v, u = v[None, None, :], u[None, :, None]
        return torch.stack([c1 * v + c2 * u + c5, c3 * v + c4 * u + c6], 2)


class UniformScalingGrid(AffineGrid):
    """Transformations (s, a, b), N x 3 x 1 x 1, to grids of points: y = s v + a, x = s u + b."""

    def forward(self, c: Tensor) -> Tensor:
        s, a, b = c.reshape(-1, 3).unbind(1)
        zero = torch.zeros_like(s)
        return super().forward(torch.stack([s, zero, zero, s, a, b], 1))


class BilinearSampler(nn.Module):
    """x at the points of a grid; of several grids for an image, those of the first image come first.

    A point above or left of the image is 0, as in MatConvNet's CPU code; elsewhere this is F.grid_sample.
    """

    def forward(self, x: Tensor, grid: Tensor) -> Tensor:
        x = x.repeat_interleave(grid.shape[0] // x.shape[0], 0)
        within = (grid >= -1).all(2).transpose(1, 2).unsqueeze(1)
        points = grid.permute(0, 3, 1, 2).flip(-1)
        return F.grid_sample(x, points, align_corners=True) * within


class RoiPool(nn.Module):
    """Regions of x, R x 5 of (image, left, top, right, bottom) counted from 1, pooled into grids of cells.

    The regions may be R x 5 x 1 x 1 or 1 x 1 x 5 x R too, as MatConvNet's arrays come out turned round.
    affine   2 x 3, takes corners to pixels of x
    flatten  return R x (C * cells) x 1 x 1
    """

    def __init__(self, method: str, cells: tuple, affine: tuple, flatten: bool) -> None:
        super().__init__()
        self.method, self.cells, self.affine, self.flatten = method, cells, affine, flatten

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        regions = regions.flatten(1) if regions.shape[1] == 5 else regions[0, 0].T
        (a, b, c), (d, e, f) = self.affine
        corners = regions[:, 1:].to(torch.float64)
        u, v = corners[:, 0::2], corners[:, 1::2]
        across = self.spans(a * u + b * v + c, self.cells[1], x.shape[3], x.dtype)
        down = self.spans(d * u + e * v + f, self.cells[0], x.shape[2], x.dtype)
        images = x[(regions[:, 0].long() - 1).clamp(0, x.shape[0] - 1)]
        height, width = x.shape[2:]
        rows = [self.pool(images, self.inside(first, end, height)[:, None, :, None], 2) for first, end in down]
        x = torch.stack(rows, 2)
        columns = [self.pool(x, self.inside(first, end, width)[:, None, None, :], 3) for first, end in across]
        y = torch.stack(columns, 3)
        return y.transpose(2, 3).reshape(y.shape[0], -1, 1, 1) if self.flatten else y

    def spans(self, edges: Tensor, count: int, limit: int, dtype: torch.dtype) -> list:
        """(first, end) of each cell for all regions, whose edges are rounded as C's round does."""
        edges = edges.to(dtype)
        first, last = (torch.trunc(edges + torch.copysign(torch.full_like(edges, 0.5), edges)) - 1).unbind(1)
        step = (last - first + 1).clamp(min=1) / count
        return [
            ((torch.floor(i * step) + first).clamp(0, limit), (torch.ceil((i + 1) * step) + first).clamp(0, limit))
            for i in range(count)
        ]

    def inside(self, first: Tensor, end: Tensor, size: int) -> Tensor:
        at = torch.arange(size, device=first.device)
        return (at >= first[:, None]) & (at < end[:, None])

    def pool(self, x: Tensor, inside: Tensor, dim: int) -> Tensor:
        if self.method == "avg":
            return torch.where(inside, x, 0).sum(dim) / inside.sum(dim).clamp(min=1)
        best = torch.where(inside, x, float("-inf")).max(dim).values
        return torch.where(inside.any(dim), best, 0)
