"""
Class maps over a large image
=============================

A network without a fixed input size runs over an image of any size and gives a map: scores of every class at every place.
"""

# sphinx_gallery_alt = "A line of text above a map of 26 letters by 185 columns; dark marks follow the letters of the text"
import numpy as np

import pyconvnet as pcn
from pyconvnet import images, models, view
from pyconvnet.models.sentence import LETTERS, SENTENCE

net = pcn.load(LETTERS)
names = net.meta.classes.description
line = images.imread(SENTENCE)
probability = pcn.vl_nnsoftmax(
    pcn.predict(net, models.preprocess(net, line, resize=False))
)
print(line.shape, "->", probability.shape)

fig, axes = view.figure(2, 1, 10, 2)
axes[0, 0].imshow(line, cmap="gray", aspect="auto")
axes[0, 0].set_axis_off()
axes[1, 0].imshow(
    probability[0, :, :, 0].T,
    cmap="Blues",
    aspect="auto",
    extent=(0.5, 26.5 * 7, 26, 0),
)
axes[1, 0].set_yticks(np.arange(26) + 0.5, names, fontsize=6)
axes[1, 0].set_xlabel("column of the map, every fourth pixel")
fig

# %%
# A page of three lines
# ---------------------
# The map now has rows as well. Where are the letters e?

# sphinx_gallery_alt = "A page of three lines of text, above a map that is bright at the places of the letter e"
part = [line[:, a : a + 260] for a in (0, 250, 500)]
page = np.concatenate(part)
probability = pcn.vl_nnsoftmax(
    pcn.predict(net, models.preprocess(net, page, resize=False))
)
fig, axes = view.figure(2, 1, 7, 2.6)
view.picture(page, axes[0, 0], title="the page")
view.picture(
    probability[:, :, names.index("e"), 0],
    axes[1, 0],
    title="e",
    scale="probability",
    cmap="viridis",
)
fig

# %%
# The best class at each place, where the network is sure of it:

# sphinx_gallery_alt = "A map in 26 colours with spots where letters stand; places in doubt are left white"
best = probability[:, :, :, 0].argmax(axis=2) + 1.0
best[probability[:, :, :, 0].max(axis=2) < 0.9] = np.nan
view.picture(
    best, title="best class", scale="class", cmap="turbo", vmin=1, vmax=26
).figure
