"""Steps of training are recorded as well, where a network is so small that the Python between its layers counts.

What is recorded are the first layers, of which each one reads the last one's result alone, up to one that computes in
Python, such as the loss, if there is one: their run forward and their run backward, each a function of the image, the
weights and the derivative that comes back. All of these are read where they lie, so that it does not matter how weights
change. A recording is used once it has given, for other images, weights and derivatives, what the layers themselves
give, to the bit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from pyconvnet import backends
from pyconvnet.engine import recorded, run
from pyconvnet.engine.plan import Plan
from pyconvnet.engine.step import Step
from pyconvnet.layers import LRN, Conv, Pooling, ReLU, Sigmoid
from pyconvnet.layers.unchanged import Unchanged
from pyconvnet.ops.checks import check_derivative
from pyconvnet.precision import get_precision
from pyconvnet.threads import get_num_threads, parallel_region

# What their kernels compute is all that they compute, forward and backward.
_KINDS = {Conv, Pooling, ReLU, Sigmoid, LRN}
# A step is recorded after it came so often, with images of a size, and where it is no longer than so many seconds and
# copies no more than so many elements a second.
PATIENCE, SLOW, COPIED = 3, 0.05, 1 << 28
MOST = 2  # recordings of a network: batches of two sizes


class _Value:
    """A slot, or a parameter, of the layers that are recorded."""

    precious, optional, fanout = False, False, 1

    def __init__(self) -> None:
        self.value: Any = None
        self.der: Any = None


class _Place:
    """The entry of a layer that is recorded; its times are nobody's."""

    forwardTime = backwardTime = 0.0

    def __init__(self, entry: Any) -> None:
        self.where = entry.where


class Head:
    """The first layers of a network, and their recordings.

    steps    of these layers, none where they are too few
    passing  the slots that they read and write, in order
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        count = 0
        while count < len(steps) and _simple(steps[count], steps[count - 1] if count else None):
            count += 1
        self.steps = list(steps[:count]) if count > 1 else []
        self.passing = [step.inputs[0] for step in self.steps[:1]] + [step.outputs[0] for step in self.steps]
        self.blocks = [step.block for step in self.steps]
        self.slots = [_Value() for _ in self.passing]
        self.params: list[_Value] = []
        own = []
        for at, step in enumerate(self.steps):
            new = {step.inputs[0]: self.slots[at], step.outputs[0]: self.slots[at + 1], None: None}
            params = [_Value() for _ in step.params]
            self.params += params
            given = [new[v] for v in step.given]
            ins, outs = self.slots[at : at + 1], self.slots[at + 1 : at + 2]
            own.append(Step(_Place(step.entry), step.block, ins, outs, params, given, step.reads_both))
        self.plan = Plan(own)
        self._runs: OrderedDict[Any, Any] = OrderedDict()  # _Run; None: not possible
        self._came: OrderedDict[Any, int] = OrderedDict()
        recorded.register(self)

    def clear(self) -> None:
        self._runs.clear()
        self._came.clear()

    def step(self, fused: list[Step], mode: str, input_der: bool, seconds: float) -> _Step | None:
        """The recorded step for the values and weights that are there now; None where it has to run layer by layer.

        fused      the steps of the network as `Plan.in_one` gives them
        input_der  whether the derivative of the image is asked for
        seconds    that the last step took
        """
        if not self.steps or run.told() or any([v.precious for v in self.passing[1:-1]]):
            return None
        rest = [step for step in fused if step.outputs[0] not in self.passing]
        if any([v in self.passing[:-1] for step in rest for v in step.inputs]):  # fused with a layer that is recorded
            return None
        weights = [p.value for step in self.steps for p in step.params]
        first = self.passing[0]
        found = self._find(first.value, weights, mode, input_der, seconds)
        forgets = not first.precious and any([first in step.ends for step in fused])
        return None if found is None else _Step(self, found, first.value, weights, fused, rest, forgets)

    def _find(self, x: Any, params: list[Any], mode: str, input_der: bool, seconds: float) -> _Run | None:
        """The recording for such images and weights, made now if they came often enough; seconds: of the last step."""
        backend = backends.find(x)
        if backend is None or not (level := backend.level()) or not backend.recordable(x):
            return None
        if not all(map(_plain, params)):
            return None
        layout = tuple((w.shape, w.strides) for w in params)
        key = x.shape, layout, mode, input_der, get_num_threads(), get_precision(), level
        # `clear` may run at any moment, in another thread
        found = self._runs.pop(key, recorded.UNKNOWN)
        if found is not recorded.UNKNOWN and (found is None or found.unchanged):
            self._runs[key] = found  # as the last
            return found
        if seconds > SLOW:
            return None
        came = self._came.pop(key, 0) + 1
        if came <= PATIENCE:
            self._came[key] = came
            recorded.trim(self._came, 16 * MOST)
            return None
        self._runs[key] = found = self._record(backend, x, params, mode, input_der, seconds)
        recorded.trim(self._runs, MOST)
        return found

    def _record(
        self, backend: Any, x: Any, params: list[Any], mode: str, input_der: bool, seconds: float
    ) -> _Run | None:
        """A recording; None where it gives other results than the layers, or copies much for so many seconds."""
        random = np.random.default_rng(0)
        try:
            image, *weights = [_other(random, a) for a in (x, *params)]
            y = self._forward(image, weights, mode)
            dzdy = random.standard_normal(y.shape, np.float32)
            expected = _bytes(y, *self._backward(dzdy, input_der))
            forward, backward = backend.recording(trains=True), backend.recording(trains=True)
            with forward:
                y = self._forward(forward.source(x), [forward.parameter(w) for w in params], mode)
            with backward:
                ders = self._backward(backward.source(-dzdy), input_der)
            if backward.ready(ders) + forward.ready([y], backward) > COPIED * seconds:
                return None
            found = _Run(self.blocks, forward, backward)
            return found if _bytes(found.forward(image, weights), *found.backward(dzdy)) == expected else None
        finally:
            for slot in (*self.slots, *self.params):
                slot.value = slot.der = None

    def _forward(self, x: Any, params: list[Any], mode: str) -> Any:
        self.slots[0].value = x
        for slot, w in zip(self.params, params):
            slot.value = w
        run.forward(self.plan.in_one(0, frozenset(self.slots[-1:]), mode), set())
        return self.slots[-1].value

    def _backward(self, dzdy: Any, input_der: bool) -> list[Any]:
        """The derivatives of the image, None where it is not asked for, and of the parameters."""
        for slot in (*self.slots, *self.params):
            slot.der = None
        self.slots[-1].der = dzdy
        block = self.blocks[0]
        before, block.input_der = block.input_der, input_der
        try:
            run.backward(self.plan.steps, True)
        finally:
            block.input_der = before
        return [slot.der for slot in (*self.slots[:1], *self.params)]


class _Step(NamedTuple):
    """A recorded step, with the image and the weights that it is for."""

    head: Head
    run: _Run
    image: Any
    weights: list[Any]
    fused: list[Step]
    rest: list[Step]
    """the steps after those that are recorded, fused"""
    forgets: bool
    """whether nobody reads the image any more"""

    @property
    def depth(self) -> int:
        """The number of layers that are recorded."""
        return len(self.head.steps)

    def forward(self) -> None:
        start = perf_counter()
        first, *inner, last = self.head.passing
        last.value = self.run.forward(self.image, self.weights)
        for slot in (first, *inner) if self.forgets else inner:
            slot.value = None
        for step in self.head.steps:
            step.entry.forwardTime = 0.0
        step.entry.forwardTime = perf_counter() - start

    def backward(self) -> None:
        """After the layers that are not recorded have passed their derivative back."""
        start = perf_counter()
        steps, first, last = self.head.steps, self.head.passing[0], self.head.passing[-1]
        if last.der is None:
            return
        dzdy = check_derivative(last.der, self.run.y, tuple(self.run.y.shape))
        run.forget([last])
        dx, *ders = self.run.backward(dzdy)
        # in the order in which the layers give them: sums of those of a parameter that several share depend on it
        params = [p for step in steps for p in step.params]
        run.add([first], params[::-1], [dx], ders[::-1])
        for step in steps:
            step.entry.backwardTime = 0.0
        steps[0].entry.backwardTime = perf_counter() - start

    def leave_values(self) -> None:
        """After an error: the values that are there where no layer is recorded."""
        first, last = self.head.passing[0], self.head.passing[-1]
        first.value, kept = self.image, last.value
        run.forward([step for step in self.fused if step.outputs[0] in self.head.passing], set())
        last.value = kept


class _Run:
    """The recordings of a step, forward and backward."""

    def __init__(self, blocks: list[Any], forward: Any, backward: Any) -> None:
        self._forward, self._backward = forward, backward
        self.y: Any = None
        self.unchanged = Unchanged(blocks)

    def forward(self, x: Any, params: list[Any]) -> Any:
        with parallel_region():
            (self.y,) = self._forward.play([x], params)
        return self.y

    def backward(self, dzdy: Any) -> list[Any]:
        """Of the last run forward."""
        with parallel_region():
            ders = self._backward.play([dzdy])
        self.y = self._forward.held = self._backward.held = None
        return ders


def _simple(step: Step, before: Step | None) -> bool:
    """Whether a step may be recorded after another one: nobody else reads what lies between."""
    return (
        type(step.block) in _KINDS
        and len(step.inputs) == len(step.outputs) == 1
        and step.inputs[0].fanout == 1
        and (before is None or step.inputs[0] is before.outputs[0])
        and step.forward_itself is None
        and step.backward_itself is None
    )


def _bytes(*arrays: Any) -> list[bytes | None]:
    return [None if a is None else a.tobytes() for a in arrays]


def _plain(a: Any) -> bool:
    """Whether it is an array that `Recording.parameter` has memory for."""
    if type(a) is not np.ndarray or a.dtype != np.float32 or not a.size or not a.flags.aligned:
        return False
    return bool(a.flags.c_contiguous or a.flags.f_contiguous)


def _other(random: np.random.Generator, a: Any) -> Any:
    """Another array like `a`, of numbers of the same size."""
    other = np.empty_like(a)
    other[...] = random.standard_normal(a.shape, np.float32) * (abs(a).max(where=np.isfinite(a), initial=0) or 1)
    return other
