"""The spatial transformer network for cluttered MNIST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyconvnet.models.graph import add_losses, add_softmax, first_values
from pyconvnet.records import Meta, Struct

if TYPE_CHECKING:
    from pyconvnet.dagnn import DagNN


def spatial_transformer(
    *, imageSize: Sequence[int] = (60, 60), seed: int | None = None, init: bool = True, deployed: bool = False
) -> DagNN:
    """A spatial transformer, as examples/spatial_transformer/cnn_stn_cluttered_mnist_init.m makes it: 10 classes.

    imageSize  (height, width) that the sampler gives; the fully connected layers are for images of 60 x 60 x 1
    others     as `models.build` says

    A small network looks at the image and gives six numbers, an affine transformation (at first the identity), by which
    the image is sampled before it is classified.

    Jaderberg, Simonyan, Zisserman and Kavukcuoglu, Spatial transformer networks, arXiv:1506.02025.
    """
    from pyconvnet.dagnn import AffineGridGenerator, BilinearSampler, Conv, DagNN, Pooling, ReLU

    net = DagNN()

    def conv(name: str, x: str, y: str, size: tuple[int, ...], params: str) -> None:
        block = Conv(size=size, pad=0, stride=1, hasBias=True)
        net.addLayer(name, block, x, y, [f"{params}f", f"{params}b"], skipRebuild=True)

    def relu(name: str, x: str, y: str) -> None:
        net.addLayer(name, ReLU(), x, y, skipRebuild=True)

    def pool(name: str, x: str, y: str, method: str = "max") -> None:
        net.addLayer(name, Pooling(method=method, poolSize=[2, 2], pad=0, stride=2), x, y, skipRebuild=True)

    pool("l_mp1", "input", "x1")
    conv("l_cnv1", "x1", "x2", (5, 5, 1, 20), "lc1")
    relu("l_re1", "x2", "x3")
    pool("l_mp2", "x3", "x4")
    conv("l_cnv2", "x4", "x5", (5, 5, 20, 20), "lc2")
    relu("l_re2", "x5", "x6")
    conv("l_fc1", "x6", "x7", (9, 9, 20, 50), "lfc")
    relu("l_re3", "x7", "x8")
    conv("l_out", "x8", "aff", (1, 1, 50, 6), "lo")

    net.addLayer("aff", AffineGridGenerator(Ho=imageSize[0], Wo=imageSize[1]), "aff", "grid", skipRebuild=True)
    net.addLayer("samp", BilinearSampler(), ["input", "grid"], "xST", skipRebuild=True)

    pool("c_ap1", "xST", "xc0", "avg")
    conv("c_cnv1", "xc0", "xc1", (7, 7, 1, 32), "cc1")
    relu("c_re1", "xc1", "xc2")
    pool("c_mp1", "xc2", "xc3")
    conv("c_cnv2", "xc3", "xc4", (5, 5, 32, 48), "cc2")
    relu("c_re2", "xc4", "xc5")
    pool("c_mp2", "xc5", "xc6")
    conv("c_fc1", "xc6", "xc7", (4, 4, 48, 256), "cfc")
    relu("c_re3", "xc7", "xc8")
    conv("c_fc2", "xc8", "pred", (1, 1, 256, 10), "co")
    net.rebuild()
    if deployed:
        add_softmax(net, "pred")
    else:
        add_losses(net, {"loss": ("softmaxlog", "objective"), "error": ("classerror", "error")}, "pred")
    first_values(net, seed, init)
    if init:
        net.params["lof"].value[:] = 0
        net.params["lob"].value[:] = np.array([[1], [0], [0], [1], [0], [0]])
    net.meta = Meta(classes=Struct(name=[str(digit) for digit in range(1, 11)]))
    return net
