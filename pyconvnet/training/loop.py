"""The epoch loop: shuffle, get a batch, evaluate, step, count, save. What differs between networks is in a Trainee."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pyconvnet import rng
from pyconvnet.records import Struct
from pyconvnet.solver import sgd
from pyconvnet.training import checkpoints, journal, report
from pyconvnet.training.options import image_sets


class Trainee(Protocol):
    """A network under training: cnn_train wraps a SimpleNN in one, cnn_train_dag a DagNN."""

    net: Any
    confusion: np.ndarray | None  # counts, true x predicted class, since start_set; None where they are not known

    def start_set(self) -> None:
        """Forget the running sums of an earlier set of images."""

    def evaluate(self, batch: Any, count: int, train: bool, first: bool, last: bool) -> None:
        """Run a sub-batch of `count` images, the first and last of its batch or not; derivatives add up over them."""

    def statistics(self, num: int) -> Struct:
        """Objective and errors since start_set, per image of `num`."""

    def parameters(self) -> Iterator[Parameter]:
        """The parameters that have a derivative, for one step each."""

    def weights(self) -> list[Any]:
        """All weights, nested as the solver state is saved."""

    def check(self, batch: Any) -> None:
        """Refuse a batch whose labels cannot be right."""

    def diagnose(self, path: Path) -> None:
        """Draw how large the weights, outputs and derivatives are that the last batch left."""

    def blame(self) -> str:
        """Name the layer that first gave a value that is not finite."""


class Parameter:
    """One array of weights, with its derivative and rates, and where its solver state is kept."""

    __slots__ = ("der", "fanout", "key", "learningRate", "method", "set", "value", "weightDecay")

    def __init__(self, key, value, der, learningRate, weightDecay, method, set, fanout=1) -> None:
        self.key: tuple[int, ...] = key
        self.value: np.ndarray = value
        self.der: np.ndarray = der
        self.learningRate: float = learningRate
        self.weightDecay: float = weightDecay
        self.method: str = method
        self.set: Callable[[np.ndarray], None] = set
        self.fanout: int = fanout


def train(fn: str, trainee: Trainee, imdb: Any, getBatch: Callable[..., Any], opts: Struct) -> tuple[Any, Struct]:
    """Train `trainee` and return its network and the statistics of each epoch."""
    sets = image_sets(fn, imdb, opts)
    training = sets["train"].size > 0
    folder = opts["expDir"] if training else None
    stats, state, start = Struct({name: [] for name in sets}), None, 0
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        point = checkpoints.last(folder) if opts["continue"] else None
        if point is not None:
            start, saved = point
            report.say(opts, f"{fn}: resuming by loading epoch {start}")
            trainee.net = saved["net"]
            state = saved.get("state")
            stats = report.epochs(saved.get("stats"), stats)
    memory = checkpoints.solver_state(state, trainee.weights())

    for epoch in range(start + 1, opts["numEpochs"] + 1):
        # As in MatConvNet the seed follows from the epoch alone, so that a resumed run repeats an uninterrupted one.
        rng.seed(epoch + opts["randomSeed"])
        rate = opts["learningRate"][min(epoch, len(opts["learningRate"])) - 1]
        state, confusions = Struct(solverState=memory, stats=Struct()), {}
        for name, images in sets.items():
            order = rng.shuffled(images) if opts["shuffle"] else images
            if name == "train":
                order = order[: int(min(opts["epochSize"], order.size))]
            state.stats[name] = _pass(fn, trainee, imdb, getBatch, opts, name, epoch, order, rate, memory)
            stats[name].append(state.stats[name])
            if trainee.confusion is not None:
                confusions[name] = trainee.confusion
        if not opts["saveSolverState"]:
            state.solverState = []
            memory = checkpoints.solver_state(None, trainee.weights())
        if folder is not None:
            checkpoints.write(folder, epoch, trainee.net, state, stats)
            journal.write(folder, options=opts, confusion=confusions, classes=_classes(imdb))
            if opts["plotStatistics"]:
                report.plot(stats, folder / "net-train.pdf")
            if opts["plotDiagnostics"]:
                trainee.diagnose(folder / "net-diagnostics.pdf")
        if opts["postEpochFn"] is not None:
            again = opts["postEpochFn"](trainee.net, Struct({**opts, "epoch": epoch, "learningRate": rate}), state)
            if again is not None and np.size(again):
                opts["learningRate"] = np.ravel(np.asarray(again, float)).tolist()
                if not any(opts["learningRate"]):
                    break
    return trainee.net, stats


def _classes(imdb: Any) -> list[str] | None:
    names = (imdb.get("meta") or {}).get("classes") if isinstance(imdb, dict) else None
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else None


def _pass(fn, trainee, imdb, getBatch, opts, name, epoch, order, rate, memory) -> Struct:
    """One pass over the images `order`; trains where name is 'train'."""
    train = name == "train"
    trainee.start_set()
    stats = Struct(num=0, time=0.0)
    began, adjust = time.perf_counter(), 0.0
    size, parts = opts["batchSize"], opts["numSubBatches"]
    starts = range(0, order.size, size)
    jobs = [(t, s, order[t : t + size][s::parts]) for t in starts for s in range(parts)]
    jobs = [job for job in jobs if job[2].size]
    batches = _fetch(imdb, getBatch, [job[2] for job in jobs], opts["prefetch"])
    bar = report.Bar(opts, name, epoch, len(starts))
    for t, s, images in jobs:
        batch = next(batches)
        if opts["checkLabels"] and train and t == s == 0:
            trainee.check(batch)
        last = s == min(parts, order[t : t + size].size) - 1
        trainee.evaluate(batch, images.size, train, s == 0, last)
        stats.num += images.size
        if not last:
            continue
        count = min(size, order.size - t)
        if train:
            _step(trainee, memory, opts, rate, count, s + 1)
        now = time.perf_counter() - began + adjust
        taken, before = now - stats.time, stats.num
        stats = Struct({**trainee.statistics(before), "num": before, "time": now})
        if t == 3 * size:
            # The first three batches are slow (caches, compilation): count them as the fourth.
            adjust = 4 * taken - now
            stats.time = now + adjust
        bar.update(stats, average=(t + count) / now, current=count / taken)
        if opts["stopOnNaN"] and train and not np.isfinite(stats.get("objective", 0.0)):
            bar.close()
            raise FloatingPointError(
                f"{fn}: the objective is {stats['objective']} in epoch {epoch}, batch {t // size + 1}/{len(starts)}; "
                f"{trainee.blame()}. A lower learningRate often helps; stopOnNaN=False goes on"
            )
    bar.close()
    return stats


def _fetch(imdb: Any, getBatch: Callable[..., Any], jobs: list[np.ndarray], ahead: bool) -> Iterator[Any]:
    """The batches in order; with `ahead`, each is fetched in one background thread while the one before is in use."""
    if not ahead:
        for images in jobs:
            yield getBatch(imdb, images)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="getBatch") as pool:
        waiting = None
        for images in jobs:
            coming = pool.submit(getBatch, imdb, images)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()


def _step(trainee: Trainee, memory: list[Any], opts: Struct, rate: float, count: int, parts: int) -> None:
    """One step of every parameter, from the derivative summed over `count` images and `parts` sub-batches."""
    for p in trainee.parameters():
        real = p.value.dtype.type
        if p.method == "average":
            part = p.learningRate
            p.set(real(1 - part) * p.value + real(part / parts / p.fanout) * p.der.reshape(p.value.shape))
            continue
        lr, decay = rate * p.learningRate, opts["weightDecay"] * p.weightDecay
        if not (lr > 0 or decay > 0):
            continue
        grad = real(1 / count) * p.der.reshape(p.value.shape) + real(decay) * p.value
        held, at = memory, p.key
        for i in at[:-1]:
            held = held[i]
        if opts["solver"] is None:
            value, held[at[-1]] = sgd(p.value, held[at[-1]], grad, opts["momentum"], lr, opts["nesterovUpdate"])
        else:
            value, held[at[-1]] = opts["solver"](p.value, held[at[-1]], grad, opts["solverOpts"], lr)
        p.set(value)
