"""Crop: cuts the first input to the size of the second (DagNN only)."""

from __future__ import annotations

from pyconvnet.arrays import size_4d
from pyconvnet.layers.base import unpack_inputs
from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.ops.vl_nncrop import vl_nncrop
from pyconvnet.records import Struct


class Crop(ElementWise):
    """Cut input 1 to the height and width of input 2, `crop` = (vertical, horizontal) pixels from top and left.

    The remaining pixels are cut from the bottom and the right, as in the networks of Long et al. (FCN, 2015).
    """

    crop = (0, 0)

    backward_uses = "nothing"

    def getAdaptedCrops(self, first, second):
        """(top, bottom, left, right) that cut an image of size `first` to `second`."""
        out = []
        for want, a, b in zip(self.crop, first, second):
            rest = max(0, a - b - want)
            out += [a - b - rest, rest]
        return tuple(out)

    def forward(self, inputs, params):
        x, like = unpack_inputs(self, inputs, "image", "image of the size to cut to")
        self.aux = size_4d(x.shape), self.getAdaptedCrops(x.shape, like.shape)
        return [vl_nncrop(x, self.aux[1])]

    def backward(self, inputs, params, derOutputs):
        size, crops = self.aux
        return [vl_nncrop(None, crops, derOutputs[0], size), None], []

    def getOutputSizes(self, inputSizes):
        (h, w, c, n), second = unpack_inputs(self, inputSizes, "image", "image of the size to cut to")
        top, bottom, left, right = self.getAdaptedCrops((h, w), second)
        return [(h - top - bottom, w - left - right, c, n)]

    def getReceptiveFields(self):
        offset = (1 + self.crop[0], 1 + self.crop[1])
        return [[Struct(size=(1, 1), stride=(1, 1), offset=offset)], [Struct(size=(), stride=(), offset=())]]
