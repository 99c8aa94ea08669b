"""How training speeds up with the number of processes, and what the bytes that they exchange allow.

    python -m tests.bench scaling                     1, 2 and 4 processes on this machine, one thread each
    python -m tests.bench scaling LeNet --rounds 5
    python -m tests.bench scaling --predict           8 GPUs, 16 machines: docs/scaling.md

The batch stays the same, as in MatConvNet: n processes take an n-th of it each. In the same run one process alone
trains on such a share, and the processes add up arrays of the derivatives' size without training: with the model of
`step_seconds` these two times say what the step should take. Of several epochs and rounds the quickest counts, which
other work on the machine has disturbed least.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

STEPS = 8


# --- the model ----------------------------------------------------------------------------------------------------


def ring_seconds(count: int, size: float, bandwidth: float, latency: float) -> float:
    """Adding up `size` bytes over `count` processes in a ring: each sends all but its own part, twice."""
    return 2 * (count - 1) * (size / count / bandwidth + latency)


def step_seconds(share: float, sums: float, crowd: float = 1.0, hidden: float = 0.0) -> float:
    """A step of all processes.

    share   seconds of forward and backward on the images of one process
    sums    seconds to add up the derivatives
    crowd   processes for each core; those that share a core take turns
    hidden  the part of `share` during which derivatives are already under way, on hardware that has nothing else to do
    """
    return share * max(1.0, crowd) + max(0.0, sums - hidden * share)


class Network(NamedTuple):
    """What counts of a network."""

    name: str
    gflop: float  # forward, for one image; training takes three times as many
    megabytes: float  # float32 derivatives
    batch: int
    hidden: float  # where the heavy layers come last, their sums hide behind nearly all of the backward pass


class Cluster(NamedTuple):
    """Some equal devices. The figures are assumptions, but for those of this machine."""

    name: str
    count: int
    gflops: float  # that training keeps up on one device
    bandwidth: float  # bytes per second that a device sends
    latency: float  # seconds
    memory: float  # bytes per second of the device's memory, for the step of all weights in each process
    launch: float  # seconds of a step that its images do not shorten: Python, starting kernels


NETWORKS = (
    Network("LeNet", 0.0046, 1.72, 100, 0.3),
    Network("VGG-VD-16", 31.0, 553.4, 256, 0.6),
    Network("ResNet-50", 8.2, 102.2, 256, 0.5),
)
CLUSTERS = (
    Cluster("8 GPUs, 30 TFLOP/s, NVLink 200 GB/s", 8, 30e3, 200e9, 1e-5, 2e12, 1e-3),
    Cluster("16 machines, 1 TFLOP/s, Ethernet 10 Gbit/s", 16, 1e3, 1.1e9, 5e-5, 1e11, 5e-4),
    Cluster("16 machines, 1 TFLOP/s, Ethernet 100 Gbit/s", 16, 1e3, 11e9, 3e-5, 1e11, 5e-4),
)


def predict(network: Network, cluster: Cluster) -> dict[str, float]:
    """Seconds and bytes of a step, images per second, speed-up and efficiency."""
    size = 1e6 * network.megabytes
    # the step reads weights, momentum and derivatives and writes the first two
    alike = cluster.launch + 5 * size / cluster.memory
    share = 3 * network.gflop * math.ceil(network.batch / cluster.count) / cluster.gflops
    sums = ring_seconds(cluster.count, size, cluster.bandwidth, cluster.latency)
    step = alike + step_seconds(share, sums, hidden=network.hidden)
    one = alike + 3 * network.gflop * network.batch / cluster.gflops
    return {
        "ms": 1e3 * step,
        "share_ms": 1e3 * share,
        "alike_ms": 1e3 * alike,
        "sums_ms": 1e3 * sums,
        "images_per_s": network.batch / step,
        "speedup": one / step,
        "efficiency": one / step / cluster.count,
    }


def print_predictions() -> None:
    for cluster in CLUSTERS:
        print(f"\n{cluster.name}")
        head = f"{'':<12} {'batch':>5} {'share ms':>9} {'alike ms':>8} {'sums ms':>8}"
        print(f"{head} {'step ms':>8} {'images/s':>9} {'speed-up':>9}")
        for network in NETWORKS:
            p = predict(network, cluster)
            print(
                f"{network.name:<12} {network.batch:5d} {p['share_ms']:9.2f} {p['alike_ms']:8.2f} {p['sums_ms']:8.2f} "
                f"{p['ms']:8.2f} {p['images_per_s']:9.0f} {p['speedup']:9.1f}"
            )


# --- what is measured ---------------------------------------------------------------------------------------------


def networks() -> dict[str, tuple]:
    """name -> (network, batch); the second has ten times the weights for twice the work."""
    import numpy as np

    import pyconvnet as pcn
    from pyconvnet import models

    random = np.random.default_rng(0)

    def conv(h, w, c, k, pad=0):
        f = random.standard_normal((h, w, c, k), dtype=np.float32) * np.float32(np.sqrt(2 / (h * w * c)))
        return {"type": "conv", "weights": [f, np.zeros(k, np.float32)], "pad": pad, "stride": 1}

    wide = [
        *[conv(5, 5, 1, 16, 2), {"type": "relu"}, {"type": "pool", "pool": [4, 4], "stride": 4, "pad": 0}],
        *[conv(7, 7, 16, 2048), {"type": "relu"}, conv(1, 1, 2048, 2048), {"type": "relu"}, conv(1, 1, 2048, 10)],
        {"type": "softmaxloss"},
    ]
    lenet = models.lenet_mnist(seed=0)
    return {"LeNet": (lenet, 96), "wide": (pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=wide)), 96)}


def work(name: str, divide: int) -> dict[str, float]:
    """Train a few epochs as one of the processes that there are; `divide`: with so small a part of the batch."""
    import numpy as np

    import pyconvnet as pcn
    from pyconvnet.training import distributed, sums

    net, batch = networks()[name]
    batch //= divide
    random = np.random.default_rng(0)
    images = random.standard_normal((28, 28, 1, batch), dtype=np.float32)
    labels = random.integers(1, 11, batch).astype(np.float32)
    ends = []

    def get(imdb, at):
        return images[..., : at.size], labels[: at.size]

    imdb = {"images": {"set": np.ones(STEPS * batch)}}
    given = {"batchSize": batch, "numEpochs": 8, "learningRate": 1e-4, "expDir": None, "verbose": False}
    pcn.cnn_train(net, imdb, get, **given, postEpochFn=lambda *_: ends.append(time.perf_counter()))
    # the first epoch has what is slow once
    seconds = min(np.diff(ends)) / STEPS
    size = sum(w.nbytes for layer in net.layers for w in layer.get("weights", ()))
    with distributed.joined("scaling") as team:
        parts = [np.zeros(n, np.float32) for n in _pieces(size // 4, sums.PIECE // 4)]
        times = []
        for _ in range(10):
            start = time.perf_counter()
            for wait in [team.start_sum(part) for part in parts]:
                wait()
            times.append(time.perf_counter() - start)
    return {"seconds": float(seconds), "bytes": size, "sums": min(times), "batch": batch}


def _pieces(count: int, most: int) -> list[int]:
    return [most] * (count // most) + [count % most] * bool(count % most)


def run(name: str, count: int, divide: int = 1) -> dict[str, float]:
    """What process 0 of `count` says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    env["OMP_NUM_THREADS"] = "1"
    root = Path(__file__).parents[2]
    env["PYTHONPATH"] = os.pathsep.join([str(root), env.get("PYTHONPATH", "")])
    command = [sys.executable, str(Path(__file__)), "--work", name, str(divide)]
    started = [
        subprocess.Popen(command, env={**env, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(count)
    ]
    outputs = [process.communicate()[0] for process in started]
    return json.loads(outputs[0].splitlines()[-1])


def measure(name: str, counts: list[int], rounds: int) -> list[dict[str, float]]:
    """A row for each number of processes; the rounds are taken in turn."""
    found: dict[int, list] = {n: [] for n in counts}
    for _ in range(rounds):
        for n in counts:
            found[n].append((run(name, n), run(name, 1, n)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rows = []
    for n, pairs in found.items():
        seconds, share = min(p["seconds"] for p, _ in pairs), min(q["seconds"] for _, q in pairs)
        sums = min(p["sums"] for p, _ in pairs) if n > 1 else 0.0
        # no core is free to add up meanwhile
        model = step_seconds(share, sums, crowd=n / cores)
        row = {"processes": n, "seconds": seconds, "bytes": pairs[0][0]["bytes"] if n > 1 else 0, "share": share}
        rows.append({**row, "sums": sums, "model": model})
    for row in rows:
        used = min(row["processes"], cores)
        row["efficiency"] = rows[0]["seconds"] / row["seconds"] / used
        row["bound"] = rows[0]["seconds"] / row["model"] / used
    return rows


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench scaling", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these networks: LeNet, wide")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4], help="how many (1 2 4)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--predict", action="store_true", help="print what the model says of other machines")
    args = parser.parse_args(arguments)
    if args.predict:
        return print_predictions()
    head = f"{'':<8} {'processes':>9} {'steps/s':>8} {'MB/step':>8} {'share ms':>9} {'sums ms':>8} {'step ms':>8}"
    print(f"{head} {'model':>8} {'efficiency':>10} {'bound':>6}")
    for name in args.names or ("LeNet", "wide"):
        for row in measure(name, args.processes, args.rounds):
            print(
                f"{name:<8} {row['processes']:9d} {1 / row['seconds']:8.1f} {row['bytes'] / 1e6:8.2f} "
                f"{1e3 * row['share']:9.2f} {1e3 * row['sums']:8.2f} {1e3 * row['seconds']:8.2f} "
                f"{1e3 * row['model']:8.2f} {row['efficiency']:10.2f} {row['bound']:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        print(json.dumps(work(sys.argv[2], int(sys.argv[3]))))
    else:
        main(sys.argv[1:])
