"""One step of every parameter after each batch; the default solver changes weights and momentum in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.records import Struct
from pyconvnet.solver import SOLVERS


class Steps:
    """The steps of one pass over the training images.

    memory  what the solver remembers, nested as trainee.weights(); it is brought up to date
    rate    learning rate of this epoch
    """

    def __init__(self, fn: str, trainee: Any, memory: list[Any], opts: Struct, rate: float) -> None:
        self.fn, self.trainee, self.memory, self.opts, self.rate = fn, trainee, memory, opts, rate
        # Arrays that this pass made, and may change: whoever got the weights after an earlier epoch keeps those.
        self.own: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = {}

    def take(self, count: int, parts: int) -> None:
        """Step from the derivatives summed over `count` images and `parts` sub-batches."""
        for p in self.trainee.parameters():
            real, der = p.value.dtype.type, p.der.reshape(p.value.shape)
            if p.method == "average":
                part = p.learningRate
                p.set(real(1 - part) * p.value + real(part / parts / p.fanout) * der)
                continue
            lr, decay = self.rate * p.learningRate, self.opts["weightDecay"] * p.weightDecay
            if not (lr > 0 or decay > 0):
                continue
            held = self.memory
            for i in p.key[:-1]:
                held = held[i]
            if self.opts["solver"] is None:
                self._descend(p, der, held, real(1 / count), real(decay), lr)
            else:
                grad = real(1 / count) * der + real(decay) * p.value
                value, held[p.key[-1]] = self._solve(p, held[p.key[-1]], grad, lr)
                p.set(value)

    def _descend(self, p: Any, der: np.ndarray, held: list[Any], scale: Any, decay: Any, lr: float) -> None:
        """pyconvnet.solver.sgd with the gradient scale der + decay w, in memory laid out as der is."""
        from pyconvnet.training.descent import descend

        if not (der.flags.c_contiguous or der.flags.f_contiguous):
            der = np.ascontiguousarray(der)
        value, momentum = self.own.get(p.key, (None, None))
        if value is not p.value or momentum is not held[p.key[-1]] or value.strides != der.strides:
            if isinstance(held[p.key[-1]], dict):
                fields = ", ".join(held[p.key[-1]])
                raise ValueError(
                    f"{self.fn}: the checkpoint's solver state has the fields {fields}, but there is no solver=; give "
                    "the solver that it was trained with, or continue_=False"
                )
            value, momentum = np.empty_like(der, p.value.dtype), np.empty_like(der, p.value.dtype)
            value[...], momentum[...] = p.value, held[p.key[-1]]
            self.own[p.key] = value, momentum
            held[p.key[-1]] = momentum
            p.set(value)
        real = value.dtype.type
        descend(
            *(a.ravel(order="K") for a in (value, momentum, der)),
            scale,
            decay,
            real(self.opts["momentum"]),
            real(lr),
            self.opts["nesterovUpdate"],
        )

    def _solve(self, p: Any, state: Any, grad: np.ndarray, lr: float) -> tuple[np.ndarray, Any]:
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
        if np.shape(value) != p.value.shape:
            raise ValueError(
                f"{self.fn}: the solver returned weights of {np.shape(value)} for those of {p.value.shape}"
            )
        # As in MATLAB, where single and double make single.
        return np.asarray(value, p.value.dtype), state
