"""Inception v3, as MatConvNet's example has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.models.graph import WORKSPACE, add_losses, add_softmax, first_values
from pyconvnet.models.layer_records import row
from pyconvnet.records import Meta, Struct

if TYPE_CHECKING:
    from pyconvnet.dagnn import DagNN

LOSSES = {
    "prediction_loss": ("softmaxlog", "prediction_loss"),
    "prediction_top1error": ("classerror", "prediction_top1error"),
    "prediction_top5error": ("topkerror", "prediction_top5error"),
}
DOWN = {"stride": 2, "pad": 0}
AVERAGE, MAX = {"method": "avg"}, {"method": "max", **DOWN}
# A module's branches, of which each step is (size of the window, channels, options), without channels a pooling.
FIG_5 = [
    [(1, 64)],
    [(1, 48), (5, 64)],
    [(1, 64), (3, 96), (3, 96)],
    [(3, None, AVERAGE), (1, 64)],
]
FIG_5_DOWN = [
    [(3, 384, DOWN)],
    [(1, 64), (3, 96), (3, 96, DOWN)],
    [(3, None, MAX)],
]
FIG_6 = [
    [(1, 192)],
    [(1, 160), ((1, 7), 160), ((7, 1), 192)],
    [(1, 160), ((7, 1), 160), ((1, 7), 160), ((7, 1), 160), ((1, 7), 192)],
    [(3, None, AVERAGE), (1, 192)],
]
FIG_6_DOWN = [
    [(1, 192), (3, 320, DOWN)],
    [(1, 192), ((1, 7), 192), ((7, 1), 192), (3, 192, DOWN)],
    [(3, None, MAX)],
]
FIG_7 = [
    [(1, 320)],
    [(1, 384), ((1, 3), 384), ((3, 1), 384)],
    [(1, 448), (3, 384), ((1, 3), 384), ((3, 1), 384)],
    [(3, None, AVERAGE), (1, 192)],
]
MODULES: list[tuple[str, list[Any]]] = [
    *((f"inception5_{i}", FIG_5) for i in (1, 2, 3)),
    ("inception5_4", FIG_5_DOWN),
    *((f"inception6_{i}", FIG_6) for i in (1, 2, 3, 4)),
    ("inception6_5", FIG_6_DOWN),
    *((f"inception7_{i}", FIG_7) for i in (1, 2)),
]


def inception(
    *,
    cudnnWorkspaceLimit: float = WORKSPACE,
    seed: int | None = None,
    init: bool = True,
    deployed: bool = False,
) -> DagNN:
    """Inception v3, as examples/imagenet/cnn_imagenet_init_inception.m makes it: 299 x 299 x 3 images, 1000 classes.

    It is not quite the paper's: modules of one kind are all of one width, those of figure 7 have their 1 x 3 and 3 x 1
    filters one after the other rather than side by side, and there is one classifier. Options: `models.build`.

    Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception architecture, arXiv:1512.00567.
    """
    from pyconvnet.dagnn import Conv, DropOut

    graph = _Inception(cudnnWorkspaceLimit)
    x = graph.step("conv", "input", 3, 32, DOWN)
    x = graph.step("conv1", x, 3, 32, {"pad": 0})
    x = graph.step("conv2", x, 3, 64)
    x = graph.step("pool", x, 3, None, MAX)
    x = graph.step("conv3", x, 1, 80)
    x = graph.step("conv4", x, 3, 192, {"pad": 0})
    x = graph.step("pool1", x, 3, None, MAX)
    for name, branches in MODULES:
        x = graph.module(name, x, branches)
    x = graph.step("pool_2", x, 8, None, {"method": "avg", "pad": 0})
    net, c = graph.net, graph.channels[x]
    if not deployed:
        net.addLayer("prediction_dropout", DropOut(rate=0.2), x, "prediction_dropout")
        x = "prediction_dropout"
    net.addLayer("prediction", Conv(size=[1, 1, c, 1000]), x, "prediction", ["prediction_f", "prediction_b"])
    if deployed:
        add_softmax(net)
    else:
        add_losses(net, LOSSES)
    rates = row(*np.logspace(-1, -3, 60))
    average = np.zeros((299, 299, 3)) if deployed else np.zeros((0, 0))
    net.meta = Meta(
        inputSize=["input", row(299, 299, 3, 32)],
        normalization=Struct(imageSize=row(299, 299, 3), fullImageSize=310, averageImage=average),
        augmentation=Struct(
            rgbSqrtCovariance=np.zeros((3, 3), np.float32),
            jitter=True,
            jitterLight=0.1,
            jitterBrightness=0.4,
            jitterSaturation=0.4,
            jitterContrast=0.4,
        ),
        trainOpts=Struct(learningRate=rates, numEpochs=rates.size, batchSize=256, numSubBatches=3, weightDecay=0.0001),
    )
    first_values(net, seed, init)
    return net


class _Inception:
    """The graph, and how many channels its variables have."""

    def __init__(self, workspace: float) -> None:
        from pyconvnet.dagnn import DagNN

        self.net, self.channels = DagNN(), {"input": 3}
        self.opts = ["cudnnworkspacelimit", float(workspace)]

    def step(self, name: str, x: str, size: Any, k: int | None, options: dict[str, Any] | None = None) -> str:
        """Convolution, batch normalization and rectifier; pooling where k is None. Returns the output's name."""
        from pyconvnet.dagnn import BatchNorm, Conv, Pooling, ReLU

        h, w = size if isinstance(size, tuple) else (size, size)
        pad = {"pad": [(h - 1) // 2, (w - 1) // 2]}
        options, add = {**pad, **(options or {})}, self.net.addLayer
        if k is None:
            self.channels[f"{name}_pool"] = self.channels[x]
            add(name, Pooling(poolSize=[h, w], **options), x, f"{name}_pool", skipRebuild=True)
            return f"{name}_pool"
        self.channels[name] = k
        block = Conv(size=[h, w, self.channels[x], k], opts=self.opts, **options)
        add(name, block, x, f"{name}_conv", [f"{name}_f", f"{name}_b"], skipRebuild=True)
        params = [f"{name}_bn_{p}" for p in "wbm"]
        add(f"{name}_bn", BatchNorm(numChannels=k), f"{name}_conv", f"{name}_bn", params, skipRebuild=True)
        add(f"{name}_relu", ReLU(), f"{name}_bn", name, skipRebuild=True)
        return name

    def module(self, name: str, x: str, branches: list[Any]) -> str:
        """Branches that all read x, their outputs stacked along the channels."""
        from pyconvnet.dagnn import Concat

        ends = []
        for letter, branch in zip("abcd", branches):
            y = x
            for i, step in enumerate(branch, 1):
                y = self.step(f"{name}_{letter}{i}", y, *step)
            ends.append(y)
        self.net.addLayer(name, Concat(numInputs=len(ends)), ends, name, skipRebuild=True)
        self.channels[name] = sum(self.channels[y] for y in ends)
        return name
