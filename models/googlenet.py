"""GoogLeNet: the first network of Inception modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.models.graph import add_losses, add_softmax, first_values
from pyconvnet.models.layer_records import row
from pyconvnet.records import Meta, Struct

if TYPE_CHECKING:
    from pyconvnet.dagnn import DagNN

# Channels of the modules: 1 x 1; before 3 x 3, 3 x 3; before 5 x 5, 5 x 5; after pooling.
MODULES = [
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
]


def googlenet(
    *,
    classNames: Any = (),
    classDescriptions: Any = (),
    averageImage: Any = None,
    seed: int | None = None,
    init: bool = True,
    deployed: bool = False,
) -> DagNN:
    """GoogLeNet: 224 x 224 x 3 images, 1000 classes, 13 million parameters, 6 million of them in two side classifiers.

    MatConvNet has no example that builds it: layers, variables and parameters have the names that
    utils/import-caffe.py gives to Princeton's version, as in models.pretrained("imagenet-googlenet-dag"); the input is
    `data`, and what leaves a rectifier has an x at its end (`conv1x`). `deployed` is that network. For training, as
    here, there are dropout and the losses of the three classifiers as well, of which those of the first two are to
    weigh 0.3: derOutputs={"loss1": 0.3, "loss2": 0.3, "loss3": 1}. Options: `models.build`.

    Szegedy et al., Going deeper with convolutions, arXiv:1409.4842.
    """
    graph = _GoogLeNet(drop=not deployed)
    x = graph.pool("pool1", graph.conv("conv1", "data", 7, 3, 64, stride=2, pad=3, relu="relu1"), 3, 2)
    x = graph.norm("norm1", x)
    x = graph.conv("reduction2", x, 1, 64, 64)
    x = graph.norm("norm2", graph.conv("conv2", x, 3, 64, 192, pad=1, relu="relu2"))
    x, c = graph.pool("pool2", x, 3, 2), 192
    for i, widths in enumerate(MODULES, 1):
        x, c = graph.module(f"icp{i}", "icp2_in" if i == 1 else f"icp{i}_out", x, c, widths)
        if i in (2, 7):
            x = graph.pool(f"icp{i + 1}_in", x, 3, 2)
        elif i in (3, 6):
            graph.side_classifier(f"cls{i // 3}", x, c)
    x = graph.dropout("cls3_drop", graph.pool("cls3_pool", x, 7, 1, method="avg"), 0.4)
    graph.conv("cls3_fc", x, 1, c, 1000, relu=None)
    net = graph.net
    net.rebuild()
    if deployed:
        add_softmax(net, "cls3_fc", name="softmax")
    else:
        for i, name in enumerate(("cls1_fc2", "cls2_fc2", "cls3_fc"), 1):
            add_losses(net, {f"loss{i}": ("softmaxlog", f"loss{i}")}, name)
        add_losses(net, {"top1err": ("classerror", "top1err"), "top5err": ("topkerror", "top5err")}, "cls3_fc")
    if averageImage is None:
        averageImage = np.zeros((224, 224, 3) if deployed else (3, 1))
    net.meta = Meta(
        normalization=Struct(
            imageSize=row(224, 224, 3),
            averageImage=np.asarray(averageImage),
            interpolation="bicubic",
            keepAspect=False,
            border=row(32, 32),
        ),
        classes=Struct(name=list(classNames), description=list(classDescriptions)),
        inputSize=["data", row(224, 224, 3, 32)],
    )
    first_values(net, seed, init)
    return net


class _GoogLeNet:
    """The graph. Pools are padded at the end, as Caffe rounds their sizes up."""

    def __init__(self, drop: bool) -> None:
        from pyconvnet.dagnn import DagNN

        self.net, self.drop = DagNN(), drop

    def _add(self, name: str, block: Any, x: str | list[str], y: str | None = None, params: Any = None) -> str:
        self.net.addLayer(name, block, x, y or name, params, skipRebuild=True)
        return y or name

    def conv(
        self, name: str, x: str, size: int, c: int, k: int, stride: int = 1, pad: int = 0, relu: str | None = ""
    ) -> str:
        """A convolution and its rectifier, called relu_NAME unless `relu` says how; no rectifier for None."""
        from pyconvnet.dagnn import Conv, ReLU

        block = Conv(size=[size, size, c, k], stride=stride, pad=pad)
        self._add(name, block, x, params=[f"{name}_filter", f"{name}_bias"])
        return name if relu is None else self._add(relu or f"relu_{name}", ReLU(), name, f"{name}x")

    def pool(self, name: str, x: str, size: int, stride: int, pad: int = 0, method: str = "max") -> str:
        from pyconvnet.dagnn import Pooling

        end = min(pad + stride - 1, size - 1)
        pads = [pad, end, pad, end]
        return self._add(name, Pooling(method=method, poolSize=[size, size], stride=stride, pad=pads), x)

    def norm(self, name: str, x: str) -> str:
        from pyconvnet.dagnn import LRN

        return self._add(name, LRN(param=[5, 1, 0.0001 / 5, 0.75]), x)

    def dropout(self, name: str, x: str, rate: float) -> str:
        from pyconvnet.dagnn import DropOut

        return self._add(name, DropOut(rate=rate), x, f"{x}_dropped") if self.drop else x

    def module(self, name: str, out: str, x: str, c: int, widths: tuple[int, ...]) -> tuple[str, int]:
        """An Inception module: (its output, channels of that)."""
        from pyconvnet.dagnn import Concat

        one, before3, three, before5, five, after = widths
        three_in = self.conv(f"{name}_reduction1", x, 1, c, before3)
        five_in = self.conv(f"{name}_reduction2", x, 1, c, before5)
        pooled = self.pool(f"{name}_pool", x, 3, 1, pad=1)
        outs = [
            self.conv(f"{name}_out0", x, 1, c, one),
            self.conv(f"{name}_out1", three_in, 3, before3, three, pad=1),
            self.conv(f"{name}_out2", five_in, 5, before5, five, pad=2),
            self.conv(f"{name}_out3", pooled, 1, c, after),
        ]
        return self._add(out, Concat(numInputs=4), outs), one + three + five + after

    def side_classifier(self, name: str, x: str, c: int) -> None:
        x = self.pool(f"{name}_pool", x, 5, 3, method="avg")
        x = self.conv(f"{name}_reduction", x, 1, c, 128)
        x = self.dropout(f"{name}_drop", self.conv(f"{name}_fc1", x, 4, 128, 1024), 0.7)
        self.conv(f"{name}_fc2", x, 1, 1024, 1000, relu=None)
