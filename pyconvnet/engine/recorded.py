"""Runs of networks in test mode are recorded, and played again without the Python between layers.

Of a network that lasts (pyconvnet.deploy), a run is recorded the second time that it comes with images of some size,
and played from then on: kernel after kernel, on memory of its own. Of weights that can be written to it is asked before
each such run whether they are those that were recorded, and the run must have come more often, since training and
validation take turns. Layers of users' classes, layers that are computed elsewhere: then each layer runs as ever.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Collection
from contextlib import suppress
from math import inf
from time import perf_counter
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.engine import fusion
from pyconvnet.engine.run import forward
from pyconvnet.engine.step import Step
from pyconvnet.layers import LRN, BatchNorm, Concat, Conv, DropOut, Pooling, ReLU, Sigmoid, SoftMax, Sum
from pyconvnet.layers.unchanged import Unchanged
from pyconvnet.precision import get_precision
from pyconvnet.threads import get_num_threads, parallel_region

# What their kernels compute is all that they compute from an image.
_KINDS = {fusion.ConvEpilogue, Conv, BatchNorm, ReLU, Sigmoid, Pooling, LRN, SoftMax, Sum, Concat, DropOut}
MOST = 4  # recordings of a network, for sizes of images and numbers of threads
# How often a run of a network whose weights may change comes before it is recorded: so many times, doubled each time
# that they did change.
PATIENCE = 2
# Such a recording is worth its memory, and the runs that make it, up to so many seconds of a run, so many elements of a
# layer's result, and so many that are copied in each second: of images that lie in another order than layers have.
SLOW, LARGE, COPIED = 0.5, 1 << 24, 1 << 26
UNKNOWN = object()
_all: weakref.WeakSet[Any] = weakref.WeakSet()  # what `clear` clears


class Recordings:
    """The recorded runs of a network in test mode."""

    def __init__(self) -> None:
        self._runs: OrderedDict[Any, Any] = OrderedDict()  # _Run; None: not possible
        self._waiting: OrderedDict[Any, int] = OrderedDict()  # how often what is not yet recorded came
        self._patience = PATIENCE
        self._ends: dict[int, Any] = {}
        register(self)

    def play(self, steps: list[Step], exposed: Collection[Any]) -> bool:
        """Whether there was a recording of these steps: then slots have the values that these would leave.

        The others are forgotten, as by `run.forward`. The last step has the time of all.
        """
        sources, results = self._ends_of(steps, exposed)
        inputs = [slot.value for slot in sources]
        backend = backends.find(inputs[0]) if inputs else None
        if backend is None or not (level := backend.level()) or not all([backend.recordable(x) for x in inputs]):
            return False
        key = id(steps), tuple([x.shape for x in inputs]), get_num_threads(), get_precision(), level
        # `clear` may run at any moment, in another thread
        run = self._runs.pop(key, UNKNOWN)
        if isinstance(run, _Run) and not run.current():
            if run.watch is not None:
                self._patience *= 2
            run = UNKNOWN
        if run is UNKNOWN and not self._comes_again(key, backend, steps):
            return False
        start = perf_counter()
        if run is not UNKNOWN:
            self._runs[key] = run  # as the last
            if run is None or not run.play(inputs, results):
                return False
        else:
            self._runs[key] = run = _record(backend, steps, sources, results, inputs)
            trim(self._runs, MOST)
            if run is None:
                return False
        for step in steps:
            step.entry.forwardTime = 0.0
        steps[-1].entry.forwardTime = perf_counter() - start
        for slot in sources:
            if slot not in exposed:
                slot.value = None
        return True

    def _comes_again(self, key: Any, backend: Any, steps: list[Step]) -> bool:
        """Whether a run came often enough to be recorded."""
        before = self._waiting.pop(key, 0)
        if before >= (1 if _lasts(backend, _params(steps)) else self._patience):
            return True
        self._waiting[key] = before + 1
        trim(self._waiting, 16 * MOST)
        return False

    def _ends_of(self, steps: list[Step], exposed: Collection[Any]) -> tuple[list[Any], list[Any]]:
        """(slots that the steps read and none of them writes, slots that keep what the steps write).

        These are the exposed ones and those that no step reads, such as the output of a graph.
        """
        known = self._ends.get(id(steps))
        if known is None:
            if len(self._ends) > 4 * MOST:
                self.clear()
            written = [v for step in steps for v in step.outputs]
            read = dict.fromkeys(v for step in steps for v in step.inputs)
            sources, kept = [v for v in read if v not in written], [v for v in written if v in exposed or v not in read]
            known = self._ends[id(steps)] = steps, sources, kept
        return known[1:]

    def clear(self) -> None:
        self._runs.clear()
        self._waiting.clear()
        self._ends.clear()


def _params(steps: list[Step]) -> list[Any]:
    return [p.value for step in steps for p in step.params]


def _lasts(backend: Any, params: list[Any]) -> bool:
    """Whether it is a network that was deployed."""
    return bool(params) and backend.lasts(params)


def trim(kept: OrderedDict[Any, Any], most: int) -> None:
    """Drop the oldest where there are more."""
    if len(kept) > most:
        with suppress(KeyError):  # another thread has cleared it
            kept.popitem(last=False)


def register(recordings: Any) -> None:
    """Have `clear` clear these, too."""
    _all.add(recordings)


def clear() -> None:
    """Forget all recordings."""
    for recordings in list(_all):
        recordings.clear()


class _Run:
    """One recorded run."""

    def __init__(self, backend: Any, recording: Any, steps: list[Step], watch: Any, copies: float) -> None:
        """copies  elements of inputs that it is worth copying, where they do not lie in order"""
        self.backend, self.recording, self.watch, self.copies = backend, recording, watch, copies
        self.unchanged = Unchanged([block for step in steps for block in getattr(step.block, "blocks", (step.block,))])
        self.slots = [p for step in steps for p in step.params]
        self.params = [p.value for p in self.slots]
        self.unmoved = backend.unmoved(self.params)

    def current(self) -> bool:
        """Whether layers and parameters are those that were recorded."""
        same = bool(self.unchanged) and all([slot.value is value for slot, value in zip(self.slots, self.params)])
        # the memory first: what is watched is read there
        return same and bool(self.unmoved) and (self.watch is None or bool(self.watch))

    def play(self, inputs: list[Any], results: list[Any]) -> bool:
        """Whether it was worth it: then these slots have the results."""
        if sum([x.size for x in inputs if not self.backend.in_order(x)]) > self.copies:
            return False
        with parallel_region():
            for slot, y in zip(results, self.recording.play(inputs)):
                slot.value = y
        return True


def _record(backend: Any, steps: list[Step], sources: list[Any], results: list[Any], inputs: list[Any]) -> _Run | None:
    """The run on these inputs, whose results are left.

    None where it cannot be recorded, is not worth it, or gives other results on other inputs.
    """
    if not all(type(step.block) in _KINDS and step.forward_itself is None for step in steps):
        return None
    fusion.StrideThrough1x1.propagate(steps)
    params = _params(steps)
    lasts = _lasts(backend, params)
    if not lasts and not backend.watchable(params):
        return None
    recording = backend.recording()
    random = np.random.default_rng(0)
    others = []
    for x in inputs:
        other = np.empty_like(x)
        other[...] = random.standard_normal(x.shape, np.float32) * (abs(x).max(where=np.isfinite(x), initial=0) or 1)
        others.append(other)
    for slot, x in zip(sources, others):
        slot.value = x
    start, largest = perf_counter(), 0
    for step in steps:
        forward([step], set())
        largest = max([largest, *(slot.value.size for slot in step.outputs)])
    seconds = perf_counter() - start
    if not lasts and (seconds > SLOW or largest > LARGE):
        for slot, x in zip(sources, inputs):
            slot.value = x
        return None
    expected = [slot.value.tobytes() for slot in results]
    with recording:  # last, so that it gets the memory that earlier runs have left
        for slot, x in zip(sources, inputs):
            slot.value = recording.source(x)
        forward(steps, set())
    found = [slot.value for slot in results]
    answers = [y.copy(order="K") for y in found]
    copied = recording.ready(found)
    copies = inf if lasts else COPIED * seconds - copied
    # not inside, where the kernel that watches would be recorded as well
    run = _Run(backend, recording, steps, None if lasts else recording.watch(params), copies)
    good = copies >= 0 and run.play(others, results) and expected == [slot.value.tobytes() for slot in results]
    for slot, value in zip((*sources, *results), (*inputs, *answers)):
        slot.value = value
    return run if good else None
