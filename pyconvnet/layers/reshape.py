"""Reshape: the elements of an image in another size (SimpleNN 'reshape')."""

from __future__ import annotations

import math

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, size_text
from pyconvnet.layers.base import Layer
from pyconvnet.values import whole_numbers


class Reshape(Layer):
    """The elements of each image as one of `size` (H, W, C), in MATLAB's order, H fastest; see MATLAB's reshape.

    The images of a batch stay apart.
    """

    size = (1, 1, 1)

    simplenn = "reshape"
    backward_uses = "nothing"

    def forward(self, inputs, params):
        x = as_tensor("Reshape: x", inputs[0])
        self.aux = tuple(x.shape)
        self._check_sizes([x.shape], [])
        return [backends.of(x).reshaped(x, (*self._size(), x.shape[3]))]

    def _check_sizes(self, inputSizes, params):
        size, given = self._size(), inputSizes[0][:3]
        if math.prod(size) != math.prod(given) and not math.isnan(math.prod(given)):
            raise ValueError(
                f"Reshape: images are {size_text(given)}, size must have as many elements, got {size_text(size)}"
            )

    def backward(self, inputs, params, derOutputs):
        return [backends.of(derOutputs[0]).reshaped(derOutputs[0], self.aux)], []

    def getOutputSizes(self, inputSizes):
        return [(*self._size(), inputSizes[0][3])]

    def _size(self) -> tuple[int, ...]:
        return whole_numbers("Reshape: size", self.size, (3,), least=1)
