"""Operations of aten on several inputs, and arithmetic with constants, as layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from pyconvnet import layers
from pyconvnet.formats.pytorch.recorder import Constant, Recorder, Unsupported, Variable, operation


@operation("cat")
def _cat(recorder: Recorder, tensors: list[Any], dim: int) -> Variable:
    if not all(isinstance(t, Variable) for t in tensors):
        raise Unsupported("one of its inputs is constant")
    parts = [recorder.padded(t) for t in tensors]
    flat = parts[0].flat
    dim %= 2 if flat else 4
    if dim == 0 or (flat and len({p.size[1:] for p in parts}) > 1):
        raise Unsupported("it is along the batch, or of flattened images of several sizes")
    c, h, w = (sum(p.size[i] for p in parts) if i == dim - 1 else parts[0].size[i] for i in range(3))
    return recorder.add(layers.Concat(dim=(3, 1, 2)[dim - 1]), parts, size=(c, h, w, flat))


@operation("add")
def _add(recorder: Recorder, x: Any, other: Any, alpha: Any = 1) -> Variable:
    if isinstance(x, Variable) and isinstance(other, Variable):
        x, other = recorder.padded(x), _scaled(recorder, recorder.padded(other), alpha)
        if (x.size, x.flat) != (other.size, other.flat):
            raise Unsupported(f"it is of {x.size} and {other.size} (channels, height, width), which must be equal")
        return recorder.add(layers.Sum(), [x, other], size=x[1:])
    variable, constant = (x, _times(other, alpha)) if isinstance(x, Variable) else (_scaled(recorder, other, alpha), x)
    return _scale(recorder, variable, 1, constant)


@operation("sub")
def _sub(recorder: Recorder, x: Any, other: Any, alpha: Any = 1) -> Variable:
    return _add(recorder, x, other, -alpha)


@operation("rsub")
def _rsub(recorder: Recorder, x: Any, other: Any, alpha: Any = 1) -> Variable:
    return _add(recorder, other, x, -alpha)


@operation("neg")
def _neg(recorder: Recorder, x: Variable) -> Variable:
    return _scale(recorder, x, -1, None)


@operation("mul")
def _mul(recorder: Recorder, x: Any, other: Any) -> Variable:
    if not isinstance(other, Variable):
        return _scale(recorder, x, other, None)
    if not isinstance(x, Variable):
        return _scale(recorder, other, x, None)
    x, other = recorder.padded(x), recorder.padded(other)
    if math.prod(x.size) < math.prod(other.size):
        x, other = other, x
    if x.flat != other.flat or any(b not in (1, a) for a, b in zip(x.size, other.size)):
        raise Unsupported(f"it is of {x.size} and {other.size} (channels, height, width)")
    return recorder.add(layers.Scale(hasBias=False), [x, other], size=x[1:])


@operation("div")
def _div(recorder: Recorder, x: Any, other: Any) -> Variable:
    if isinstance(other, Variable):
        raise Unsupported("it is by what depends on the input")
    return _scale(recorder, x, 1 / (other.value if isinstance(other, Constant) else other), None)


def _times(value: Any, factor: Any) -> Any:
    return value if factor == 1 else (value.value if isinstance(value, Constant) else value) * factor


def _scaled(recorder: Recorder, x: Variable, factor: Any) -> Variable:
    return x if factor == 1 else _scale(recorder, x, factor, None)


def _scale(recorder: Recorder, x: Variable, gain: Any, offset: Any) -> Variable:
    """gain * x + offset, of constants that fit x, or None."""
    x = recorder.padded(x)
    given = [(".weight", gain)] + ([] if offset is None else [(".bias", offset)])
    params = [((v.name if isinstance(v, Constant) else "") or key, _spread(x, v)) for key, v in given]
    block = layers.Scale(size=params[0][1].shape, hasBias=offset is not None)
    return recorder.add(block, [x], *params, size=x[1:])


def _spread(x: Variable, value: Any) -> np.ndarray:
    """A constant that torch would broadcast to x, as H x W x C x 1."""
    value = value.value if isinstance(value, Constant) else value
    a = np.asarray(value.numpy() if isinstance(value, torch.Tensor) else value)
    full = (1, math.prod(x.size)) if x.flat else (1, *x.size)
    shape = (1,) * (len(full) - a.ndim) + a.shape
    if len(shape) > len(full) or any(s not in (1, t) for s, t in zip(shape, full)):
        raise Unsupported(f"its constant is {list(a.shape)}, of what is N x {' x '.join(map(str, full[1:]))}")
    shape = (1, *x.size) if x.flat and a.size > 1 else shape
    return a.reshape(shape + (1,) * (4 - len(shape))).transpose(2, 3, 1, 0)
