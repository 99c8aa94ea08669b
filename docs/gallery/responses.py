"""
Responses to an image
=====================

The outputs of the layers for one image, as pictures: ``view.responses`` gives the maps of a layer, ``vl_imarraysc``
puts them side by side.
"""

# sphinx_gallery_alt = "The letter m in dark pixels on white"
import pyconvnet as pcn
from pyconvnet import images, models, view
from pyconvnet.models.sentence import LETTERS, SENTENCE

# sphinx_gallery_thumbnail_number = 2
net = pcn.load(LETTERS)
letter = images.imread(SENTENCE)[:, 693:725]
view.picture(letter).figure


# %%
# The first convolution: each of 20 filters answers to other edges of the letter.

# sphinx_gallery_alt = "Twenty maps of 28 x 28 pixels; in each, other edges of the letter m are bright"
x = models.preprocess(net, letter)[:, :, :, 0]


def tiles(layer):
    """The maps of a layer side by side."""
    maps = view.responses(net, x, layer)
    print(layer, maps.shape)
    return view.vl_imarraysc(maps[:, :, None, :], spacing=1)


view.picture(tiles("layer1")).figure

# %%
# After the second convolution, the maps say where in the letter a part of it was found.

# sphinx_gallery_alt = "Fifty maps of 10 x 10 pixels, with a few bright spots in each"
view.picture(tiles("layer3")).figure

# %%
# The last layer has one number for each class. The largest is that of m.

# sphinx_gallery_alt = "26 bars for the letters a to z; that of m is by far the highest"
scores = view.scores(net, x)
fig, axes = view.figure(1, 1, 7, 2.5)
axes[0, 0].bar(net.meta.classes.description, scores)
axes[0, 0].set_title("score of each letter")
fig
