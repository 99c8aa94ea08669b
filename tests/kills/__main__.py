"""Kills trainings at random moments, and starts them again until they are through.

    python -m tests.kills --times 200

Chains and graphs, with momentum and adam, whose state is saved or not, fetch batches ahead and are ended by SIGKILL:
half of the times at any moment, half while they write a file. Each run must end with the weights and the statistics of
one that was never killed, to the bit; no checkpoint may be broken, and no draft of a file may be there when the first
batch comes after a start, nor in the end. The exit code is 1 if that was not so.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from pyconvnet.training import checkpoints
from tests.kills.trial import CASES, EPOCHS, drafts, train

Process = multiprocessing.context.ForkServerProcess


class Fault(Exception):
    """What must not be."""


class Kills:
    """Trains all cases in turn, in `folder`, until it has killed `times` times."""

    def __init__(self, folder: Path, times: int, seed: int) -> None:
        self.folder, self.times, self.draw = folder, times, random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.whole: dict[str, dict[str, np.ndarray]] = {}  # results of runs that were not killed
        self.seconds = self.began = 0.0  # how long such a run took, when the first was killed
        # Processes are forked from one that has loaded and compiled everything.
        self.start = multiprocessing.get_context("forkserver")
        self.start.set_forkserver_preload(["tests.kills.warm"])

    def run(self) -> None:
        """Raises Fault."""
        for case in CASES:
            began = time.monotonic()
            self.whole[case] = self._trained(case, self.folder / "whole" / case, kill=False)
            self.seconds = time.monotonic() - began
        self.began = time.monotonic()
        while self.counts["kills"] < self.times:
            case = list(CASES)[self.counts["runs"] % len(CASES)]
            folder = self.folder / f"run {self.counts['runs']}"
            found, whole = self._trained(case, folder, kill=True), self.whole[case]
            if any(found[name].tobytes() != whole[name].tobytes() for name in ("weights", "rows")):
                raise Fault(f"{case}: weights or statistics are others than without kills, see {folder}")
            self.counts["runs"] += 1

    def _trained(self, case: str, folder: Path, kill: bool) -> dict[str, np.ndarray]:
        """The result of a training that is started until it is through."""
        folder.mkdir(parents=True)
        result = folder.with_suffix(".npz")
        while not result.exists():
            before = set(drafts(folder))
            here, there = self.start.Pipe(duplex=False)
            process = self.start.Process(target=train, args=(case, folder, result, there))
            process.start()
            there.close()
            here.recv()
            if kill and self.counts["kills"] < self.times:
                self._kill(process, folder, before)
            process.join()
            self.counts["drafts left"] += not before.issuperset(drafts(folder))
            self._check(case, process.exitcode, folder, _received(here))
            here.close()
        with np.load(result) as file:
            return dict(file)

    def _check(self, case: str, code: int | None, folder: Path, leftovers: list[str]) -> None:
        if leftovers:
            raise Fault(f"{case}: with the first batch after a start there still are {', '.join(leftovers)}")
        if code == -signal.SIGKILL:
            self.counts["kills"] += 1
        elif code:
            raise Fault(f"{case}: exit code {code}, see {folder}")
        elif drafts(folder):
            raise Fault(f"{case}: in the end there still are {', '.join(drafts(folder))}")

    def _kill(self, process: Process, folder: Path, before: set[str]) -> None:
        left = 1 - checkpoints.highest(folder) / EPOCHS
        if self.draw.random() < 0.5:
            until = time.monotonic() + self.draw.uniform(0, left * self.seconds)
            _wait(process, lambda: time.monotonic() > until)
        else:
            seen: set[str] = set()
            which = self.draw.randint(1, max(1, round(2 * left * EPOCHS)))  # an epoch writes two files

            def comes() -> bool:
                seen.update(set(drafts(folder)) - before)
                return len(seen) >= which

            _wait(process, comes)
            time.sleep(self.draw.uniform(0, 0.002))
        process.kill()


def _received(here: Connection) -> list[str]:
    """What was told with the first batch; nothing if the end came before it."""
    try:
        return here.recv()
    except EOFError:
        return []


def _wait(process: Process, ready: Callable[[], bool]) -> None:
    while process.is_alive() and not ready():
        time.sleep(0.0002)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200, help="how often to kill (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="where to train, in a new folder (the system's for temporary files)")
    args = parser.parse_args(argv)
    os.environ |= {"OMP_NUM_THREADS": "1", "PYCONVNET_QUIET": "1"}
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    kills = Kills(folder, args.times, args.seed)
    try:
        kills.run()
        outcome = "every run ended as one that was not killed"
    except Fault as fault:
        outcome = f"FAULT: {fault}"
    else:
        shutil.rmtree(folder)
    count = kills.counts
    each = (time.monotonic() - kills.began) / max(count["kills"], 1)
    print(
        f"{count['kills']} kills in {count['runs']} runs of {EPOCHS} epochs, {count['drafts left']} of them while a "
        f"file was written; {each:.2f} s each; {outcome}"
    )
    return int(outcome.startswith("FAULT"))


if __name__ == "__main__":
    sys.exit(main())
