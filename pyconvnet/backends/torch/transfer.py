"""Copies between main memory and a GPU that nobody waits for: of batches ahead of their use, of statistics after it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from pyconvnet.backends.torch import from_host
from pyconvnet.backends.torch.layout import from_nhwc, nhwc


class Departed:
    """An array on its way to a GPU of NVIDIA or AMD, beside what that computes meanwhile."""

    def __init__(self, a: np.ndarray, device: torch.device) -> None:
        host = from_host(a, torch.device("cpu"))
        self.images = host.ndim == 4
        pinned = (nhwc(host) if self.images else host).pin_memory()
        stream = _stream(device)
        with torch.cuda.stream(stream):
            self.there = pinned.to(device, non_blocking=True)
            self.copied = stream.record_event()

    def arrive(self) -> torch.Tensor:
        """The tensor, for kernels that are called from now on; these wait for the copy, Python does not."""
        now = torch.cuda.current_stream(self.there.device)
        now.wait_event(self.copied)
        self.there.record_stream(now)  # its memory is not given to others before they are done
        return from_nhwc(self.there) if self.images else self.there


@lru_cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def later(x: torch.Tensor) -> Callable[[], np.ndarray]:
    """Start to copy x to main memory; what is returned waits for that alone, and not for what was called since."""
    if x.device.type != "cuda":
        return lambda: x.cpu().numpy()
    host = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
    host.copy_(x, non_blocking=True)
    copied = torch.cuda.current_stream(x.device).record_event()

    def read() -> np.ndarray:
        copied.synchronize()
        return host.numpy()

    return read
