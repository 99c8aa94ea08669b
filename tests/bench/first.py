"""Seconds of the first call where nothing is compiled yet, and in later processes, which load what that one kept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CASES = (("forward", "lenet", 1), ("forward", "vgg_f", 1), ("step", "lenet", 100))
CODE = """
import sys, time
sys.path[:0] = {paths!r}
import networks, pyconvnet_peer
run = pyconvnet_peer.prepare({mode!r}, *networks.{net}(), {batch})
start = time.perf_counter()
run()
print(time.perf_counter() - start)
"""


def main() -> int:
    folder = Path(__file__).parent
    print(f"{'':24} {'nothing compiled':>16} {'later process':>14}")
    for mode, net, batch in CASES:
        code = CODE.format(paths=[str(folder), str(folder.parents[1])], mode=mode, net=net, batch=batch)
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYCONVNET_QUIET": "1"}
            environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process compiles the library's Python, too
            times = [_seconds(code, environment) for _ in range(4)]
        print(f"{f'{net} {mode}, {batch}':24} {times[0]:16.2f} {sorted(times[1:])[1]:14.2f}", flush=True)
    return 0


def _seconds(code: str, environment: dict[str, str]) -> float:
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)
