"""What a recorded run of ResNet-50 costs outside its kernels: time and time for each of its steps."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import networks
import pyconvnet_peer

RUNS, STEPS = 100, 53  # convolutions, each with what follows it, are a step


def main() -> int:
    from pyconvnet.engine import recorded

    run = pyconvnet_peer.prepare("deployed", *networks.resnet_50(), 1)
    for _ in range(4):
        run()
    (played,) = [r.recording for all_ in recorded._all for r in all_._runs.values() if r is not None]
    inside = [0.0]

    def timed(piece):
        def play():
            start = perf_counter()
            piece()
            inside[0] += perf_counter() - start

        return play

    played._pieces = [timed(piece) for piece in played._pieces]
    whole, outside = [], []
    for _ in range(RUNS):
        inside[0], start = 0.0, perf_counter()
        run()
        whole.append(perf_counter() - start)
        outside.append(whole[-1] - inside[0])
    print(f"ResNet-50, one image, deployed: {1e3 * median(whole):.2f} ms; medians of {RUNS} runs")
    print(f"outside the kernels, with the copies of image and result: {1e6 * median(outside):.0f} us,", end=" ")
    print(f"{1e6 * median(outside) / STEPS:.1f} us for each of {STEPS} steps")
    return 0
