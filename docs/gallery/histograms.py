"""
Histograms of weights and responses
===================================

``view.statistics`` gathers the numbers of a network layer by layer, ``view.histograms`` draws them. The counts are
on a logarithmic scale where there are many.
"""

# sphinx_gallery_alt = "Eight histograms: filters and biases of four convolutions, each a bell around zero"
import pyconvnet as pcn
from pyconvnet import images, models, view
from pyconvnet.models.sentence import LETTERS, SENTENCE

net = pcn.load(LETTERS)
view.histograms(view.statistics(net))[0, 0].figure

# %%
# With an image, it is the responses of every layer. The rectifier, layer 6, sets all that is negative to zero.

# sphinx_gallery_alt = "Eight histograms of responses; after the rectifier, most values are exactly zero"
x = models.preprocess(net, images.imread(SENTENCE)[:, 693:725])[:, :, :, 0]
rows = view.statistics(net, x)
print(view.statistics_text(rows))
view.histograms(rows)[0, 0].figure
