"""Permute: the dimensions of an image in another order (SimpleNN 'permute')."""

from __future__ import annotations

from pyconvnet import backends
from pyconvnet.arrays import as_tensor
from pyconvnet.layers.base import Layer
from pyconvnet.values import whole_numbers


class Permute(Layer):
    """The dimensions H, W, C of each image in another order: (3, 1, 2) makes C x H x W of H x W x C.

    See MATLAB's permute. The images of a batch stay apart.

    order  the dimensions of the input that become H, W and C, counted from 1
    """

    order = (1, 2, 3)

    simplenn = "permute"
    backward_uses = "nothing"

    def forward(self, inputs, params):
        x = as_tensor("Permute: x", inputs[0])
        return [backends.of(x).permuted(x, self._axes())]

    def backward(self, inputs, params, derOutputs):
        axes = self._axes()
        back = tuple(axes.index(i) for i in range(4))
        return [backends.of(derOutputs[0]).permuted(derOutputs[0], back)], []

    def getOutputSizes(self, inputSizes):
        return [tuple(inputSizes[0][a] for a in self._axes())]

    def _axes(self) -> tuple[int, ...]:
        order = whole_numbers("Permute: order", self.order, (3,), least=1)
        if sorted(order) != [1, 2, 3]:
            raise ValueError(f"Permute: order must be 1, 2 and 3 in any order, got {list(order)}")
        return (*(i - 1 for i in order), 3)
