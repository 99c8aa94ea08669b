"""Step: one layer of a graph, ready to run."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyconvnet.dagnn.parts import LayerEntry, Param, Var


class Step(NamedTuple):
    """A layer with the variables and parameters that it reads and writes, looked up once."""

    entry: LayerEntry
    block: Any
    inputs: list[Var]
    outputs: list[Var]
    params: list[Param]
    ends: list[Var]
    """variables that no later step reads, and that may be forgotten"""
    drives_forward: bool = False
    """whether the block overrides forwardAdvanced"""
    drives_backward: bool = False
    given: list[Var | None] = []
    """variables whose values backward gets as `inputs`, None for what it does not read"""
    reads_both: bool = False
    """whether backward reads its outputs beside its inputs"""
