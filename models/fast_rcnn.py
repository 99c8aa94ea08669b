"""Fast R-CNN: a network that classifies regions of an image and corrects their boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.models.graph import add_softmax, with_dropout, without_training
from pyconvnet.models.initialize import Draw
from pyconvnet.models.vgg_vd import vgg_vd_16
from pyconvnet.records import Struct

if TYPE_CHECKING:
    from pyconvnet.dagnn import DagNN

CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep "
    "sofa train tvmonitor background"
).split()


def fast_rcnn(
    *,
    source: Any = None,
    piecewise: bool = True,
    seed: int | None = None,
    init: bool = True,
    deployed: bool = False,
) -> DagNN:
    """Fast R-CNN for PASCAL VOC, as examples/fast_rcnn/fast_rcnn_init.m makes it: 20 classes and the background.

    source     the SimpleNN to start from, one with layers relu6, relu7, fc6 and fc8 and a last softmax, such as
               models.pretrained("imagenet-vgg-verydeep-16"); its weights are copied. None: VGG-VD-16 with fresh weights
    piecewise  with the regression of boxes
    deployed   as fast_rcnn_train.m deploys it: without dropout and losses, with `probcls` and `predbbox` to be read
    others     as `models.build` says

    Inputs, beside `input` (the image): `rois`, 5 x R (number of the image, then x and y of two corners, in pixels); for
    training `label`, R classes, and `targets` and `instance_weights`, 1 x 1 x 84 x R: four numbers for each class.
    cnn_train_dag's derOutputs={"losscls": 1, "lossbbox": 1} trains it.

    Girshick, Fast R-CNN, arXiv:1504.08083.
    """
    from pyconvnet.dagnn import Conv, DagNN, Loss, LossSmoothL1, ROIPooling

    draw = Draw(seed + 1 if isinstance(seed, int) else seed, init)  # other numbers than those of the first filters
    vgg = vgg_vd_16(seed=seed, init=init, deployed=True) if source is None else source
    vgg = _without_pool5(with_dropout("fast_rcnn", vgg, {"relu6": "drop6", "relu7": "drop7"}), draw)
    net = DagNN.fromSimpleNN(vgg, canonicalNames=True)

    deep = "relu5_3" in net.layers
    cells = [7, 7] if deep else [6, 6]
    pooled = net.layers["relu5_3" if deep else "relu5"].outputs[0]
    pooling = ROIPooling(method="max", transform=1 / 16, subdivisions=cells, flatten=False)
    net.addLayer("roipool", pooling, [pooled, "rois"], "xRP")
    net.setLayerInputs("fc6", "xRP")
    scores = net.layers["predcls"].outputs[0]
    net.addLayer("losscls", Loss(), [scores, "label"], "losscls")
    if piecewise:
        c, count = net.params["predclsf"].value.shape[2], 4 * len(CLASSES)
        params = ["predbboxf", "predbboxb"]
        block = Conv(size=[1, 1, c, count], hasBias=True)
        net.addLayer("predbbox", block, net.layers["drop7"].outputs[0], "predbbox", params)
        net.params["predbboxf"].value = draw.normal((1, 1, c, count), 0.001)
        net.params["predbboxb"].value = draw.constant((1, count))
        net.addLayer("lossbbox", LossSmoothL1(), ["predbbox", "targets", "instance_weights"], "lossbbox")
    for biases in net.params[1::2]:
        biases.weightDecay, biases.learningRate = 0, 2
    net.meta.setdefault("normalization", Struct()).averageImage = np.array([[[122.7717, 102.9801, 115.9465]]])
    net.meta.setdefault("classes", Struct()).name = list(CLASSES)
    if deployed:
        without_training(net)
        add_softmax(net, scores, "probcls", "probcls")
        for name in ("probcls", *(["predbbox"] if piecewise else [])):
            net.vars[name].precious = True
    return net


def _without_pool5(net: Any, draw: Draw) -> Any:
    """A SimpleNN without its pool5 and its last layer, and with fc8 as predcls, for the classes of PASCAL VOC."""
    layers = [record for record in net["layers"][:-1] if record.get("name") != "pool5"]
    at = next((i for i, record in enumerate(layers) if record.get("name") == "fc8"), None)
    if at is None:
        raise ValueError("fast_rcnn: source must have a layer 'fc8' and a softmax after it")
    c, count = layers[at]["weights"][0].shape[2], len(CLASSES)
    weights = [draw.normal((1, 1, c, count), 0.01), draw.constant((1, count))]
    layers[at] = Struct({**layers[at], "name": "predcls", "weights": weights})
    return type(net)({**net, "layers": layers})
