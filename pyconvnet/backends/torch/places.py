"""The devices that PyTorch has here, under the names that pyconvnet.devices takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pyconvnet.backends.torch import from_host

ACCELERATORS = ("cuda", "xpu", "mps")


def count(kind: str) -> int:
    """How many devices of a kind there are."""
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    module = getattr(torch, kind)
    return module.device_count() if module.is_available() else 0


def accelerators() -> list[str]:
    """Names of the accelerators, the one that "gpu" stands for first."""
    return [kind if kind == "mps" else f"{kind}:{i}" for kind in ACCELERATORS for i in range(count(kind))]


def device(name: str) -> torch.device:
    """The device of a full name: "torch:cpu", "cuda:0", "mps"."""
    return torch.device(name.removeprefix("torch:"))


def sent(x: Any, where: torch.device) -> torch.Tensor:
    """A numpy array or a tensor as a tensor on a device, with memory of its own."""
    if where.type == "mps" and x.dtype in (torch.float64, np.float64):
        raise TypeError("mps has no double precision; convert to float32 first")
    if isinstance(x, torch.Tensor):
        return x.detach().to(where, copy=True)
    return from_host(x if where.type != "cpu" else np.array(x, order="K"), where)
