"""One mutant: what becomes of it. Run as a process, it answers a line of JSON for each line it is asked."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import scipy.io

import pyconvnet as pcn
from pyconvnet.formats.mat import matfile
from tests.fuzz import v4, v5, v73
from tests.mat73 import HDF5

FIXTURES = Path(__file__).parents[2] / "matlab_fixtures"
VERSIONS = ("v4", "v5", "v73")
SECONDS = 5.0  # of this process, for reading one file
MEMORY = 1 << 30  # bytes beyond what the process had
LARGEST = 300_000  # bytes of a file to start from: small ones make many mutants


def corpus(version: str, folder: Path) -> list[Path]:
    """The files that mutants of a version are made from; v7.3 and v4 are written to `folder`."""
    files = sorted(p for p in FIXTURES.rglob("*.mat") if p.stat().st_size < LARGEST)
    files = [p for p in files if p.parent.name in ("nets", "dags") and not p.stem.endswith((".ref", ".sizes"))]
    if version == "v5":
        plain = folder / "plain.mat"  # version 6: nothing is compressed
        scipy.io.savemat(plain, {"layers": np.array([{"type": "relu", "name": "r"}], object), "meta": {"a": 1.0}})
        return [plain, *files]
    if version == "v4":
        made = [(folder / f"v4-{i}.mat", data) for i, data in enumerate(v4.seeds())]
        for path, data in made:
            path.write_bytes(data)
        return [path for path, _ in made]
    written = []
    for source in files:
        path = folder / f"73-{source.name}"
        file = HDF5(path)
        for name, value in matfile.read(source).items():
            file.put(file.file, name, value)
        file.file.close()
        written.append(path)
    return written


class Trials:
    """Makes the mutant of a number, reads it, and uses what was read."""

    def __init__(self, version: str, seed: int) -> None:
        self.version, self.seed = version, seed
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self.files = corpus(version, self.folder)

    def mutant(self, number: int) -> Path:
        """The file of a mutant."""
        draw = Random(f"{self.seed} {self.version} {number}")
        whole = draw.choice(self.files).read_bytes()
        path = self.folder / "mutant.mat"
        if self.version == "v73":
            path.write_bytes(whole)
            v73.mutate(path, draw)
        else:
            path.write_bytes((v4 if self.version == "v4" else v5).mutant(whole, draw))
        return path

    def run(self, number: int) -> dict[str, Any]:
        """{"outcome", "seconds", "memory", "fault"?} of a mutant."""
        path = self.mutant(number)
        _forget_peak()
        before, start = _resident(), time.process_time()
        outcome, fault, net = _outcome(path)
        seconds, memory = time.process_time() - start, _peak() - before
        if net is not None:
            fault = _use(net)
        if fault is None and seconds > SECONDS:
            fault = f"took {seconds:.1f} s"
        if fault is None and memory > MEMORY:
            fault = f"took {memory >> 20} MB"
        found = {"outcome": outcome, "seconds": seconds, "memory": memory}
        return found if fault is None else {**found, "fault": fault}


def _outcome(path: Path) -> tuple[str, str | None, Any]:
    """What reading a file gives: a word for it, a fault, the network."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return "loaded", None, pcn.load(path)
        except pcn.MatFileError as error:
            if path.name not in str(error):
                return "refused", f"the message does not name the file: {error}", None
            return "refused", _asked_for_memory(error), None
        except Exception:
            return "other error", traceback.format_exc(limit=-3), None


def _use(net: Any) -> str | None:
    """Print a network, print its table, run it on a small image: a fault, where one is neither done nor refused."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for step in (_text, _show, _predict):
            try:
                step(net)
            except (ValueError, TypeError):
                pass
            except Exception:
                return f"{step.__name__[1:]}: " + traceback.format_exc(limit=-4)
    return None


def _text(net: Any) -> None:
    repr(net)


def _show(net: Any) -> None:
    if isinstance(net, pcn.DagNN):
        with contextlib.redirect_stdout(io.StringIO()):
            net.print({name: [32, 32, 3, 1] for name in net.getInputs()})
    else:
        pcn.vl_simplenn_display(net)


def _predict(net: Any) -> None:
    x = np.zeros((8, 8, 3, 1), np.float32)
    if isinstance(net, pcn.DagNN):
        pcn.predict(net, {name: x for name in net.getInputs()})
    else:
        channels = next((w.shape[2] for layer in net.layers for w in layer.get("weights", [])[:1] if np.ndim(w) > 2), 3)
        pcn.predict(net, np.zeros((32, 32, min(int(channels), 64), 1), np.float32))


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
        print(json.dumps({"number": int(line), **trials.run(int(line))}), file=answers, flush=True)


if __name__ == "__main__":
    main()
