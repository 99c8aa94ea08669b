"""The list of benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import networks
import startup


class Benchmark(NamedTuple):
    """One thing to time: "forward", "backward" (both passes), "step" (both, loss and SGD), or a name of startup.py."""

    mode: str
    build: Callable
    batch: int
    target: float | None = None  # our time over the best peer's


def _operator(name):
    def build():
        layers, size = networks.operators()[name]
        return layers, size[:3]

    return build


ALL: dict[str, Benchmark] = {
    "VGG-VD-16 forward, 1": Benchmark("forward", networks.vgg_vd_16, 1, 0.50),
    "VGG-VD-16 forward, 8": Benchmark("forward", networks.vgg_vd_16, 8, 0.50),
    "VGG-F forward, 1": Benchmark("forward", networks.vgg_f, 1, 0.75),
    "VGG-F forward, 8": Benchmark("forward", networks.vgg_f, 8, 0.60),
    "DnCNN forward, 512x512": Benchmark("forward", networks.dncnn, 1, 0.50),
    "ResNet-50 forward, 1": Benchmark("forward", networks.resnet_50, 1, 1.0),
    "ResNet-50 forward, 8": Benchmark("forward", networks.resnet_50, 8, 1.0),
    "LeNet forward, 100": Benchmark("forward", networks.lenet, 100),
    "LeNet step, 100": Benchmark("step", networks.lenet, 100, 0.60),
    "VGG-VD-16 step, 8": Benchmark("step", lambda: networks.vgg_vd_16(training=True), 8, 0.65),
}
for _name, (_layers, _size) in networks.operators().items():
    for _mode in ("forward", "backward"):
        ALL[f"{_name}: {_mode}"] = Benchmark(_mode, _operator(_name), _size[3], 1.2)


for _name in startup.TARGETS:
    ALL[_name] = Benchmark(_name, startup.nothing, 1, startup.TARGETS[_name])


def gflop(name: str) -> float:
    """Of the convolutions, 10^9: three times as many where there is a backward pass."""
    benchmark = ALL[name]
    if name in startup.TARGETS:
        return 0.0
    return networks.flop(*benchmark.build(), benchmark.batch) * (1 if benchmark.mode == "forward" else 3) / 1e9
