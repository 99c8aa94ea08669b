"""LossSmoothL1: the loss of regressed boxes (SimpleNN 'smoothl1', 'smoothl1loss')."""

from __future__ import annotations

import math

from pyconvnet.arrays import host_numbers, shape_of
from pyconvnet.layers.loss import Loss
from pyconvnet.ops.vl_nnsmoothL1loss import vl_nnsmoothL1loss


class LossSmoothL1(Loss, yields=True):
    """Smooth L1 distance of input 1 to input 2, all H x W x C x N: 1/N sum of w f(x1 - x2); see vl_nnsmoothL1loss.

    f(d) = sigma^2 d^2 / 2 where |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2)

    w is input 3, 1 where there is none. average is the sum of all losses over that of all weights.

    Source: MatConvNet, examples/fast_rcnn/+dagnn; Girshick, Fast R-CNN, arXiv:1504.08083.
    """

    loss = "smoothl1"
    sigma = 1.0

    averages = True
    simplenn = ("smoothl1", "smoothl1loss")
    simplenn_fields = {"sigma": 1.0}
    _record_options = ()
    table_labels = {"smoothl1": ("smthl1", "sml1"), "smoothl1loss": ("smthl1", "sml1")}

    def forward(self, inputs, params):
        self._check_labels(inputs)
        y = vl_nnsmoothL1loss(inputs[0], inputs[1], None, **self._options(inputs))
        self._count(inputs, y)
        return [y]

    def backward(self, inputs, params, derOutputs):
        dx = vl_nnsmoothL1loss(inputs[0], inputs[1], derOutputs[0], **self._options(inputs))
        return [dx, *[None] * (len(inputs) - 1)], []

    def getOutputSizes(self, inputSizes):
        return [(1, 1, 1, 1)]

    def effective_options(self):
        return {}

    def _options(self, inputs):
        return {"sigma": self.sigma, "outsideWeights": inputs[2] if len(inputs) > 2 else None}

    def _count(self, inputs, y):
        if self.ignoreAverage:
            return
        shape = (*shape_of(inputs[0]), 1, 1, 1, 1)[:4]
        weights = host_numbers(inputs[2]).sum(dtype=float) if len(inputs) > 2 else math.prod(shape)
        before = self.numAveraged
        self.numAveraged = before + float(weights) + 1e-9
        self.average = (before * self.average + shape[3] * float(host_numbers(y).sum())) / self.numAveraged
