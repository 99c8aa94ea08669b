"""SegmentationLoss and SegmentationAccuracy: what fully convolutional networks are trained with (DagNN only)."""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import host_numbers, shape_of, size_4d
from pyconvnet.layers.base import unpack_inputs
from pyconvnet.layers.loss import Loss
from pyconvnet.ops.vl_nnloss import is_categorical


class SegmentationLoss(Loss, yields=True):
    """A loss of classes averaged over the pixels of each image that have a label, and over images.

    The sum over an image is divided by 1 + the number of its labels above 0, as there.
    Source: matconvnet-fcn, SegmentationLoss.m.
    """

    matlab_class = "SegmentationLoss"
    averages = True

    def _arguments(self, inputs):
        labels, options = super()._arguments(inputs)
        host = host_numbers(labels)
        if host.ndim >= 3 and host.shape[:2] == shape_of(inputs[0])[:2]:
            pixels = (host > 0).sum(axis=(0, 1, 2)).reshape(1, 1, 1, -1)
        else:  # one label for all pixels of an image
            pixels = (host > 0).reshape(1, 1, 1, -1) * np.prod(shape_of(inputs[0])[:2])
        h, w, depth, n = size_4d(shape_of(inputs[0]))
        self._multiply_weights(options, 1.0 / (pixels + 1), (h, w, 1 if is_categorical(options["loss"]) else depth, n))
        return labels, options

    def accumulateAverage(self, inputs, outputs):
        if self.ignoreAverage:
            return
        images = size_4d(shape_of(inputs[0]))[3]
        before = self.numAveraged
        self.numAveraged = before + images
        self.average = (before * self.average + images * float(host_numbers(outputs[0]).sum())) / self.numAveraged


class SegmentationAccuracy(Loss, yields=True):
    """Three accuracies of input 1 (scores) for input 2 (a label for each pixel, 0: none), since the last reset.

    The output and `average`: the share of pixels that are right; its mean over classes; and the mean over classes of
    intersection over union. `confusion` counts pixels, true classes along rows. There is no derivative.
    Source: matconvnet-fcn, SegmentationAccuracy.m.
    """

    loss = ""
    average = (0.0, 0.0, 0.0)
    confusion = 0

    matlab_class = "SegmentationAccuracy"
    transient = ("confusion", "loss", "ignoreAverage", "normalise", "opts")
    prediction = None
    averages = False

    def forward(self, inputs, params):
        scores, labels = (host_numbers(x) for x in unpack_inputs(self, inputs, "scores", "labels"))
        count = scores.shape[2]
        best = scores.argmax(axis=2)
        truth = labels.reshape(best.shape, order="F").astype(int)
        known = truth > 0
        pairs = (truth[known] - 1) * count + best[known]
        self.confusion = self.confusion + np.bincount(pairs, minlength=count * count).reshape(count, count)
        right, true, said = np.diag(self.confusion), self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        self.average = np.array(
            [
                right.sum() / max(1, self.confusion.sum()),
                np.mean(right / np.maximum(1, true)),
                np.mean(right / np.maximum(1, true + said - right)),
            ]
        )
        return [self.average.astype(scores.dtype).reshape(3, 1, 1, 1)]

    def backward(self, inputs, params, derOutputs):
        return [None] * len(inputs), []

    def reset(self):
        super().reset()
        self.average, self.confusion = np.zeros(3), 0

    def getOutputSizes(self, inputSizes):
        return [(3, 1, 1, 1)]
