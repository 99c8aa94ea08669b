"""Scale: multiplies by one array and adds another (DagNN only)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet import backends, rng
from pyconvnet.arrays import as_tensor, size_4d, size_text
from pyconvnet.layers.elementwise import ElementWise


class Scale(ElementWise):
    """y = x * g + h, where g and h have the size of x, or 1 in a dimension along which they repeat.

    g, and h where hasBias, are parameters, or further inputs of the layer.

    size     of g and h, for initParams
    hasBias  whether there is h
    """

    size = (1, 1, 1, 1)
    hasBias = True

    def forward(self, inputs, params):
        x, g, *h = self._arguments(inputs, params)
        y = x * g
        return [y + h[0] if h else y]

    def backward(self, inputs, params, derOutputs):
        x, g, *h = self._arguments(inputs, params)
        dy = derOutputs[0]
        given = [*inputs, *params]
        ders = [dy * g, dy * x, *([dy] if h else [])]
        ders = [folded(d, a).reshape(b.shape) for d, a, b in zip(ders, (x, g, *h), given)]
        return ders[: len(inputs)], ders[len(inputs) :]

    def _arguments(self, inputs, params):
        given = [*inputs, *params]
        expected = 3 if self.hasBias else 2
        if len(given) != expected:
            raise ValueError(
                f"Scale: {'x, g and h' if self.hasBias else 'x and g'} come as inputs or parameters, got {len(given)}"
            )
        x = as_tensor("Scale: x", given[0])
        out = [x] + [as_tensor(f"Scale: {n}", a, like=x) for n, a in zip(("g", "h"), given[1:])]
        for name, a in zip(("g", "h"), out[1:]):
            if any(s not in (1, t) for s, t in zip(a.shape, x.shape)):
                raise ValueError(
                    f"Scale: {name} is {size_text(a.shape)}, x is {size_text(x.shape)}; each size must be equal or 1"
                )
        return out

    def initParams(self):
        size = size_4d(int(s) for s in np.ravel(self.size))
        # g comes first, h second; one that is a further input is made by another layer
        count = len(self.net.layers[self.layerIndex].params) if self.layerIndex is not None else 1 + bool(self.hasBias)
        g = rng.normal(size, math.sqrt(2 / math.prod(size[:3])))
        values = [g, np.zeros(size, np.float32)] if self.hasBias else [g]
        return values[len(values) - count :] if count else []


def folded(d: Any, like: Any) -> Any:
    """Sum a derivative over the dimensions along which `like` was repeated."""
    axes = tuple(i for i, (s, t) in enumerate(zip(d.shape, like.shape)) if t == 1 and s > 1)
    return backends.of(d).sum(d, axes) if axes else d
