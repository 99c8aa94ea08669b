"""LossSmoothL1: the loss of regressed boxes (DagNN only)."""

from __future__ import annotations

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, host_numbers
from pyconvnet.layers.base import unpack_inputs
from pyconvnet.layers.loss import Loss


class LossSmoothL1(Loss, yields=True):
    """Smooth L1 distance of input 1 to input 2, weighted by input 3, all H x W x C x N: 1/N sum of w f(x1 - x2).

    f(d) = sigma^2 d^2 / 2 where |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2)

    average is the sum of all losses over that of all weights.
    Source: MatConvNet, examples/fast_rcnn/+dagnn; Girshick, Fast R-CNN, arXiv:1504.08083.
    """

    loss = "smoothl1"
    sigma = 1.0

    averages = True

    def forward(self, inputs, params):
        x, target, weights = self._arguments(inputs)
        backend, limit = backends.of(x), self.sigma**-2
        distance = backend.abs(x - target)
        curved = backend.minimum(distance, backend.scalar(x, limit))  # how much of it lies where f is a parabola
        terms = weights * curved * (distance - curved * backend.scalar(x, 0.5))
        y = backend.sum(terms, (0, 1, 2, 3)) / backend.scalar(x, limit * x.shape[3])
        self._count(y, weights, x.shape[3])
        return [y]

    def backward(self, inputs, params, derOutputs):
        x, target, weights = self._arguments(inputs)
        backend, limit = backends.of(x), self.sigma**-2
        slope = backend.maximum(x - target, backend.scalar(x, -limit))
        slope = backend.minimum(slope, backend.scalar(x, limit))
        return [weights * slope * (derOutputs[0] / backend.scalar(x, limit * x.shape[3])), None, None], []

    def _arguments(self, inputs):
        x, *others = unpack_inputs(self, inputs, "predictions", "targets", "weights")
        x = as_tensor("LossSmoothL1: input 1", x)
        return x, *(as_tensor(f"LossSmoothL1: input {i}", other, like=x) for i, other in enumerate(others, 2))

    def _count(self, y, weights, images):
        if self.ignoreAverage:
            return
        before = self.numAveraged
        self.numAveraged = before + float(host_numbers(weights).sum(dtype=float)) + 1e-9
        self.average = (before * self.average + images * float(host_numbers(y).sum())) / self.numAveraged
