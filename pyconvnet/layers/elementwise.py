"""ElementWise: base of layers that work pixel by pixel."""

from __future__ import annotations

from pyconvnet.layers.base import Layer
from pyconvnet.records import Struct


class ElementWise(Layer, block=False):
    """Base of layers whose output has the size of the (first) input, and whose pixels see only themselves."""

    def getOutputSizes(self, inputSizes):
        return [tuple(inputSizes[0])]

    def getReceptiveFields(self):
        return Struct(size=(1, 1), stride=(1, 1), offset=(1, 1))
