"""BilinearSampler: samples an image at the points of a grid (DagNN only)."""

from __future__ import annotations

from pyconvnet.layers.base import Layer, unpack_inputs
from pyconvnet.ops.vl_nnbilinearsampler import vl_nnbilinearsampler


class BilinearSampler(Layer):
    """Input 1 sampled at the grid of input 2, 2 x H x W x N, coordinates in [-1, 1]; see vl_nnbilinearsampler."""

    def forward(self, inputs, params):
        return [vl_nnbilinearsampler(*unpack_inputs(self, inputs, "image", "grid"))]

    def backward(self, inputs, params, derOutputs):
        return list(vl_nnbilinearsampler(*inputs, derOutputs[0])), []

    def getOutputSizes(self, inputSizes):
        (_, _, c, _), (_, h, w, n) = unpack_inputs(self, inputSizes, "image", "grid")
        return [(h, w, c, n)]
