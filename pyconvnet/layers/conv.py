"""Conv: convolution (SimpleNN 'conv'), and Filter, the base of layers that slide a window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet import rng
from pyconvnet.arrays import is_empty, padded_to_4d, size_4d
from pyconvnet.geometry import Window, broadcast
from pyconvnet.layers import checks
from pyconvnet.layers.base import Layer
from pyconvnet.ops.checks import check_filters
from pyconvnet.ops.vl_nnconv import vl_nnconv
from pyconvnet.options import effective, naming
from pyconvnet.records import Struct
from pyconvnet.values import whole_numbers


class Filter(Layer, block=False):
    """Base of layers that slide a window over the image: subclasses say its size in getKernelSize.

    pad     (top, bottom, left, right), or one number, in pixels
    stride  (vertical, horizontal), or one number
    dilate  likewise: the distance of the pixels of a window that are used
    """

    pad = (0, 0, 0, 0)
    stride = (1, 1)
    dilate = (1, 1)

    def __setattr__(self, name: str, value: Any) -> None:
        count = {"pad": 4, "stride": 2, "dilate": 2}.get(name)
        super().__setattr__(name, broadcast(value, count) if count else value)

    def getKernelSize(self) -> tuple[int, int]:
        """(height, width) of the window before dilation."""
        return (1, 1)

    def window(self) -> Window:
        """The window these properties, and `opts`, describe."""
        options = self.effective_options()
        stride, pad, dilate = (options.get(name, getattr(self, name)) for name in ("stride", "pad", "dilate"))
        size = self.getKernelSize()
        with naming(type(self).__name__):
            return Window.parse(size, stride, pad, dilate, "size")

    def getOutputSizes(self, inputSizes):
        h, w, c, n = inputSizes[0]
        return [(*self.window().output_size(h, w), c, n)]

    def getReceptiveFields(self):
        win = self.window()
        size, (top, _, left, _) = win.extent, win.pad
        offset = (1 - top + (size[0] - 1) / 2, 1 - left + (size[1] - 1) / 2)
        return Struct(size=size, stride=win.stride, offset=offset)


class Conv(Filter):
    """Convolution of H x W x C x N by a bank of filters to YH x YW x K x N; see vl_nnconv.

    Parameters: filters h x w x C/G x K for G groups of channels, and K biases where hasBias.

    size     (h, w, C/G, K), for initParams and tables
    hasBias  whether there are biases
    opts     further options of vl_nnconv
    """

    size = (0, 0, 0, 0)
    hasBias = True
    opts = ("cuDNN",)

    simplenn = "conv"
    simplenn_fields = {"stride": 1, "pad": 0, "dilate": 1, "opts": ()}
    param_suffixes = ("f", "b")
    table_labels = {"conv": ("conv", "cnv")}

    def __setattr__(self, name, value):
        super().__setattr__(name, filter_size("Conv: size", value) if name == "size" else value)

    def getKernelSize(self):
        return self.size[:2]

    def table_filters(self):
        return (self.size[2], self.effective_options()["dilate"], self.size[3]) if self.size[3] else None

    def effective_options(self):
        return effective(vl_nnconv, self, "stride", "pad", "dilate")

    def to_record(self):
        record = super().to_record()
        dilate = {*np.ravel(record.get("dilate", 1)).tolist()}
        if len(dilate) == 1:  # tables show (1, 1) as 11, as MATLAB's do
            record.dilate = dilate.pop()
        return record

    def forward(self, inputs, params):
        f, b = filters_and_biases(self, params)
        return [vl_nnconv(inputs[0], f, b, **self.effective_options())]

    def backward(self, inputs, params, derOutputs):
        f, b = filters_and_biases(self, params)
        options = self.effective_options()
        if not self.input_der:
            options["noDerData"] = True
        dx, df, db = vl_nnconv(inputs[0], f, b, derOutputs[0], **options)
        return [dx], [df, db][: len(params)]

    def getOutputSizes(self, inputSizes):
        h, w, c, n = inputSizes[0]
        return [(*self.window().output_size(h, w), self.size[3] or c, n)]

    def _check_sizes(self, inputSizes, params):
        if params and math.prod(params[0]) and checks.known(inputSizes[0]):
            filters, options = size_4d(params[0]), self.effective_options()
            with naming("vl_nnconv"):
                window = Window.parse(filters[:2], options["stride"], options["pad"], options["dilate"], "f")
                check_filters(inputSizes[0], filters, window)

    def initParams(self):
        filters = first_filters(self)
        return [filters, np.zeros((self.size[3], 1), np.float32)] if self.hasBias else [filters]

    @classmethod
    def shapedWeights(cls, weights, channels):
        if not weights or not isinstance(weights[0], np.ndarray) or not weights[0].size:
            return weights
        count = np.size(weights[1]) if len(weights) > 1 and weights[1] is not None else 0
        return [four_dimensions(weights[0], count, channels), *weights[1:]]

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Conv:
        layer = super().from_record(record)
        weights = record["weights"]
        if is_empty(weights):
            raise ValueError("the layer has no weights")
        # without filters every channel passes as it is: one pixel, no filters
        layer.size = (1, 1, 0, 0) if is_empty(weights[0]) else size_4d(np.shape(weights[0]))
        layer.hasBias = len(weights) > 1 and not is_empty(weights[1])
        return layer


def filters_and_biases(layer: Any, params: list[Any]) -> tuple[Any, Any]:
    """Parameters of Conv and ConvTranspose; biases are None where hasBias is not set, as in MATLAB."""
    if not params:
        raise ValueError(f"{type(layer).__name__} must have filters, and biases where hasBias, as parameters, got none")
    return params[0], params[1] if layer.hasBias and len(params) > 1 else None


def first_filters(layer: Any) -> np.ndarray:
    """Filters of the size of a Conv or ConvTranspose, drawn with deviation sqrt(2 / fan-out) (He et al., 2015)."""
    if not math.prod(layer.size):
        raise ValueError(f"{type(layer).__name__}.initParams: size must be set, all above 0; it is {list(layer.size)}")
    h, w, _, k = layer.size
    return rng.normal(layer.size, math.sqrt(2 / (h * w * k)))


def filter_size(name: str, value: Any) -> tuple[int, ...]:
    """The property `size` of Conv and ConvTranspose as four numbers: [5, 5] stands for [5, 5, 1, 1], as in MATLAB."""
    if is_empty(value):
        return (0, 0, 0, 0)
    return size_4d(whole_numbers(name, value, (1, 2, 3, 4)))


def four_dimensions(f: np.ndarray, count: int, channels: int | None) -> np.ndarray:
    """Filters as h x w x C x K; count: how many biases there are, 0 if unknown, channels: of the input, if known.

    MATLAB drops dimensions of 1 at the end only (one filter, one channel); where that does not fit the biases or the
    channels, the dimensions in front were dropped: 500 x 10 stands for 1 x 1 x 500 x 10.
    """
    if f.ndim >= 4:
        return f
    usual = padded_to_4d(f)
    other = f[None, None] if f.ndim == 2 else f[:, :, None] if f.ndim == 3 else usual

    def fits(shape: tuple[int, ...]) -> bool:
        return (not count or shape[3] == count) and (not channels or channels % shape[2] == 0)

    return other if not fits(usual.shape) and fits(other.shape) else usual
