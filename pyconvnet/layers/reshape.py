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
        size = self._size()
        if math.prod(size) != math.prod(x.shape[:3]):
            raise ValueError(
                f"Reshape: images are {size_text(x.shape[:3])}, size must have as many elements, got {size_text(size)}"
            )
        return [backends.of(x).reshaped(x, (*size, x.shape[3]))]

    def backward(self, inputs, params, derOutputs):
        return [backends.of(derOutputs[0]).reshaped(derOutputs[0], self.aux)], []

    def getOutputSizes(self, inputSizes):
        return [(*self._size(), inputSizes[0][3])]

    def _size(self) -> tuple[int, ...]:
        return whole_numbers("Reshape: size", self.size, (3,), least=1)
