"""One step of every parameter after each batch; the default solver changes weights and momentum in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyconvnet import backends
from pyconvnet.arrays import shape_of
from pyconvnet.records import Struct
from pyconvnet.solver import SOLVERS


class Steps:
    """The steps of one pass over the training images.

    memory  the solver's state, nested as the weights are; it is updated
    rate    learning rate of this epoch
    """

    def __init__(self, fn: str, memory: list[Any], opts: Struct, rate: float) -> None:
        self.fn, self.memory, self.opts, self.rate = fn, memory, opts, rate
        # Arrays that this pass made, and may change: weights handed out after an earlier epoch stay as they were.
        self.made: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def apply(self, parameters: Iterable[Any], count: int, parts: int) -> None:
        """Step from the derivatives of `parameters`, summed over `count` images and `parts` sub-batches."""
        descents: dict[Any, list[Any]] = {}  # by backend, of the default solver
        for p in parameters:
            backend, der = backends.of(p.value), p.der.reshape(p.value.shape)
            if p.method == "average":
                kept, part = backend.scalar(p.value, 1 - p.learningRate), p.learningRate / parts / p.fanout
                p.set(kept * p.value + backend.scalar(p.value, part) * der)
                continue
            lr, decay = self.rate * p.learningRate, self.opts["weightDecay"] * p.weightDecay
            if not (lr > 0 or decay > 0):
                continue
            held = self.memory
            for i in p.key[:-1]:
                held = held[i]
            if self.opts["solver"] is None:
                value, momentum = self._started(p, der, held)
                descents.setdefault(backend, []).append((p, held, (value, momentum, der, 1 / count, decay, lr)))
            else:
                grad = backend.scalar(p.value, 1 / count) * der + backend.scalar(p.value, decay) * p.value
                value, held[p.key[-1]] = self._solve(p, held[p.key[-1]], grad, lr)
                p.set(value)
        self._descend(descents)

    def _started(self, p: Any, der: Any, held: list[Any]) -> tuple[Any, Any]:
        """Weights and momentum as arrays that the backend may change in place."""
        backend, last = backends.of(p.value), p.key[-1]
        value, momentum = self.made.get(p.key, (None, None))
        if value is p.value and momentum is held[last] and backend.sgd_fits(value, der):
            return value, momentum
        if isinstance(held[last], dict):
            fields = ", ".join(held[last])
            raise ValueError(
                f"{self.fn}: the checkpoint's solver state has the fields {fields}, but there is no solver=; give "
                "the solver that it was trained with, or continue_=False"
            )
        return backend.sgd_start(p.value, held[last], der)

    def _descend(self, steps: dict[Any, list[Any]]) -> None:
        """pyconvnet.solver.sgd with gradients scale der + decay w, in place where a backend does so."""
        for backend, own in steps.items():
            found = backend.sgd_steps([how for *_, how in own], self.opts["momentum"], self.opts["nesterovUpdate"])
            for (p, held, _), (value, momentum) in zip(own, found):
                self.made[p.key] = value, momentum
                held[p.key[-1]] = momentum
                if value is not p.value:
                    p.set(value)

    def _solve(self, p: Any, state: Any, grad: Any, lr: float) -> tuple[Any, Any]:
        solver = self.opts["solver"]
        try:
            found = solver(p.value, state, grad, self.opts["solverOpts"], lr)
        except (KeyError, TypeError) as error:
            if solver not in SOLVERS.values():
                raise
            raise ValueError(
                f"{self.fn}: the checkpoint holds no solver state of {solver.__name__}; give the solver that it was "
                "trained with, or continue_=False"
            ) from error
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise TypeError(f"{self.fn}: the solver must return (w, state), got {type(found).__name__}")
        value, state = found
        if shape_of(value) != tuple(p.value.shape):
            raise ValueError(
                f"{self.fn}: the solver returned weights of {shape_of(value)} for those of {tuple(p.value.shape)}"
            )
        # As in MATLAB, where single and double make single.
        backend = backends.of(p.value)
        same = backends.find(value) is backend
        return backend.cast(value, p.value) if same else backend.asarray(value, p.value), state
