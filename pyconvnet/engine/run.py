"""The two loops that run a network of either kind. They are hot: everything that can be looked up before is in Step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from pyconvnet import backends
from pyconvnet.arrays import count
from pyconvnet.engine.errors import located
from pyconvnet.engine.step import Step
from pyconvnet.layers import checks

_after: ContextVar[Callable[[Step], None] | None] = ContextVar("pyconvnet_after_backward", default=None)


@contextmanager
def after_backward(call: Callable[[Step], None] | None) -> Iterator[None]:
    """Inside the block, `call` is given each step that backward has passed: its parameters' derivatives are there."""
    token = _after.set(call)
    try:
        yield
    finally:
        _after.reset(token)


def told() -> bool:
    """Whether there is something to call after each step of backward."""
    return _after.get() is not None


def forward(steps: list[Step], held: set[Any]) -> int:
    """Run the steps whose inputs all have a value; returns their number. Slots in `held` are never forgotten."""
    step: Any = None
    ran = 0
    clock = perf_counter
    start = clock()
    try:
        for step in steps:
            entry, block, ins, outs, params, _, _, itself, _, checked, ends = step
            if itself is not None:
                itself(entry)
            else:
                inputs = _values(ins)
                if inputs is None:
                    held.update(ins)
                    continue
                outputs = block.forward(inputs, [p.value for p in params])
                if checked:
                    outputs = checks.outputs(outputs, len(outs))
                for v, y in zip(outs, outputs):
                    v.value = y
            for v in ends:
                if not v.precious and v not in held:
                    v.value = None
            now = clock()
            entry.forwardTime = now - start
            start = now
            ran += 1
    except Exception as error:
        raise located(error, step.entry.where()) from error
    return ran


def backward(steps: list[Step], conserve: bool, factors: dict[Any, float] | None = None) -> None:
    """Pass derivatives back through the steps whose outputs have one; they add up where a slot has several readers.

    conserve  forget derivatives and values once they are not needed
    factors   numbers that multiply the derivatives of some slots before these pass through the layer that wrote them
    """
    step: Any = None
    after = _after.get()
    clock = perf_counter
    start = clock()
    try:
        for step in reversed(steps):
            if step.backward_itself is not None:
                step.backward_itself(step.entry)
            elif not _step_back(step, conserve, factors):
                continue
            if after is not None:
                after(step)
            now = clock()
            step.entry.backwardTime = now - start
            start = now
    except Exception as error:
        raise located(error, step.entry.where()) from error


def _values(slots: list[Any]) -> list[Any] | None:
    """The values of the inputs of a layer; None where one of them is missing."""
    values = []
    for v in slots:
        x = v.value
        if x is None and not v.optional:
            return None
        values.append(x)
    return values


def _step_back(step: Step, conserve: bool, factors: dict[Any, float] | None) -> bool:
    _, block, ins, outs, params, given, reads_both, _, _, checked, _ = step
    ders = []
    for v in outs:
        if v.der is None:
            ders = completed(outs)
            if not ders:
                return False
            break
        ders.append(v.der)
    if factors:
        ders = [d * factors[v] if v in factors else d for v, d in zip(outs, ders)]
    inputs = [None if v is None else v.value for v in given]
    if conserve and not reads_both:
        forget(outs)
    if checked:
        add_derivatives(block, inputs, ins, params, ders)
    else:
        add(ins, params, *block.backward(inputs, [p.value for p in params], ders))
    if conserve and reads_both:
        forget(outs)
    return True


def completed(outs: Collection[Any]) -> list[Any]:
    """Derivatives of all outputs, zeros for those without one; [] if no output has one."""
    ders = [v.der for v in outs]
    if all([d is None for d in ders]):
        return []
    return [backends.of(v.value).zeros(v.value.shape, v.value) if d is None else d for v, d in zip(outs, ders)]


def forget(outs: Collection[Any]) -> None:
    """Forget outputs whose layer has passed its derivative back."""
    for v in outs:
        if not v.precious:
            v.der = None
            if v.fanout:
                v.value = None


def add_derivatives(block: Any, inputs: list[Any], ins: list[Any], params: list[Any], ders: list[Any]) -> None:
    """Run a layer's backward and add its results to the derivatives of the inputs and parameters."""
    weights = [p.value for p in params]
    returned = block.backward(inputs, weights, ders)
    optional = sum(v.optional for v in ins)
    d_inputs, d_params = checks.derivatives(returned, [v.value for v in ins], weights, optional)
    add(ins, params, [_some(d) for d in d_inputs], [_some(d) for d in d_params])


def add(ins: list[Any], params: list[Any], d_inputs: list[Any], d_params: list[Any]) -> None:
    """Add derivatives to those that inputs and parameters have."""
    for slot, d in zip(ins, d_inputs):
        if d is not None:
            slot.der = d if slot.der is None else _total(slot.der, d)
    for slot, d in zip(params, d_params):
        if d is not None:
            slot.der = d if slot.der is None else slot.der + d


def _some(d: Any) -> Any:
    """A derivative; None in place of MATLAB's []."""
    return d if d is not None and count(d) else None


def _total(a: Any, b: Any) -> Any:
    """a + b; the sum of two tensors lies in the memory of kernels."""
    backend = backends.find(a) if type(a) is type(b) else None
    if backend is not None and a.ndim == 4 and a.shape == b.shape and a.dtype == b.dtype:
        return backend.add(a, b)
    return a + b
