"""Layers of ONNX nodes that move elements about; most need none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet.formats.onnx.library import Refused, SizeNeeded, zeros
from pyconvnet.formats.onnx.reader import Node, Reader, reads
from pyconvnet.formats.onnx.values import Tensor, sizes_text
from pyconvnet.layers import Concat, Conv

LAST = np.iinfo(np.int64).max  # the end of a slice that has none


@reads("Identity")
def identity(r: Reader, n: Node) -> Tensor:
    return n.tensor()


@reads("Dropout")
def dropout(r: Reader, n: Node) -> Tensor:
    training = n.constant(2, "training_mode")
    if training is not None and training.any():
        raise Refused("it is in training mode; networks are read to be run")
    return n.tensor()


@reads("Cast", "CastLike")
def cast(r: Reader, n: Node) -> Tensor:
    if n.op == "Cast" and n.get("to") not in (1, 10, 11, 16):
        raise Refused("it casts to what is no floating-point number")
    return n.tensor()


def whole(t: Tensor) -> tuple[int, ...]:
    """The shape, all of which must be known."""
    if any(s is None for s in t.shape):
        raise SizeNeeded()
    return t.shape


@reads("Shape")
def shape(r: Reader, n: Node) -> np.ndarray:
    size = whole(n.tensor())
    start, end = n.get("start", 0), n.get("end", len(size))
    return np.array(size[start:end], np.int64)


@reads("Flatten")
def flatten(r: Reader, n: Node) -> Tensor:
    t = n.tensor()
    axis = n.get("axis", 1)
    if axis + len(t.shape) * (axis < 0) == 1 and len(t.shape) == 2:
        return t
    size = whole(t)
    axis += len(size) * (axis < 0)
    return t.reshaped((math.prod(size[:axis]), math.prod(size[axis:])))


@reads("Reshape")
def reshape(r: Reader, n: Node) -> Tensor:
    t = n.tensor()
    target = n.get("shape") if r.opset < 5 else n.constant(1, "shape")
    wanted = [int(v) for v in np.ravel(target)]
    size = whole(t)
    if not n.get("allowzero", 0):
        wanted = [size[i] if v == 0 else v for i, v in enumerate(wanted)]
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise Refused(f"its shape {wanted} is none")
    if -1 in wanted:
        others = math.prod(v for v in wanted if v != -1)
        if not others or math.prod(size) % others:
            raise Refused(f"{sizes_text(size)} cannot become {sizes_text(wanted)}")
        wanted[wanted.index(-1)] = math.prod(size) // others
    return t.reshaped(wanted)


def axes_of(r: Reader, n: Node, since: int, rank: int) -> list[int] | None:
    """The attribute `axes`, an input since that opset; None where it is left out."""
    found: Any = n.constant(1, "axes") if r.opset >= since else n.get("axes")
    if found is None:
        return None
    axes = [int(v) for v in np.ravel(found)]
    if any(not -rank <= a < rank for a in axes):
        raise Refused(f"its axes {axes} are not those of {rank} dimensions")
    return [a % rank for a in axes]


@reads("Squeeze")
def squeeze(r: Reader, n: Node) -> Tensor:
    t = n.tensor()
    size = whole(t)
    axes = axes_of(r, n, 13, len(size))
    axes = [i for i, s in enumerate(size) if s == 1 and i] if axes is None else axes
    if any(size[a] != 1 for a in axes):
        raise Refused(f"its axes {axes} of {sizes_text(size)} are not all 1")
    return t.reshaped([s for i, s in enumerate(size) if i not in axes])


@reads("Unsqueeze")
def unsqueeze(r: Reader, n: Node) -> Tensor:
    t = n.tensor()
    size = list(whole(t))
    count = len(np.ravel(n.get("axes") if r.opset < 13 else n.constant(1, "axes")))
    for a in sorted(axes_of(r, n, 13, len(size) + count) or []):
        size.insert(a, 1)
    return t.reshaped(size)


@reads("Transpose")
def transpose(r: Reader, n: Node) -> Tensor:
    t = n.tensor()
    axes = n.get("perm") or list(range(len(t.shape)))[::-1]
    if sorted(axes) != list(range(len(t.shape))):
        raise Refused(f"its perm {list(axes)} is none of {len(t.shape)} dimensions")
    return t.transposed(axes)


@reads("Concat")
def concat(r: Reader, n: Node) -> Tensor:
    tensors = [n.tensor(i) for i in range(len(n.inputs))]
    rank = len(tensors[0].shape)
    axis = n.get("axis", 1)  # an attribute since opset 4, 1 before
    if not -rank <= axis < rank:
        raise Refused(f"its axis {axis} is none of {rank} dimensions")
    images = [r.image(t) for t in tensors]
    if len(images) == 1:
        return tensors[0]
    block = Concat(dim={0: 4, 1: 3, 2: 1 if rank == 4 else 2, 3: 2}[axis % rank], numInputs=len(images))
    along = {4: 0, 3: 1, 1: 2, 2: 3}[block.dim]
    for t in images[1:]:
        if any(a != b for i, (a, b) in enumerate(zip(t.base, images[0].base)) if i != along):
            raise Refused(f"its inputs {sizes_text(images[0].base)} and {sizes_text(t.base)} do not fit")
    return r.in_rank(r.layer(block, images), rank)


@reads("Split")
def split(r: Reader, n: Node) -> list[Tensor]:
    t = n.tensor()
    rank = len(t.shape)
    axis = n.get("axis", 0) % rank
    given: Any = n.get("split") if r.opset < 13 else n.constant(1, "split")
    count = t.shape[1] if rank > 1 else None
    if axis != 1 or count is None:
        raise Refused("it must split channels whose number is known")
    parts = len(n.outputs)
    sizes = [int(v) for v in np.ravel(given)] if given is not None else []
    if not sizes:
        each = -(-count // parts)
        sizes = [each] * (parts - 1) + [count - each * (parts - 1)]
    x = r.image(t)
    ends = np.cumsum(sizes)
    if len(sizes) != parts or min(sizes) < 1 or ends[-1] != count:
        raise Refused(f"its parts {sizes} are not those of {count} channels")
    found = []
    for name, end, size in zip(list(n.outputs), ends, sizes):
        n.outputs[0] = name
        found.append(r.in_rank(r.pick(x, np.arange(end - size, end), "split"), rank))
    return found


@reads("Slice")
def slice_(r: Reader, n: Node) -> Tensor:
    t = n.tensor()
    rank = len(t.shape)
    if r.opset < 10:
        starts, ends = n.get("starts"), n.get("ends")
        axes, steps = n.get("axes"), None
    else:
        starts, ends, axes, steps = (n.constant(i, "bounds") for i in (1, 2, 3, 4))
    axes = list(range(len(starts))) if axes is None else [int(a) % rank for a in axes]
    steps = [1] * len(starts) if steps is None else steps
    parts = {a: (int(s), int(e), int(step)) for a, s, e, step in zip(axes, starts, ends, steps)}
    if 0 in parts and parts.pop(0) != (0, LAST, 1):
        raise Refused("it must take whole images")
    x = r.image(t)
    if 1 in parts:
        every = np.arange(r.channels(x))
        picked = every[slice(*parts.pop(1))]
        if not len(picked):
            raise Refused("it leaves nothing")
        x = x if np.array_equal(picked, every) else r.pick(x, picked, "channels")
    return r.in_rank(_cut(r, x, [parts.get(a, (0, LAST, 1)) for a in ((2, 3) if rank == 4 else (3, 2))]), rank)


def _cut(r: Reader, x: Tensor, rows_and_columns: list[tuple[int, int, int]]) -> Tensor:
    """Rows and columns from start to end by steps: a convolution of filters of one 1, zeros as far as is cut off."""
    before, after, stride = [], [], []
    for size, (start, end, step) in zip(x.base[2:], rows_and_columns):
        if step < 1:
            raise Refused("it must go forward")
        if size is not None:
            start, end, _ = slice(start, end).indices(size)
            end -= size
        elif start < 0 or 0 <= end < LAST // 2:
            raise SizeNeeded()
        else:
            end = min(end, 0)
        before.append(start)
        after.append(-end)
        stride.append(step)
    if not any(before) and not any(after) and stride == [1, 1]:
        return x
    f = zeros(before[0] + 1 + after[0], before[1] + 1 + after[1], 1, r.channels(x))
    f[before[0], before[1]] = 1
    return r.layer(Conv(size=f.shape, hasBias=False, stride=stride), [x], [(f"{r.node.outputs[0]}_pixels", f)])


@reads("Gather")
def gather(r: Reader, n: Node) -> Tensor:
    t, at = n.tensor(), n.constant(1, "indices")
    rank = len(t.shape)
    if n.get("axis", 0) % rank != 1 or at is None or at.ndim != 1 or t.shape[1] is None:
        raise Refused("it must take channels, of a known number, by a list of positions")
    if not len(at) or at.min() < -t.shape[1] or at.max() >= t.shape[1]:
        raise Refused(f"its indices are not those of {t.shape[1]} channels")
    return r.in_rank(r.pick(r.image(t), at % t.shape[1], "gather"), rank)
