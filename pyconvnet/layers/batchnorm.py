"""BatchNorm: batch normalization (SimpleNN 'bnorm')."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import count, is_empty
from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.ops.vl_nnbnorm import vl_nnbnorm
from pyconvnet.options import effective


class BatchNorm(ElementWise):
    """Batch normalization of each channel; parameters: K multipliers, K biases, moments (K x 2: mean, sigma).

    Normally the moments are the batch's own, in test mode those in the parameter (the batch's, with a warning, where
    these are all zero). In place of a derivative of the moments, backward returns those of the batch, which training
    averages: they move by the parameter's learningRate, 0.1 in a DagNN, 1 in a SimpleNN's record without one, as in
    MatConvNet. See vl_nnbnorm.

    numChannels  K, for initParams
    epsilon      added to the variance
    opts         further options of vl_nnbnorm
    """

    numChannels = None
    epsilon = 1e-5
    opts = ("NoCuDNN",)

    simplenn = "bnorm"
    simplenn_fields = {"epsilon": 1e-5}
    averaged = (2,)
    test_differs = True
    param_suffixes = ("m", "b", "x")

    def effective_options(self):
        return effective(vl_nnbnorm, self, "epsilon")

    def forward(self, inputs, params):
        if len(params) < 2:
            raise ValueError(f"bnorm must have multipliers and biases, got {len(params)} weights")
        moments = params[2] if self.mode == "test" and len(params) > 2 else None
        if moments is not None and not backends.of(moments).any(moments):
            warnings.warn(
                "bnorm: the moments are all zero, as in a network that was never trained or is older than they are: "
                "those of the batch are used, in test mode too",
                stacklevel=2,
            )
            moments = None
        y, found = vl_nnbnorm(inputs[0], *params[:2], None, **{"moments": moments, **self.effective_options()})
        if moments is None and self._backward_follows:
            self._for_backward = inputs[0], found
        return [y]

    def backward(self, inputs, params, derOutputs):
        of, known = self._for_backward or (None, None)
        known = known if of is inputs[0] else None
        options = {"moments": known, **self.effective_options()}
        dx, *ders, moments = vl_nnbnorm(inputs[0], *params[:2], derOutputs[0], **options)
        return [dx], [*ders, moments if known is None else known][: len(params)]

    def _check_sizes(self, inputSizes, params):
        channels = inputSizes[0][2]
        for name, shape in zip("gb", params):
            if math.prod(shape) != channels and not math.isnan(channels):
                raise ValueError(f"vl_nnbnorm: {name} has {math.prod(shape)} elements, x has {channels} channels")

    def attach(self, net, index):
        super().attach(net, index)
        for name in net.layers[index].params[2:3]:
            net.params[name].weightDecay = 0

    def initParams(self):
        if is_empty(self.numChannels):
            raise ValueError("BatchNorm: numChannels must be set, the number of channels: BatchNorm(numChannels=64)")
        k = int(np.ravel(self.numChannels)[0])
        return [np.ones((k, 1), np.float32), np.zeros((k, 1), np.float32), np.zeros((k, 2), np.float32)]

    @classmethod
    def shapedWeights(cls, weights, channels):
        # the first releases with this layer kept no moments
        return [*weights, np.zeros((count(weights[0]), 2), np.float32)] if len(weights) == 2 else weights

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> BatchNorm:
        layer = super().from_record(record)
        weights = record.get("weights")
        layer.numChannels = None if is_empty(weights) else count(weights[0])
        return layer
