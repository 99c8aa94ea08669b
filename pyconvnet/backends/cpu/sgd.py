"""Gradient descent with momentum in one pass over memory, where numpy takes seven and as many temporary arrays."""

from __future__ import annotations

from pyconvnet.backends.cpu.compiled import jit


@jit()
def descend(w, m, der, scale, decay, momentum, rate, nesterov):
    """pyconvnet.solver.sgd on vectors of one element type, w and m changed in place."""
    if nesterov:
        for i in range(w.size):
            g = scale * der[i] + decay * w[i]
            m[i] = momentum * m[i] - g
            w[i] += rate * (momentum * m[i] - g)
    else:
        for i in range(w.size):
            m[i] = momentum * m[i] - (scale * der[i] + decay * w[i])
            w[i] += rate * m[i]
