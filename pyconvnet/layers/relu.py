"""ReLU: rectified linear unit (SimpleNN 'relu'), and Sigmoid."""

from __future__ import annotations

from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.ops.vl_nnrelu import vl_nnrelu
from pyconvnet.ops.vl_nnsigmoid import vl_nnsigmoid
from pyconvnet.options import effective


class ReLU(ElementWise):
    """y = x above 0, leak x below; see vl_nnrelu.

    leak             the slope below 0
    useShortCircuit  lets a DagNN forget the input before backward, which then reads the signs of the output
    opts             further options of vl_nnrelu
    """

    useShortCircuit = True
    leak = 0
    opts = ()

    simplenn = "relu"
    simplenn_fields = {"leak": 0}

    @property
    def backward_uses(self):
        # backward needs only the signs of the input, which are those of the output unless leak is negative
        return "outputs" if self.useShortCircuit and self.effective_options()["leak"] >= 0 else "inputs"

    def effective_options(self):
        return effective(vl_nnrelu, self, "leak")

    def forward(self, inputs, params):
        return [vl_nnrelu(inputs[0], None, **self.effective_options())]

    def backward(self, inputs, params, derOutputs):
        return [vl_nnrelu(inputs[0], derOutputs[0], **self.effective_options())], []


class Sigmoid(ElementWise):
    """y = 1 / (1 + exp(-x)); see vl_nnsigmoid."""

    simplenn = "sigmoid"

    def forward(self, inputs, params):
        return [vl_nnsigmoid(inputs[0])]

    def backward(self, inputs, params, derOutputs):
        return [vl_nnsigmoid(inputs[0], derOutputs[0])], []
