"""
Choices of non-linearity
========================

The functions that networks have between their linear layers, with their derivatives (dashed): a unit learns only where
its derivative is not zero.
"""

# sphinx_gallery_alt = "Seven curves with their derivatives: ReLU, leaky ReLU, sigmoid, softplus, tanh, ELU and swish"
from pyconvnet import view

view.nonlinearities()[0].figure

# %%
# A choice of your own, by the layers' records. ``limit`` says how much of the axis is drawn.

# sphinx_gallery_alt = "Two curves: a rectifier with a leak of 0.3, and an ELU that ends at -2"
records = {
    "leak 0.3": {"type": "relu", "leak": 0.3},
    "ELU, alpha 2": {"type": "elu", "alpha": 2.0},
}
view.nonlinearities(records, limit=6)[0].figure
