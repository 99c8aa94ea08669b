"""ResNet: residual networks of 50, 101 and 152 layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.models.graph import WORKSPACE, add_losses, add_softmax, first_values
from pyconvnet.models.layer_records import row
from pyconvnet.records import Meta, Struct

if TYPE_CHECKING:
    from pyconvnet.dagnn import DagNN

SECTIONS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
LOSSES = {
    "loss": ("softmaxlog", "objective"),
    "top1error": ("classerror", "top1error"),
    "top5error": ("topkerror", "top5error"),
}


def resnet(
    depth: int = 50,
    *,
    classNames: Any = (),
    classDescriptions: Any = (),
    averageImage: Any = None,
    colorDeviation: Any = None,
    cudnnWorkspaceLimit: float = WORKSPACE,
    seed: int | None = None,
    init: bool = True,
    deployed: bool = False,
) -> DagNN:
    """ResNet, as examples/imagenet/cnn_imagenet_init_resnet.m makes it: 224 x 224 x 3 images, 1000 classes.

    depth   50, which is what the example has; 101 or 152, whose sections have the lengths of the paper
    others  as `models.build` and `models.imagenet.ImageNet` say

    The 3 x 3 convolution of a section's first block has the stride. The networks for download come from Caffe, as
    models.pretrained("imagenet-resnet-50-dag"): they have other names, and the 1 x 1 convolution before has the stride.

    He, Zhang, Ren and Sun, Deep residual learning for image recognition, arXiv:1512.03385.
    """
    from pyconvnet.dagnn import BatchNorm, Conv, DagNN, Pooling, ReLU, Sum

    if depth not in SECTIONS:
        raise ValueError(f"resnet: depth must be {', '.join(map(str, SECTIONS))}, got {depth!r}")
    net = DagNN()

    def conv(name: str, x: str, size: int, c: int, k: int, stride: int = 1, relu: bool = True) -> str:
        opts = ["cudnnworkspacelimit", float(cudnnWorkspaceLimit)]
        block = Conv(size=[size, size, c, k], stride=stride, pad=(size - 1) // 2, hasBias=False, opts=opts)
        net.addLayer(f"{name}_conv", block, x, f"{name}_conv", f"{name}_f", skipRebuild=True)
        params = [f"{name}_bn_{p}" for p in "wbm"]
        norm = BatchNorm(numChannels=k, epsilon=1e-5)
        net.addLayer(f"{name}_bn", norm, f"{name}_conv", f"{name}_bn", params, skipRebuild=True)
        if not relu:
            return f"{name}_bn"
        net.addLayer(f"{name}_relu", ReLU(), f"{name}_bn", f"{name}_relu", skipRebuild=True)
        return f"{name}_relu"

    conv("conv1", "input", 7, 3, 64, stride=2)
    net.addLayer("conv1_pool", Pooling(poolSize=[3, 3], stride=2, pad=1, method="max"), "conv1_relu", "conv1")
    x, c = "conv1", 64
    for section, length in enumerate(SECTIONS[depth], start=2):
        inner, outer = 2 ** (section + 4), 2 ** (section + 6)
        for i in range(1, length + 1):
            name = f"conv{section}_{i}"
            stride = 2 if section > 2 and i == 1 else 1
            shortcut = conv(f"{name}_adapt_conv", x, 1, c, outer, stride, relu=False) if i == 1 else x
            y = conv(f"{name}a", x, 1, c, inner)
            y = conv(f"{name}b", y, 3, inner, inner, stride)
            y = conv(f"{name}c", y, 1, inner, outer, relu=False)
            net.addLayer(f"{name}_sum", Sum(), [shortcut, y], f"{name}_sum", skipRebuild=True)
            net.addLayer(f"{name}_relu", ReLU(), f"{name}_sum", name, skipRebuild=True)
            x, c = name, outer
    net.addLayer("prediction_avg", Pooling(poolSize=[7, 7], method="avg"), x, "prediction_avg", skipRebuild=True)
    params = ["prediction_f", "prediction_b"]
    net.addLayer("prediction", Conv(size=[1, 1, c, 1000]), "prediction_avg", "prediction", params)
    if deployed:
        add_softmax(net)
    else:
        add_losses(net, LOSSES)
    net.meta = _meta(classNames, classDescriptions, averageImage, colorDeviation, deployed)
    first_values(net, seed, init)
    # Images have a deviation of some 60 for each colour, which batch normalization takes out behind these filters only.
    if init:
        net.params["conv1_f"].value /= 100
    net.params["conv1_f"].learningRate /= 100**2
    for layer in net.layers:
        if isinstance(layer.block, BatchNorm):
            net.params[layer.params[2]].learningRate = 0.3
    return net


def _meta(names: Any, descriptions: Any, average: Any, deviation: Any, deployed: bool) -> Meta:
    if average is None:
        average = np.zeros((224, 224, 3) if deployed else (3, 1))
    deviation = np.zeros((3, 3)) if deviation is None else np.asarray(deviation, float)
    rates = row(*30 * [0.1], *30 * [0.01], *30 * [0.001])
    return Meta(
        normalization=Struct(imageSize=row(224, 224, 3), cropSize=224 / 256, averageImage=np.asarray(average)),
        inputSize=["input", row(224, 224, 3, 32)],
        classes=Struct(name=list(names), description=list(descriptions)),
        augmentation=Struct(
            jitterLocation=True,
            jitterFlip=True,
            jitterBrightness=0.1 * deviation,
            jitterAspect=row(3 / 4, 4 / 3),
            jitterScale=row(0.4, 1.1),
        ),
        trainOpts=Struct(
            learningRate=rates,
            numEpochs=rates.size,
            momentum=0.9,
            batchSize=256,
            numSubBatches=4,
            weightDecay=0.0001,
        ),
    )
