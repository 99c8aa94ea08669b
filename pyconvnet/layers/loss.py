"""SoftMax, Loss (SimpleNN 'loss', 'softmaxloss') and PDist ('pdist')."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import is_empty
from pyconvnet.layers.base import take
from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.ops.vl_nnloss import vl_nnloss
from pyconvnet.ops.vl_nnpdist import vl_nnpdist
from pyconvnet.ops.vl_nnsoftmax import vl_nnsoftmax


class SoftMax(ElementWise):
    """Softmax across channels; see vl_nnsoftmax."""

    simplenn = "softmax"
    table_labels = {"softmax": ("softmx", "sftm")}

    def forward(self, inputs, params):
        return [vl_nnsoftmax(inputs[0])]

    def backward(self, inputs, params, derOutputs):
        return [vl_nnsoftmax(inputs[0], derOutputs[0])], []


class Loss(ElementWise):
    """A loss or error of input 1 (predictions) for input 2 (labels); see vl_nnloss.

    average, numAveraged  running mean over pixels and images since the last reset, unless ignoreAverage, and of how
                          many; subclasses may set them to statistics of their own, also to several numbers
    normalise             divide the output by the number of images
    averages              a subclass whose forward sums over images says `averages = False`, for cnn_train_dag's steps
    """

    loss = "softmaxlog"
    ignoreAverage = False
    normalise = True
    opts = ()
    average = 0.0
    numAveraged = 0

    transient = ("average", "numAveraged")
    simplenn = ("softmaxloss", "loss")
    simplenn_fields = {}  # vl_simplenn knows the log loss only
    simplenn_inputs = ("class",)
    table_labels = {"softmaxloss": ("softmxl", "sftml"), "loss": ("loss", "lloss")}

    def reset(self) -> None:
        super().reset()
        self.average, self.numAveraged = 0.0, 0

    def forward(self, inputs, params):
        self._check_labels(inputs)
        y = vl_nnloss(inputs[0], inputs[1], None, *self.opts, **self._options())
        self.accumulateAverage(inputs, [y])
        return [y]

    def _check_labels(self, inputs):
        if len(inputs) < 2:
            take(self, inputs, "predictions", "labels")
        if is_empty(inputs[1]):
            raise ValueError(
                "there are no labels: set net.layers[-1]['class'] = labels to compute the loss; "
                "net.layers[-1].type = 'softmax' gives predictions instead"
            )

    def backward(self, inputs, params, derOutputs):
        dx = vl_nnloss(inputs[0], inputs[1], derOutputs[0], *self.opts, **self._options())
        return [dx, *[None] * (len(inputs) - 1)], []

    def _options(self):
        return {"loss": self.loss, "normalise": self.normalise}

    @property
    def prediction(self) -> str | None:
        """The layer type that makes probabilities of what this is the loss of; None if its input is good as it is."""
        return {"softmaxlog": "softmax", "logistic": "sigmoid"}.get(self.loss)

    @property
    def averages(self):
        return bool(np.all(self.normalise))

    def accumulateAverage(self, inputs: list[Any], outputs: list[Any]) -> None:
        """Take the output for one batch into `average`."""
        if self.ignoreAverage:
            return
        h, w, _, n = (*inputs[0].shape, 1, 1, 1, 1)[:4]
        total = np.asarray(outputs[0], float).sum() * (n if self.averages else 1)
        count = self.numAveraged + h * w * n
        self.average = (self.numAveraged * self.average + total) / count
        self.numAveraged = count

    def getOutputSizes(self, inputSizes):
        return [(1, 1, 1, inputSizes[0][3])]

    def getReceptiveFields(self):
        # it depends on the size of the input, which is not known before the network runs
        return []

    def table_size(self, size, record):
        return (*size[:2], 1, 1)


class PDist(Loss):
    """p-distance of input 1 to input 2, summed unless aggregate is false; see vl_nnpdist.

    Input 3, if there is one, are its instanceWeights, which a SimpleNN keeps in the record.
    """

    loss = "pdist"
    p = 2
    aggregate = True
    noRoot = False
    epsilon = 1e-6

    averages = False
    _given: Any = None
    simplenn = "pdist"
    simplenn_fields = {"noRoot": False, "aggregate": False, "p": 2, "epsilon": 1e-3, "instanceWeights": ()}
    table_labels = {}

    def forward(self, inputs, params):
        self._check_labels(inputs)
        y = vl_nnpdist(inputs[0], inputs[1], self.p, None, *self.opts, **self._options(inputs))
        self.accumulateAverage(inputs, [y])
        return [y]

    def backward(self, inputs, params, derOutputs):
        dx, dx0 = vl_nnpdist(inputs[0], inputs[1], self.p, derOutputs[0], *self.opts, **self._options(inputs))
        return [dx, dx0, *[None] * (len(inputs) - 2)], []

    def _options(self, inputs):
        options = {"noRoot": self.noRoot, "aggregate": self.aggregate, "epsilon": self.epsilon}
        weights = inputs[2] if len(inputs) > 2 else self._given
        return options if is_empty(weights) else {**options, "instanceWeights": weights}

    @classmethod
    def from_record(cls, record):
        layer = super().from_record(record)
        layer._given = record.get("instanceWeights")
        return layer

    def table_size(self, size, record):
        return None
