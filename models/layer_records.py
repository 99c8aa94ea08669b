"""Layers as MatConvNet's examples write them: records with fields in their order, numbers as MATLAB stores them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.records import Struct


def row(*values: float) -> np.ndarray:
    """MATLAB's [a b c]: 1 x n in double precision."""
    return np.array([values], float)


def layer(type: str, name: str | None = None, **fields: Any) -> Struct:
    """A record; without a name vl_simplenn_tidy calls it layer1, layer2 ..."""
    return Struct(type=type, **({"name": name} if name else {}), **fields)


def conv(f: np.ndarray, b: np.ndarray, name: str | None = None, stride: Any = 1, pad: Any = 0, **fields: Any) -> Struct:
    """Convolution by filters h x w x C x K, with K biases."""
    return layer("conv", name, weights=[f, b], stride=stride, pad=pad, **fields)


def pool(size: int, stride: int, pad: Any = 0, method: str = "max", name: str | None = None) -> Struct:
    """Pooling of size x size pixels."""
    return layer("pool", name, method=method, pool=row(size, size), stride=stride, pad=pad)
