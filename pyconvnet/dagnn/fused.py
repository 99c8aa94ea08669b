"""Layers of a graph that run as one, and leave out what nobody reads."""

from __future__ import annotations

from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np

from pyconvnet import fusion
from pyconvnet.arrays import size_text
from pyconvnet.dagnn.parts import Var
from pyconvnet.dagnn.step import Step
from pyconvnet.layers import Sum


def fused_steps(steps: list[Step], exposed: frozenset[Var]) -> list[Step]:
    """The steps of a plan (see evaluate.Plan) for a network that forgets all variables but `exposed`."""
    steps = _chained(steps, exposed)
    _let_leave_out(steps, exposed)
    return _with_ends(steps)


class Fused:
    """Some layers that run as one, see pyconvnet.fusion; what lies between them is never seen."""

    def __init__(self, members: list[Step]) -> None:
        """members: the steps of these layers, of which each reads what the one before wrote."""
        self.members = members
        self.blocks = [step.block for step in members]
        self.inputs, self.outputs = list(members[0].inputs), members[-1].outputs
        self.params = [p for step in members for p in step.params]
        self.counts = [len(step.params) for step in members]
        for before, step in pairwise(members):
            self.inputs += [v for v in step.inputs if v is not before.outputs[0]]
        self.readers: list[Fused] = []  # all that read the output, where they may leave pixels out
        self.every = (1, 1)  # which pixels of the output they want, vertically and horizontally
        self.thin = False  # whether the input lacks the pixels that they do not want

    def settle(self) -> None:
        """Finds out what is wanted; the readers have done so before."""
        found = {reader.strides() for reader in self.readers}
        self.every = found.pop() if len(found) == 1 else (1, 1)

    def strides(self) -> tuple[int, int]:
        """Which pixels of the input are read."""
        own = fusion.strides(self.blocks[0], self.params[0].value if self.counts[0] else None)
        return (1, 1) if own is None else (own[0] * self.every[0], own[1] * self.every[1])

    def forward(self, inputs: list, params: list) -> list:
        """As a block's: [output]."""
        own, at = [], 0
        for count in self.counts:
            own.append(params[at : at + count])
            at += count
        entry, _, ins, *_ = self.members[0]
        try:
            y = fusion.run(self.blocks, own, *inputs, thin=self.thin, every=self.every)
            for reader in self.readers:
                reader.thin = self.every != (1, 1) and (y is not None or self.thin)
            if y is None:  # one by one
                y, *rest = inputs
                rest = [v[:: self.every[0], :: self.every[1]] for v in rest] if self.thin else rest
                for step, values in zip(self.members, own):
                    entry, block, ins = step[:3]
                    if self.thin and step is self.members[0]:
                        block = copy(block)
                        block.stride = 1
                    (y,) = block.forward([y, *rest] if len(ins) > 1 else [y], values)
        except Exception as error:
            raise located(error, entry, ins) from error
        for step in self.members:  # the time is that of the last
            step.entry.forwardTime = 0.0
        return [y]


def _chained(steps: list[Step], exposed: frozenset[Var]) -> list[Step]:
    """`steps` with Fused ones where layers can run as one, in place of the last of them."""
    reader = {v: at for at, step in enumerate(steps) for v in step.inputs}
    chain_of: dict[int, list[int]] = {}
    for start, first in enumerate(steps):
        chain = [start]
        while fusion.starts(first.block):
            v = steps[chain[-1]].outputs[0]
            at = reader.get(v)
            if v.fanout != 1 or v in exposed or at in chain_of:
                break
            following = steps[at]
            if not fusion.joins(following.block, steps[chain[-1]].block) or len(following.outputs) != 1:
                break
            if len(following.inputs) != (2 if isinstance(following.block, Sum) else 1):
                break
            chain.append(at)
        if len(chain) > 1:
            chain_of.update(dict.fromkeys(chain, chain))
    out = []
    for at, step in enumerate(steps):
        chain = chain_of.get(at, [at])
        if at == chain[-1] and len(chain) > 1:
            block = Fused([steps[i] for i in chain])
            step = Step(step.entry, block, block.inputs, block.outputs, block.params, [])
        if at == chain[-1]:
            out.append(step)
    return out


def _let_leave_out(steps: list[Step], exposed: frozenset[Var]) -> None:
    """Tells Fused steps which others read their result, where nobody else sees it and some may leave pixels out."""
    readers: dict[Var, list] = {}
    for step in steps:
        for v in step.inputs:
            readers.setdefault(v, []).append(step)
    for step in steps:
        out = step.outputs[0]
        reading = readers.get(out, ())
        if isinstance(step.block, Fused) and out not in exposed and len(reading) == out.fanout:
            if all(isinstance(r.block, Fused) and r.block.inputs[0] is out for r in reading):
                step.block.readers = [r.block for r in reading]


def _with_ends(steps: list[Step]) -> list[Step]:
    """`steps` with the variables that no later one reads."""
    last = {v: at for at, step in enumerate(steps) for v in step.inputs}
    return [
        step._replace(ends=[v for v in dict.fromkeys(step.inputs) if last[v] == at]) for at, step in enumerate(steps)
    ]


def located(error: Exception, entry: Any, ins: list) -> Exception:
    """The same error, with the layer in which it happened, unless it says so already."""
    if getattr(error, "layer", None) is not None:
        return error
    sizes = ", ".join(f"{v.name} {size_text(np.shape(v.value))}" for v in ins if v.value is not None)
    where = f"in layer {entry.name!r} ({type(entry.block).__name__})" + (f", inputs {sizes}" if sizes else "")
    if type(error) in (ValueError, TypeError):
        error = type(error)(f"{error} ... {where}")
    elif hasattr(error, "add_note"):
        error.add_note(where)
    error.layer = entry.name
    return error
