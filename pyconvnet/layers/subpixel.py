"""SubP (SimpleNN 'SubP') and NoiseMap (SimpleNN 'concat'): the two layers of FFDNet that MatConvNet does not have."""

from __future__ import annotations

import math
from typing import Any

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, host_numbers, is_empty, shape_of, size_4d, size_text
from pyconvnet.layers.base import Layer
from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.ops.vl_nnSubP import factors, move, output_size, vl_nnSubP
from pyconvnet.records import Struct


class SubP(Layer, yields=True):
    """Channels become pixels (scale 2, 3, ...), or pixels channels (scale 1/2, 1/3, ...); see vl_nnSubP.

    Source: FFDNet (Zhang, Zuo, Zhang, IEEE TIP 2018), whose networks begin with scale 1/2 and end with scale 2.
    """

    scale = 2.0

    simplenn = "SubP"
    backward_uses = "nothing"

    def forward(self, inputs, params):
        return [vl_nnSubP(inputs[0], scale=self.scale)]

    def backward(self, inputs, params, derOutputs):
        up, s = self.factors()
        return [move(derOutputs[0], not up, s)], []

    def factors(self) -> tuple[bool, int]:
        """(whether channels become pixels, s)."""
        return factors("SubP: scale", self.scale)

    def getOutputSizes(self, inputSizes):
        return [output_size("SubP: its input", inputSizes[0], *self.factors())]

    def getReceptiveFields(self):
        up, s = self.factors()
        # those of a transposed convolution, and of a convolution, whose filters and steps are s
        size, stride, offset = (2 - 1 / s, 1 / s, (1 + 1 / s) / 2) if up else (s, s, (1 + s) / 2)
        return Struct(size=(size, size), stride=(stride, stride), offset=(offset, offset))


class NoiseMap(ElementWise, yields=True):
    """Appends the noise level to the image as further channels, as FFDNet's 'concat' does by the global `sigmas`.

    x: H x W x C x N -> H x W x (C + P) x N; the level is the property `sigma`, or in a DagNN input 2:

    one number     the standard deviation of the noise in all pixels, in the units of the image (25/255)
    P numbers      of P channels (for noise of several parameters, such as SRMD's); a vector in any direction
    P x N          of P channels, a column for each image (1 x 1 x 1 x N where P is 1)
    H x W x P x N  for each pixel of x, which is half as large as the image in FFDNet; each may be 1

        net.layers[1].sigma = 25 / 255
        y = pyconvnet.predict(net, x)

    Raises ValueError where there is no level, or one that does not fit.
    Source: Zhang, Zuo, Zhang, FFDNet, IEEE TIP 2018, and its code's vl_simplenn.
    """

    sigma = ()

    simplenn = "concat"
    backward_uses = "nothing"

    def forward(self, inputs, params):
        x = as_tensor("NoiseMap: x", inputs[0])
        backend = backends.of(x)
        given = inputs[1] if len(inputs) > 1 else self.sigma
        if is_empty(given) and (len(inputs) < 2 or x.shape[3]):
            raise ValueError(
                "NoiseMap: there is no noise level: set the layer's sigma, as in net.layers[1].sigma = 25 / 255 (the "
                "noise's standard deviation in the units of the image), or give it as input 2 of the block"
            )
        shape = self._shape(shape_of(given), tuple(x.shape))
        own = backends.find(given) is backend and given.dtype in backend.floats
        level = backend.cast(given, x) if own else backend.asarray(self._numbers(given), x)
        self.aux = x.shape[2], shape_of(given), shape
        level = level.reshape(shape) + backend.zeros((*x.shape[:2], 1, x.shape[3]), x)
        return [backend.concat([x, level], 2)]

    def backward(self, inputs, params, derOutputs):
        channels, given, shape = self.aux
        der = derOutputs[0]
        dx = der[:, :, :channels]
        if len(inputs) < 2:
            return [dx], []
        axes = tuple(i for i in (0, 1, 3) if shape[i] == 1 < der.shape[i])
        level = der[:, :, channels:]
        return [dx, (backends.of(der).sum(level, axes) if axes else level).reshape(given)], []

    def getOutputSizes(self, inputSizes):
        h, w, c, n = inputSizes[0]
        if len(inputSizes) > 1:
            return [(h, w, c + self._shape(inputSizes[1], inputSizes[0])[2], n)]
        known = not is_empty(self.sigma)
        return [(h, w, c + self._shape(shape_of(self.sigma), inputSizes[0])[2] if known else math.nan, n)]

    def levels(self) -> Any:
        """sigma as one number for each channel of the map, in double precision, for other programs."""
        if is_empty(self.sigma):
            raise ValueError("its sigma, the noise level, is not set; set it, or give it as input 2 of the block")
        values = self._numbers(self.sigma).astype(float)
        if max(values.shape, default=1) != values.size or values.ndim > 2:
            raise ValueError(f"its sigma is {size_text(values.shape)}, and must be one number for each channel")
        return values.ravel()

    @staticmethod
    def _numbers(given: Any) -> Any:
        values = host_numbers(given, "NoiseMap: sigma")
        if values.dtype.kind not in "iuf":
            raise TypeError(f"NoiseMap: sigma must be numbers, got {type(given).__name__}")
        return values

    @staticmethod
    def _shape(given: tuple[Any, ...], of: tuple[Any, ...]) -> tuple[Any, ...]:
        """The H x W x P x N, some of them 1, of a level of that shape for an x of size `of`."""
        short = given
        while len(short) > 2 and short[-1] == 1:  # a variable's size has four numbers
            short = short[:-1]
        if len(short) < 2 or (len(short) == 2 and 1 in short):
            return (1, 1, math.prod(short), 1)
        if len(short) == 2 and short != of[:2] and short[1] == of[3]:
            return (1, 1, *short)
        full = size_4d(short)
        if len(short) > 4 or any(full[i] not in (1, of[i]) and not math.isnan(of[i]) for i in (0, 1, 3)):
            raise ValueError(
                f"NoiseMap: sigma is {size_text(given)}; for x of {size_text(of)} it must be one number, P numbers, "
                f"P x {of[3]}, or {of[0]} x {of[1]} x P x {of[3]}, or 1 in a dimension"
            )
        return full
