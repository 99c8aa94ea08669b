"""
Diagnosis: where numbers explode or vanish
==========================================

``view.diagnosis`` draws the size of the weights, the outputs and the derivatives from the first layer to the last. Three
networks of eight layers, whose random weights differ in size only.
"""

# sphinx_gallery_alt = "Three bands along eight layers; outputs and derivatives stay about as large as they are at first"
import numpy as np

import pyconvnet as pcn
from pyconvnet import view


def chain(gain):
    """Eight convolutions with rectifiers; weights of deviation gain sqrt(2 / n), n inputs each."""
    draw = np.random.default_rng(0).standard_normal
    layers = []
    for k in range(8):
        size = (3, 3, 16 if k else 1, 16)
        weights = np.float32(gain * np.sqrt(2 / np.prod(size[:3]))) * draw(
            size, dtype=np.float32
        )
        layers.append(
            {
                "type": "conv",
                "name": f"conv{k + 1}",
                "pad": 1,
                "weights": [weights, np.zeros(16, np.float32)],
            }
        )
        layers.append({"type": "relu", "name": f"relu{k + 1}"})
    return pcn.vl_simplenn_tidy({"layers": layers})


def diagnosed(gain):
    """The picture of a forward and backward run."""
    x = np.random.default_rng(1).standard_normal((16, 16, 1, 4), dtype=np.float32)
    derivative = np.random.default_rng(2).standard_normal(
        (16, 16, 16, 4), dtype=np.float32
    )
    net = chain(gain)
    return view.diagnosis(net, pcn.vl_simplenn(net, x, derivative))[0].figure


diagnosed(1)

# %%
# This is the initialisation of He et al. (2015): sizes stay as they are from layer to layer, in both directions.
#
# Weights three times as large: every layer multiplies what comes in. Note the scale.

# sphinx_gallery_alt = "The band of the outputs widens by a factor of three at every layer; so do the derivatives, backwards"
diagnosed(3)

# %%
# A third as large: the last outputs and the first derivatives are next to nothing, and nothing is learnt.

# sphinx_gallery_alt = "The band of the outputs shrinks by a factor of three at every layer; so do the derivatives, backwards"
diagnosed(1 / 3)
