"""The settings of PyTorch under which kernels run: single precision, deterministic; the user's are put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pyconvnet.precision import autocast_kind, get_deterministic

_MODERN = hasattr(torch.backends.cudnn, "conv")  # PyTorch 2.9 has fp32_precision in place of allow_tf32


def _switches(device: str) -> list[tuple[Any, str, Any, Any]]:
    """(where, attribute, value for single precision, value for TF32) of what decides about a device."""
    backends = torch.backends
    if device == "cuda":
        if _MODERN:
            return [(part, "fp32_precision", "ieee", "tf32") for part in (backends.cudnn.conv, backends.cuda.matmul)]
        return [(part, "allow_tf32", False, True) for part in (backends.cudnn, backends.cuda.matmul)]
    if device == "cpu" and _MODERN:
        return [(part, "fp32_precision", "ieee", "ieee") for part in (backends.mkldnn.conv, backends.mkldnn.matmul)]
    return []


_TABLE = {device: _switches(device) for device in ("cuda", "cpu")}


@contextmanager
def exact(x: torch.Tensor) -> Iterator[None]:
    """Convolutions and matrix products on the device of x in single precision, or TF32 under autocast("tf32").

    On a GPU they are deterministic as well, unless set_deterministic(False); cuDNN's trials of algorithms stay as the
    user has them then, and are off otherwise.
    """
    device = x.device.type
    kept = []
    for place, name, single, tf32 in _TABLE.get(device, ()):
        wanted = tf32 if autocast_kind() == "tf32" else single
        found = getattr(place, name)
        if found != wanted and found != "none":
            kept.append((place, name, found))
            setattr(place, name, wanted)
    if device == "cuda" and get_deterministic():
        cudnn = torch.backends.cudnn
        for name, wanted in (("deterministic", True), ("benchmark", False)):
            found = getattr(cudnn, name)
            if found != wanted:
                kept.append((cudnn, name, found))
                setattr(cudnn, name, wanted)
    try:
        yield
    finally:
        for place, name, found in reversed(kept):
            setattr(place, name, found)


def must_fix_order(x: torch.Tensor) -> bool:
    """Whether kernels that add in any order, as some do on a GPU, are to be kept from x."""
    return x.device.type != "cpu" and get_deterministic()


def half() -> torch.dtype | None:
    """The element type in which autocast has convolutions computed, where it is one of half precision."""
    return {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(autocast_kind() or "")
