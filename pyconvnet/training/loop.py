"""The epoch loop: shuffle, get a batch, evaluate, step, count, save. Differences between networks are in an adapter."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from pyconvnet import rng
from pyconvnet.devices import Transfer, of_gpus
from pyconvnet.networks import is_graph
from pyconvnet.networks.base import moved
from pyconvnet.records import Struct
from pyconvnet.training import checkpoints, labels, progress, resume, run_metadata, statistics
from pyconvnet.training.options import image_sets
from pyconvnet.training.step import Steps


class TrainingAdapter(Protocol):
    """A network under training: cnn_train wraps a SimpleNN in one, cnn_train_dag a DagNN."""

    net: Any
    late: bool  # whether reading what `read` gives is to wait for the next batch, as a device still computes it

    @property
    def confusion(self) -> np.ndarray | None:
        """Counts, true x predicted class, since start_set; None where they are not known."""

    def start_set(self) -> None:
        """Forget the running sums of an earlier set of images."""

    def evaluate(self, batch: Any, count: int, train: bool, first: bool, last: bool) -> None:
        """Run a sub-batch of `count` images, the first and last of its batch or not; derivatives add up over them."""

    def placed(self, batch: Any, change: Callable[[Any], Any]) -> Any:
        """The batch with `change` of the arrays that the network computes with; labels stay as they are."""

    def read(self) -> Callable[[], Any]:
        """Start to read what this pass has counted so far; what is returned waits for it, and gives the values."""

    def statistics(self, values: Any, num: int) -> Struct:
        """Objective and errors, per image of `num`, of values that were read."""

    def parameters(self) -> Iterator[Parameter]:
        """The parameters that have a derivative, for one step each."""

    def weights(self) -> list[Any]:
        """All weights, nested as the solver state is saved."""

    def check(self, batch: Any, train: bool) -> None:
        """Refuse a first batch whose precision or labels cannot be right, and losses that are not means."""

    def diagnose(self, path: Path) -> None:
        """Draw how large the weights, outputs and derivatives are that the last batch left."""

    def finite(self, values: Any) -> bool:
        """Whether the objective is finite in values that were read."""

    def locate_nonfinite(self) -> str:
        """Name the first array in the last batch that is not finite: images, weights or a layer's output."""


class Parameter:
    """One array of weights, with its derivative and rates, and where its solver state is kept."""

    __slots__ = ("der", "fanout", "key", "learningRate", "method", "set", "value", "weightDecay")

    def __init__(
        self,
        key: tuple[int, ...],
        value: Any,
        der: Any,
        learningRate: float,
        weightDecay: float,
        method: str,
        set: Callable[[Any], None],
        fanout: int = 1,
    ) -> None:
        self.key, self.value, self.der = key, value, der
        self.learningRate, self.weightDecay = learningRate, weightDecay
        self.method, self.set, self.fanout = method, set, fanout


@contextmanager
def on_device(fn: str, adapter: TrainingAdapter, opts: Struct) -> Iterator[Transfer]:
    """What brings batches to the device that the option gpus names; after the block the network is on the CPU again."""
    transfer = Transfer(fn, of_gpus(fn, opts["gpus"]), opts["prefetch"])
    try:
        yield transfer
    finally:
        if transfer.device is not None:
            _move(fn, adapter, "cpu")


def _move(fn: str, adapter: TrainingAdapter, device: str) -> None:
    """The network to a device: a graph itself, as MATLAB's handle, of a chain a copy."""
    if is_graph(adapter.net):
        adapter.net.move(device)
    else:
        adapter.net = moved(fn, adapter.net, device)


def train(
    fn: str, adapter: TrainingAdapter, imdb: Any, getBatch: Callable[..., Any], opts: Struct, transfer: Transfer
) -> Struct:
    """Train `adapter.net` where on_device has batches brought; returns the statistics of each epoch."""
    sets = image_sets(fn, imdb, opts)
    training = sets["train"].size > 0
    folder = opts["expDir"] if training else None
    stats, state, start = Struct({name: [] for name in sets}), None, 0
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        data = resume.images_of(imdb, sets["train"])
        if not opts["continue"]:
            resume.warn_of_leftovers(fn, opts)
        checkpoints.sweep(folder)
        if opts["plotStatistics"] and find_spec("matplotlib") is None:
            progress.say(opts, f"{fn}: without matplotlib there is no net-train.pdf: pip install 'pyconvnet[plot]'")
    if opts["expDir"] is not None:
        point = checkpoints.last(opts["expDir"]) if opts["continue"] else None
        if point is not None:
            start, saved = point
            data = resume.check(fn, opts, start, saved, adapter.net, imdb, sets)
            progress.say(opts, f"{fn}: resuming by loading epoch {start}")
            adapter.net = checkpoints.with_functions(saved["net"], adapter.net)
            # continue_="force": the state of another solver is of no use to this one
            state = None if resume.other_solver(opts, saved) else saved.get("state")
            stats = statistics.epochs(saved.get("stats"), stats)
    if transfer.device is not None:
        _move(fn, adapter, transfer.device)
    memory = checkpoints.solver_state(state, adapter.weights())

    for epoch in range(start + 1, opts["numEpochs"] + 1):
        # As in MatConvNet the seed follows from the epoch alone, so that a resumed run repeats an uninterrupted one.
        rng.seed(epoch + opts["randomSeed"], opts["rng"])
        rate = opts["learningRate"][min(epoch, len(opts["learningRate"])) - 1]
        state, confusions = Struct(solverState=memory, stats=Struct()), {}
        orders = {name: rng.shuffled(images) if opts["shuffle"] else images for name, images in sets.items()}
        for name, order in orders.items():
            if name == "train":
                order = order[: int(min(opts["epochSize"], order.size))]
            state.stats[name] = _pass(fn, adapter, imdb, getBatch, opts, name, epoch, order, rate, memory, transfer)
            stats[name].append(state.stats[name])
            if adapter.confusion is not None:
                confusions[name] = adapter.confusion
        if not opts["saveSolverState"]:
            state.solverState = []
            memory = checkpoints.solver_state(None, adapter.weights())
        if folder is not None:
            checkpoints.write(folder, epoch, adapter.net, state, stats)
            run_metadata.write(folder, options=opts, confusion=confusions, classes=labels.class_names(imdb), data=data)
            if opts["plotStatistics"]:
                progress.plot(stats, folder / "net-train.pdf")
            if opts["plotDiagnostics"]:
                adapter.diagnose(folder / "net-diagnostics.pdf")
        if opts["postEpochFn"] is not None:
            params = {**opts, **sets, "epoch": epoch, "learningRate": rate, "imdb": imdb, "getBatch": getBatch}
            again = opts["postEpochFn"](adapter.net, Struct(params), state)
            if again is not None and np.size(again):
                _warn_of_bool(fn, again)
                opts["learningRate"] = np.ravel(np.asarray(again, float)).tolist()
                if not any(opts["learningRate"]):
                    break
    return stats


def _warn_of_bool(fn: str, again: Any) -> None:
    if np.asarray(again).dtype == bool:
        effect = "sets the learning rate to 1" if np.any(again) else "ends the training"
        warnings.warn(
            f"{fn}: postEpochFn returned {again}, which {effect}, as in MatConvNet; return None to go on, a number for "
            "a new learning rate, 0 to stop",
            stacklevel=4,
        )


def _pass(
    fn: str,
    adapter: TrainingAdapter,
    imdb: Any,
    getBatch: Callable[..., Any],
    opts: Struct,
    name: str,
    epoch: int,
    order: np.ndarray,
    rate: float,
    memory: Any,
    transfer: Transfer,
) -> Struct:
    """One pass over the images `order`; trains where name is 'train'."""
    train = name == "train"
    adapter.start_set()
    stats = Struct(num=0, time=0.0)
    steps = Steps(fn, adapter, memory, opts, rate)
    began, adjust = time.perf_counter(), 0.0
    size, parts = opts["batchSize"], opts["numSubBatches"]
    starts = range(0, order.size, size)
    jobs = [(t, s, order[t : t + size][s::parts]) for t in starts for s in range(parts)]
    jobs = [job for job in jobs if job[2].size]

    def fetch(imdb: Any, images: np.ndarray) -> Any:
        return adapter.placed(getBatch(imdb, images), transfer.depart)

    batches = _fetch(imdb, fetch, [job[2] for job in jobs], opts["prefetch"])
    bar = progress.Bar(opts, name, epoch, len(starts))
    waiting: deque[_Batch] = deque()  # what was called, and its statistics not yet read

    def read() -> Any:
        """The statistics of the first that waits; FloatingPointError where its objective is not finite."""
        done = waiting[0]
        values = done.read()
        if train and opts["stopOnNaN"] and not adapter.finite(values):
            bar.close()
            raise FloatingPointError(
                f"{fn}: the objective is not finite in epoch {epoch}, batch {done.start // size + 1}/{len(starts)}; "
                f"{adapter.locate_nonfinite()}. A lower learningRate often helps; stopOnNaN=False goes on"
            )
        return values

    def tell(values: Any) -> None:
        nonlocal stats, adjust
        done = waiting.popleft()
        now = time.perf_counter() - began + adjust
        taken = now - stats.time
        stats = Struct({**adapter.statistics(values, done.num), "num": done.num, "time": now})
        if done.start == 3 * size:
            # The first three batches are slow (caches, compilation): count them as the fourth.
            adjust = 4 * taken - now
            stats.time = now + adjust
        bar.update(stats, average=(done.start + done.images) / now, current=done.images / taken)

    num = 0
    for t, s, images in jobs:
        batch = adapter.placed(next(batches), transfer.arrive)
        if t == s == 0:
            adapter.check(batch, train)
        last = s == min(parts, order[t : t + size].size) - 1
        adapter.evaluate(batch, images.size, train, s == 0, last)
        num += images.size
        if not last:
            continue
        count = min(size, order.size - t)
        waiting.append(_Batch(t, count, num, adapter.read()))
        if adapter.late:
            if train:
                steps.apply(count, s + 1)
            if len(waiting) > 1:
                tell(read())
            continue
        values = read()
        if train:
            steps.apply(count, s + 1)
        tell(values)
    while waiting:
        tell(read())
    bar.close()
    return stats


class _Batch(NamedTuple):
    """A batch that was evaluated: its first image and how many, how many of the pass up to it, its statistics."""

    start: int
    images: int
    num: int
    read: Callable[[], Any]


def _fetch(imdb: Any, getBatch: Callable[..., Any], jobs: list[np.ndarray], ahead: bool) -> Iterator[Any]:
    """The batches in order; with `ahead`, each is fetched in one background thread while the one before is in use."""
    if not ahead:
        for images in jobs:
            yield getBatch(imdb, images)
        return
    # The thread draws from a generator of its own, spawned from this one's: jitter repeats when training does.
    (own,) = rng.generator().spawn(1)
    with ThreadPoolExecutor(1, "getBatch", initializer=rng.adopt, initargs=(own,)) as pool:
        waiting = None
        for images in jobs:
            coming = pool.submit(getBatch, imdb, images)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()
