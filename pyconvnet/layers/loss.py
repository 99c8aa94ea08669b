"""SoftMax, Loss (SimpleNN 'loss', 'softmaxloss') and PDist ('pdist')."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import asynchronous, host_numbers, is_empty, shape_of, size_4d
from pyconvnet.layers.base import unpack_inputs
from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.ops.vl_nnloss import is_categorical, label_weights, vl_nnloss, weights_like
from pyconvnet.ops.vl_nnpdist import vl_nnpdist
from pyconvnet.ops.vl_nnsoftmax import vl_nnsoftmax
from pyconvnet.options import effective, naming, option_list

ADVICE = (
    "set net.layers[-1]['class'] = labels to compute the loss; "
    "net.layers[-1].type = 'softmax' gives predictions instead, as pyconvnet.predict does"
)


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

    Labels of classes may have a second channel, H x W x 2 x N: factors of the summands, as in vl_nnsoftmaxloss.
    In a SimpleNN the record's fields loss, instanceWeights, topK, threshold, normalise and opts, where there are any,
    say the same; MatConvNet itself reads none of them there, and computes the log loss.

    loss                  its name; "softmaxlog"
    average, numAveraged  running mean over pixels and images since the last reset, unless ignoreAverage, and of how
                          many; subclasses may set them to statistics of their own, also to several numbers. On a GPU
                          the mean is a tensor there, of no dimensions
    normalise             divide the output by the number of images
    opts                  further options of vl_nnloss: topK, threshold, instanceWeights
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
    simplenn_fields = {}
    _record_options = ("loss", "instanceWeights", "topK", "threshold", "normalise")
    simplenn_inputs = ("class",)
    table_labels = {"softmaxloss": ("softmxl", "sftml"), "loss": ("loss", "lloss")}

    def reset(self) -> None:
        super().reset()
        self.average, self.numAveraged = 0.0, 0

    def forward(self, inputs, params):
        self._check_labels(inputs)
        labels, options = self._arguments(inputs)
        y = vl_nnloss(inputs[0], labels, None, **options)
        self.accumulateAverage(inputs, [y])
        return [y]

    def _check_labels(self, inputs):
        if len(inputs) < 2:
            unpack_inputs(self, inputs, "predictions", "labels")
        if is_empty(inputs[1]):
            raise ValueError(f"there are no labels: {ADVICE}")

    def backward(self, inputs, params, derOutputs):
        labels, options = self._arguments(inputs)
        dx = vl_nnloss(inputs[0], labels, derOutputs[0], **options)
        return [dx, *[None] * (len(inputs) - 1)], []

    def effective_options(self):
        return effective(vl_nnloss, self, "loss", "normalise")

    def _arguments(self, inputs):
        """Labels, and the options of vl_nnloss, with the factors that came as a channel of the labels among them."""
        options = self.effective_options()
        if not is_categorical(options["loss"]):
            return inputs[1], options
        count, images = _count(inputs[1]), shape_of(inputs[0])[3:4]
        if shape_of(inputs[0])[:2] == (1, 1) and count and images and count != images[0]:
            raise ValueError(
                f"there are labels of {count} images for {images[0]}, perhaps those of a last batch: {ADVICE}"
            )
        labels, factors = label_weights(inputs[0], inputs[1])
        if factors is not None:
            self._multiply_weights(options, factors, factors.shape)
        return labels, options

    @staticmethod
    def _multiply_weights(options: dict[str, Any], factors: np.ndarray, shape: tuple[int, ...]) -> None:
        """Multiply `factors` into the instanceWeights among the options, which fit labels of `shape`."""
        given = options.get("instanceWeights")
        if not is_empty(given):
            with naming("vl_nnloss"):
                factors = factors * weights_like(given, shape)
        options["instanceWeights"] = factors

    @property
    def prediction(self) -> str | None:
        """The layer type that turns the input of this loss into probabilities; None where it is the prediction."""
        loss = self.effective_options().get("loss", self.loss)
        return {"softmaxlog": "softmax", "logistic": "sigmoid"}.get(loss.lower() if isinstance(loss, str) else "")

    @property
    def averages(self):
        return bool(np.all(self.effective_options().get("normalise", self.normalise)))

    def accumulateAverage(self, inputs: list[Any], outputs: list[Any]) -> None:
        """Take the output for one batch into `average`."""
        if self.ignoreAverage:
            return
        h, w, _, n = size_4d(inputs[0].shape)
        y = outputs[0]
        if asynchronous(y):  # the average stays on the device, which nobody waits for until it is read
            total = backends.of(y).sum(y, tuple(range(y.ndim))).reshape(())
        else:
            total = host_numbers(y).sum(dtype=float)
        total = total * (n if self.averages else 1)
        count = self.numAveraged + h * w * n
        if not count:
            return
        self.average = (self.numAveraged * self.average + total) / count
        self.numAveraged = count

    def getOutputSizes(self, inputSizes):
        return [(1, 1, 1, inputSizes[0][3])]

    def getReceptiveFields(self):
        # it depends on the size of the input, which is not known before the network runs
        return []

    def table_size(self, size, record):
        return (*size[:2], 1, 1)

    @classmethod
    def from_record(cls, record):
        layer = super().from_record(record)
        given = {name: record[name] for name in cls._record_options if not _is_nothing(record.get(name))}
        layer.loss = given.pop("loss", layer.loss)
        layer.opts = (*option_list(record.get("opts")), *(item for pair in given.items() for item in pair))
        return layer

    def to_record(self):
        record = super().to_record()
        usual = {"loss": Loss.loss, "normalise": True}
        for name, value in self.effective_options().items():
            if name in self._record_options and not _is_nothing(value) and not np.array_equal(value, usual.get(name)):
                record[name] = value
        if record.type == "softmaxloss" and len(record) > 1:
            record.type = "loss"
        return record


def _count(labels: Any) -> int:
    """The number of images, where each has one label; 0 where the shape does not tell."""
    shape = shape_of(labels)
    if len(shape) == 4:
        return shape[3]
    return math.prod(shape) if len(shape) < 3 and math.prod(shape) == max(shape, default=1) else 0


def _is_nothing(value: Any) -> bool:
    return value == "" if isinstance(value, str) else is_empty(value)


class PDist(Loss):
    """p-distance of input 1 to input 2, summed unless aggregate is false; see vl_nnpdist.

    Input 3, if there is one, are its instanceWeights, which a SimpleNN keeps in the record.

    p          the exponent
    aggregate  sum over all pixels and images
    noRoot     leave the power 1/p out
    epsilon    the least divisor in the derivative
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
    _record_options = ()
    table_labels = {}

    def forward(self, inputs, params):
        self._check_labels(inputs)
        y = vl_nnpdist(inputs[0], inputs[1], self.p, None, **self._options(inputs))
        self.accumulateAverage(inputs, [y])
        return [y]

    def backward(self, inputs, params, derOutputs):
        dx, dx0 = vl_nnpdist(inputs[0], inputs[1], self.p, derOutputs[0], **self._options(inputs))
        return [dx, dx0, *[None] * (len(inputs) - 2)], []

    def _check_labels(self, inputs):
        # a graph may predict the distances of two variables of no images
        if self.mode != "test" or [shape_of(x) for x in inputs[:2]] != [shape_of(inputs[0])] * 2:
            super()._check_labels(inputs)

    def effective_options(self):
        return effective(vl_nnpdist, self, "noRoot", "aggregate", "epsilon")

    def getOutputSizes(self, inputSizes):
        if np.all(self.effective_options()["aggregate"]):
            return super().getOutputSizes(inputSizes)
        h, w, _, n = inputSizes[0]
        return [(h, w, 1, n)]

    def _options(self, inputs):
        return {"instanceWeights": inputs[2] if len(inputs) > 2 else self._given, **self.effective_options()}

    @classmethod
    def from_record(cls, record):
        layer = super().from_record(record)
        layer._given = record.get("instanceWeights")
        return layer

    def table_size(self, size, record):
        return None
