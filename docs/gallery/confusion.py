"""
Confusion matrix and ROC
========================

Which letters are taken for which? The network reads letters drawn in two fonts that it was not trained on, under
noise that it never saw.
"""

# sphinx_gallery_alt = "Letters a to z in 32 x 32 pixels each, under noise"
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import pyconvnet as pcn
from pyconvnet import models, view
from pyconvnet.models.sentence import LETTERS

net = pcn.load(LETTERS)
names = net.meta.classes.description
# sphinx_gallery_thumbnail_number = 2
fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
rng = np.random.default_rng(0)


def drawn(name, font):
    image = Image.new("L", (32, 32), 255)
    ImageDraw.Draw(image).text(
        (16, 23), name, 0, ImageFont.truetype(fonts / font, 22), anchor="ms"
    )
    return np.asarray(image)


fonts_used = ["DejaVuSans.ttf", "DejaVuSerif.ttf"]
clean = np.stack(
    [drawn(name, font) for font in fonts_used for name in names] * 10, axis=-1
)[:, :, None, :]
truth = np.tile(np.arange(26) + 1, 20)
noisy = np.float32(np.clip(clean + rng.normal(0, 60, clean.shape), 0, 255))
view.picture(view.vl_imarray(noisy[..., :26], spacing=2, layout=(2, 13)) / 255).figure

# %%
# One row for each true letter, one column for each letter that was read.

# sphinx_gallery_alt = "A matrix of 26 x 26 counts; most are on the diagonal, some letters are often taken for another"
scores = pcn.predict(net, models.preprocess(net, noisy))
counts = view.confusion_matrix(truth, scores)
view.confusion(counts, names).figure

# %%
# Five round letters only, in shares of each true letter:

# sphinx_gallery_alt = "A matrix of 5 x 5 shares for the letters a, c, e, o and s"
few = [names.index(name) for name in "aceos"]
kept = np.isin(truth - 1, few)
small = view.confusion_matrix(
    np.searchsorted(few, truth[kept] - 1) + 1, scores[:, :, few][..., kept]
)
view.confusion(small, list("aceos"), normalise=True).figure

# %%
# The same for a terminal, with recall, precision and F1 of each class:

print(view.confusion_text(small, list("aceos")))

# %%
# Receiver operating characteristic
# ---------------------------------
# Is it an e? The score of e alone, at every threshold: how many of the e are found, and how many other letters are
# taken for one.

# sphinx_gallery_alt = "Two curves that rise steeply from the lower left corner to the top: for the letters e and o"
fig, axes = view.figure(1, 1, 4.5, 4)
probability = pcn.vl_nnsoftmax(scores)
for name in "eo":
    number = names.index(name) + 1
    view.roc_curve(
        view.roc(truth, probability[0, 0, number - 1], positive=number),
        axes[0, 0],
        label=name,
    )
fig
