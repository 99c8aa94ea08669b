"""
One picture
===========

``view.picture`` shows an array pixel by pixel: an image, a map with a scale, numbers above and below zero.
"""

# sphinx_gallery_alt = "Three panels: an image in colour, a map from dark to bright with a scale, and a map in red and blue"
import numpy as np

from pyconvnet import view

i, j = np.mgrid[-1:1:40j, -1:1:40j]
fig, axes = view.figure(1, 3, 3.4, 2.8)
view.picture(
    np.dstack([i, j, -i]) / 2 + 0.5, axes[0, 0], title="height x width x 3, in 0..1"
)
view.picture(
    np.hypot(i, j), axes[0, 1], title="a map", scale="distance", cmap="viridis"
)
view.picture(i * j, axes[0, 2], title="signed", scale="product", signed=True)
fig

# %%
# ``view.save(axes, path)`` writes it; the ending says how (``.png``, ``.pdf``, ``.svg``). An array can be saved as it is:
# ``view.save(np.hypot(i, j), "distance.png")``.
