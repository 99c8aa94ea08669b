"""FCN-32s, -16s and -8s: fully convolutional networks that say a class for each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.models.graph import with_dropout, without_training
from pyconvnet.models.initialize import Draw
from pyconvnet.models.vgg_vd import vgg_vd_16

if TYPE_CHECKING:
    from pyconvnet.dagnn import DagNN

STRIDES = (32, 16, 8)


def fcn(
    stride: int = 32,
    *,
    source: Any = None,
    numClasses: int = 21,
    seed: int | None = None,
    init: bool = True,
    deployed: bool = False,
) -> DagNN:
    """FCN from VGG-VD-16, as matconvnet-fcn makes it: fcnInitializeModel.m, -16s.m and -8s.m; scores for each pixel.

    stride      32; 16, with a skip from pool4; 8, with another from pool3
    source      the SimpleNN to start from, laid out as models.pretrained("imagenet-vgg-verydeep-16"); its weights are
                copied. None: one with fresh weights
    numClasses  21: those of PASCAL VOC and the background
    deployed    without dropout, loss and accuracy; `prediction` are the scores
    others      as `models.build` says

    Layers, variables and parameters have the example's names: fc8 gives x38, the skips x40 and x43, the last upsampling
    `prediction`; filters that upsample stay bilinear (learningRate 0). The images' sides must be multiples of 32. The
    networks for download (models.pretrained("pascal-fcn32s-dag")) come from Caffe and have other names and a Crop.

    Long, Shelhamer and Darrell, Fully convolutional networks for semantic segmentation, arXiv:1411.4038.
    """
    from pyconvnet.dagnn import Conv, ConvTranspose, Sum

    if stride not in STRIDES:
        raise ValueError(f"fcn: stride must be 32, 16 or 8, got {stride!r}")
    zeros = Draw(init=init)
    net = _converted(vgg_vd_16(seed=seed, init=init, deployed=True) if source is None else source, numClasses, zeros)
    opts = net.meta.cudnnOpts

    def upsample(name: str, x: str, y: str, param: str, factor: int, groups: int, **options: Any) -> None:
        filters = _bilinear(2 * factor, groups, numClasses)
        block = ConvTranspose(
            size=filters.shape, upsample=factor, crop=factor // 2, numGroups=groups, hasBias=False, **options
        )
        net.addLayer(name, block, x, y, param)
        net.params[param].value, net.params[param].learningRate = filters, 0

    def skip(name: str, x: str, last: str, y: str, rate: float) -> None:
        c = net.layers[last].block.size[3]
        net.addLayer(name, Conv(size=[1, 1, c, numClasses]), x, y, [f"{name}f", f"{name}b"])
        filters, biases = net.params[[f"{name}f", f"{name}b"]]
        filters.value, filters.learningRate = zeros.constant((1, 1, c, numClasses)), rate
        biases.value, biases.learningRate = zeros.constant((1, 1, numClasses)), 2

    upsample("deconv32", "x38", "prediction", "deconvf", 32, numClasses, opts=opts)
    net.vars["prediction"].precious = True
    _add_losses(net)
    if stride <= 16:
        net.removeLayer("deconv32")
        upsample("deconv2", "x38", "x39", "deconv1f", 2, 1)
        skip("skip4", "x24", "conv4_3", "x40", 0.1)
        net.addLayer("sum1", Sum(), ["x39", "x40"], "x41")
        upsample("deconv16", "x41", "prediction", "deconv16f", 16, numClasses, opts=opts)
    if stride == 8:
        net.removeLayer("deconv16")
        upsample("deconv2bis", "x41", "x42", "deconv2bisf", 2, 1)
        skip("skip3", "x17", "conv3_3", "x43", 0.01)
        net.addLayer("sum2", Sum(), ["x42", "x43"], "x44")
        upsample("deconv8", "x44", "prediction", "deconv8f", 8, numClasses, opts=opts)
    if deployed:
        without_training(net)
    return net


def _converted(vgg: Any, numClasses: int, zeros: Draw) -> DagNN:
    """The graph of VGG-VD-16 with the pads, rates and last filters of FCN, and without its softmax."""
    from pyconvnet.dagnn import Conv, DagNN

    net = DagNN.fromSimpleNN(with_dropout("fcn", vgg, {"relu6": "dropout1", "relu7": "dropout2"}), canonicalNames=True)
    net.meta.cudnnOpts = ["cudnnworkspacelimit", 512.0 * 1024**3]
    for i in range(1, 6):
        net.layers[f"pool{i}"].block.pad = [0, 1, 0, 1]
    net.layers["fc6"].block.pad = 3
    for layer in net.layers:
        if isinstance(layer.block, Conv) and layer.block.hasBias:
            filters, biases = net.params[layer.params]
            biases.learningRate = 2 * filters.learningRate
    last = net.layers["fc8"]
    shape = (*net.params[last.params[0]].value.shape[:3], numClasses)
    for param, size in zip(net.params[last.params], (shape, (numClasses, 1))):
        param.value = zeros.constant(size)
    last.block.size = shape
    net.removeLayer(net.layers[-1].name)
    net.setLayerOutputs("fc8", "x38")
    return net


def _add_losses(net: DagNN) -> None:
    from pyconvnet.dagnn import SegmentationAccuracy, SegmentationLoss

    net.addLayer("objective", SegmentationLoss(loss="softmaxlog"), ["prediction", "label"], "objective")
    net.addLayer("accuracy", SegmentationAccuracy(), ["prediction", "label"], "accuracy")


def _bilinear(size: int, groups: int, classes: int) -> np.ndarray:
    """Filters that interpolate, of an even size: size x size x 1 x classes for as many groups, else a diagonal."""
    ramp = 1 - np.abs(np.arange(size) - (size - 1) / 2) / (size / 2)
    f = np.zeros((size, size, 1 if groups == classes else classes, classes), np.float32, order="F")
    for k in range(classes):
        f[:, :, 0 if groups == classes else k, k] = np.outer(ramp, ramp)
    return f
