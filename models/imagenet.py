"""The common parts of the networks for ImageNet: their blocks, options and meta, as `cnn_imagenet_init` has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.models.assemble import assemble, last_layer
from pyconvnet.models.initialize import Draw, method
from pyconvnet.models.layer_records import conv, layer, pool, row
from pyconvnet.records import Struct

ERRORS = {"top1err": ("classerror", "top1err"), "top5err": ("topkerror", "top5err")}


class ImageNet:
    """Builds a network for ImageNet layer by layer; `id` ends the names of the layers of a block.

    imageSize            (height, width, 3)
    batchSize            that of training
    batchNormalization   normalise after every convolution but the last; then there is neither LRN nor dropout
    weightInitMethod     "gaussian", "xavier" or "xavierimproved" (models.initialize); scale divides the first's
    scale, initBias, weightDecay, cudnnWorkspaceLimit   as in MATLAB
    classNames, classDescriptions, averageImage, colorDeviation   statistics of the data for `meta`
    networkType, seed, init, deployed   as `models.build` says
    """

    def __init__(
        self,
        imageSize: tuple[int, int, int],
        batchSize: int,
        *,
        batchNormalization: bool = False,
        weightInitMethod: str = "gaussian",
        scale: float = 1.0,
        initBias: float = 0.0,
        weightDecay: float = 1.0,
        cudnnWorkspaceLimit: float = 1024 * 1024 * 1204,
        classNames: Any = (),
        classDescriptions: Any = (),
        averageImage: Any = None,
        colorDeviation: Any = None,
        networkType: str = "simplenn",
        seed: int | None = None,
        init: bool = True,
        deployed: bool = False,
    ) -> None:
        self.layers: list[Struct] = []
        self.draw = Draw(seed, init)
        self.initialize, self.scale = method(weightInitMethod), scale
        self.initBias, self.weightDecay, self.cudnnWorkspaceLimit = initBias, weightDecay, cudnnWorkspaceLimit
        self.batchNormalization = batchNormalization
        self.networkType, self.deployed = networkType, deployed
        if averageImage is None:
            averageImage = np.zeros(imageSize if deployed else (3, 1))
        deviation = np.zeros((3, 3)) if colorDeviation is None else np.asarray(colorDeviation, float)
        rates = np.logspace(-1, -4, 20) if batchNormalization else np.logspace(-2, -4, 60)
        self.meta = Struct(
            normalization=Struct(
                imageSize=row(*imageSize), cropSize=imageSize[0] / 256, averageImage=np.asarray(averageImage)
            ),
            inputSize=row(*imageSize, 32),
            classes=Struct(name=list(classNames), description=list(classDescriptions)),
            augmentation=Struct(
                jitterLocation=True, jitterFlip=True, jitterBrightness=0.1 * deviation, jitterAspect=row(2 / 3, 3 / 2)
            ),
            trainOpts=Struct(learningRate=row(*rates), numEpochs=rates.size, batchSize=batchSize, weightDecay=0.0005),
        )

    def conv(
        self, id: str, h: int, w: int, c: int, k: int, stride: int = 1, pad: int = 0, kind: str = "conv"
    ) -> ImageNet:
        """Convolution, batch normalization where it is asked for, rectifier."""
        self._convolution(kind + id, (h, w, c, k), stride, pad)
        if self.batchNormalization:
            weights = [self.draw.constant((k, 1), 1), self.draw.constant((k, 1)), self.draw.constant((k, 2))]
            rates = {"learningRate": row(2, 1, 0.1), "weightDecay": row(0, 0)}
            self.layers.append(layer("bnorm", f"bn{id}", weights=weights, epsilon=1e-4, **rates))
        self.layers.append(layer("relu", f"relu{id}"))
        return self

    def fc(self, id: str, h: int, w: int, c: int, k: int) -> ImageNet:
        """A convolution as large as its input; dropout for training where there is no batch normalization."""
        self.conv(id, h, w, c, k, kind="fc")
        if not self.batchNormalization and not self.deployed:
            self.layers.append(layer("dropout", f"dropout{id}", rate=0.5))
        return self

    def norm(self, id: str) -> ImageNet:
        """Local response normalization where there is no batch normalization."""
        if not self.batchNormalization:
            self.layers.append(layer("normalize", f"norm{id}", param=row(5, 1, 0.0001 / 5, 0.75)))
        return self

    def pool(self, id: str, size: int, stride: int, pad: Any = 0) -> ImageNet:
        """Max pooling."""
        self.layers.append(pool(size, stride, pad, name=f"pool{id}"))
        return self

    def classify(self, id: str, c: int, k: int = 1000) -> Any:
        """The last layer and the loss; the finished network."""
        self._convolution("fc" + id, (1, 1, c, k), 1, 0)
        if self.initialize is not method("gaussian") and self.draw.init:
            self.layers[-1].weights[0] /= 10
        self.layers.append(last_layer(self.deployed, "loss"))
        return assemble(self.layers, self.meta, self.networkType, {} if self.deployed else ERRORS)

    def _convolution(self, name: str, shape: tuple[int, int, int, int], stride: int, pad: int) -> None:
        f = self.initialize(self.draw, shape, self.scale)
        b = self.draw.constant((shape[3], 1), self.initBias)
        options: dict[str, Any] = {"learningRate": row(1, 2), "weightDecay": row(self.weightDecay, 0)}
        options["opts"] = ["CudnnWorkspaceLimit", float(self.cudnnWorkspaceLimit)]
        self.layers.append(conv(f, b, name, stride, pad, dilate=1, **options))
