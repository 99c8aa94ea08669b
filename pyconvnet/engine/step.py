"""Step: one layer of a network, ready to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol


class Slot(Protocol):
    """A value that layers exchange: the variable of a graph, or the result between two layers of a SimpleNN."""

    value: Any
    der: Any
    precious: bool
    """whether value and der are kept where others are forgotten"""
    fanout: int
    """how many inputs of layers read it"""
    optional: bool
    """whether its layer runs where the value is missing, and may return no derivative for it"""


class Entry(Protocol):
    """A layer's place in its network: holds its times, and describes itself in messages."""

    forwardTime: float | None
    backwardTime: float | None

    def where(self) -> str:
        """'in layer 3 ...' for messages."""


class Step(NamedTuple):
    """A layer with the slots and parameters that it reads and writes, looked up once."""

    entry: Any
    block: Any
    inputs: list[Any]
    outputs: list[Any]
    params: list[Any]
    given: list[Any]
    """slots whose values backward gets as `inputs`; None for an input that it does not read"""
    reads_both: bool = False
    """whether backward reads its outputs beside its inputs"""
    forward_itself: Callable[[Any], None] | None = None
    """called with the entry in place of forward, for layers that read and write the network themselves"""
    backward_itself: Callable[[Any], None] | None = None
    checked: bool = True
    """whether results of the layer are checked: those of users' classes are"""
    ends: list[Any] = []
    """slots that may be forgotten after this step: no later step reads them"""


def handed(positions: tuple[int, ...], outputs: bool, ins: list[Any], outs: list[Any]) -> list[Any]:
    """The slots whose values backward gets as `inputs`; see layers.base.backward_reads for the first two."""
    if outputs and not positions:
        return list(outs)
    return [v if i in positions else None for i, v in enumerate(ins)]
