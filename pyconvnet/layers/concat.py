"""Concat: stacks its inputs along a dimension (DagNN only)."""

from __future__ import annotations

import math

from pyconvnet.arrays import size_4d
from pyconvnet.layers import checks
from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.ops.vl_nnconcat import vl_nnconcat
from pyconvnet.records import Struct


class Concat(ElementWise):
    """Inputs stacked along a dimension; see vl_nnconcat.

    dim        1 to 4; 3, the channels
    numInputs  kept for MATLAB, which reads it
    """

    dim = 3
    numInputs = 2

    transient = ("numInputs",)
    backward_uses = "nothing"

    def forward(self, inputs, params):
        self.aux = [size_4d(x.shape) for x in inputs]
        return [vl_nnconcat(inputs, self.dim)]

    def backward(self, inputs, params, derOutputs):
        return list(vl_nnconcat([], self.dim, derOutputs[0], inputSizes=self.aux)), []

    def _check_sizes(self, inputSizes, params):
        for problem in checks.differing(self, inputSizes, self.dim):
            raise ValueError(problem)

    def getOutputSizes(self, inputSizes):
        checks.warn_of_sizes(self, inputSizes, self.dim)
        at = self.dim - 1
        size = list(inputSizes[0])
        size[at] = sum(s[at] for s in inputSizes)
        return [tuple(size)]

    def getReceptiveFields(self):
        if self.dim in (3, 4):
            return Struct(size=(1, 1), stride=(1, 1), offset=(1, 1))
        return Struct(dict.fromkeys(("size", "stride", "offset"), (math.nan, math.nan)))
