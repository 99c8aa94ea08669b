"""The epoch loop: shuffle, get a batch, evaluate, step, count, save. What differs between networks is in an adapter."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pyconvnet import rng
from pyconvnet.records import Struct
from pyconvnet.training import checkpoints, distributed, journal, labels, report, resume, statistics, sums
from pyconvnet.training.options import image_sets
from pyconvnet.training.step import Steps
from pyconvnet.training.team import Team

Ready = Callable[[tuple[int, ...], Any], None]


class TrainingAdapter(Protocol):
    """A network under training: cnn_train wraps a SimpleNN in one, cnn_train_dag a DagNN."""

    net: Any
    confusion: np.ndarray | None  # counts, true x predicted class, since start_set; None where they are not known

    def start_set(self) -> None:
        """Forget the running sums of an earlier set of images."""

    def evaluate(self, batch: Any, count: int, train: bool, first: bool, last: bool, ready: Ready | None) -> None:
        """Run a sub-batch of `count` images, the first and last of its batch or not; derivatives add up over them.

        ready  is called with the key and the derivative of parameters that are done with, while others are not
        """

    def totals(self, num: int) -> list[np.ndarray]:
        """Vectors of numbers that add up over processes, for statistics; `num` images were seen since start_set."""

    def statistics(self, num: int, totals: list[np.ndarray] | None) -> Struct:
        """Objective and errors since start_set, per image of `num`, of this process or of the totals of several."""

    def parameters(self) -> Iterator[Parameter]:
        """The parameters, the last of the network first, for one step each; der is None where there is none."""

    def weights(self) -> list[Any]:
        """All weights, nested as the solver state is saved."""

    def check(self, batch: Any, train: bool) -> None:
        """Refuse a first batch whose precision or labels cannot be right, and losses that are no means."""

    def diagnose(self, path: Path) -> None:
        """Draw how large the weights, outputs and derivatives are that the last batch left."""

    def finite(self) -> bool:
        """Whether the objective of this pass is finite so far."""

    def locate_nonfinite(self) -> str:
        """Name what first had a value that is not finite in the last batch: images, weights or a layer's output."""


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


def train(
    fn: str, adapter: TrainingAdapter, imdb: Any, getBatch: Callable[..., Any], opts: Struct
) -> tuple[Any, Struct]:
    """Train `adapter` and return its network and the statistics of each epoch."""
    sets = image_sets(fn, imdb, opts)
    with distributed.joined(fn) as team:
        if team.rank:
            opts["verbose"] = opts["progress"] = False
        distributed.check_same(fn, team, adapter, opts, sets)
        return _train(fn, adapter, imdb, getBatch, opts, sets, team)


def _train(
    fn: str,
    adapter: TrainingAdapter,
    imdb: Any,
    getBatch: Callable[..., Any],
    opts: Struct,
    sets: dict[str, np.ndarray],
    team: Team,
) -> tuple[Any, Struct]:
    training = sets["train"].size > 0
    folder = opts["expDir"] if training and team.rank == 0 else None
    stats, state, start = Struct({name: [] for name in sets}), None, 0
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        data = resume.images_of(imdb, sets["train"])
        if not opts["continue"]:
            resume.warn_of_leftovers(fn, opts)
        checkpoints.sweep(folder)
        if opts["plotStatistics"] and find_spec("matplotlib") is None:
            report.say(opts, f"{fn}: without matplotlib there is no net-train.pdf: pip install 'pyconvnet[plot]'")
    if opts["expDir"] is not None:
        point = checkpoints.last(opts["expDir"]) if opts["continue"] and team.rank == 0 else None
        if point is not None:
            start, saved = point
            data = resume.check(fn, opts, start, saved, adapter.net, imdb, sets)
            report.say(opts, f"{fn}: resuming by loading epoch {start}")
            if resume.other_solver(opts, saved):
                # continue_="force": what another solver remembers is no use to this one
                saved.state = None
        point = checkpoints.shared(team, opts["expDir"], point)
        if point is not None:
            start, saved = point
            adapter.net = checkpoints.with_functions(saved["net"], adapter.net)
            state, stats = saved.get("state"), statistics.epochs(saved.get("stats"), stats)
    memory = checkpoints.solver_state(state, adapter.weights())
    sums.share_weights(team, adapter.parameters())

    for epoch in range(start + 1, opts["numEpochs"] + 1):
        # As in MatConvNet the seed follows from the epoch alone, so that a resumed run repeats an uninterrupted one.
        seed = epoch + opts["randomSeed"]
        rng.seed(seed)
        orders = {name: rng.shuffled(images) if opts["shuffle"] else images for name, images in sets.items()}
        if team.rank:
            # What getBatch draws by itself is to be other numbers in each process.
            rng.seed(int(np.random.SeedSequence((seed, team.rank)).generate_state(1)[0]))
        rate = opts["learningRate"][min(epoch, len(opts["learningRate"])) - 1]
        state, confusions = Struct(solverState=memory, stats=Struct()), {}
        for i, (name, order) in enumerate(orders.items()):
            if name == "train":
                order = order[: int(min(opts["epochSize"], order.size))]
            run = _Pass(fn, adapter, imdb, getBatch, opts, name, epoch, order, (seed, i), team)
            stats[name].append(run.run(Steps(fn, memory, opts, rate)))
            state.stats[name] = stats[name][-1]
            confusion = sums.confusion(team, adapter.confusion)
            if confusion is not None:
                confusions[name] = confusion
            if name == "train":
                sums.share_weights(team, adapter.parameters())
        if not opts["saveSolverState"]:
            state.solverState = []
            memory = checkpoints.solver_state(None, adapter.weights())
        if folder is not None:
            checkpoints.write(folder, epoch, adapter.net, state, stats)
            journal.write(folder, options=opts, confusion=confusions, classes=labels.class_names(imdb), data=data)
            if opts["plotStatistics"]:
                report.plot(stats, folder / "net-train.pdf")
            if opts["plotDiagnostics"]:
                adapter.diagnose(folder / "net-diagnostics.pdf")
        if opts["postEpochFn"] is not None:
            params = {**opts, **sets, "epoch": epoch, "learningRate": rate, "imdb": imdb, "getBatch": getBatch}
            again = opts["postEpochFn"](adapter.net, Struct(params), state)
            again = _of_first(team, again)
            if again is not None and np.size(again):
                _warn_of_bool(fn, again)
                opts["learningRate"] = np.ravel(np.asarray(again, float)).tolist()
                if not any(opts["learningRate"]):
                    break
    return adapter.net, stats


def _warn_of_bool(fn: str, again: Any) -> None:
    if np.asarray(again).dtype == bool:
        effect = "sets the learning rate to 1" if np.any(again) else "ends the training"
        warnings.warn(
            f"{fn}: postEpochFn returned {again}, which {effect}, as in MatConvNet; return None to go on, a number for "
            "a new learning rate, 0 to stop",
            stacklevel=4,
        )


def _of_first(team: Team, again: Any) -> Any:
    """What postEpochFn returned in process 0: it is called in all, since it may change the network."""
    if team.size == 1:
        return again
    told = team.tell(None if again is None else np.ravel(np.asarray(again, float)).tobytes())
    return again if team.rank == 0 or told is None else np.frombuffer(told)


class _Pass:
    """One pass over the images `order`; trains where name is 'train'.

    seed  of the random numbers of each image
    """

    def __init__(
        self,
        fn: str,
        adapter: TrainingAdapter,
        imdb: Any,
        getBatch: Callable[..., Any],
        opts: Struct,
        name: str,
        epoch: int,
        order: np.ndarray,
        seed: tuple[int, int],
        team: Team,
    ) -> None:
        self.fn, self.adapter, self.imdb, self.getBatch, self.opts = fn, adapter, imdb, getBatch, opts
        self.name, self.epoch, self.order, self.seed, self.team = name, epoch, order, seed, team
        self.train = name == "train"
        self.numbers, self.derivatives = sums.NumberSum(team), sums.DerivativeSum(team)
        self.own = 0  # images that this process has seen

    def run(self, steps: Steps) -> Struct:
        """The statistics of the pass."""
        adapter, size, parts = self.adapter, self.opts["batchSize"], self.opts["numSubBatches"]
        adapter.start_set()
        stats = Struct(num=0, time=0.0)
        began, adjust = time.perf_counter(), 0.0
        starts = range(0, self.order.size, size)
        shares = [self._shares(t) for t in starts]
        batches = self._fetch([places for share in shares for places in share])
        bar = report.Bar(self.opts, self.name, self.epoch, len(starts))
        for t, share in zip(starts, shares):
            for s, places in enumerate(share):
                self._evaluate(next(batches), places, s == 0, s == len(share) - 1)
            count = min(size, self.order.size - t)
            before = stats.num + count
            if self.train:
                self.derivatives.start(adapter.parameters(), bool(share))
            try:
                found = self._statistics(before, f"batch {t // size + 1}/{len(starts)}")
            except FloatingPointError:
                bar.close()
                raise
            if self.train:
                steps.take(self.derivatives.finish(), count, min(parts * self.team.size, count))
            now = time.perf_counter() - began + adjust
            taken = now - stats.time
            stats = Struct({**found, "num": before, "time": now})
            if t == 3 * size:
                # The first three batches are slow (caches, compilation): count them as the fourth.
                adjust = 4 * taken - now
                stats.time = now + adjust
            bar.update(stats, average=(t + count) / now, current=count / taken)
        bar.close()
        return stats

    def _shares(self, t: int) -> list[np.ndarray]:
        """The places in the order of this process's sub-batches, of the batch from t; none is empty.

        As in MatConvNet each process takes every n-th image, and of these each sub-batch every m-th.
        """
        end, parts, team = min(t + self.opts["batchSize"], self.order.size), self.opts["numSubBatches"], self.team
        shares = [np.arange(t + team.rank + s * team.size, end, parts * team.size) for s in range(parts)]
        return [places for places in shares if places.size]

    def _evaluate(self, batch: Any, places: np.ndarray, first: bool, last: bool) -> None:
        if not self.own:
            self.adapter.check(batch, self.train)
        ready = self.derivatives.ready if last and self.team.size > 1 else None
        with rng.images((*self.seed, 1), places):
            self.adapter.evaluate(batch, places.size, self.train, first, last, ready)
        self.own += places.size

    def _statistics(self, num: int, batch: str) -> Struct:
        """The statistics of `num` images of all processes; refuses an objective that is not finite."""
        adapter, totals = self.adapter, None
        watched = self.train and self.opts["stopOnNaN"]
        bad = watched and self.own > 0 and not adapter.finite()
        failed = bad
        if self.team.size > 1:
            failures, *totals = self.numbers.start([np.array([float(bad)]), *adapter.totals(self.own)])()
            failed = failures[0] > 0
        if failed:
            where = adapter.locate_nonfinite() if bad else "so it is in another process"
            raise FloatingPointError(
                f"{self.fn}: the objective is not finite in epoch {self.epoch}, {batch}; {where}. A lower learningRate "
                "often helps; stopOnNaN=False goes on"
            )
        return adapter.statistics(num, totals)

    def _fetch(self, jobs: list[np.ndarray]) -> Iterator[Any]:
        """The batches in order; with prefetch, a background thread fetches each while the one before is in use."""
        if not self.opts["prefetch"]:
            yield from map(self._get, jobs)
            return
        # The thread draws from a generator of its own, spawned from this one's: getBatch repeats when training does.
        (own,) = rng.generator().spawn(1)
        with ThreadPoolExecutor(1, "getBatch", initializer=rng.adopt, initargs=(own,)) as pool:
            waiting = None
            for places in jobs:
                coming = pool.submit(self._get, places)
                if waiting is not None:
                    yield waiting.result()
                waiting = coming
            if waiting is not None:
                yield waiting.result()

    def _get(self, places: np.ndarray) -> Any:
        with rng.images((*self.seed, 0), places):
            return self.getBatch(self.imdb, self.order[places])
