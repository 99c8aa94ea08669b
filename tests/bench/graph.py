"""What DagNN costs beside its operators: time on 50 small layers, and memory against the live set.

    python tests/bench/graph.py            the table
    python tests/bench/graph.py --check    exit status 1 unless time is within 3 % and memory within 10 % of it

Time: forward and backward of 25 convolutions and 25 rectifiers, against the same operator calls written out by hand;
the two are run in turn and the medians compared. Memory: tracemalloc's peak of a residual chain of element-wise
layers, whose operators need no working memory, against the bytes that are alive in the widest moment.
"""

from __future__ import annotations

import argparse
import sys
import tracemalloc
from statistics import median
from time import perf_counter

import numpy as np

from pyconvnet import dagnn
from pyconvnet.ops.vl_nnconv import vl_nnconv
from pyconvnet.ops.vl_nnrelu import vl_nnrelu

LAYERS = 50


def small_layers(channels: int) -> dagnn.DagNN:
    """conv, relu, conv, relu, ...: 50 layers."""
    net = dagnn.DagNN()
    for i in range(LAYERS):
        conv = i % 2 == 0
        block = dagnn.Conv(size=[3, 3, channels, channels], pad=1) if conv else dagnn.ReLU()
        net.addLayer(f"l{i}", block, f"x{i}", f"x{i + 1}", [f"f{i}", f"b{i}"] if conv else None, skipRebuild=True)
    net.rebuild()
    net.initParams()
    return net


def by_hand(net: dagnn.DagNN, x: np.ndarray, d: np.ndarray) -> None:
    """The operators of `small_layers`, forward and backward."""
    values = [x]
    weights = [[p.value for p in net.params[entry.params]] for entry in net.layers]
    for w in weights:
        x = values[-1]
        values.append(vl_nnconv(x, *w, stride=1, pad=1, dilate=1) if w else vl_nnrelu(x, leak=0))
    for w, x in zip(weights[::-1], values[-2::-1]):
        if w:
            d, _, _ = vl_nnconv(x, *w, d, stride=1, pad=1, dilate=1)
        else:
            d = vl_nnrelu(x, d, leak=0)


def overhead(side: int, channels: int, images: int, repeats: int) -> tuple[float, float]:
    """Median seconds (graph, operators)."""
    net = small_layers(channels)
    x = np.random.default_rng(0).standard_normal((side, side, channels, images), np.float32)
    d = np.ones_like(x)
    times: tuple[list, list] = [], []
    for i in range(repeats + 3):
        for run, out in (
            (lambda: net.eval({"x0": x}, {f"x{LAYERS}": d}), times[0]),
            (lambda: by_hand(net, x, d), times[1]),
        ):
            start = perf_counter()
            run()
            if i >= 3:
                out.append(perf_counter() - start)
    return median(times[0]), median(times[1])


def residual_chain(blocks: int) -> dagnn.DagNN:
    """x -> relu -> relu -> sum with x, again and again."""
    net = dagnn.DagNN()
    for i in range(blocks):
        net.addLayer(f"a{i}", dagnn.ReLU(), f"x{i}", f"a{i}")
        net.addLayer(f"b{i}", dagnn.ReLU(), f"a{i}", f"b{i}")
        net.addLayer(f"s{i}", dagnn.Sum(), [f"b{i}", f"x{i}"], f"x{i + 1}")
    return net


def live_bytes(net: dagnn.DagNN, inputs: dict) -> int:
    """Most bytes of variables alive while a layer runs forward: its outputs and all that it or a later layer reads."""
    sizes = net.getVarSizes({k: v.shape for k, v in inputs.items()})
    order = net.getLayerExecutionOrder()
    alive = [net.vars.index[k] for k in inputs]
    most = 0
    for at, i in enumerate(order):
        alive += net.layers[i].outputIndexes
        most = max(most, sum(4 * int(np.prod(sizes[v])) for v in alive))
        read_later = {v for j in order[at + 1 :] for v in net.layers[j].inputIndexes}
        alive = [v for v in alive if v in read_later or not net.vars[v].fanout]
    return most


def peak_bytes(net: dagnn.DagNN, inputs: dict, derOutputs: dict | None = None) -> int:
    """tracemalloc's peak during one evaluation after a first one, the inputs included."""
    net.eval(inputs, derOutputs)
    net.reset()
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
    # backward needs the sign of every rectifier's output, the derivatives on both branches, and the seed
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
    print("size of a layer    graph      operators  overhead")
    for side, channels, images in ((8, 8, 4), (16, 16, 8), (28, 16, 16)):
        graph, operators = overhead(side, channels, images, args.repeats)
        cost = graph / operators - 1
        ok &= cost <= 0.03
        size = f"{side}x{side}x{channels}x{images}"
        print(f"{size:15} {1e3 * graph:8.2f} ms {1e3 * operators:8.2f} ms   {100 * cost:+.1f} %")
    peaks = memory(12)
    ok &= peaks["conserveMemory, forward"] <= 1.1 * peaks["live set, forward"]
    print("\npeak memory of 36 layers, in variables")
    for name, value in peaks.items():
        print(f"{name:32} {value:6.2f}")
    return 0 if ok or not args.check else 1


if __name__ == "__main__":
    sys.exit(main())
