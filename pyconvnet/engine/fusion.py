"""Operator fusion: layers that run as one kernel when no intermediate result is needed.

ConvEpilogue     a convolution, and after it batch normalization in test mode, a sum with another array, a rectifier,
                 each or none of them: the normalization is multiplied into the filters, the rest done before the
                 result leaves the registers, and a sum written over the other array where nothing else reads that
StrideThrough1x1 a 1 x 1 convolution with strides skips pixels: the fused layers before it need not compute those

Each pattern is a class over steps (pyconvnet.engine.step), which serves chains and graphs alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty
from pyconvnet.engine.step import Step
from pyconvnet.geometry import Window
from pyconvnet.layers import BatchNorm, Conv, Layer, ReLU, Sum
from pyconvnet.layers.conv import filters_and_biases
from pyconvnet.ops.checks import check_biases, check_filters
from pyconvnet.options import naming, without_effect

# The layers of a fused step in their order, and the properties on which fusion depends.
_OPTIONS: dict[type, tuple[str, ...]] = {
    Conv: ("opts", "stride", "pad", "dilate"),
    BatchNorm: ("opts", "mode"),
    Sum: (),
    ReLU: ("opts", "leak"),
}
_ORDER = list(_OPTIONS)


def fused_steps(steps: Sequence[Step], exposed: Collection[Any]) -> list[Step]:
    """The steps of a network that forgets all slots but `exposed`, fused where possible."""
    fused = ConvEpilogue.find(steps, exposed)
    StrideThrough1x1.link(fused, exposed)
    last = {v: at for at, step in enumerate(fused) for v in step.inputs}
    fused = [
        step._replace(ends=[v for v in dict.fromkeys(step.inputs) if last[v] == at and v not in exposed])
        for at, step in enumerate(fused)
    ]
    ConvEpilogue.mark_overwriting(fused)
    return fused


class ConvEpilogue:
    """A convolution and the layers after it that run as one; slots between them are never written."""

    def __init__(self, members: list[Step]) -> None:
        """members: the steps of these layers; each reads the output of the step before it."""
        self.members, self.running = members, members[0]
        self.blocks = [step.block for step in members]
        self.inputs, self.outputs = list(members[0].inputs), members[-1].outputs
        self.params = [p for step in members for p in step.params]
        self.counts = [len(step.params) for step in members]
        for before, step in pairwise(members):
            self.inputs += [v for v in step.inputs if v is not before.outputs[0]]
        self.readers: list[ConvEpilogue] = []  # all readers of the output, if they may leave pixels out
        self.output_stride = (1, 1)  # the stride that all readers agree on, vertically and horizontally
        self.input_subsampled = False  # whether the input holds only the pixels that this 1 x 1 convolution reads
        self.overwrites = False  # whether the result may be written over the other array of the sum

    @classmethod
    def find(cls, steps: Sequence[Step], exposed: Collection[Any]) -> list[Step]:
        """`steps`, with each fused step at the place of its last layer; slots in `exposed` are always written."""
        reader = {v: at for at, step in enumerate(steps) for v in step.inputs}
        chain_of: dict[int, list[int]] = {}
        for start, first in enumerate(steps):
            if not _starts(first.block) or len(first.outputs) != 1:
                continue
            chain = [start]
            while (at := cls._next(steps, chain[-1], reader, exposed)) is not None and at not in chain_of:
                chain.append(at)
            chain_of.update(dict.fromkeys(chain, chain))
        out = []
        for at, step in enumerate(steps):
            chain = chain_of.get(at, [at])
            if at != chain[-1]:
                continue
            if at in chain_of:
                block = cls([steps[i] for i in chain])
                step = Step(block, block, block.inputs, block.outputs, block.params, [], checked=False)
            out.append(step)
        return out

    @staticmethod
    def _next(steps: Sequence[Step], at: int, reader: dict[Any, int], exposed: Collection[Any]) -> int | None:
        """The position of the step that may be fused with step `at`: the only reader of its output."""
        if len(steps[at].outputs) != 1:  # it is told when it runs
            return None
        slot = steps[at].outputs[0]
        following = reader.get(slot)
        if following is None or slot.fanout != 1 or slot in exposed:
            return None
        step = steps[following]
        if not _joins(step.block, steps[at].block) or len(step.outputs) != 1:
            return None
        return following if len(step.inputs) == (2 if isinstance(step.block, Sum) else 1) else None

    @classmethod
    def mark_overwriting(cls, steps: Sequence[Step]) -> None:
        """Set `overwrites` where the other array was made by a fused step, and fused steps alone have read it.

        Others could have kept it, or handed it on as their own result.
        """
        made = {step.outputs[0] for step in steps if isinstance(step.block, cls)}
        handed_on = {v for step in steps if not isinstance(step.block, cls) for v in step.inputs}
        for step in steps:
            if isinstance(step.block, cls) and len(step.inputs) == 2 and step.inputs[0] is not step.inputs[1]:
                step.block.overwrites = step.inputs[1] in step.ends and step.inputs[1] in made - handed_on

    def input_stride(self) -> tuple[int, int]:
        """The stride with which the input is read; (1, 1) where all pixels are needed."""
        own = strides(self.blocks[0], self.params[0].value if self.counts[0] else None)
        return (1, 1) if own is None else (own[0] * self.output_stride[0], own[1] * self.output_stride[1])

    # The block is the entry of its step too; an error is located in the layer that was running.

    def where(self) -> str:
        return self.running.entry.where()

    @property
    def forwardTime(self) -> float | None:
        return self.members[-1].entry.forwardTime

    @forwardTime.setter
    def forwardTime(self, seconds: float) -> None:
        for member in self.members:
            member.entry.forwardTime = 0.0
        self.members[-1].entry.forwardTime = seconds

    def forward(self, inputs: list[Any], params: list[Any]) -> list[Any]:
        """[output], as Layer.forward returns it."""
        own, at = [], 0
        for count in self.counts:
            own.append(params[at : at + count])
            at += count
        self.running = self.members[0]
        y = run(
            self.blocks,
            own,
            *inputs,
            input_subsampled=self.input_subsampled,
            output_stride=self.output_stride,
            overwrites=self.overwrites,
        )
        for reader in self.readers:
            reader.input_subsampled = self.output_stride != (1, 1) and (y is not None or self.input_subsampled)
        if y is None:  # one by one
            y, *rest = inputs
            vertically, horizontally = self.output_stride
            rest = [v[::vertically, ::horizontally] for v in rest] if self.input_subsampled else rest
            for member, values in zip(self.members, own):
                self.running, block = member, member.block
                if self.input_subsampled and member is self.members[0]:
                    block = copy(block)
                    block.stride = 1
                (y,) = block.forward([y, *rest] if len(member.inputs) > 1 else [y], values)
        return [y]


class StrideThrough1x1:
    """Fused layers leave out the pixels that the strided 1 x 1 convolutions after them never read."""

    @staticmethod
    def link(steps: Sequence[Step], exposed: Collection[Any]) -> None:
        """Set the readers of fused layers whose result only other fused layers read."""
        readers: dict[Any, list[Step]] = {}
        for step in steps:
            for v in step.inputs:
                readers.setdefault(v, []).append(step)
        for step in steps:
            if not isinstance(step.block, ConvEpilogue) or step.outputs[0] in exposed:
                continue
            reading = [r.block for r in readers.get(step.outputs[0], ())]
            if len(reading) == step.outputs[0].fanout and all(
                isinstance(r, ConvEpilogue) and r.inputs[0] is step.outputs[0] for r in reading
            ):
                step.block.readers = reading

    @staticmethod
    def propagate(steps: Sequence[Step]) -> None:
        """Set the output stride of fused layers to the stride that all readers agree on, from the last to the first."""
        for step in reversed(steps):
            if isinstance(step.block, ConvEpilogue):
                found = {reader.input_stride() for reader in step.block.readers}
                step.block.output_stride = found.pop() if len(found) == 1 else (1, 1)


def _starts(layer: Layer) -> bool:
    """Whether a fused step may start with this layer; layers of users' classes are never fused."""
    return type(layer) is Conv and _allowed(_options(layer))


def _joins(layer: Layer, last: Layer) -> bool:
    """Whether `layer` may be fused with the layers before it, the last of which is `last`."""
    kind = type(layer)
    return kind in _ORDER and _ORDER.index(kind) > _ORDER.index(type(last)) and _allowed(_options(layer))


def strides(conv: Conv, f: Any) -> tuple[int, int] | None:
    """The strides of a 1 x 1 convolution, which does not read the pixels between; None for any other."""
    if backends.find(f) is None or tuple(f.shape[:2]) != (1, 1):
        return None
    try:
        found = _known_plan((_options(conv),), (1, 1, 1, 1), (1, 1, 1, 1), False, (1, 1))
    except (TypeError, ValueError):  # the layer raises the error when it runs
        return None
    return None if found is None or any(found[0].pad) else found[0].stride


def run(
    layers: Sequence[Layer],
    params: Sequence[Sequence[Any]],
    x: Any,
    other: Any = None,
    *,
    input_subsampled: bool = False,
    output_stride: tuple[int, int] = (1, 1),
    overwrites: bool = False,
) -> Any:
    """The output of the last of `layers`, None if they must run one by one; `other` is the second input of a Sum.

    x                 H x W x C x N, float32
    params            the parameters of each layer
    input_subsampled  x already holds only the pixels that this strided 1 x 1 convolution reads
    output_stride     stride of the pixels that are needed of the result, vertical and horizontal; (1, 1): all pixels
    overwrites        `other` is not needed any longer: the result may lie in its memory
    """
    backend = backends.find(x)
    f, b = filters_and_biases(layers[0], list(params[0]))
    if backend is None or not backend.fuses(x) or is_empty(f):
        return None
    with naming("vl_nnconv"):
        x = as_tensor("x", x)
        f = as_tensor("f", f, like=x)
        facts = tuple(map(_options, layers)), x.shape, f.shape, input_subsampled, output_stride
        try:
            found = _known_plan(*facts)
        except TypeError:  # options that are not hashable, or wrong ones, for which the error is raised again
            found = _plan(*facts)
        if found is None:
            return None
        b = check_biases(b, f.shape[3], x)
    (window, out), scale = found, None
    kinds = [type(layer) for layer in layers]
    if BatchNorm in kinds:
        moments = params[kinds.index(BatchNorm)]
        found = backend.folded_bnorm(b, *moments) if len(moments) == 3 else None
        if found is None:
            return None
        scale, b = found
    if Sum in kinds:
        if backends.find(other) is not backend or other.dtype != x.dtype or other.ndim != 4 or backend.unusable(other):
            return None
        other = backend.plain(other)[:: output_stride[0], :: output_stride[1]]
        if other.shape != (*out, f.shape[3], x.shape[3]):
            return None
    return backend.fused_conv(x, f, b, window, scale, other if Sum in kinds else None, ReLU in kinds, overwrites)


def _options(layer: Layer) -> tuple:
    """The class of a layer and its options, hashable unless they are arrays."""
    kind = type(layer)
    values = [getattr(layer, name) for name in _OPTIONS[kind]]
    return kind, *[tuple(v) if type(v) is list else v for v in values]


def _allowed(options: tuple) -> bool:
    """Whether a layer may be fused with others."""
    kind, *values = options
    if (kind is BatchNorm and values[1] != "test") or (kind is ReLU and not _is_zero(values[1])):
        return False
    return kind is Sum or without_effect(values[0])  # a layer with any other option runs alone


def _plan(
    options: tuple,
    shape: tuple[int, ...],
    filters: tuple[int, ...],
    input_subsampled: bool,
    output_stride: tuple[int, int],
) -> tuple[Window, tuple[int, int]] | None:
    """(window, size of the output) of layers with such options; None where they must run one by one."""
    if not all(map(_allowed, options)):  # options may have changed since the layers were fused
        return None
    _, _, stride, pad, dilate = options[0]
    window = Window.parse(filters[:2], stride, pad, dilate, "f")
    if input_subsampled:
        window = replace(window, stride=(1, 1))
    elif output_stride != (1, 1):
        window = replace(window, stride=(window.stride[0] * output_stride[0], window.stride[1] * output_stride[1]))
    return window, check_filters(shape, filters, window)


_known_plan = lru_cache(maxsize=1024)(_plan)  # asked at each call


def _is_zero(leak: Any) -> bool:
    return leak == 0 if type(leak) is int or type(leak) is float else not np.any(leak)
