"""
Training curves
===============

Objective and errors of every epoch. ``cnn_train`` draws them into ``net-train.pdf``; ``view.training_curves`` does
so for the statistics that it returns, or that a checkpoint holds.
"""

# sphinx_gallery_alt = "Sixteen tiles of stripes with noise: horizontal, vertical and in both diagonals"
import numpy as np

import pyconvnet as pcn
from pyconvnet import view

# sphinx_gallery_thumbnail_number = 2
rng = np.random.default_rng(0)
labels = np.tile([1, 2, 3, 4], 100)
i, j = np.mgrid[:16, :16]
phase = rng.uniform(0, 6, 400)
direction = np.stack([i, j, (i + j) / 1.4, (i - j) / 1.4], axis=-1)[:, :, labels - 1]
data = np.float32(np.sin(1.3 * direction + phase) + rng.normal(0, 1.5, (16, 16, 400)))[
    :, :, None, :
]
view.picture(view.vl_imarraysc(data[..., :16], spacing=2)).figure

# %%
# A small network learns to tell the four directions. Every fourth image is kept for validation.

# sphinx_gallery_alt = "Two plots over the epochs, for training and validation: the objective and the error fall"


def convolution(*size):
    weights = np.float32(np.sqrt(2 / np.prod(size[:3]))) * rng.standard_normal(
        size, dtype=np.float32
    )
    return {"type": "conv", "weights": [weights, np.zeros(size[3], np.float32)]}


pool = {"type": "pool", "pool": [12, 12], "method": "avg"}
layers = [
    convolution(5, 5, 1, 8),
    {"type": "relu"},
    pool,
    convolution(1, 1, 8, 4),
    {"type": "softmaxloss"},
]
net = pcn.vl_simplenn_tidy({"layers": layers})
imdb = {
    "images": {
        "data": data,
        "labels": labels,
        "set": np.where(np.arange(400) // 4 % 4 == 3, 2, 1),
    }
}


def get_batch(imdb, batch):
    return imdb["images"]["data"][..., batch], imdb["images"]["labels"][batch]


options = dict(
    batchSize=20,
    numEpochs=20,
    learningRate=0.05,
    weightDecay=0,
    expDir=None,
    verbose=False,
)
net, stats = pcn.cnn_train(net, imdb, get_batch, **options)
# of four classes, the right one is always among the five best
names = ["objective", "top1err"]
view.training_curves(stats, names=names)[0].figure

# %%
# For a terminal, over a slow line:

print(view.training_text(stats, width=50, height=6, names=names))
