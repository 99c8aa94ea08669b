"""
Filters of a layer
==================

What the first layer of a network looks for. ``view.filters`` puts the filters of a layer side by side, each scaled from
black to white by itself.
"""

# sphinx_gallery_alt = "Twenty patches of 5 x 5 pixels; most go from dark to bright in one direction, some are spots"
import pyconvnet as pcn
from pyconvnet import view
from pyconvnet.models.sentence import LETTERS

net = pcn.load(LETTERS)
view.picture(view.filters(net)).figure

# %%
# Edges of all directions, lines and spots: the parts of letters.
#
# Filters of further layers have as many channels as the layer before them has outputs, so each of them is a row of
# patches. Here are those that the first four filters of the second convolution apply to the first 20 channels. Their shapes
# can no longer be read off, which is why one looks at :doc:`responses <responses>` instead.

# sphinx_gallery_alt = "Eighty patches of 5 x 5 pixels in four rows, without a shape that one could name"
f = net.layers[2].weights[0]
print(f.shape)
view.picture(
    view.vl_imarraysc(
        f[:, :, :, :4].reshape(5, 5, 1, 80, order="F"), spacing=1, layout=(4, 20)
    )
).figure
