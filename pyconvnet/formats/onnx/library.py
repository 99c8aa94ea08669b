"""The onnx package, which is imported when it is first used, and its errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet.layers import PDist


def require(fn: str, package: str = "onnx") -> Any:
    """The module `onnx` (or `onnxruntime`); ImportError that says how to get it."""
    from importlib import import_module

    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        how = "pip install 'pyconvnet[onnx]'" if package == "onnx" else f"pip install {package}"
        raise ImportError(f"{fn}: this needs the package {error.name!r}: {how}") from error


LARGEST = 2**29  # elements of one constant; those of the largest layers of VGG networks are a fifth of that


def zeros(*shape: int) -> np.ndarray:
    """Zeros for filters that a file asks for without having them; Refused where they take more than 2 GiB."""
    check_count(math.prod(shape))
    return np.zeros(shape, np.float32)


def check_count(count: int) -> None:
    """Refuse what needs an array of more elements than a network has."""
    if count > LARGEST:
        raise Refused(f"it needs an array of {count} elements, more than {LARGEST}")


def output_sizes(layer: Any, sizes: list[Any]) -> list[Any]:
    """(H, W, C, N) of the outputs of a layer. A PDist says in its own function what MATLAB's does: one number."""
    if isinstance(layer, PDist):
        return [(1, 1, 1, 1) if layer.effective_options()["aggregate"] else (*sizes[0][:2], 1, sizes[0][3])]
    return layer.getOutputSizes(sizes)


class Refused(ValueError):
    """What one layer, or one node, cannot be converted for; errors of the whole network list these."""


class SizeNeeded(Refused):
    """A layer whose nodes depend on a size that is not known."""

    def __init__(self) -> None:
        super().__init__("the size of its input must be known: give inputSize=(H, W, C)")
