"""Random graphs of all blocks: what conserveMemory forgets must change neither values nor derivatives.

    python -m tests.dagnn.random_graphs --count 5000 --seed 1

runs as many as are asked for and names the seed of each that fails; tests/dagnn/test_random_graphs.py runs some.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from pyconvnet import rng, set_precision
from pyconvnet.precision import get_precision
from tests.dagnn.graph_maker import Graph


def _run(graph: Graph, conserve: bool, derivatives: bool = True) -> dict[str, np.ndarray]:
    """Values of outputs and precious variables; derivatives of inputs and parameters."""
    net = graph.net
    net.conserveMemory = conserve
    rng.seed(0)
    outputs = net.getOutputs()
    if derivatives and not graph.seeds:
        for name in outputs:
            shape = graph.shapes[name]
            graph.seeds[name] = graph.normal(*shape)
    net.eval(graph.inputs, graph.seeds if derivatives else None)
    shown = set(outputs) | {v.name for v in net.vars if v.precious and v.fanin}
    out = {f"value of {name}": np.array(net.vars[name].value) for name in sorted(shown)}
    if derivatives:
        out |= {f"derivative of {n}": net.vars[n].der for n in graph.inputs if n not in graph.fixed}
        out |= {f"derivative of {p.name}": p.der for p in net.params}
    return out


def _objective(graph: Graph) -> float:
    """The sum of all outputs, each weighed by its seed."""
    values = _run(graph, True, derivatives=False)
    return float(sum((d * values[f"value of {name}"]).sum() for name, d in graph.seeds.items()))


def forgetting_changes_nothing(seed: int) -> None:
    """In training, values and derivatives are the same to the bit whether values are forgotten or not."""
    graph = Graph(seed)
    kept, forgotten = _run(graph, False), _run(graph, True)
    for name, value in kept.items():
        other = forgotten[name]
        assert (value is None) == (other is None), f"{name}: {value} kept, {other} forgotten"
        assert value is None or np.array_equal(value, other), f"{name} differs by {np.abs(value - other).max()}"


def derivatives_are_right(seed: int) -> None:
    """Derivatives agree with differences along a random direction, in double precision."""
    before = get_precision()
    set_precision("high")  # MatConvNet's power in LRN is too rough for differences
    try:
        _compare_with_differences(Graph(seed))
    finally:
        set_precision(before)


def _compare_with_differences(graph: Graph) -> None:
    found = _run(graph, True)
    places = {f"derivative of {n}": (graph.inputs, n) for n in graph.inputs if n not in graph.fixed}
    places |= {f"derivative of {p.name}": (p, "value") for p in graph.net.params if not p.name.startswith("moments")}
    for eps in (1e-6, 2e-7, 5e-6):  # a kink may lie between the two points of one step, hardly of all
        directions, slope = {}, 0.0
        for key, (holder, name) in places.items():
            value = holder[name] if isinstance(holder, dict) else holder.value
            directions[key] = graph.normal(*value.shape)
            if found[key] is not None:
                slope += float((found[key].reshape(value.shape) * directions[key]).sum())
        ends = []
        for sign in (1, -1):
            for key, (holder, name) in places.items():
                _shift(holder, name, sign * eps * directions[key])
            ends.append(_objective(graph))
            for key, (holder, name) in places.items():
                _shift(holder, name, -sign * eps * directions[key])
        difference = (ends[0] - ends[1]) / (2 * eps)
        scale = max(abs(slope), abs(ends[0]), 1.0)
        if abs(difference - slope) <= 4e-9 * scale:
            return
    raise AssertionError(f"derivative {slope}, difference {difference}")


def fusion_changes_nothing(seed: int) -> None:
    """In test mode, single precision, layers that run as one give what they give one by one, to rounding."""
    graph = Graph(seed, np.float32, "test")
    kept, forgotten = _run(graph, False, derivatives=False), _run(graph, True, derivatives=False)
    for name, value in kept.items():
        scale = max(1e-3, float(np.abs(value).max()))
        worst = float(np.abs(value - forgotten[name]).max()) / scale
        assert worst <= 1e-6, f"{name} differs by {worst}"


def _shift(holder: Any, name: str, by: np.ndarray) -> None:
    if isinstance(holder, dict):
        holder[name] = holder[name] + by
    else:
        holder.value = holder.value + by


CHECKS = (forgetting_changes_nothing, derivatives_are_right, fusion_changes_nothing)


def main() -> int:
    """Run the checks on `count` graphs and print what fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first graph")
    options = parser.parse_args()
    failed, blocks = 0, {}
    for seed in range(options.seed, options.seed + options.count):
        for check in CHECKS:
            try:
                check(seed)
            except Exception as error:
                failed += 1
                print(f"seed {seed}, {check.__name__}: {type(error).__name__}: {error}", flush=True)
        for entry in Graph(seed).net.layers:
            name = type(entry.block).__name__
            blocks[name] = blocks.get(name, 0) + 1
    print("layers:", ", ".join(f"{k} {v}" for k, v in sorted(blocks.items())))
    print(f"{options.count} graphs, {failed} failures")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
