"""Layers of ONNX nodes that compute: sums and products, matrices, activations, normalizations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyconvnet.formats.onnx.library import Refused
from pyconvnet.formats.onnx.reader import Node, Reader, reads
from pyconvnet.formats.onnx.values import Tensor, four, sizes_text
from pyconvnet.layers import (
    ELU,
    LRN,
    BatchNorm,
    Clip,
    Conv,
    ConvTranspose,
    HardSigmoid,
    Layer,
    PReLU,
    ReLU,
    Scale,
    Sigmoid,
    SoftMax,
    SoftPlus,
    Sum,
    Tanh,
)


def _each(r: Reader, t: Tensor, block: Layer, params: Sequence[tuple[str, Any]] = (), part: str = "") -> Tensor:
    """A layer that works element by element, of the variable as it lies; the shape stays."""
    y = r.layer(block, [Tensor(t.var, t.base, t.base)], params, part)
    return Tensor(y.var, y.base, t.shape, t.moves)


# --- activations ----------------------------------------------------------------------------------------------------


@reads("Relu", "Sigmoid", "Tanh", "Softplus")
def plain(r: Reader, n: Node) -> Tensor:
    return _each(r, n.tensor(), {"Relu": ReLU, "Sigmoid": Sigmoid, "Tanh": Tanh, "Softplus": SoftPlus}[n.op]())


@reads("LeakyRelu")
def leaky(r: Reader, n: Node) -> Tensor:
    return _each(r, n.tensor(), ReLU(leak=_single(n.get("alpha", 0.01))))


@reads("Elu")
def elu(r: Reader, n: Node) -> Tensor:
    return _each(r, n.tensor(), ELU(alpha=_single(n.get("alpha", 1.0))))


@reads("HardSigmoid")
def hard_sigmoid(r: Reader, n: Node) -> Tensor:
    return _each(r, n.tensor(), HardSigmoid(alpha=_single(n.get("alpha", 0.2)), beta=_single(n.get("beta", 0.5))))


@reads("HardSwish")
def hard_swish(r: Reader, n: Node) -> Tensor:
    t = n.tensor()
    gate = _each(r, t, HardSigmoid(alpha=1 / 6, beta=0.5), part="gate")
    y = r.layer(Scale(hasBias=False), [Tensor(t.var, t.base, t.base), Tensor(gate.var, gate.base, gate.base)])
    return Tensor(y.var, y.base, t.shape, t.moves)


@reads("Clip")
def clip(r: Reader, n: Node) -> Tensor:
    if r.opset < 11:
        low, high = n.get("min", -math.inf), n.get("max", math.inf)
    else:
        bounds = [n.constant(i, "bounds") for i in (1, 2)]
        low, high = (math.inf * s if b is None else float(b.ravel()[0]) for s, b in zip((-1, 1), bounds))
    return _each(r, n.tensor(), Clip(min=low, max=high))


@reads("PRelu")
def prelu(r: Reader, n: Node) -> Tensor:
    t, slope = n.tensor(), n.constant(1, "slope")
    if r.opset < 7 and slope is not None and slope.ndim == 1:  # one for each channel
        slope = slope.reshape(-1, *[1] * (len(t.shape) - 2))
    x, a = _with_constant(r, t, slope)
    y = r.layer(PReLU(size=a.shape), [x], [(r.name_of(1, "slope"), a)])
    return r.in_rank(y, len(t.shape))


def _single(value: float) -> float:
    """The number that was written in single precision: 0.2 for 0.20000000298023224."""
    return float(str(np.float32(value)))


@reads("Softmax")
def softmax(r: Reader, n: Node) -> Tensor:
    t = n.tensor()
    rank = len(t.shape)
    axis = n.get("axis", 1 if r.opset < 13 else -1) % rank
    if axis != 1:
        raise Refused(f"it must be over the channels, axis 1, got axis {axis}")
    if r.opset < 13 and rank == 4 and t.shape[2:] != (1, 1):
        raise Refused("before opset 13 it is over channels and pixels together, which no layer is")
    return r.in_rank(r.layer(SoftMax(), [r.image(t)]), rank)


# --- sums and products ----------------------------------------------------------------------------------------------


def _with_constant(r: Reader, t: Tensor, c: Any) -> tuple[Tensor, np.ndarray]:
    """(variable, constant H x W x C) of a tensor and numbers that repeat along it."""
    if c is None or c.dtype.kind != "f":
        raise Refused("its numbers must be floating-point")
    if c.size == 1:
        return Tensor(t.var, t.base, t.base) if not t.moves else r.image(t), c.reshape(1, 1, 1)
    x = r.image(t)
    rank = len(t.shape)
    if c.ndim > rank:
        raise Refused(f"numbers of {c.ndim} dimensions do not fit {rank}")
    c = c.reshape(four((1,) * (rank - c.ndim) + c.shape))
    if c.shape[0] != 1 or any(s not in (1, b) for s, b in zip(c.shape[1:], x.base[1:])):
        raise Refused(f"numbers {list(c.shape)} must repeat along {sizes_text(x.base)}")
    return x, c[0].transpose(1, 2, 0)


def _scaled(r: Reader, n: Node, t: Tensor, c: Any, i: int | None) -> Tensor:
    x, g = _with_constant(r, t, c)
    y = r.layer(Scale(size=g.shape, hasBias=False), [x], [(r.name_of(i, "scale"), g)])
    return _back(r, y, t)


def _shifted(r: Reader, n: Node, t: Tensor, c: Any, i: int) -> Tensor:
    """t + c: biases of the layer before where it has none yet, else a layer."""
    x, h = _with_constant(r, t, c)
    before = r.last_layer(Tensor(x.var, x.base, x.base), n.given[1 - i] if len(n.given) == 2 else "")
    if before is not None and isinstance(before.block, (Conv, ConvTranspose, Scale)) and not before.block.hasBias:
        if isinstance(before.block, Scale) and before.params:
            before.block.hasBias = True
            before.params.append(r._param(r.name_of(i, "bias"), h))
            return t
        if not isinstance(before.block, Scale) and h.shape[:2] == (1, 1) and x.var not in r.padding:
            before.block.hasBias = True
            full = np.broadcast_to(h.reshape(-1, 1), (r.channels(x), 1))
            before.params.append(r._param(r.name_of(i, "bias"), full))
            return t
    one = np.ones((1, 1, 1), h.dtype)
    params = [(f"{n.outputs[0]}_one", one), (r.name_of(i, "bias"), h)]
    return _back(r, r.layer(Scale(size=h.shape), [x], params), t)


def _back(r: Reader, y: Tensor, t: Tensor) -> Tensor:
    return r.in_rank(y, len(t.shape))


@reads("Add", "Sum", "Sub")
def add(r: Reader, n: Node) -> Tensor:
    tensors = [v for v in n.inputs if isinstance(v, Tensor)]
    numbers = [i for i, v in enumerate(n.inputs) if not isinstance(v, Tensor)]
    if r.opset < 7 and n.get("broadcast") and n.get("axis") is not None and numbers:
        _old_broadcast(n, tensors[0], numbers[0])
    if len(n.inputs) == 1:
        return tensors[0]
    if n.op == "Sub":
        return _difference(r, n)
    if numbers and len(n.inputs) == 2:
        return _shifted(r, n, tensors[0], n.inputs[numbers[0]], numbers[0])
    if numbers:
        raise Refused("constants among several inputs are not read")
    return _sum(r, tensors)


def _old_broadcast(n: Node, t: Tensor, i: int) -> None:
    """Before opset 7 an attribute said along which axes the numbers repeat."""
    c, axis = n.inputs[i], n.get("axis") % len(t.shape)
    n.inputs[i] = c.reshape(c.shape + (1,) * (len(t.shape) - axis - c.ndim))


def _sum(r: Reader, tensors: list[Tensor]) -> Tensor:
    shapes = {t.shape for t in tensors}
    if len(shapes) > 1:
        raise Refused(f"what is added must have one size, got {' and '.join(map(sizes_text, shapes))}")
    if len({(t.base, t.moves) for t in tensors}) == 1:  # seen alike, so added as they lie
        y = r.layer(Sum(), [Tensor(t.var, t.base, t.base) for t in tensors])
        return Tensor(y.var, y.base, tensors[0].shape, tensors[0].moves)
    return _back(r, r.layer(Sum(), [r.image(t) for t in tensors]), tensors[0])


def _difference(r: Reader, n: Node) -> Tensor:
    a, b = n.inputs
    if isinstance(a, Tensor) and not isinstance(b, Tensor):
        return _shifted(r, n, a, -b, 1)
    minus = [(f"{n.outputs[0]}_minus", np.full((1, 1, 1), -1.0))]
    negative = _each(r, b, Scale(size=(1, 1, 1), hasBias=False), minus, part="minus")
    if isinstance(a, Tensor):
        return _sum(r, [a, negative])
    x, h = _with_constant(r, negative, a)
    one = np.ones((1, 1, 1), h.dtype)
    return _back(r, r.layer(Scale(size=h.shape), [x], [(f"{n.outputs[0]}_one", one), (r.name_of(0, "bias"), h)]), b)


@reads("Neg")
def negated(r: Reader, n: Node) -> Tensor:
    return _scaled(r, n, n.tensor(), np.array(-1.0), None)


@reads("Mul")
def mul(r: Reader, n: Node) -> Tensor:
    a, b = n.inputs
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return _product(r, a, b)
    t, i = (a, 1) if isinstance(a, Tensor) else (b, 0)
    if r.opset < 7 and n.get("broadcast") and n.get("axis") is not None:
        _old_broadcast(n, t, i)
    return _scaled(r, n, t, n.inputs[i], i)


def _product(r: Reader, a: Tensor, b: Tensor) -> Tensor:
    if len(a.shape) != len(b.shape):
        raise Refused(f"factors of {len(a.shape)} and {len(b.shape)} dimensions are not read")
    x, g = r.image(a), r.image(b)
    if any(s not in (1, t) for s, t in zip(g.base, x.base)):
        x, g = g, x
    if any(s not in (1, t) for s, t in zip(g.base, x.base)):
        raise Refused(f"one factor must repeat along the other, got {sizes_text(a.shape)} and {sizes_text(b.shape)}")
    return _back(r, r.layer(Scale(hasBias=False), [x, g]), a)


@reads("Div")
def div(r: Reader, n: Node) -> Tensor:
    c = n.constant(1, "divisor")
    if c is None or c.dtype.kind != "f":
        raise Refused("its divisor must be floating-point")
    return _scaled(r, n, n.tensor(), 1 / c, None)


@reads("Max", "Min")
def bound(r: Reader, n: Node) -> Tensor:
    tensors = [v for v in n.inputs if isinstance(v, Tensor)]
    numbers = [v for v in n.inputs if not isinstance(v, Tensor)]
    if len(tensors) == 1 and not numbers:
        return tensors[0]
    if len(tensors) != 1 or any(v.size != 1 for v in numbers):
        raise Refused("it must compare a tensor with single numbers")
    values = [float(v.ravel()[0]) for v in numbers]
    return _each(r, tensors[0], Clip(min=max(values)) if n.op == "Max" else Clip(max=min(values)))


# --- matrices -------------------------------------------------------------------------------------------------------


def _fully_connected(r: Reader, n: Node, t: Tensor, w: np.ndarray, b: np.ndarray | None) -> Tensor:
    """w x + b, w K x F, of vectors of F: a convolution as large as the image that the vector was made of."""
    if len(t.shape) != 2 or w.shape[1] != t.shape[1]:
        raise Refused(f"a matrix of {list(w.shape[::-1])} does not fit {sizes_text(t.shape)}")
    at = t.order().ravel()
    _, c, h, width = t.base
    if np.any(np.diff(at) != 1):
        w = w[:, np.argsort(at)]
    f = w.reshape(w.shape[0], c, h, width).transpose(2, 3, 1, 0)
    biases = [] if b is None else [(r.name_of(2, "bias"), np.broadcast_to(b.reshape(-1, 1), (w.shape[0], 1)))]
    block = Conv(size=f.shape, hasBias=b is not None)
    y = r.layer(block, [Tensor(t.var, t.base, t.base)], [(r.name_of(1, "filter"), f), *biases])
    return r.in_rank(y, 2)


@reads("Gemm")
def gemm(r: Reader, n: Node) -> Tensor:
    t, w, b = n.tensor(), n.constant(1, "matrix"), n.constant(2, "biases")
    if n.get("transA", 0) or w is None or w.ndim != 2 or w.dtype.kind != "f":
        raise Refused("it must be vectors by a constant matrix")
    w = w if n.get("transB", 0) else w.T
    alpha, beta = n.get("alpha", 1.0), n.get("beta", 1.0)
    if b is not None and (b.ndim > 2 or b.size not in (1, w.shape[0]) or (b.ndim == 2 and b.shape[0] != 1)):
        raise Refused(f"its biases {sizes_text(b.shape)} must be one for each of {w.shape[0]} outputs")
    w = w if alpha == 1 else w * w.dtype.type(alpha)
    return _fully_connected(r, n, t, w, b if b is None or beta == 1 else b * b.dtype.type(beta))


@reads("MatMul")
def matmul(r: Reader, n: Node) -> Tensor:
    w = n.constant(1, "matrix")
    if w is None or w.ndim != 2 or w.dtype.kind != "f":
        raise Refused("it must be vectors by a constant matrix")
    return _fully_connected(r, n, n.tensor(), w.T, None)


# --- normalization --------------------------------------------------------------------------------------------------


@reads("BatchNormalization")
def bnorm(r: Reader, n: Node) -> Tensor:
    t = n.tensor()
    values = [n.constant(i, "parameters") for i in (1, 2, 3, 4)]
    if any(v is None or v.ndim != 1 for v in values) or not n.get("spatial", 1):
        raise Refused("its four parameters must be one number for each channel")
    if r.opset < 7 and not n.get("is_test", 0):
        raise Refused("it is in training mode (is_test is 0)")
    x = r.image(t)
    gain, bias, mean, var = values
    epsilon = float(n.get("epsilon", 1e-5))
    block = BatchNorm(numChannels=gain.size, epsilon=epsilon)
    params = [(r.name_of(1, "m"), gain.reshape(-1, 1)), (r.name_of(2, "b"), bias.reshape(-1, 1))]
    if not n.get("training_mode", 0):
        sigma = np.sqrt(var.astype(float) + epsilon)
        moments = np.stack([mean.astype(float), sigma], axis=1).astype(gain.dtype)
        params.append((f"{n.name or n.outputs[0]}_x", moments))
    return _back(r, r.layer(block, [x], params), t)


@reads("LRN")
def lrn(r: Reader, n: Node) -> Tensor:
    size = int(n.get("size"))
    alpha, beta, bias = n.get("alpha", 1e-4), n.get("beta", 0.75), n.get("bias", 1.0)
    return r.layer(LRN(param=(size, bias, alpha / size, beta)), [r.image(n.tensor())])
