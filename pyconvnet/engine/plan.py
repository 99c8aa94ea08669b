"""Plan: the steps of a network in execution order, the slots that may be forgotten, and the fused steps."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pyconvnet.engine import fusion
from pyconvnet.engine.step import Step

_MOST_VARIANTS = 16  # per network: training and evaluation, with different slots exposed


class Plan:
    """The steps of a network. When the network changes, a new plan is made.

    steps  in the order they run; each slot is written by one of them at most
    """

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self._forgetting: dict[int, list[Step]] = {}
        self._in_one: dict[Any, list[Step]] = {}
        self.fused: list[Step] = []  # the last result of in_one
        self._recordings: Any = None
        self._head: Any = None

    def forgetting(self, first: int) -> list[Step]:
        """The steps, each with the slots that may be forgotten after it, where backward passes from the end to `first`.

        They are not read by any later step, nor by backward.
        """
        if first not in self._forgetting:
            read = self._read_by_backward(first)
            last = {v: at for at, step in enumerate(self.steps) for v in step.inputs}
            self._forgetting[first] = [
                step._replace(ends=[v for v in dict.fromkeys(step.inputs) if last[v] == at and v not in read])
                for at, step in enumerate(self.steps)
            ]
        return self._forgetting[first]

    def in_one(self, first: int, exposed: frozenset[Any], mode: str, predicts: bool = False) -> list[Step]:
        """As `forgetting`, with layers fused where no slot between them is needed.

        exposed   slots whose values must be written; mode: of the network, on which layers depend
        predicts  nothing else is asked for: where there is a recording, it is played, and no steps are left
        """
        key = first, exposed, mode
        if key not in self._in_one:
            if len(self._in_one) >= _MOST_VARIANTS:
                self._in_one.clear()
            self._in_one[key] = fusion.fused_steps(self.steps, exposed | self._read_by_backward(first))
        self.fused = self._in_one[key]
        if predicts and self._recorded(self.fused, exposed):
            return []
        fusion.StrideThrough1x1.propagate(self.fused)
        return self.fused

    def head(self) -> Any:
        """The first layers, whose steps of training may be recorded: see recorded_steps.Head."""
        if self._head is None:
            from pyconvnet.engine.recorded_steps import Head

            self._head = Head(self.steps)
        return self._head

    def _recorded(self, steps: list[Step], exposed: Collection[Any]) -> bool:
        """Whether a recording of these steps was played."""
        if self._recordings is None:
            from pyconvnet.engine.recorded import Recordings

            self._recordings = Recordings()
        return self._recordings.play(steps, exposed)

    def _read_by_backward(self, first: int) -> set[Any]:
        read: set[Any] = set()
        for step in self.steps[first:]:
            read.update(v for v in step.given if v is not None)
            # of several outputs, those without a derivative get zeros of their size
            if step.reads_both or len(step.outputs) > 1:
                read.update(step.outputs)
        return read
