"""Conv: convolution (SimpleNN 'conv'), and Filter, the base of layers that slide a window."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.geometry import Window
from pyconvnet.layers.base import Layer
from pyconvnet.ops.vl_nnconv import vl_nnconv
from pyconvnet.records import Struct


class Filter(Layer):
    """Base of layers that slide a window over the image: subclasses say its size in getKernelSize."""

    pad = (0, 0, 0, 0)
    stride = (1, 1)
    dilate = (1, 1)

    def getKernelSize(self) -> tuple[int, int]:
        """(height, width) of the window before dilation."""
        return (1, 1)

    def window(self) -> Window:
        """The window these properties describe."""
        return Window.parse(type(self).__name__, self.getKernelSize(), self.stride, self.pad, self.dilate, "size")

    def getOutputSizes(self, inputSizes):
        h, w, c, n = inputSizes[0]
        return [(*self.window().output_size(h, w), c, n)]

    def getReceptiveFields(self):
        win = self.window()
        size, (top, _, left, _) = win.extent, win.pad
        offset = (1 - top + (size[0] - 1) / 2, 1 - left + (size[1] - 1) / 2)
        return Struct(size=size, stride=win.stride, offset=offset)


class Conv(Filter):
    """Convolution by a bank of filters; parameters: filters h x w x C x K, and biases K where hasBias."""

    size = (0, 0, 0, 0)
    hasBias = True
    opts = ("cuDNN",)

    simplenn = "conv"
    simplenn_fields = {"stride": 1, "pad": 0, "dilate": 1, "opts": ()}
    param_suffixes = ("f", "b")
    table_labels = {"conv": ("conv", "cnv")}

    def getKernelSize(self):
        return tuple(int(s) for s in np.ravel(self.size)[:2])

    def table_filters(self):
        return self.size[2], self.dilate, self.size[3]

    def forward(self, inputs, params):
        f, b = (*params, None)[:2]
        return [vl_nnconv(inputs[0], f, b, *self.opts, stride=self.stride, pad=self.pad, dilate=self.dilate)]

    def backward(self, inputs, params, derOutputs):
        f, b = (*params, None)[:2]
        dx, df, db = vl_nnconv(
            inputs[0], f, b, derOutputs[0], *self.opts, stride=self.stride, pad=self.pad, dilate=self.dilate
        )
        return [dx], [df, db][: len(params)]

    def getOutputSizes(self, inputSizes):
        h, w, _, n = inputSizes[0]
        return [(*self.window().output_size(h, w), int(np.ravel(self.size)[3]), n)]

    def initParams(self):
        h, w, c, k = (int(s) for s in np.ravel(self.size))
        filters = (np.random.standard_normal((h, w, c, k)) * np.sqrt(2 / (h * w * k))).astype(np.float32)
        return [filters, np.zeros((k, 1), np.float32)] if self.hasBias else [filters]

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Conv:
        layer = super().from_record(record)
        f = record["weights"][0]
        layer.size = (*f.shape, 1, 1)[:4]
        layer.hasBias = len(record["weights"]) > 1 and record["weights"][1] is not None
        return layer
