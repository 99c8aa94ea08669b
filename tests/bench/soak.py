"""A process that is left running for a week, in minutes: threads and processes at once, and one kind of work for long.

    python -m tests.bench soak --minutes 10             4 threads, 2 forked and 2 spawned processes
    python -m tests.bench soak --sizes 20000            then so many image sizes in a row, and each chore for long
    python -m tests.bench soak --minutes 0 --chores features torch

Every result must equal that of one thread before, bit for bit; memory may grow by 1 % after the first minute;
no descriptor, thread, child or file may be left. The exit code is 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import footprint
import soak_chores
from footprint import Held
from soak_jobs import Jobs, chain, graph

import pyconvnet as pcn
from pyconvnet.backends import cpu
from pyconvnet.backends.cpu.warmup import warmup

THREADS, FORKED, SPAWNED = 4, 2, 2
MOST_GROWTH = 0.01
CLEAR, SWITCH = 0.01, 0.05  # how often a worker calls clear_caches and set_precision between two jobs
PATIENCE = 120.0  # seconds until a worker that does not end is a fault
KERNELS = Path(cpu.__file__).parent / "__pycache__"


def work(jobs: Jobs, want: dict[str, str], seed: int, deadline: float) -> tuple[int, list[str]]:
    """Do jobs in random order until the deadline (time.monotonic): how many, and the faults."""
    choose, done, faults = random.Random(seed), 0, []
    names = sorted(jobs.all)
    while (not done or time.monotonic() < deadline) and len(faults) < 20:
        name = choose.choice(names)
        try:
            if jobs.all[name]() != want[name]:
                faults.append(f"{name}: other bits than in one thread")
        except Exception as error:
            faults.append(f"{name}: {type(error).__name__}: {error}")
        done += 1
        if choose.random() < CLEAR:
            pcn.clear_caches()
        if choose.random() < SWITCH:  # all jobs have a precision of their own, which this must not change
            pcn.set_precision(choose.choice(("fast", "high")))
    return done, faults


def in_process(folder: Path, net: Any, want: dict[str, str], seed: int, deadline: float, answer: Any) -> None:
    """`work` in a process of its own, which also tells what it has left over."""
    try:
        jobs = Jobs(net, folder)
        for job in jobs.all.values():  # kernels are loaded, and threads started
            job()
        held, start = Held([]), time.monotonic()
        done, faults, samples = 0, [], []
        while (not done or time.monotonic() < deadline) and len(faults) < 20:
            more, found = work(jobs, want, seed + done, min(deadline, time.monotonic() + 1))
            done, faults = done + more, faults + found
            samples.append((time.monotonic() - start, footprint.memory()))
        answer.send((done, faults + [f"{kind} left: {names}" for kind, names in held.left().items()], samples))
    except BaseException as error:
        answer.send((0, [f"{type(error).__name__}: {error}"], []))
        raise


class Soak:
    """The load itself; `faults` and `samples` of memory by process."""

    def __init__(self, folder: Path) -> None:
        warmup()  # a kernel that is compiled later would be a file that is left
        self.folder, self.net = folder, chain()
        self.faults: list[str] = []
        self.samples: dict[str, list[tuple[float, int]]] = {}
        self.done: Counter[str] = Counter()
        pcn.save(folder / "chain.mat", self.net)
        pcn.save(folder / "graph.mat", graph())
        jobs = Jobs(self.net, folder)
        self.want = {name: job() for name, job in jobs.all.items()}
        again = {name: job() for name, job in jobs.all.items()}
        self.faults += [
            f"{name}: other bits the second time, in one thread" for name in again.items() - self.want.items()
        ]

    def run(self, seconds: float) -> None:
        resource_tracker.ensure_running()  # Python's own process beside spawned ones, which stays
        held = Held([self.folder, KERNELS])
        start = time.monotonic()
        deadline = start + seconds
        running = [self._process("spawn", n, deadline) for n in range(SPAWNED)]
        threads = [threading.Thread(target=self._thread, args=(n, deadline)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        while any(not self.done[f"thread {n}"] for n in range(THREADS)) and time.monotonic() < deadline:
            time.sleep(0.05)
        running += [self._process("fork", n, deadline) for n in range(FORKED)]  # while these threads are at work
        self._watch(start, deadline, {name: p.pid for name, p, _ in running})
        for thread in threads:
            thread.join(PATIENCE)
        for name, process, answer in running:
            self._end(name, process, answer)
        self.faults += [f"a thread hangs: {t.name}" for t in threads if t.is_alive()]
        self.faults += [f"{kind} left: {names}" for kind, names in held.left().items()]

    def _thread(self, n: int, deadline: float) -> None:
        jobs, name = Jobs(self.net, self.folder), f"thread {n}"
        while time.monotonic() < deadline:
            done, faults = work(jobs, self.want, 100 * n + self.done[name], min(deadline, time.monotonic() + 1))
            self.done[name] += done
            self.faults += [f"{name}: {fault}" for fault in faults]

    def _process(self, way: str, n: int, deadline: float) -> tuple[str, Any, Any]:
        context: Any = multiprocessing.get_context(way)
        receive, send = context.Pipe(duplex=False)
        given = (self.folder, self.net, self.want, 1000 + n, deadline, send)
        process = context.Process(target=in_process, args=given, name=f"{way} {n}")
        process.start()
        send.close()
        return process.name, process, receive

    def _watch(self, start: float, deadline: float, pids: dict[str, int]) -> None:
        """Samples of the memory of this process, which the threads are in; the others take their own."""
        told, samples = start, self.samples.setdefault("threads", [])
        while (now := time.monotonic()) < deadline:
            samples.append((now - start, footprint.memory()))
            if now - told >= 60:
                told = now
                held = {"threads": samples[-1][1], **{name: footprint.memory(pid) for name, pid in pids.items()}}
                sizes = "  ".join(f"{name} {size / 1e6:.1f}" for name, size in held.items())
                jobs = sum(self.done.values())
                print(
                    f"{(now - start) / 60:3.0f} min  {jobs:7d} jobs  MB: {sizes}  faults: {len(self.faults)}",
                    flush=True,
                )
            time.sleep(min(1.0, max(0.0, deadline - now)))

    def _end(self, name: str, process: Any, answer: Any) -> None:
        found = (0, ["does not answer"], [])
        try:
            if answer.poll(PATIENCE):
                found = answer.recv()
        except EOFError:
            found = (0, ["died"], [])
        answer.close()
        process.join(1.0 if found[1] else PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
        if process.exitcode:
            found[1].append(f"exit code {process.exitcode}")
        process.close()
        self.done[name], faults, self.samples[name] = found
        self.faults += [f"{name}: {fault}" for fault in faults]

    def verdict(self, warm: float) -> None:
        """Print what was done, and how memory grew; too much is a fault."""
        for name, samples in self.samples.items():
            grown = footprint.growth(samples, warm)
            count = sum(n for thread, n in self.done.items() if thread.startswith("thread"))
            jobs = count if name == "threads" else self.done[name]
            peak = max(size for _, size in samples) / 1e6
            said = "too few samples" if grown is None else f"growth {100 * grown:+.2f} %"
            print(f"{name:<10} {jobs:7d} jobs  peak {peak:7.1f} MB  {said}")
            if grown is not None and grown > MOST_GROWTH:
                self.faults.append(f"{name}: memory grew by {100 * grown:.2f} %")


def chore(name: str, count: int | None, folder: Path) -> list[str]:
    """The faults of one kind of work, in a process of its own."""
    context: Any = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=soak_chores.in_process, args=(name, count, folder, send))
    process.start()
    send.close()
    try:
        said, faults = receive.recv()
    except EOFError:
        process.join()
        said, faults = "", [f"died, exit code {process.exitcode}"]
    receive.close()
    process.join()
    print(f"{name:<12} {said}", flush=True)
    return [f"{name}: {fault}" for fault in faults]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of threads and processes at once (10)")
    parser.add_argument("--sizes", type=int, help="then this many image sizes in a row, and the other chores")
    names = ", ".join(soak_chores.CHORES)
    parser.add_argument("--chores", nargs="*", choices=soak_chores.CHORES, metavar="CHORE", help=f"only these: {names}")
    args = parser.parse_args(arguments)
    chores = args.chores if args.chores is not None else list(soak_chores.CHORES) if args.sizes else []
    # Five processes share the cores: threads of OpenMP that wait for others keep them from these by spinning.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    root = Path(tempfile.mkdtemp(prefix="soak-"))
    tempfile.tempdir = os.environ["TMPDIR"] = str(root)  # what is left there is ours
    try:
        faults = _run(args.minutes, chores, args.sizes, root)
    finally:
        pcn.set_precision("fast")
        tempfile.tempdir = before[0]
        os.environ.pop("TMPDIR") if before[1] is None else os.environ.update(TMPDIR=before[1])
        shutil.rmtree(root)
    for fault in faults:
        print("FAULT", fault)
    print("faults:", len(faults))
    return 1 if faults else 0


def _run(minutes: float, chores: list[str], sizes: int | None, root: Path) -> list[str]:
    faults: list[str] = []
    if minutes:
        folder = root / "networks"
        folder.mkdir()
        soak = Soak(folder)
        soak.run(60 * minutes)
        soak.verdict(min(60.0, 30 * minutes))
        faults += soak.faults
        shutil.rmtree(folder)
    for name in chores:
        folder = root / name
        folder.mkdir()
        faults += chore(name, sizes if name == "sizes" else None, folder)
        shutil.rmtree(folder)
    left = sorted(str(path) for path in root.rglob("*"))
    return faults + ([f"files left in the temporary folder: {left}"] if left else [])
