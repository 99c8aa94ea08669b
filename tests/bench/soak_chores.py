"""One kind of work for long, after which caches are within their bounds, memory is as before and nothing is left."""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import footprint
import numpy as np
import soak_jobs
from footprint import Held
from soak_jobs import Jobs

import pyconvnet as pcn
from pyconvnet import models

MOST_GROWTH = 0.01
WARM = 0.3  # the part of the work before memory is watched


def sizes(folder: Path, count: int = 20_000) -> Iterator[None]:
    """Images of sizes that do not repeat, forward in both networks, every 4th backward."""
    jobs = Jobs(soak_jobs.chain(), folder)
    some = random.Random(0).sample(list(product(range(9, 153), range(9, 153))), count)
    for at, (h, w) in enumerate(some):
        jobs.predict_chain((h, w, 1), "fast")
        jobs.predict_graph((h, w, 1), "fast")
        if at % 4 == 0:
            jobs.train_chain((h, w, 1), "fast")
            jobs.train_graph((h, w, 1), "fast")
        if at % 50 == 0:
            check_bounds()
        yield


def check_bounds() -> None:
    """What `pyconvnet.caches` promises."""
    from pyconvnet.backends import cpu
    from pyconvnet.backends.cpu import filter_cache, hardware, layout

    assert sum(made.nbytes for _, made, *_ in filter_cache._entries.values()) <= filter_cache.limit()
    assert len(filter_cache._entries) <= 64  # those of two networks, for both directions
    kept = [memory for same in layout._free.values() for memory in same]
    assert sum(memory.array.nbytes for memory in kept) <= layout.MOST_KEPT * hardware.memory()
    assert len(layout._free) <= layout.MOST_SIZES
    assert len(layout._kept) <= 32  # their names stand in the code
    assert len(cpu._folded) <= cpu._MOST_FOLDED
    for name, known in lookups().items():
        info = known.cache_info()
        assert info.maxsize is not None and info.currsize <= info.maxsize <= 1024, (name, info)


def lookups() -> dict[str, Any]:
    """Every lru_cache in the modules of pyconvnet that are loaded."""
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "pyconvnet"}
    found = {f"{name}.{key}": value for name, module in modules.items() for key, value in vars(module).items()}
    found |= {f"{name}.read_opts": value.read_opts for name, value in found.items() if hasattr(value, "read_opts")}
    return {name: value for name, value in found.items() if hasattr(value, "cache_info")}


def features(folder: Path, count: int = 2000) -> Iterator[None]:
    """Outputs of two layers for generated images, written to a file, in runs of 100 images."""
    net = models.build("lenet-cifar", seed=0)
    random = np.random.default_rng(0)
    for at in range(0, count, 100):
        pictures = (random.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(100))
        found = pcn.features(net, pictures, ["layer7", "layer11"], out=folder / f"found{at % 200}.h5")
        assert found["layer11"].shape == (100, 64)
        del found
        yield


def jpegs(folder: Path, count: int = 200) -> Iterator[None]:
    """Files read ahead of their use by threads; some batches are never fetched."""
    from PIL import Image

    random = np.random.default_rng(0)
    files = [folder / f"{i}.jpg" for i in range(24)]
    for i, file in enumerate(files):
        Image.fromarray(random.integers(0, 256, (40 + i, 90 - i, 3), np.uint8)).save(file)
    for at in range(count):
        some = files[at % 3 :: 3]
        pcn.vl_imreadjpeg(some, numThreads=4, prefetch=True, resize=(32, 32), pack=True)
        if at % 5:
            assert pcn.vl_imreadjpeg(some).shape == (32, 32, 3, 8)
        yield


def epochs(folder: Path, count: int = 50) -> Iterator[None]:
    """Training runs of that many epochs with checkpoints and prefetch, both kinds of network in turn; no pictures."""
    drawn = "matplotlib.pyplot" in sys.modules
    for run in range(10):
        given = {**soak_jobs.training(folder / f"run{run}", count), "prefetch": True}
        if run % 2:
            net = pcn.DagNN.fromSimpleNN(soak_jobs.letter_chain(), canonicalNames=True)
            pcn.cnn_train_dag(net, soak_jobs.imdb(), soak_jobs.named_batch, **given)
        else:
            pcn.cnn_train(soak_jobs.letter_chain(), soak_jobs.imdb(), soak_jobs.batch, **given)
        assert drawn or "matplotlib.pyplot" not in sys.modules
        yield


def processes(folder: Path, count: int = 10) -> Iterator[None]:
    """Training runs in two processes."""
    for _ in range(count):
        given = {**soak_jobs.training(None, 2), "processes": 2}
        pcn.cnn_train(soak_jobs.letter_chain(), soak_jobs.imdb(), soak_jobs.batch, **given)
        yield


def torch(folder: Path, count: int = 60) -> Iterator[None]:
    """All jobs with tensors in four threads, to the bits of one."""
    net = soak_jobs.chain()
    alone = Jobs(net, folder, "torch:cpu")
    want = {name: job() for name, job in alone.all.items()}
    with ThreadPoolExecutor(4) as pool:
        each = [Jobs(net, folder, "torch:cpu") for _ in range(4)]
        for _ in range(count):
            for found in pool.map(lambda jobs: {name: job() for name, job in jobs.all.items()}, each):
                assert found == want, sorted(found.items() - want.items())
            yield


def loads(folder: Path, count: int = 600) -> Iterator[None]:
    """Networks that come from files, run and go: what was kept for them goes as well."""
    from pyconvnet.backends import cpu
    from pyconvnet.backends.cpu import filter_cache

    pcn.save(folder / "chain.mat", soak_jobs.chain())
    pcn.save(folder / "graph.mat", soak_jobs.graph())
    jobs = Jobs(soak_jobs.chain(), folder)
    for _ in range(count):
        jobs.load("chain"), jobs.load("graph")
        yield
    del jobs
    gc.collect()
    filter_cache._drop_collected()
    assert not filter_cache._entries and not cpu._folded


def clears(folder: Path, count: int = 3000) -> Iterator[None]:
    """One network, whose caches are cleared after each call."""
    jobs = Jobs(soak_jobs.chain(), folder)
    for _ in range(count):
        jobs.predict_chain((9, 9, 3), "fast"), jobs.predict_graph((9, 9, 3), "fast")
        pcn.clear_caches()
        yield


CHORES: dict[str, Callable[..., Iterator[None]]] = {
    work.__name__: work for work in (sizes, features, jpegs, epochs, processes, torch, loads, clears)
}


def in_process(name: str, count: int | None, folder: Path, answer: Any) -> None:
    """Do a chore; answers (what was seen, faults)."""
    try:
        answer.send(watched(name, count, folder))
    except BaseException as error:
        answer.send(("", [f"{type(error).__name__}: {error}"]))
        raise


def watched(name: str, count: int | None, folder: Path) -> tuple[str, list[str]]:
    """A chore, with memory after each of its steps; (what was seen, faults)."""
    work = CHORES[name](folder) if count is None else CHORES[name](folder, count)
    start, samples, held = time.monotonic(), [], None
    for at, _ in enumerate(work):
        held = held or Held([])
        samples.append((float(at), footprint.memory()))
    work.close()
    steps, grown = len(samples), footprint.growth(samples, WARM * len(samples))
    said = f"{steps} steps in {time.monotonic() - start:.0f} s, {samples[-1][1] / 1e6:.1f} MB"
    faults = [] if held is None else [f"{kind} left: {names}" for kind, names in held.left().items()]
    if grown is not None:
        said += f", growth {100 * grown:+.2f} %"
        faults += [f"memory grew by {100 * grown:.2f} %"] if grown > MOST_GROWTH else []
    return said, faults
