"""Sum: adds its inputs (DagNN only)."""

from __future__ import annotations

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, size_text
from pyconvnet.layers import checks
from pyconvnet.layers.elementwise import ElementWise


class Sum(ElementWise):
    """y = x1 + x2 + ...; all inputs have one size, and each receives the derivative of y."""

    backward_uses = "nothing"

    def forward(self, inputs, params):
        first = as_tensor("Sum: input 1", inputs[0])
        y = first
        for k, x in enumerate(inputs[1:], 2):
            x = as_tensor(f"Sum: input {k}", x, like=first)
            if tuple(x.shape) != tuple(first.shape):
                raise ValueError(f"Sum: input {k} is {size_text(x.shape)}, input 1 is {size_text(first.shape)}")
            y = backends.of(first).add(y, x) if y is first else y.__iadd__(x)
        return [y]

    def backward(self, inputs, params, derOutputs):
        return [derOutputs[0]] * len(inputs), []

    def _check_sizes(self, inputSizes, params):
        for problem in checks.differing(self, inputSizes):
            raise ValueError(problem)

    def getOutputSizes(self, inputSizes):
        checks.warn_of_sizes(self, inputSizes)
        return super().getOutputSizes(inputSizes)
