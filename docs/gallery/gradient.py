"""
Gradient of a class score
=========================

Which pixels would have to change, and how, for the network to see more of a class? The derivative of the score with
respect to the image says it (Simonyan, Vedaldi and Zisserman, 2014).
"""

# sphinx_gallery_alt = "Left: the letter c. Right: red and blue pixels around the gap of the c, for the class o"
import numpy as np

import pyconvnet as pcn
from pyconvnet import images, models, view
from pyconvnet.models.sentence import LETTERS, SENTENCE

net = pcn.load(LETTERS)
letter = images.imread(SENTENCE)[:, 172:204]
x = models.preprocess(net, letter)[:, :, :, 0]
o = net.meta.classes.description.index("o") + 1

fig, axes = view.figure(1, 2, 3.5, 3)
view.picture(letter, axes[0, 0], title="the image")
view.picture(
    view.class_gradient(net, x, o),
    axes[0, 1],
    title="gradient of o",
    scale="per grey level",
    signed=True,
)
fig

# %%
# Blue pixels speak for o if they become darker, red ones if they become brighter: the gap of the c should be closed.
#
# Image plus gradient
# -------------------
# ``view.add_gradient`` takes that step again and again, within 0..255. The difference draws what the c lacks, and the
# network reads an o.

# sphinx_gallery_alt = "Three pictures: the letter c; red and blue pixels; the letter o"
average = net.meta.normalization.averageImage.item()
limits = (-average, 255 - average)
changed = view.add_gradient(net, x, o, step=4, iterations=40, limits=limits)

fig, axes = view.figure(1, 3, 3, 3)
grey = {"vmin": 0, "vmax": 255}
view.picture(letter, axes[0, 0], title="before", **grey)
view.picture(changed.image - x, axes[0, 1], title="difference", signed=True)
view.picture(changed.image + average, axes[0, 2], title="after", **grey)
for name, image in (("before", x), ("after", changed.image)):
    best = pcn.best_classes(net, pcn.predict(net, image[..., None]), top=2)
    print(f"{name}: {best[0]};  {best[1]}")
fig

# %%
# The score of the class at each step, drawn for a terminal:

print(view.text_curve(changed.scores, width=41, height=8))
print("largest change of a pixel:", np.abs(changed.image - x).max())
