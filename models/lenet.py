"""LeNet for handwritten digits and for small colour images, and the letter reader of the same shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.models.assemble import assemble, last_layer
from pyconvnet.models.initialize import Draw
from pyconvnet.models.layer_records import conv, layer, pool, row
from pyconvnet.records import Struct


def lenet_mnist(
    *,
    batchNormalization: bool = False,
    networkType: str = "simplenn",
    seed: int | None = None,
    init: bool = True,
    deployed: bool = False,
) -> Any:
    """LeNet for MNIST, as `cnn_mnist_init` makes it: 28 x 28 x 1 images, 10 classes.

    batchNormalization  normalise after the first three convolutions (MATLAB's function does unless told otherwise)
    networkType, seed, init, deployed  as `models.build` says

    LeCun et al., Gradient-based learning applied to document recognition, 1998.
    """
    draw = Draw(seed, init)
    layers = []

    def block(h: int, w: int, c: int, k: int, normalize: bool = batchNormalization) -> None:
        b = np.zeros((0, 0), np.float32) if normalize else draw.constant((1, k))
        layers.append(conv(draw.normal((h, w, c, k), 1 / 100), b))
        if normalize:
            weights = [draw.constant((k, 1), 1), draw.constant((k, 1)), draw.constant((k, 2))]
            layers.append(layer("bnorm", weights=weights, learningRate=row(1, 1, 0.05), weightDecay=row(0, 0)))

    block(5, 5, 1, 20)
    layers.append(pool(2, 2))
    block(5, 5, 20, 50)
    layers.append(pool(2, 2))
    block(4, 4, 50, 500)
    layers.append(layer("relu"))
    block(1, 1, 500, 10, normalize=False)
    layers.append(last_layer(deployed))
    meta = Struct(inputSize=row(28, 28, 1), trainOpts=Struct(learningRate=0.001, numEpochs=20, batchSize=100))
    errors = {"top1err": ("classerror", "error"), "top5err": ("topkerror", "top5err")}
    return assemble(layers, meta, networkType, {} if deployed else errors)


def lenet_cifar(
    *, networkType: str = "simplenn", seed: int | None = None, init: bool = True, deployed: bool = False
) -> Any:
    """LeNet for CIFAR-10 ("quick"), as `cnn_cifar_init` makes it: 32 x 32 x 3 images, 10 classes.

    The pads of the pooling layers make up for Caffe rounding sizes up. Options: `models.build`.
    """
    draw = Draw(seed, init)
    rate = row(0.1, 2)

    def block(h: int, w: int, c: int, k: int, deviation: float, pad: int = 0, rate: np.ndarray = rate) -> Struct:
        weights = [draw.normal((h, w, c, k), deviation), draw.constant((1, k))]
        return layer("conv", weights=weights, learningRate=rate, stride=1, pad=pad)

    layers = [
        block(5, 5, 3, 32, 0.01, pad=2),
        pool(3, 2, row(0, 1, 0, 1)),
        layer("relu"),
        block(5, 5, 32, 32, 0.05, pad=2),
        layer("relu"),
        pool(3, 2, row(0, 1, 0, 1), "avg"),
        block(5, 5, 32, 64, 0.05, pad=2),
        layer("relu"),
        pool(3, 2, row(0, 1, 0, 1), "avg"),
        block(4, 4, 64, 64, 0.05),
        layer("relu"),
        block(1, 1, 64, 10, 0.05, rate=0.1 * rate),
        last_layer(deployed),
    ]
    train = Struct(learningRate=row(*30 * [0.05], *10 * [0.005], *5 * [0.0005]), weightDecay=0.0001, batchSize=100)
    train.numEpochs = train.learningRate.size
    meta = Struct(inputSize=row(32, 32, 3), trainOpts=train)
    return assemble(layers, meta, networkType, {} if deployed else {"error": ("classerror", "error")})


def ocr(*, networkType: str = "simplenn", seed: int | None = None, init: bool = True, deployed: bool = False) -> Any:
    """A reader of rendered letters: 32 x 32 x 1 images, 26 classes, the small network of the practical on CNNs.

    Options: `models.build`. Vedaldi and Zisserman, VGG Convolutional Neural Networks Practical, 2014.
    """
    draw = Draw(seed, init)

    def block(h: int, w: int, c: int, k: int) -> Struct:
        return conv(draw.normal((h, w, c, k), 1 / 100), draw.constant((1, k)))

    layers = [
        block(5, 5, 1, 20),
        pool(2, 2),
        block(5, 5, 20, 50),
        pool(2, 2),
        block(4, 4, 50, 500),
        layer("relu"),
        block(2, 2, 500, 26),
        last_layer(deployed),
    ]
    meta = Struct(inputSize=row(32, 32, 1), trainOpts=Struct(learningRate=0.001, numEpochs=15, batchSize=100))
    return assemble(layers, meta, networkType, {} if deployed else {"error": ("classerror", "error")})
