"""ConvTranspose: transposed convolution (SimpleNN 'convt')."""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import is_empty, padded_to_4d, size_4d
from pyconvnet.geometry import borders, broadcast, pair
from pyconvnet.layers import checks
from pyconvnet.layers.base import Layer
from pyconvnet.layers.conv import filter_size, filters_and_biases, first_filters
from pyconvnet.ops.vl_nnconvt import check_transposed, vl_nnconvt
from pyconvnet.options import effective, naming
from pyconvnet.records import Struct
from pyconvnet.values import whole_numbers


class ConvTranspose(Layer):
    """Transposed convolution (upsampling by filters) of H x W x C x N to YH x YW x K x N; see vl_nnconvt.

    Parameters: filters h x w x K/G x C, and K biases where hasBias.

    size       (h, w, K/G, C), for initParams and tables
    hasBias    whether there are biases
    upsample   (vertical, horizontal), or one number
    crop       (top, bottom, left, right), or one number: rows and columns that are cut off
    numGroups  G
    opts       further options of vl_nnconvt
    """

    size = (0, 0, 0, 0)
    hasBias = True
    upsample = (1, 1)
    crop = (0, 0, 0, 0)
    numGroups = 1
    opts = ("cuDNN",)

    simplenn = "convt"
    simplenn_fields = {"upsample": 1, "crop": 0, "numGroups": 1, "opts": ()}
    param_suffixes = ("f", "b")

    def __setattr__(self, name, value):
        if name == "size":
            value = filter_size("ConvTranspose: size", value)
        elif name in ("crop", "upsample"):
            value = broadcast(value, 4 if name == "crop" else 2)
        super().__setattr__(name, value)

    def forward(self, inputs, params):
        f, b = filters_and_biases(self, params)
        return [vl_nnconvt(inputs[0], f, b, None, **self.effective_options())]

    def backward(self, inputs, params, derOutputs):
        f, b = filters_and_biases(self, params)
        dx, df, db = vl_nnconvt(inputs[0], f, b, derOutputs[0], **self.effective_options())
        return [dx], [df, db][: len(params)]

    def effective_options(self):
        return effective(vl_nnconvt, self, "upsample", "crop", "numGroups")

    def getOutputSizes(self, inputSizes):
        h, w, _, n = inputSizes[0]
        fh, fw, depth, _ = self.size
        (uv, uh), (top, bottom, left, right), groups = self._geometry()
        return [(uv * (h - 1) + fh - top - bottom, uh * (w - 1) + fw - left - right, depth * groups, n)]

    def _check_sizes(self, inputSizes, params):
        if params and checks.known(inputSizes[0]):
            with naming("vl_nnconvt"):
                check_transposed(inputSizes[0], size_4d(params[0]), *self._geometry())

    def getReceptiveFields(self):
        (uv, uh), (top, _, left, _), _ = self._geometry()
        fh, fw = self.size[:2]
        return Struct(
            size=(1 + (fh - 1) / uv, 1 + (fw - 1) / uh),
            stride=(1 / uv, 1 / uh),
            offset=((2 * top - fh + 1) / (2 * uv) + 1, (2 * left - fw + 1) / (2 * uh) + 1),
        )

    def _geometry(self):
        options = self.effective_options()
        with naming("ConvTranspose"):
            (groups,) = whole_numbers("numGroups", options["numGroups"], (1,), least=1)
            return pair("upsample", options["upsample"]), borders("crop", options["crop"]), groups

    def initParams(self):
        filters, biases = first_filters(self), self.size[2] * self._geometry()[2]
        return [filters, np.zeros((biases, 1), np.float32)] if self.hasBias else [filters]

    @classmethod
    def shapedWeights(cls, weights, channels):
        if not weights or not isinstance(weights[0], np.ndarray) or not weights[0].size:
            return weights
        return [padded_to_4d(weights[0]), *weights[1:]]

    @classmethod
    def from_record(cls, record):
        layer = super().from_record(record)
        weights = record["weights"]
        if is_empty(weights):
            raise ValueError("the layer has no weights")
        layer.size = size_4d(np.shape(weights[0]))
        layer.hasBias = len(weights) > 1 and not is_empty(weights[1])
        return layer
