"""Mutants that atheris chooses: those that reach new lines of the readers are mutated further.

Run as a process by `python -m tests.fuzz --coverage`: libFuzzer ends it, with exit code 0 where its time is over. Half
of the mutants are ours (by structure), half libFuzzer's own.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["pyconvnet.formats.mat", "pyconvnet.dagnn", "pyconvnet.simplenn"]):
    for name in ("v5", "v73", "heap", "chunks", "objects", "locate"):  # which are imported when they are used
        importlib.import_module(f"pyconvnet.formats.mat.{name}")
    importlib.import_module("pyconvnet.dagnn.saved")
    from tests.fuzz.trial import Trials


def main() -> None:
    version, seed, seconds, artifact = sys.argv[1:]
    trials = Trials(version, int(seed))
    folder = Path(tempfile.mkdtemp(prefix="corpus-", dir=trials.folder))
    for i, path in enumerate(path for kind in trials.kinds for path in kind):
        (folder / str(i)).write_bytes(path.read_bytes())

    def one(data: bytes) -> None:
        path = trials.folder / "mutant.mat"
        path.write_bytes(data)
        found = trials.judge(path)
        if "fault" in found:
            raise AssertionError(found["fault"])

    def mutate(data: bytes, most: int, number: int) -> bytes:
        draw = Random(number)
        if draw.random() < 0.5:
            return atheris.Mutate(data, most)
        try:
            return trials.changed(data, draw)[:most]
        except Exception:  # what was damaged before may not be read for further damage
            return atheris.Mutate(data, most)

    options = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=400000", "-timeout=60", "-rss_limit_mb=6000"]
    command = [sys.argv[0], *options, f"-artifact_prefix={artifact}", "-print_final_stats=1", str(folder)]
    atheris.Setup(command, one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
