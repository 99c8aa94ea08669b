"""Pooling: max and average pooling (SimpleNN 'pool')."""

from __future__ import annotations

from pyconvnet.geometry import broadcast, pair
from pyconvnet.layers import checks
from pyconvnet.layers.conv import Filter
from pyconvnet.ops.vl_nnpool import check_pool, vl_nnpool
from pyconvnet.options import effective, naming


class Pooling(Filter):
    """Maximum or average over a window, each channel by itself; see vl_nnpool.

    poolSize  (height, width) of the window, or one number
    method    "max" or "avg"
    opts      further options of vl_nnpool
    """

    method = "max"
    poolSize = (1, 1)
    opts = ("cuDNN",)

    simplenn = "pool"
    simplenn_fields = {"method": "max", "pool": 1, "stride": 1, "pad": 0, "opts": ()}
    simplenn_names = {"pool": "poolSize"}

    def __setattr__(self, name, value):
        super().__setattr__(name, broadcast(value, 2) if name == "poolSize" else value)

    def getKernelSize(self):
        return pair("Pooling: poolSize", self.poolSize)

    def table_label(self, type, classic=False):
        return "apool" if str(self.effective_options()["method"]).lower() == "avg" else "mpool"

    def _check_sizes(self, inputSizes, params):
        if checks.known(inputSizes[0]):
            with naming("vl_nnpool"):
                check_pool(inputSizes[0], self.window())

    def forward(self, inputs, params):
        return [vl_nnpool(inputs[0], self.poolSize, None, **self.effective_options())]

    def backward(self, inputs, params, derOutputs):
        return [vl_nnpool(inputs[0], self.poolSize, derOutputs[0], **self.effective_options())], []

    def effective_options(self):
        return effective(vl_nnpool, self, "stride", "pad", "method")
