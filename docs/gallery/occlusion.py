"""
Occlusion map
=============

What is a letter read by? ``view.occlusion_map`` covers one patch of the image after the other and notes how much the
score of a class falls (Zeiler and Fergus, 2014).
"""

# sphinx_gallery_alt = "Left: the letter h. Right: a map, bright over the upper end of the stem of the h"
import pyconvnet as pcn
from pyconvnet import images, models, view
from pyconvnet.models.sentence import LETTERS, SENTENCE

net = pcn.load(LETTERS)
letter = images.imread(SENTENCE)[:, 125:157]
x = models.preprocess(net, letter)[:, :, :, 0]
h = net.meta.classes.description.index("h") + 1
white = 255 - net.meta.normalization.averageImage.item()

falls = view.occlusion_map(net, x, h, window=6, stride=1, fill=white)
fig, axes = view.figure(1, 2, 3.5, 3)
view.picture(letter, axes[0, 0], title="the image")
view.picture(
    falls,
    axes[0, 1],
    title="covered here",
    scale="fall of the score of h",
    cmap="viridis",
)
fig

# %%
# With that part gone, the network reads something else:

i, j = divmod(int(falls.argmax()), falls.shape[1])
covered = x.copy()
covered[i : i + 6, j : j + 6] = white
print("whole:  ", *pcn.best_classes(net, pcn.predict(net, x[..., None]), top=2))
print("covered:", *pcn.best_classes(net, pcn.predict(net, covered[..., None]), top=2))
