"""ROIPooling: pools regions of an image into grids of one size (DagNN only)."""

from __future__ import annotations

import math

import numpy as np

from pyconvnet import backends
from pyconvnet.layers.base import Layer, unpack_inputs
from pyconvnet.ops.vl_nnroipool import vl_nnroipool


class ROIPooling(Layer):
    """Regions (input 2, 5 x R: image, u0, v0, u1, v1) of input 1 pooled into cells, SH x SW x C x R; see vl_nnroipool.

    method        "max" or "avg"
    subdivisions  (SH, SW)
    transform     from regions to pixels of the input: a factor, a pair or an affine map, 2 x 3
    flatten       return 1 x 1 x (SH * SW * C) x R
    """

    method = "max"
    subdivisions = (6, 6)
    transform = 1
    flatten = False

    def forward(self, inputs, params):
        y = vl_nnroipool(*unpack_inputs(self, inputs, "image", "regions"), **self._options())
        return [backends.of(y).reshaped(y, (1, 1, math.prod(y.shape[:3]), y.shape[3])) if self.flatten else y]

    def backward(self, inputs, params, derOutputs):
        x, rois = inputs
        dy = derOutputs[0]
        if self.flatten:
            h, w = (int(s) for s in np.ravel(self.subdivisions))
            dy = backends.of(dy).reshaped(dy, (h, w, inputs[0].shape[2], dy.shape[3]))
        return [vl_nnroipool(x, rois, dy, **self._options()), None], []

    def _options(self):
        return {"subdivisions": self.subdivisions, "transform": self.transform, "method": self.method}

    def getOutputSizes(self, inputSizes):
        (_, _, c, _), rois = unpack_inputs(self, inputSizes, "image", "regions")
        h, w = (int(s) for s in np.ravel(self.subdivisions))
        count = math.prod(rois) / 5
        count = int(count) if math.isfinite(count) else count
        return [(1, 1, h * w * c, count) if self.flatten else (h, w, c, count)]
