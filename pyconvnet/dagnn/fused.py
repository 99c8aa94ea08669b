"""Layers of a graph that run as one, and leave out what nobody reads."""

from __future__ import annotations

from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np

from pyconvnet import fusion
from pyconvnet.arrays import size_text
from pyconvnet.dagnn.parts import Var
from pyconvnet.layers import Sum


def fused_steps(steps: list, exposed: frozenset[Var]) -> list:
    """The steps of a plan (see evaluate.Plan) for a network that forgets all variables but `exposed`."""
    steps = _chained(steps, exposed)
    _let_leave_out(steps, exposed)
    return _with_ends(steps)


class Fused:
    """Some layers that run as one, see pyconvnet.fusion; what lies between them is never seen."""

    def __init__(self, members: list[tuple]) -> None:
        """members: the steps of these layers, of which each reads what the one before wrote."""
        self.members = members
        self.blocks = [step[1] for step in members]
        self.inputs, self.outputs = list(members[0][2]), members[-1][3]
        self.params = [p for step in members for p in step[4]]
        self.counts = [len(step[4]) for step in members]
        for before, step in pairwise(members):
            self.inputs += [v for v in step[2] if v is not before[3][0]]
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
            step[0].forwardTime = 0.0
        return [y]


def _chained(steps: list, exposed: frozenset[Var]) -> list:
    """`steps` with Fused ones where layers can run as one, in place of the last of them."""
    reader = {v: at for at, step in enumerate(steps) for v in step[2]}
    chain_of: dict[int, list[int]] = {}
    for start, (_, block, *_, drives, _) in enumerate(steps):
        chain = [start]
        while fusion.starts(block) and not any(drives):
            v = steps[chain[-1]][3][0]
            at = reader.get(v)
            if v.fanout != 1 or v in exposed or at in chain_of:
                break
            _, following, ins, outs, *_, drives, _ = steps[at]
            if any(drives) or not fusion.joins(following, steps[chain[-1]][1]) or len(outs) != 1:
                break
            if len(ins) != (2 if isinstance(following, Sum) else 1):
                break
            chain.append(at)
        if len(chain) > 1:
            chain_of.update(dict.fromkeys(chain, chain))
    out = []
    for at, step in enumerate(steps):
        chain = chain_of.get(at, [at])
        if at == chain[-1] and len(chain) > 1:
            block = Fused([steps[i] for i in chain])
            step = (step[0], block, block.inputs, block.outputs, block.params, [], (False, False), "inputs")
        if at == chain[-1]:
            out.append(step)
    return out


def _let_leave_out(steps: list, exposed: frozenset[Var]) -> None:
    """Tells Fused steps which others read their result, where nobody else sees it and some may leave pixels out."""
    readers: dict[Var, list] = {}
    for step in steps:
        for v in step[2]:
            readers.setdefault(v, []).append(step)
    for _, block, _, outs, *_ in steps:
        reading = readers.get(outs[0], ())
        if isinstance(block, Fused) and outs[0] not in exposed and len(reading) == outs[0].fanout:
            if all(isinstance(step[1], Fused) and step[1].inputs[0] is outs[0] for step in reading):
                block.readers = [step[1] for step in reading]


def _with_ends(steps: list) -> list:
    """`steps` with the variables that no later one reads."""
    last = {v: at for at, step in enumerate(steps) for v in step[2]}
    return [
        (*step[:5], [v for v in dict.fromkeys(step[2]) if last[v] == at], *step[6:]) for at, step in enumerate(steps)
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
