"""The list of benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import networks
import startup

FORWARD = "forward", "deployed", "half", "bfloat16"  # the modes without a backward pass


class Benchmark(NamedTuple):
    """One thing to time.

    mode  "forward", "deployed" (forward after `pyconvnet.deploy`), "half" or "bfloat16" (and with set_precision of
          that), "backward" (both passes), "step" (both, loss and SGD), or a name of startup.py
    """

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
    "VGG-VD-16 forward, 1": Benchmark("forward", networks.vgg_vd_16, 1, 0.45),
    "VGG-VD-16 forward, 8": Benchmark("forward", networks.vgg_vd_16, 8, 0.40),
    "VGG-F forward, 1": Benchmark("forward", networks.vgg_f, 1, 0.70),
    "VGG-F forward, 8": Benchmark("forward", networks.vgg_f, 8, 0.45),
    "DnCNN forward, 512x512": Benchmark("forward", networks.dncnn, 1, 0.40),
    "ResNet-50 forward, 1": Benchmark("forward", networks.resnet_50, 1, 0.85),
    "ResNet-50 forward, 8": Benchmark("forward", networks.resnet_50, 8, 0.75),
    "LeNet forward, 100": Benchmark("forward", networks.lenet, 100, 0.60),
    "LeNet step, 100": Benchmark("step", networks.lenet, 100, 0.50),
    "VGG-VD-16 step, 8": Benchmark("step", lambda: networks.vgg_vd_16(training=True), 8, 0.40),
}
for _name, _benchmark in list(ALL.items()):
    if _benchmark.mode == "forward":
        ALL[_name.replace("forward", "deployed")] = _benchmark._replace(mode="deployed")
for _name in ("VGG-VD-16 forward, 1", "VGG-F forward, 1"):  # which read more filters than others
    ALL[_name.replace("forward", "half precision")] = ALL[_name]._replace(mode="half")
for _name in [n for n in ALL if "forward" in n and not n.startswith("LeNet")]:
    ALL[_name.replace("forward", "bfloat16")] = ALL[_name]._replace(mode="bfloat16")
for _name, (_layers, _size) in networks.operators().items():
    for _mode in ("forward", "backward"):
        ALL[f"{_name}: {_mode}"] = Benchmark(_mode, _operator(_name), _size[3], 1.0)


for _name in startup.TARGETS:
    ALL[_name] = Benchmark(_name, startup.nothing, 1, startup.TARGETS[_name])


def gflop(name: str) -> float:
    """Of the convolutions, 10^9: three times as many where there is a backward pass."""
    benchmark = ALL[name]
    if name in startup.TARGETS:
        return 0.0
    return networks.flop(*benchmark.build(), benchmark.batch) * (1 if benchmark.mode in FORWARD else 3) / 1e9
