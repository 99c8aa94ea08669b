"""PyTorch tensors, on any device: its kernels under MatConvNet's names and meanings.

A tensor H x W x C x N lies in memory as N x H x W x C, channels_last in PyTorch's words. Derivatives are computed by
PyTorch's backward functions, without its autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from pyconvnet.backends.base import Backend
from pyconvnet.backends.torch import bilinear as _bilinear
from pyconvnet.backends.torch import conv as _conv
from pyconvnet.backends.torch import fused as _fused
from pyconvnet.backends.torch import normalization as _normalization
from pyconvnet.backends.torch import pool as _pool
from pyconvnet.backends.torch import roipool as _roipool
from pyconvnet.backends.torch.layout import from_nhwc, nhwc

_aten = torch.ops.aten
Tensor = torch.Tensor
Shape = tuple[int, ...]


class Torch(Backend):
    """PyTorch's primitives and kernels."""

    name = "torch"
    floats = (torch.float32, torch.float64)

    # --- numbers and memory ---------------------------------------------------------------------------------------

    def asarray(self, value: Any, like: Tensor) -> Tensor:
        if isinstance(value, Tensor):
            return value.to(like.device, like.dtype)
        return from_host(value, like.device, like.dtype)

    def to_host(self, x: Tensor) -> np.ndarray:
        return x.detach().cpu().numpy()

    def place(self, x: Tensor) -> torch.device:
        return x.device

    def asynchronous(self, x: Tensor) -> bool:
        return x.device.type != "cpu"

    def later(self, x: Tensor) -> Callable[[], np.ndarray]:
        from pyconvnet.backends.torch.transfer import later

        return later(x)

    def unusable(self, x: Tensor) -> str:
        if x.requires_grad:
            return "requires grad, and derivatives are computed here without autograd: give its detach()"
        return "" if x.layout is torch.strided else f"has the layout {x.layout}: give its to_dense()"

    def zeros(self, shape: Shape, like: Tensor) -> Tensor:
        return self.full(shape, 0, like)

    def full(self, shape: Shape, value: float, like: Tensor) -> Tensor:
        if len(shape) != 4:
            return torch.full(shape, value, dtype=like.dtype, device=like.device)
        h, w, c, n = shape
        return from_nhwc(torch.full((n, h, w, c), value, dtype=like.dtype, device=like.device))

    def copy(self, x: Tensor) -> Tensor:
        return x.detach().clone()

    def cast(self, x: Tensor, like: Tensor) -> Tensor:
        return x.to(like.dtype)

    def indexes(self, x: Tensor) -> Tensor:
        return x.to(torch.int64)

    def random(self, shape: Shape, like: Tensor, generator: np.random.Generator) -> Tensor:
        drawn = generator.random(shape, dtype=np.float32)
        return from_host(drawn, like.device, torch.float32)

    def isfinite(self, x: Tensor) -> bool:
        return bool(torch.isfinite(x).all())

    def any(self, x: Tensor) -> bool:
        stamp = None if x.is_inference() else x._version
        known = getattr(x, "_any", None)
        if stamp is None or known is None or known[0] != stamp:
            known = x._any = (stamp, bool(x.any()))  # it waits for the device: once for each parameter
        return known[1]

    def concat(self, xs: Sequence[Tensor], axis: int) -> Tensor:
        if xs[0].ndim != 4:
            return torch.cat(list(xs), axis)
        return from_nhwc(torch.cat([nhwc(x) for x in xs], (1, 2, 3, 0)[axis]))

    def flat(self, x: Tensor) -> Tensor:
        return x if x.ndim == 1 else x.reshape(-1) if max(x.shape, default=1) == x.numel() else super().flat(x)

    def reshaped(self, x: Tensor, shape: Shape) -> Tensor:
        y = x.permute(*reversed(range(x.ndim))).reshape(shape[::-1])
        return y.permute(*reversed(range(len(shape))))

    # --- element by element, and along axes -----------------------------------------------------------------------

    def exp(self, x: Tensor) -> Tensor:
        return torch.exp(x)

    def log(self, x: Tensor) -> Tensor:
        return torch.log(x)

    def abs(self, x: Tensor) -> Tensor:
        return torch.abs(x)

    def sign(self, x: Tensor) -> Tensor:
        return torch.where(x == x, torch.sign(x), x)

    def power(self, x: Tensor, y: float) -> Tensor:
        return torch.sqrt(x) if y == 0.5 else super().power(x, y)

    def maximum(self, x: Tensor, y: Any) -> Tensor:
        return torch.maximum(x, y) if isinstance(y, Tensor) else torch.clamp_min(x, y)

    def minimum(self, x: Tensor, y: Any) -> Tensor:
        return torch.minimum(x, y) if isinstance(y, Tensor) else torch.clamp_max(x, y)

    def where(self, condition: Tensor, x: Any, y: Any) -> Tensor:
        return torch.where(condition, x, y)

    def sum(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        return x.sum(axes, keepdim=True) if axes else x

    def max(self, x: Tensor, axis: int) -> Tensor:
        return x.amax(axis, keepdim=True)

    def argmax(self, x: Tensor, axis: int) -> Tensor:
        return x.argmax(axis, keepdim=True)

    def take(self, x: Tensor, at: Tensor, axis: int) -> Tensor:
        return torch.take_along_dim(x, at, axis)

    def put(self, x: Tensor, at: Tensor, values: Tensor, axis: int) -> Tensor:
        return x.scatter_(axis, at, values)

    def relu(self, x: Tensor, leak: float) -> Tensor:
        return torch.relu(x) if leak == 0 else torch.nn.functional.leaky_relu(x, leak)

    def relu_backward(self, x: Tensor, dzdy: Tensor, leak: float) -> Tensor:
        return _aten.leaky_relu_backward(dzdy, x, leak, False)

    def _logistic(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def sigmoid_backward(self, x: Tensor, dzdy: Tensor) -> Tensor:
        return _aten.sigmoid_backward(dzdy, torch.sigmoid(x))

    def tanh(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def softplus(self, x: Tensor) -> Tensor:
        return torch.clamp_min(x, 0) + torch.log1p(torch.exp(-torch.abs(x)))

    def elu(self, x: Tensor, alpha: float) -> Tensor:
        return torch.where(x > 0, x, alpha * torch.expm1(torch.clamp_max(x, 0)))

    def swish(self, x: Tensor, beta: float) -> Tensor:
        return _finite(x) * torch.sigmoid(_finite(beta * x))

    def swish_slope(self, x: Tensor, beta: float) -> Tensor:
        z = _finite(beta * x)
        s = torch.sigmoid(z)
        return s + z * s * (1 - s)

    def softmax(self, x: Tensor) -> Tensor:
        return from_nhwc(torch.softmax(nhwc(x), 3))

    def softmax_backward(self, x: Tensor, dzdy: Tensor) -> Tensor:
        y = torch.softmax(nhwc(x), 3)
        return from_nhwc(_aten._softmax_backward_data(nhwc(dzdy), y, 3, y.dtype))

    # --- training -------------------------------------------------------------------------------------------------

    def sgd_steps(
        self, steps: Sequence[tuple[Tensor, Tensor, Tensor, float, float, float]], momentum: float, nesterov: bool
    ) -> list[tuple[Tensor, Tensor]]:
        # a few kernels for all parameters that share their rates, in place of a few for each
        alike: dict[tuple[float, ...], list[tuple[Tensor, Tensor, Tensor]]] = {}
        for w, m, der, *rates in steps:
            alike.setdefault((*rates, w.dtype), []).append((w, m, der))
        for (scale, decay, rate, _), arrays in alike.items():
            ws, ms, ders = map(list, zip(*arrays))
            torch._foreach_mul_(ms, momentum)
            torch._foreach_add_(ms, ders, alpha=-scale)
            torch._foreach_add_(ms, ws, alpha=-decay)
            if nesterov:
                torch._foreach_mul_(ws, 1 - rate * decay)
                torch._foreach_add_(ws, ms, alpha=rate * momentum)
                torch._foreach_add_(ws, ders, alpha=-rate * scale)
            else:
                torch._foreach_add_(ws, ms, alpha=rate)
        return [(w, m) for w, m, *_ in steps]

    # --- layers that run as one -----------------------------------------------------------------------------------

    def fuses(self, x: Tensor) -> bool:
        return True

    fused_conv = staticmethod(_fused.fused_conv)
    folded_bnorm = staticmethod(_fused.folded_bnorm)

    # --- kernels --------------------------------------------------------------------------------------------------

    conv = staticmethod(_conv.conv)
    conv_backward = staticmethod(_conv.conv_backward)
    convt = staticmethod(_conv.convt)
    convt_backward = staticmethod(_conv.convt_backward)
    pool = staticmethod(_pool.pool)
    pool_backward = staticmethod(_pool.pool_backward)
    moments_of = staticmethod(_normalization.moments_of)
    bnorm = staticmethod(_normalization.bnorm)
    bnorm_backward = staticmethod(_normalization.bnorm_backward)
    lrn = staticmethod(_normalization.lrn)
    lrn_backward = staticmethod(_normalization.lrn_backward)
    bilinear = staticmethod(_bilinear.bilinear)
    bilinear_backward = staticmethod(_bilinear.bilinear_backward)
    roipool = staticmethod(_roipool.roipool)
    roipool_backward = staticmethod(_roipool.roipool_backward)


def from_host(value: Any, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Numbers in main memory as a tensor: N x H x W x C in memory where they have four dimensions."""
    a = np.asarray(value)
    if a.ndim == 4:
        return from_nhwc(_sent(np.ascontiguousarray(a.transpose(3, 0, 1, 2)), device, dtype))
    return _sent(np.ascontiguousarray(a).reshape(a.shape), device, dtype)


def _sent(a: np.ndarray, device: torch.device, dtype: torch.dtype | None) -> Tensor:
    a = a if a.flags.writeable and a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))
    # without waiting for what the GPU has still to do; memory that is not pinned is read before this returns
    return torch.from_numpy(a).to(device, dtype, non_blocking=device.type == "cuda")


def _finite(x: Tensor) -> Tensor:
    """Infinities become the largest number, as infinity times zero is not a number; NaN stays."""
    limits = torch.finfo(x.dtype)
    return x.clamp(limits.min, limits.max)
