"""pyconvnet on a GPU against plain PyTorch, channels last, on the same device and in the same precision.

    python -m tests.bench gpu                           VGG-VD-16 and ResNet-50, batch 32
    python -m tests.bench gpu --device cpu --small      batch 2 on the CPU: that it runs, and what Python costs
    python -m tests.bench gpu --precision bfloat16      single, tf32, bfloat16

`ratio` is our time over PyTorch's, of medians of turns that alternate; the target is 1.05. A forward pass is in test
mode; a step is forward, backward and SGD with momentum and weight decay, with the statistics that training prints.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import networks
import numpy as np
import pyconvnet_peer
import torch_peer

import pyconvnet as pcn

TARGET = 1.05
RATE, MOMENTUM, DECAY = 1e-6, 0.9, 5e-4
BUILDS = {"VGG-VD-16": networks.vgg_vd_16, "ResNet-50": networks.resnet_50}


def ours(layers: list, x: Any, labels: np.ndarray, step: bool, device: str) -> Callable[[], Any]:
    """A run of pyconvnet to time."""
    from pyconvnet.training import adapter as protocol
    from pyconvnet.training import dag, options, simplenn
    from pyconvnet.training.step import Steps
    from pyconvnet.training.sums import DerivativeSum
    from pyconvnet.training.team import Team

    if any(layer[0] == "sum" for layer in layers):
        net, last = pyconvnet_peer._graph(layers)
        net.move(device)
        if not step:
            return lambda: net.eval({"x": x}) or net.vars[last].value
        net.addLayer("loss", pcn.dagnn.Loss(), [last, "label"], "objective")
        opts = options.read_options("bench", options.DAGNN, (), {"momentum": MOMENTUM, "weightDecay": DECAY})
        opts["derOutputs"] = {"objective": 1.0}
        adapter: protocol.TrainingAdapter = dag.DagNNAdapter(net, {}, opts)
        batch: Any = {"x": x, "label": labels}
    else:
        chain = pcn.SimpleNN(layers=[pyconvnet_peer.record(layer) for layer in layers])
        if not step:
            chain = pcn.vl_simplenn_move(pcn.vl_simplenn_tidy(chain), device)
            return lambda: pcn.vl_simplenn(chain, x, mode="test", conserveMemory=True)[-1].x
        chain.layers.append(pcn.Struct(type="softmaxloss", name="loss"))
        opts = options.read_options("bench", options.SIMPLENN, (), {"momentum": MOMENTUM, "weightDecay": DECAY})
        adapter, batch = simplenn.SimpleNNAdapter(chain, {}, opts), (x, labels)
        adapter.net = pcn.vl_simplenn_move(adapter.net, device)
    from pyconvnet.training.checkpoints import solver_state

    adapter.start_set()
    steps = Steps("bench", solver_state(None, adapter.weights()), opts, RATE)
    derivatives = DerivativeSum(Team())
    waiting: list[Callable[[], Any]] = []

    def train() -> None:
        adapter.evaluate(batch, labels.size, True, True, True, None)
        derivatives.start(adapter.parameters(), True)
        waiting.append(adapter.read())
        steps.apply(derivatives.finish(), labels.size, 1)
        if len(waiting) > 1:
            waiting.pop(0)()

    return train


def theirs(torch: Any, layers: list, x: Any, labels: np.ndarray, step: bool) -> Callable[[], Any]:
    """The same of PyTorch."""
    net = torch_peer._network(torch, layers, "step" if step else "forward").to(
        x.device, memory_format=torch.channels_last
    )
    image = x.permute(3, 2, 0, 1)
    if not step:
        net.eval()

        def forward() -> Any:
            with torch.no_grad():
                return net(image)

        return forward
    net.train()
    sgd = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    target = torch.from_numpy(labels.astype(np.int64) - 1).to(x.device)

    def train() -> None:
        sgd.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(net(image).flatten(1), target).backward()
        sgd.step()

    return train


def in_precision(torch: Any, kind: str, device: str) -> tuple[Any, Any]:
    """What pyconvnet and PyTorch run under."""
    if kind == "bfloat16":
        return pcn.autocast(kind), torch.autocast(device, torch.bfloat16)
    torch.backends.cudnn.allow_tf32 = kind == "tf32"
    return pcn.autocast("tf32") if kind == "tf32" else contextlib.nullcontext(), contextlib.nullcontext()


def compare(
    torch: Any, name: str, mode: str, batch: int, device: str, kind: str, rounds: int, seconds: float
) -> tuple[float, float]:
    """(our time, PyTorch's), in ms."""
    layers, size = BUILDS[name]()
    step = mode == "step"
    if step and layers[-1] == ("softmax",):
        layers = layers[:-1]
    random = np.random.default_rng(0)
    x = pcn.gpuArray(random.standard_normal((*size, batch), dtype=np.float32), device)
    labels = random.integers(1, 1001, batch).astype(np.float32)
    pair = ours(layers, x, labels, step, device), theirs(torch, layers, x, labels, step)

    def wait() -> None:
        if x.device.type != "cpu":
            getattr(torch, x.device.type).synchronize()

    def timed(run: Callable[[], Any], context: Any, count: int) -> float:
        with context:
            wait()
            start = perf_counter()
            for _ in range(count):
                run()
            wait()
            return (perf_counter() - start) / count * 1e3

    times: list[list[float]] = [[], []]
    counts = [1, 1]
    for turn in range(-2, rounds):
        for i, (run, context) in enumerate(zip(pair, in_precision(torch, kind, x.device.type))):
            taken = timed(run, context, counts[i])
            if turn == -1:  # the first run makes caches, the second says how many fit into a turn
                counts[i] = max(1, int(seconds * 1e3 / rounds / taken))
            elif turn >= 0:
                times[i].append(taken)
    return median(times[0]), median(times[1])


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="gpu", help="'gpu' (default), 'cuda:1', 'mps', or 'cpu': PyTorch on that")
    parser.add_argument("--small", action="store_true", help="batch 2, few turns")
    parser.add_argument("--batch", type=int, default=0, help="32")
    parser.add_argument("--precision", nargs="*", default=["single"], choices=["single", "tf32", "bfloat16"])
    args = parser.parse_args(arguments)
    try:
        import torch
    except ImportError:
        raise SystemExit("PyTorch is not installed: pip install 'pyconvnet[torch]'") from None
    from pyconvnet import devices

    try:
        device = devices.full_name("bench", "torch:cpu" if args.device == "cpu" else args.device)
    except ValueError as error:
        raise SystemExit(
            f"no accelerator here ({error}). On a machine with one: python -m tests.bench gpu; pytest -m gpu. Here: "
            "python -m tests.bench gpu --device cpu --small"
        ) from None
    batch = args.batch or (2 if args.small else 32)
    rounds, seconds = (3, 3.0) if args.small else (9, 20.0)
    what = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    print(f"{what}, PyTorch {torch.__version__}, batch {batch}, deterministic: pyconvnet")
    print(f"{'':<32} {'ms':>9} {'PyTorch':>9} {'ratio':>6} {'target':>6}")
    for kind in args.precision:
        for name in BUILDS:
            for mode in ("forward", "step"):
                a, b = compare(torch, name, mode, batch, device, kind, rounds, seconds)
                print(f"{f'{name} {mode}, {kind}':<32} {a:9.2f} {b:9.2f} {a / b:6.2f} {TARGET:6.2f}", flush=True)
