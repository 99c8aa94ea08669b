"""One mutant: what becomes of it. Run as a process, it answers a line of JSON for each line it is asked."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import pyconvnet as pcn
from pyconvnet.engine.errors import OutOfMemory
from pyconvnet.formats.mat import matfile
from tests.fuzz import corpus, v4, v5, v73

VERSIONS = ("v4", "v5", "v73")
SECONDS = 5.0  # of this process, for reading one file, and for each use of what was read
MEMORY = 1 << 30  # bytes beyond what the process had


class Trials:
    """Makes the mutant of a number, reads it, and uses what was read."""

    def __init__(self, version: str, seed: int) -> None:
        self.version, self.seed = version, seed
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self.kinds = corpus.files(version, self.folder)

    def mutant(self, number: int) -> Path:
        """The file of a mutant: three of four are made from networks."""
        draw = Random(f"{self.seed} {self.version} {number}")
        whole = draw.choice(self.kinds[-1 if draw.random() < 0.25 else 0]).read_bytes()
        path = self.folder / "mutant.mat"
        path.write_bytes(self.changed(whole, draw))
        return path

    def changed(self, whole: bytes, draw: Random) -> bytes:
        """The content of a file after one mutation."""
        if self.version != "v73":
            return (v4 if self.version == "v4" else v5).mutant(whole, draw)
        path = self.folder / "mutant.mat"
        path.write_bytes(whole)
        v73.mutate(path, draw)
        return path.read_bytes()

    def run(self, number: int) -> dict[str, Any]:
        """What becomes of the mutant of a number; a file `made` says that it is there, should reading it end all."""
        path, made = self.mutant(number), self.folder / "made"
        made.touch()
        found = self.judge(path)
        made.unlink()
        return {"number": number, **found}

    def judge(self, path: Path) -> dict[str, Any]:
        """What becomes of a file: outcome, seconds and memory of reading it, refusals by step, fault if there is one.

        Version 4 has no structs, so no network: what is in such a file is read, and no more.
        """
        read = Step(matfile.read if self.version == "v4" else pcn.load, path)
        found: dict[str, Any] = {"seconds": read.seconds, "memory": read.memory, "refusals": {}}
        if read.refusal is None:
            outcome = "loaded"
        else:
            found["refusals"]["read"] = read.refusal
            whole = "cannot be read as a MAT file" not in read.refusal
            outcome = "read, but held no network" if whole else "refused"
        fault = read.fault
        if fault is None and read.refusal is not None:
            if read.kind is not pcn.MatFileError or path.name not in read.refusal:
                fault = f"{read.kind.__name__}, or one that does not name the file: {read.refusal}"
        uses = USES if outcome == "loaded" and fault is None and self.version != "v4" else ()
        for use in uses:
            name = use.__name__[1:]
            step = Step(use, read.value, math.inf)  # a network may ask for work that takes more
            if step.refusal is not None:
                found["refusals"][name] = step.refusal
            if step.fault is not None:
                fault = f"{name}: {step.fault}"
                break
        return {**found, "outcome": outcome, **({} if fault is None else {"fault": fault})}


class Step:
    """One thing done with a mutant: its value, or the refusal, or the fault; how long it took, how much memory."""

    def __init__(self, do: Callable[[Any], Any], what: Any, most: float = MEMORY) -> None:
        self.value: Any = None
        self.refusal: str | None = None
        self.fault: str | None = None
        self.kind: Any = None
        for _ in range(2):  # the first time may compile kernels
            _forget_peak()
            before, start = _resident(), time.process_time()
            self._do(do, what)
            self.seconds, self.memory = time.process_time() - start, _peak() - before
            if self.seconds <= SECONDS:
                break
        else:
            self.fault = self.fault or f"took {self.seconds:.1f} s"
        if self.memory > most:
            self.fault = self.fault or f"took {self.memory >> 20} MB"

    def _do(self, do: Callable[[Any], Any], what: Any) -> None:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                self.value = do(what)
            except (ValueError, TypeError) as error:
                self.kind, self.refusal = type(error), str(error)
                if not isinstance(error, OutOfMemory):  # a layer whose result does not fit, refused by its name
                    self.fault = _asked_for_memory(error)
            except Exception:
                self.fault = traceback.format_exc(limit=-4)


def _text(net: Any) -> None:
    repr(net)
    net._repr_html_()


def _show(net: Any) -> None:
    if isinstance(net, pcn.DagNN):
        with contextlib.redirect_stdout(io.StringIO()):
            net.print({name: [32, 32, 3, 1] for name in net.getInputs()})
    else:
        pcn.vl_simplenn_display(net)


def _predict(net: Any) -> None:
    _run(net, False)


def _predict_window(net: Any) -> None:
    _run(net, True)


def _run(net: Any, window: bool) -> None:
    """Run a network on an image of 32 x 32, or of the size of its first filters, so that a graph reaches its end."""
    if isinstance(net, pcn.DagNN):
        inputs = {name: _input(net, name, window) for name in net.getInputs()}
        net.mode = "test"
        net.eval(inputs)
        pcn.predict(net, inputs)
    else:
        filters = [w for layer in net.layers for w in list(layer.get("weights", []))[:1] if np.ndim(w) > 2]
        pcn.predict(net, np.zeros((32, 32, min(np.shape(filters[0])[2], 64) if filters else 3, 1), np.float32))


def _input(net: Any, name: str, window: bool) -> np.ndarray:
    """What the first layer that reads an input of a graph expects there."""
    for entry in net.layers:
        if name in entry.inputs:
            kind, value = type(entry.block).__name__, net.params[entry.params[0]].value if entry.params else None
            if kind == "ROIPooling" and entry.inputs.index(name) == 1:
                return np.array([[1, 1, 1, 16, 16]], np.float32).T
            if kind.endswith("GridGenerator"):
                return np.ones((1, 1, 6 if kind.startswith("Affine") else 3, 1), np.float32)
            if np.ndim(value) > 2:
                size = np.shape(value)[:2] if window and max(np.shape(value)) < 64 else (32, 32)
                return np.zeros((*size, min(np.shape(value)[2], 64), 1), np.float32)
            if kind == "PDist":
                return np.ones((1, 1, 2, 1), np.float32)
            if kind == "Loss" and entry.inputs.index(name) == 1:
                return np.ones((1, 1, 1, 1), np.float32)
    return np.zeros((32, 32, 3, 1), np.float32)


USES = (_text, _show, _predict, _predict_window)


def _asked_for_memory(error: BaseException | None) -> str | None:
    """Memory that was asked for and not given: a size should have been checked before."""
    while error is not None:
        if isinstance(error, MemoryError):
            return "asked for too much memory: " + "".join(traceback.format_exception(error, limit=-3))
        error = error.__cause__ or error.__context__
    return None


def _status(field: str) -> int:
    with open("/proc/self/status") as file:
        return next((int(line.split()[1]) << 10 for line in file if line.startswith(field)), 0)


def _resident() -> int:
    return _status("VmRSS:")


def _peak() -> int:
    return _status("VmHWM:")


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def main() -> None:
    version, seed = sys.argv[1], int(sys.argv[2])
    room = _status("VmSize:") + 4 * MEMORY  # so that one mutant does not take the memory of all
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    trials = Trials(version, seed)
    print(json.dumps({"folder": str(trials.folder)}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(trials.run(int(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
