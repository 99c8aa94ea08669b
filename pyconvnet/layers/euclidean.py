"""EuclideanLoss: half the squared distance to a target (SimpleNN 'euclideanloss', 'euclidean')."""

from __future__ import annotations

from typing import Any

from pyconvnet.layers.loss import Loss
from pyconvnet.ops.vl_nneuclideanloss import vl_nneuclideanloss
from pyconvnet.options import effective


class EuclideanLoss(Loss, yields=True):
    """Half the squared distance of input 1 to input 2, weighted by input 3 if there is one; see vl_nneuclideanloss.

    In a SimpleNN the record's `class` has the targets, and `instanceWeights` the weights.
    """

    loss = "euclidean"

    averages = Loss.averages
    simplenn = ("euclideanloss", "euclidean")
    simplenn_fields = {"instanceWeights": ()}
    _record_options = ("normalise",)
    _given: Any = None
    table_labels = {"euclideanloss": ("euclid", "eucl"), "euclidean": ("euclid", "eucl")}

    def forward(self, inputs, params):
        self._check_labels(inputs)
        y = vl_nneuclideanloss(inputs[0], inputs[1], None, **self._options(inputs))
        self.accumulateAverage(inputs, [y])
        return [y]

    def backward(self, inputs, params, derOutputs):
        dx = vl_nneuclideanloss(inputs[0], inputs[1], derOutputs[0], **self._options(inputs))
        return [dx, *[None] * (len(inputs) - 1)], []

    def getOutputSizes(self, inputSizes):
        return [(1, 1, 1, 1)]

    def effective_options(self):
        return effective(vl_nneuclideanloss, self, "normalise")

    def _options(self, inputs):
        return {"instanceWeights": inputs[2] if len(inputs) > 2 else self._given, **self.effective_options()}

    @classmethod
    def from_record(cls, record):
        layer = super().from_record(record)
        layer._given = record.get("instanceWeights")
        return layer
