"""Damages MAT files by their structure, and reads, prints and runs what comes of it.

    python -m tests.fuzz --minutes 30                   mutants of all versions in turn
    python -m tests.fuzz --count 50000 --version v73    as many of one version
    python -m tests.fuzz --coverage --minutes 30        mutants that reach new lines, mutated further (needs atheris)
    python -m tests.fuzz --keep v5:1234 x.mat           write the mutant of a number to a file
    python -m tests.fuzz --count 500 --refusals         print what is said where something is refused

Each mutant must load, or raise one MatFileError that names the file, within 5 s and 1 GB; what loaded is printed and
run, which works or raises ValueError or TypeError. Processes apart read them, so that a crash or a hang of a library is
met as well. The exit code is 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.fuzz.trial import VERSIONS, Trials

HANG = 30.0  # seconds of a process for one mutant, after which it is ended: kernels may be compiled
IDLE = 600.0  # seconds on the clock: others may be at work


class Reader:
    """A process that reads mutants."""

    def __init__(self, version: str, seed: int) -> None:
        command = [sys.executable, "-m", "tests.fuzz.trial", version, str(seed)]
        settings = {**os.environ, "PYCONVNET_QUIET": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=settings
        )
        self.folder = json.loads(self.process.stdout.readline())["folder"]

    def ask(self, number: int) -> dict[str, Any]:
        """The answer for a mutant; a fault where the process died or did not answer."""
        print(number, file=self.process.stdin, flush=True)
        until, before, ready = time.monotonic() + IDLE, self.seconds(), False
        while not ready and time.monotonic() < until and self.seconds() < before + HANG:
            ready = bool(select.select([self.process.stdout], [], [], 1.0)[0])
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        made = Path(self.folder, "made").exists()
        self.close()
        found = {"number": number, "seconds": 0.0, "memory": 0, "refusals": {}, "dead": True}
        if not made:  # HDF5 may not survive the damage it is asked to do
            return {**found, "outcome": "could not be made"}
        said = f"hangs for {HANG:g} s" if not ready else f"crash, exit code {self.process.returncode}"
        return {**found, "outcome": "died", "seconds": HANG, "fault": said}

    def seconds(self) -> float:
        """How long the process has worked."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def run(version: str, seed: int, count: int | None, deadline: float | None, first: int = 0) -> Iterator[dict[str, Any]]:
    """The answers for the mutants first, first + 1, ... of a version, until there are `count` or the clock says so."""
    reader = Reader(version, seed)
    try:
        number = first
        while (count is None or number < first + count) and (deadline is None or time.monotonic() < deadline):
            answer = reader.ask(number)
            yield answer
            if answer.get("dead"):
                reader = Reader(version, seed)
            number += 1
    finally:
        reader.close()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="how long, for all versions together")
    parser.add_argument("--count", type=int, help="how many mutants of each version")
    parser.add_argument("--version", choices=VERSIONS, action="append", help="only these (all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first mutant (0)")
    parser.add_argument("--coverage", action="store_true", help="let atheris choose the mutants; needs --minutes")
    parser.add_argument("--refusals", action="store_true", help="print the messages")
    parser.add_argument("--keep", nargs=2, metavar=("VERSION:NUMBER", "PATH"), help="write one mutant to a file")
    args = parser.parse_args(argv)
    if args.keep:
        version, _, number = args.keep[0].partition(":")
        trials = Trials(version, args.seed)
        shutil.copy(trials.mutant(int(number)), Path(args.keep[1]))
        shutil.rmtree(trials.folder)
        return 0
    if args.minutes is None and args.count is None:
        parser.error("give --minutes or --count")
    faults = 0
    versions = args.version or list(VERSIONS)
    if args.coverage:
        if args.minutes is None or importlib.util.find_spec("atheris") is None:
            parser.error("--coverage needs --minutes and atheris: pip install atheris")
        return max(guided(version, args.seed, 60 * args.minutes / len(versions)) for version in versions)
    for version in versions:
        deadline = None if args.minutes is None else time.monotonic() + 60 * args.minutes / len(versions)
        faults += _report(version, args.seed, run(version, args.seed, args.count, deadline, args.first), args.refusals)
    return 1 if faults else 0


def guided(version: str, seed: int, seconds: float) -> int:
    """Let atheris fuzz a version for so long: 0, or 1 after a fault, whose file is then named."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz.guided", version, str(seed), str(int(seconds)), f"{folder}/fault-"]
        environment = {**os.environ, "PYCONVNET_QUIET": "1", "OMP_NUM_THREADS": "1", "TMPDIR": folder}
        done = subprocess.run(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, env=environment)
        print(f"{version}: " + "\n".join(done.stdout.splitlines()[-12:]))
        for path in Path(folder).glob("fault-*"):
            kept = Path(tempfile.gettempdir(), f"{version}-{path.name}.mat")
            shutil.copy(path, kept)
            print(f"{version}: the file that was at fault is {kept}")
    return 1 if done.returncode else 0


def _report(version: str, seed: int, answers: Iterator[dict[str, Any]], refusals: bool) -> int:
    outcomes: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    slowest = largest = (0.0, 0)
    for answer in answers:
        outcomes[answer["outcome"]] += 1
        slowest = max(slowest, (answer["seconds"], answer["number"]))
        largest = max(largest, (answer["memory"], answer["number"]))
        if refusals:
            for step, said in answer["refusals"].items():
                print(f"{version}:{answer['number']} {step}: {said}")
        if "fault" in answer:
            faults.append(answer)
            print(f"{version}:{answer['number']} (seed {seed}): {answer['fault']}", flush=True)
        if sum(outcomes.values()) % 5000 == 0:
            print(f"{version}: {dict(outcomes)}; slowest {slowest}, largest {largest}", file=sys.stderr, flush=True)
    total = sum(outcomes.values())
    print(
        f"{version}: {total} mutants, "
        + ", ".join(f"{n} {what}" for what, n in outcomes.most_common())
        + f"; slowest {slowest[0]:.2f} s (number {slowest[1]}), largest {int(largest[0]) >> 20} MB "
        f"(number {largest[1]}); {len(faults)} faults",
        flush=True,
    )
    return len(faults)


if __name__ == "__main__":
    sys.exit(main())
