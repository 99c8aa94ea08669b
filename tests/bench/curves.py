"""Time and memory against the size of images, the batch and the number of threads.

    python -m tests.bench curves                       a table, and curves.png
    python -m tests.bench curves DnCNN --out here.png  only what has such a word in its name

Every point is a process of its own, so that its peak of memory is its own too; of several runs the quickest counts.
`time` and `memory` say how both grow from one point to the next for each doubling of the work: 1.00 is in proportion.
The exit code is 1 where the last doublings of a curve took more than STEEPEST times the work's share.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import networks

STEEPEST, LEAST = 1.15, 3  # runs of a point: the first one gets its memory from the system
FOLDER = Path(__file__).parent
PICTURE = "curves.png"  # unless the user names another; git passes over it


class Curve(NamedTuple):
    """One network, and what is varied: "side" of the image, "batch" or "threads"."""

    build: Callable
    mode: str
    varied: str
    points: tuple[int, ...]
    batch: int = 1


CURVES = {
    "DnCNN forward, side of the image": Curve(networks.dncnn, "forward", "side", (64, 128, 256, 512, 1024)),
    "VGG-F forward, batch": Curve(networks.vgg_f, "forward", "batch", (1, 2, 4, 8, 16, 32)),
    "LeNet forward, batch": Curve(networks.lenet, "forward", "batch", (1, 4, 16, 64, 256, 1024)),
    "LeNet step, batch": Curve(networks.lenet, "step", "batch", (1, 4, 16, 64, 256, 1024)),
    "VGG-F forward, threads": Curve(networks.vgg_f, "forward", "threads", (), 8),
    "LeNet step, threads": Curve(networks.lenet, "step", "threads", (), 256),
}


class Point(NamedTuple):
    """One measurement; memory is what the run took on top of the network and its packed filters, in MB."""

    at: int
    work: float
    seconds: float
    megabytes: float


def points(curve: Curve) -> tuple[int, ...]:
    """What is varied takes these values; threads go from 1 to all cores."""
    if curve.varied != "threads":
        return curve.points
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tuple(dict.fromkeys([*(n for n in (2**k for k in range(9)) if n < cores), cores]))


def measure(name: str, at: int, seconds: float) -> Point:
    """One point, in a process of its own."""
    command = [sys.executable, str(FOLDER / "curves.py"), name, str(at), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=FOLDER.parents[1])
    return Point(**json.loads(done.stdout.splitlines()[-1]))


def point(name: str, at: int, seconds: float) -> Point:
    """The measurement itself."""
    import pyconvnet_peer
    import worker

    from pyconvnet import set_num_threads
    from pyconvnet.backends.cpu import filter_cache

    curve = CURVES[name]
    layers, size = curve.build()
    batch = at if curve.varied == "batch" else curve.batch
    if curve.varied == "side":
        size = (at, at, size[2])
    if curve.varied == "threads":
        set_num_threads(at)
    run = pyconvnet_peer.prepare(curve.mode, layers, size, batch)
    before, times, end = worker.peak(), [], time.monotonic() + seconds
    while len(times) < LEAST or time.monotonic() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    work = networks.flop(layers, size, batch) / (at if curve.varied == "threads" else 1)
    return Point(at, work, min(times), worker.peak() - before - filter_cache.kept_bytes() / 2**20)


def growth(a: Point, b: Point, of: str) -> float:
    """How time or memory grows from a to b when the work doubles: 1 in proportion, 2 with its square."""
    more = getattr(b, of) / max(1e-9, getattr(a, of))
    return math.log(max(more, 1e-9)) / math.log(b.work / a.work)


def steep(found: list[Point], varied: str) -> list[str]:
    """What grew faster than the work at the end of a curve."""
    if varied == "threads":  # n threads have an n-th of the work each; the machine says how much of that they reach
        return []
    a, b = found[-2:]
    return [of for of in ("seconds", "megabytes") if growth(a, b, of) > STEEPEST]


def draw(curves: dict[str, list[Point]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        2, len(curves), figsize=(3.2 * len(curves), 5.5), squeeze=False, layout="constrained"
    )
    for (name, found), (above, below) in zip(curves.items(), axes.T):
        for axis, of, unit in ((above, "seconds", "s"), (below, "megabytes", "MB")):
            axis.loglog([p.at for p in found], [getattr(p, of) for p in found], "o-", label="measured")
            last = found[-1]
            axis.loglog(
                [p.at for p in found], [getattr(last, of) * p.work / last.work for p in found], ":", label="work"
            )
            axis.set_ylabel(unit)
        above.set_title(name.partition(",")[0])
        below.set_xlabel(name.partition(", ")[2])
    axes[0, 0].legend()
    figure.savefig(path, dpi=120)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench curves", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only curves with one of these words in their names")
    parser.add_argument("--seconds", type=float, default=3, help="for each point (3)")
    parser.add_argument("--points", type=int, help="only so many of each curve, from the first")
    parser.add_argument("--out", type=Path, default=Path(PICTURE), help=f"the picture ({PICTURE})")
    args = parser.parse_args(arguments)
    curves: dict[str, list[Point]] = {}
    faults = 0
    for name, curve in CURVES.items():
        if args.words and not any(w.lower() in name.lower() for w in args.words):
            continue
        print(f"{name}\n{'':>8} {'ms':>10} {'MB':>8} {'GFLOP/s':>8} {'time':>6} {'memory':>6}")
        found = curves[name] = []
        for at in points(curve)[: args.points]:
            p = measure(name, at, args.seconds)
            total = p.work * (at if curve.varied == "threads" else 1) / 1e9
            line = f"{at:>8} {1e3 * p.seconds:10.2f} {p.megabytes:8.1f} {total / p.seconds:8.0f}"
            if found and curve.varied != "threads":
                line += f" {growth(found[-1], p, 'seconds'):6.2f} {growth(found[-1], p, 'megabytes'):6.2f}"
            found.append(p)
            print(line, flush=True)
        if len(found) > 1:
            for of in steep(found, curve.varied):
                print(f"FAULT {name}: {of} grow faster than the work")
                faults += 1
    draw(curves, args.out)
    print(args.out)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1])]
    print(json.dumps(point(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))._asdict()))
