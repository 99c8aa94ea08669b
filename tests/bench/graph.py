"""What DagNN costs beside its operators: time on 50 small layers, and memory against the live set.

    python tests/bench/graph.py            the table
    python tests/bench/graph.py --check    exit status 1 unless time is within 3 % and memory within 2 % of the live set

Time: forward and backward of 25 convolutions and 25 rectifiers, against the same operators called in a plain loop.
Memory: tracemalloc's peak of a residual chain of element-wise layers, whose operators need no working memory, against
the bytes that are alive in the widest moment; the input is, all the time, since the caller holds it.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from pyconvnet import dagnn
from pyconvnet.backends.cpu.layout import release_scratch
from pyconvnet.layers import conv, relu

LAYERS = 50


def small_layers(channels: int) -> dagnn.DagNN:
    """conv, relu, conv, relu, ...: 50 layers."""
    net = dagnn.DagNN()
    for i in range(LAYERS):
        filters = i % 2 == 0
        block = dagnn.Conv(size=[3, 3, channels, channels], pad=1) if filters else dagnn.ReLU()
        net.addLayer(f"l{i}", block, f"x{i}", f"x{i + 1}", [f"f{i}", f"b{i}"] if filters else None, skipRebuild=True)
    net.rebuild()
    net.initParams()
    return net


def by_hand(net: dagnn.DagNN, x: np.ndarray, d: np.ndarray) -> None:
    """The operators of `small_layers` in a plain loop, forward and backward, with the arguments of the blocks."""
    values = [x]
    layers = [(e.block, [p.value for p in net.params[e.params]]) for e in net.layers]
    for b, w in layers:
        x = values[-1]
        if w:
            x = conv.vl_nnconv(x, *w, *b.opts, stride=b.stride, pad=b.pad, dilate=b.dilate)
        else:
            x = relu.vl_nnrelu(x, None, leak=b.leak)
        values.append(x)
    for (b, w), x in zip(layers[::-1], values[-2::-1]):
        if w:
            d, _, _ = conv.vl_nnconv(x, *w, d, *b.opts, stride=b.stride, pad=b.pad, dilate=b.dilate)
        else:
            d = relu.vl_nnrelu(x, d, leak=b.leak)


class Clock:
    """Seconds spent in the operators that layers call, while it is open: `with Clock() as c: ...; c.seconds`."""

    PLACES = ((conv, "vl_nnconv"), (relu, "vl_nnrelu"))

    def __enter__(self) -> Clock:
        self.seconds = 0.0
        self.before = [getattr(module, name) for module, name in self.PLACES]
        for (module, name), operator in zip(self.PLACES, self.before):
            setattr(module, name, self.timed(operator))
        return self

    def __exit__(self, *_: object) -> None:
        for (module, name), operator in zip(self.PLACES, self.before):
            setattr(module, name, operator)

    def timed(self, operator: Callable) -> Callable:
        @functools.wraps(operator)
        def call(*args: Any, **options: Any) -> Any:
            start = perf_counter()
            out = operator(*args, **options)
            self.seconds += perf_counter() - start
            return out

        return call


def overhead(side: int, channels: int, images: int, repeats: int) -> tuple[float, float]:
    """(seconds in the operators, part of them that the graph adds): of the least disturbed forward and backward passes.

    A pass by the graph and one by hand run in turn; of each, what it spends outside the operators counts, so that
    other programs on the machine, which slow the operators of one pass or the other, hardly matter.
    """
    net = small_layers(channels)
    net.conserveMemory = False  # so that each layer calls its operator; else convolution and rectifier run as one
    x = np.random.default_rng(0).standard_normal((side, side, channels, images), np.float32)
    d = np.ones_like(x)
    ways = (lambda: net.eval({"x0": x}, {f"x{LAYERS}": d}), lambda: by_hand(net, x, d))
    inside: list[float] = []
    outside: tuple[list[float], list[float]] = ([], [])
    for i in range(repeats + 3):
        for way, rest in zip(ways, outside):
            with Clock() as clock:
                start = perf_counter()
                way()
                whole = perf_counter() - start
            if i >= 3:
                inside.append(clock.seconds)
                rest.append(whole - clock.seconds)
    return min(inside), (min(outside[0]) - min(outside[1])) / min(inside)


def residual_chain(blocks: int) -> dagnn.DagNN:
    """x -> relu -> relu -> sum with x, again and again."""
    net = dagnn.DagNN()
    for i in range(blocks):
        net.addLayer(f"a{i}", dagnn.ReLU(), f"x{i}", f"a{i}")
        net.addLayer(f"b{i}", dagnn.ReLU(), f"a{i}", f"b{i}")
        net.addLayer(f"s{i}", dagnn.Sum(), [f"b{i}", f"x{i}"], f"x{i + 1}")
    return net


def live_bytes(net: dagnn.DagNN, inputs: dict) -> int:
    """Most bytes of variables alive while a layer runs forward.

    Alive are its outputs, all that it or a later layer reads, and the inputs and outputs of the network.
    """
    sizes = net.getVarSizes({k: v.shape for k, v in inputs.items()})
    order = net.getLayerExecutionOrder()
    alive = [net.vars.index[k] for k in inputs]
    most = 0
    for at, i in enumerate(order):
        alive += net.layers[i].outputIndexes
        most = max(most, sum(4 * int(np.prod(sizes[v])) for v in alive))
        read_later = {v for j in order[at + 1 :] for v in net.layers[j].inputIndexes}
        alive = [v for v in alive if v in read_later or not net.vars[v].fanout or not net.vars[v].fanin]
    return most


def peak_bytes(net: dagnn.DagNN, inputs: dict, derOutputs: dict | None = None) -> int:
    """tracemalloc's peak during one evaluation after a first one, the inputs included."""
    net.eval(inputs, derOutputs)
    net.reset()
    release_scratch()  # memory that a kernel gets back is not counted again
    tracemalloc.start()
    net.eval(inputs, derOutputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak + sum(v.nbytes for v in inputs.values())


def memory(blocks: int) -> dict[str, float]:
    """Peaks in units of one variable."""
    net = residual_chain(blocks)
    x = {"x0": np.random.default_rng(0).standard_normal((64, 64, 16, 16), np.float32)}
    d = {f"x{blocks}": np.ones_like(x["x0"])}
    unit = x["x0"].nbytes
    out = {"live set, forward": live_bytes(net, x) / unit, "conserveMemory, forward": peak_bytes(net, x) / unit}
    # backward reads the sign of every rectifier's output; beside these x, the result, and two derivatives are alive
    out["live set, with backward"] = 2 * blocks + 4
    out["conserveMemory, with backward"] = peak_bytes(net, x, d) / unit
    net.conserveMemory = False
    out["everything kept, forward"] = peak_bytes(net, x) / unit
    out["everything kept, with backward"] = peak_bytes(net, x, d) / unit
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--repeats", type=int, default=60)
    args = parser.parse_args()
    ok = True
    print("size of a layer   operators   the graph adds")
    for side, channels, images in ((8, 8, 4), (16, 16, 8), (28, 16, 16)):
        seconds, cost = overhead(side, channels, images, args.repeats)
        ok &= cost <= 0.03
        size = f"{side}x{side}x{channels}x{images}"
        print(f"{size:15} {1e3 * seconds:8.2f} ms   {100 * cost:+.1f} %")
    peaks = memory(12)
    for part in ("forward", "with backward"):
        ok &= peaks[f"conserveMemory, {part}"] <= 1.02 * peaks[f"live set, {part}"]
    print("\npeak memory of 36 layers, in variables")
    for name, value in peaks.items():
        print(f"{name:32} {value:6.2f}")
    return 0 if ok or not args.check else 1


if __name__ == "__main__":
    sys.exit(main())
