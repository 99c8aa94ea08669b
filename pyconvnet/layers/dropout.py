"""DropOut: dropout (SimpleNN 'dropout')."""

from __future__ import annotations

import numpy as np

from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.ops.vl_nndropout import vl_nndropout


class DropOut(ElementWise):
    """Sets a random share of the values to zero, and multiplies the rest by 1 / (1 - rate); passes all in test mode.

    rate    the probability of zero
    frozen  True keeps the mask of before
    """

    rate = 0.5
    frozen = False

    simplenn = "dropout"
    simplenn_fields = {"rate": 0.5}
    backward_uses = "nothing"
    test_differs = True

    def forward(self, inputs, params):
        x = inputs[0]
        if self.mode == "test" or np.all(np.equal(self.rate, 0)):
            return [x]
        y, self.aux = vl_nndropout(x, None, rate=self.rate, mask=self.aux if self.frozen else None)
        return [y]

    def backward(self, inputs, params, derOutputs):
        dy = derOutputs[0]
        if self.mode == "test" or np.all(np.equal(self.rate, 0)):
            return [dy], []
        return [vl_nndropout(dy, dy, mask=self.aux)], []

    def reset(self):
        super().reset()
        self.frozen = False

    @property
    def mask(self):
        """The mask of the last batch, 0 or 1 / (1 - rate); may be set, for frozen to keep."""
        return self.aux

    @mask.setter
    def mask(self, value):
        self.aux = value
