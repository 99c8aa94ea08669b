"""Network in network, for CIFAR-10."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.models.assemble import assemble, last_layer
from pyconvnet.models.initialize import Draw
from pyconvnet.models.layer_records import layer, pool, row
from pyconvnet.records import Struct


def nin(*, networkType: str = "simplenn", seed: int | None = None, init: bool = True, deployed: bool = False) -> Any:
    """Network in network for CIFAR-10, as `cnn_cifar_init_nin` makes it: 32 x 32 x 3 images, 10 classes.

    Each convolution is followed by two of 1 x 1 pixels, a small network at every position; averaging over the
    whole image stands for the fully connected layers. Options: `models.build`.

    Lin, Chen and Yan, Network in network, arXiv:1312.4400 (10.41 % error).
    """
    draw = Draw(seed, init)

    def block(id: str, size: int, c: int, k: int, pad: int = 0, shrink: float = 1.0, rate: float = 1.0) -> Struct:
        f = draw.normal((size, size, c, k), shrink * np.sqrt(2 / (size * size * c)))
        weights = [f, draw.constant((k, 1))]
        return layer("conv", id, weights=weights, learningRate=rate * row(1, 10), stride=1, pad=pad)

    def relu(id: str) -> Struct:
        return layer("relu", f"relu{id}")

    def dropout(id: str) -> tuple[Struct, ...]:
        return () if deployed else (layer("dropout", f"dropout{id}", rate=0.5),)

    layers = [
        *(block("conv1", 5, 3, 192, pad=2), relu("1")),
        *(block("cccp1", 1, 192, 160), relu("_cccp1")),
        *(block("cccp2", 1, 160, 96), relu("_cccp2")),
        *(pool(3, 2, name="pool1"), *dropout("1")),
        *(block("conv2", 5, 96, 192, pad=2), relu("2")),
        *(block("cccp3", 1, 192, 192), relu("_cccp3")),
        *(block("cccp4", 1, 192, 192), relu("_cccp4")),
        *(pool(3, 2, method="avg", name="pool2"), *dropout("2")),
        *(block("conv3", 3, 192, 192, pad=1), relu("3")),
        *(block("cccp5", 1, 192, 192), relu("_cccp5")),
        block("cccp6", 1, 192, 10, shrink=0.1, rate=0.001),
        *(pool(7, 1, method="avg", name="pool3"), last_layer(deployed)),
    ]
    rates = row(0.002, 0.01, 0.02, *60 * [0.04], *10 * [0.004], *10 * [0.0004])
    train = Struct(learningRate=rates, weightDecay=0.0005, batchSize=100, numEpochs=rates.size)
    meta = Struct(inputSize=row(32, 32, 3), trainOpts=train)
    return assemble(layers, meta, networkType, {} if deployed else {"error": ("classerror", "error")})
