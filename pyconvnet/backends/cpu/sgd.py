"""Gradient descent with momentum in one pass over memory, where numpy takes seven and as many temporary arrays."""

from __future__ import annotations

from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.threads import parallel_region

FOR_A_THREAD = 1 << 14  # elements, which take longer than waking it


def descend(w, m, der, scale, decay, momentum, rate, nesterov) -> None:
    """pyconvnet.solver.sgd on vectors of one element type, float32 or float64, w and m changed in place."""
    real = w.dtype.type
    with parallel_region() as threads:
        parts = max(1, min(threads, w.size // FOR_A_THREAD))
        _descend(parts, w, m, der, *map(real, (scale, decay, momentum, rate)), bool(nesterov))


@parallel
def _descend(t, threads, w, m, der, scale, decay, momentum, rate, nesterov):
    first, last = w.size * t // threads, w.size * (t + 1) // threads
    if nesterov:
        for i in range(first, last):
            g = scale * der[i] + decay * w[i]
            m[i] = momentum * m[i] - g
            w[i] += rate * (momentum * m[i] - g)
    else:
        for i in range(first, last):
            m[i] = momentum * m[i] - (scale * der[i] + decay * w[i])
            w[i] += rate * m[i]
