"""One start of a training that may be killed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from tests.training import processes

EPOCHS = 24
CASES = {
    f"{kind}, {solver or 'momentum'}{'' if kept else ' not saved'}": {
        "kind": kind,
        "solver": solver,
        "saveSolverState": kept,
    }
    for kind in ("simplenn", "dagnn")
    for solver in (None, "adam")
    for kept in (True, False)
}


def train(case: str, folder: Path, result: Path, tell: Connection) -> None:
    """Train to the end; `result` gets the weights and statistics.

    Tells "started", and with the first batch which drafts of files lie in the folder then.
    """
    warnings.simplefilter("error")  # a checkpoint that cannot be read is skipped with a warning
    tell.send("started")
    weights, rows = fit(case, folder, EPOCHS, lambda: tell.send(drafts(folder)))
    atomic.write(result, lambda file: np.savez(file, weights=weights, rows=rows))  # this may be killed as well


def fit(case: str, folder: Path | None, epochs: int, at_first_batch: Callable[[], None]) -> tuple[Any, Any]:
    """Weights and statistics of a case after so many epochs."""
    options, calls = CASES[case], []

    def batch(imdb: Any, images: np.ndarray) -> Any:
        if not calls:
            at_first_batch()
        calls.append(images)
        return (processes.get_named if options["kind"] == "dagnn" else processes.get_batch)(imdb, images)

    return processes.fit(**options, bnorm=True, prefetch=True, numEpochs=epochs, expDir=folder, getBatch=batch)


def drafts(folder: Path) -> list[str]:
    """The names of files that were begun and are not there yet."""
    return sorted(p.name for p in folder.glob(f"*{atomic.SUFFIX}"))
