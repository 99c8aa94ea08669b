"""LRN, NormOffset and SpatialNorm: normalizations without parameters to learn."""

from __future__ import annotations

from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.ops.vl_nnnoffset import vl_nnnoffset
from pyconvnet.ops.vl_nnnormalize import vl_nnnormalize
from pyconvnet.ops.vl_nnspnorm import vl_nnspnorm


class LRN(ElementWise):
    """Local response normalization across channels; see vl_nnnormalize.

    param  (n, kappa, alpha, beta)
    """

    param = (5, 1, 0.0001 / 5, 0.75)

    simplenn = ("lrn", "normalize")
    simplenn_fields = {"param": (5, 1, 0.0001 / 5, 0.75)}
    table_labels = {"normalize": ("norm", "nrm")}

    def forward(self, inputs, params):
        return [vl_nnnormalize(inputs[0], self.param)]

    def backward(self, inputs, params, derOutputs):
        return [vl_nnnormalize(inputs[0], self.param, derOutputs[0])], []


class NormOffset(ElementWise):
    """Norm-dependent offset; see vl_nnnoffset.

    param  (alpha, beta)
    """

    param = (1, 0.5)

    simplenn = "noffset"
    simplenn_fields = {"param": (1, 0.5)}

    def forward(self, inputs, params):
        return [vl_nnnoffset(inputs[0], self.param)]

    def backward(self, inputs, params, derOutputs):
        return [vl_nnnoffset(inputs[0], self.param, derOutputs[0])], []


class SpatialNorm(ElementWise):
    """Spatial normalization, each channel by itself; see vl_nnspnorm.

    param  (ph, pw, alpha, beta): height and width of the window in pixels
    """

    param = (2, 2, 10, 2)

    simplenn = "spnorm"
    simplenn_fields = {"param": (2, 2, 10, 2)}

    def forward(self, inputs, params):
        return [vl_nnspnorm(inputs[0], self.param)]

    def backward(self, inputs, params, derOutputs):
        return [vl_nnspnorm(inputs[0], self.param, derOutputs[0])], []
