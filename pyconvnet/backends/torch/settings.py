"""The settings of PyTorch under which kernels run: single precision, deterministic; the user's are put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pyconvnet.precision import autocast_kind, get_deterministic

_MODERN = hasattr(torch.backends.cudnn, "conv")  # PyTorch 2.9 has fp32_precision in place of allow_tf32


def _switches(device: str, products: str) -> list[tuple[Any, str, Any, Any]]:
    """(where, attribute, value for single precision, value for TF32): what decides about "conv" or "matmul" there."""
    backends = torch.backends
    if device == "cuda":
        place = backends.cudnn if products == "conv" else backends.cuda.matmul
        if _MODERN:
            return [(place.conv if products == "conv" else place, "fp32_precision", "ieee", "tf32")]
        return [(place, "allow_tf32", False, True)]
    if device == "cpu" and _MODERN:
        return [(getattr(backends.mkldnn, products), "fp32_precision", "ieee", "ieee")]
    return []


_TABLE = {(device, what): _switches(device, what) for device in ("cuda", "cpu") for what in ("conv", "matmul")}
Kept = list[tuple[Any, str, Any]]


def enter(x: torch.Tensor, products: str) -> Kept:
    """Set what `exact` says; what must be put back by `leave`."""
    device, kept = x.device.type, []
    for place, name, single, tf32 in _TABLE.get((device, products), ()):
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
    return kept


def leave(kept: Kept) -> None:
    """Put back what the user had set."""
    for place, name, found in reversed(kept):
        setattr(place, name, found)


@contextmanager
def exact(x: torch.Tensor, products: str) -> Iterator[None]:
    """Convolutions ("conv") or products of matrices ("matmul") on the device of x in single precision.

    In TF32 under autocast("tf32"). On a GPU they are deterministic as well, unless set_deterministic(False); cuDNN's
    trials of algorithms stay as the user has them then, and are off otherwise.
    """
    kept = enter(x, products)
    try:
        yield
    finally:
        leave(kept)


def must_fix_order(x: torch.Tensor) -> bool:
    """Whether kernels that add in any order, as some do on a GPU, are to be kept from x."""
    return x.device.type != "cpu" and get_deterministic()


def half() -> torch.dtype | None:
    """The element type in which autocast has convolutions computed, where it is one of half precision."""
    return {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(autocast_kind() or "")
