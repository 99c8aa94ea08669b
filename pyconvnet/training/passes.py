"""One pass over a set of images: get a batch, evaluate, step, count."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any, NamedTuple, NoReturn

import numpy as np

from pyconvnet import rng
from pyconvnet.arrays import asynchronous, isfinite
from pyconvnet.devices import Transfer
from pyconvnet.interrupts import Interrupt
from pyconvnet.records import Struct
from pyconvnet.training import progress, sums
from pyconvnet.training.adapter import TrainingAdapter
from pyconvnet.training.step import Steps
from pyconvnet.training.team import Team


class _Batch(NamedTuple):
    """A batch that was evaluated: its first image and how many, how many of the pass up to it, its statistics."""

    start: int
    images: int
    num: int
    own: int  # how many of the pass this process has seen
    read: Callable[[], Any]
    odd: bool  # whether its images are not finite


class Pass:
    """A pass over the images `order`; trains where name is 'train'.

    seed       of the random numbers of each image
    interrupt  asked after each batch; where it came to any of the processes, all of them raise KeyboardInterrupt
    final      whether the epoch ends with this pass: nothing is raised after its last batch, so that it counts
    """

    def __init__(
        self,
        fn: str,
        adapter: TrainingAdapter,
        imdb: Any,
        getBatch: Callable[..., Any],
        opts: Struct,
        transfer: Transfer,
        team: Team,
        name: str,
        epoch: int,
        order: np.ndarray,
        seed: tuple[int, int],
        interrupt: Interrupt,
        final: bool,
    ) -> None:
        self.fn, self.adapter, self.imdb, self.getBatch, self.opts = fn, adapter, imdb, getBatch, opts
        self.transfer, self.team, self.interrupt = transfer, team, interrupt
        self.name, self.epoch, self.order, self.seed = name, epoch, order, seed
        self.train, self.final = name == "train", final
        self.starts = range(0, order.size, opts["batchSize"])
        self.numbers, self.derivatives = sums.NumberSum(team), sums.DerivativeSum(team)
        self.own = 0  # images that this process has seen
        self.odd = False  # whether those of the last batch are not finite
        self.watched = self.train and self.opts["stopOnNaN"]
        self.told = False  # whether Ctrl-C has come to any of several processes

    @property
    def stop(self) -> bool:
        """Whether Ctrl-C came, up to the last batch in several processes, where all of them say the same."""
        return self.told if self.team.size > 1 else self.interrupt.came

    def run(self, steps: Steps) -> Struct:
        """The statistics of the pass."""
        self.adapter.start_set()
        self.bar = progress.Bar(self.opts, self.name, self.epoch, len(self.starts))
        self.stats, self.began, self.adjust = Struct(num=0, time=0.0), time.perf_counter(), 0.0
        try:
            self._run(steps)
        finally:
            self.bar.close()
        if self.watched and not _finite(self.adapter.weights()):
            # rectifiers and maxima pass over NaN, as MATLAB's do, and the objective may stay finite
            self._stop(f"what was learnt in epoch {self.epoch} is not finite", self.adapter.locate_nonfinite())
        return self.stats

    def _run(self, steps: Steps) -> None:
        shares = [self._shares(t) for t in self.starts]
        with closing(self._fetch([places for share in shares for places in share])) as batches:
            self._evaluate_all(batches, shares, steps)

    def _evaluate_all(self, batches: Iterator[Any], shares: list[list[np.ndarray]], steps: Steps) -> None:
        adapter, size, parts = self.adapter, self.opts["batchSize"], self.opts["numSubBatches"]
        waiting: deque[_Batch] = deque()  # batches whose statistics are not yet read
        for t, share in zip(self.starts, shares):
            for s, places in enumerate(share):
                self._evaluate(next(batches), places, s == 0, s == len(share) - 1)
            count = min(size, self.order.size - t)
            if self.train:
                self.derivatives.start(adapter.parameters(), bool(share))
            waiting.append(_Batch(t, count, t + count, self.own, adapter.read(), self.odd))
            # Sums over processes wait for all of them in any case.
            late = adapter.late and self.team.size == 1
            done = waiting.popleft() if len(waiting) > late else None
            found = None if done is None else self._read(done)
            if self.train:
                steps.apply(self.derivatives.finish(), count, min(parts * self.team.size, count))
            if done is not None and found is not None:
                self._tell(done, *found)
            if self.stop and not (self.final and t == self.starts[-1]):
                raise KeyboardInterrupt(
                    f"{self.fn}: stopped in epoch {self.epoch} after batch {t // size + 1}/{len(self.starts)} of "
                    f"{self.name}; {self.interrupt.advice}"
                )
        while waiting:
            done = waiting.popleft()
            self._tell(done, *self._read(done))

    def _shares(self, t: int) -> list[np.ndarray]:
        """The places in the order of this process's sub-batches, of the batch from t; none is empty.

        As in MatConvNet each process takes every n-th image, and of these each sub-batch every m-th.
        """
        end, parts, team = min(t + self.opts["batchSize"], self.order.size), self.opts["numSubBatches"], self.team
        shares = [np.arange(t + team.rank + s * team.size, end, parts * team.size) for s in range(parts)]
        return [places for places in shares if places.size]

    def _evaluate(self, batch: Any, places: np.ndarray, first: bool, last: bool) -> None:
        batch = self.adapter.placed(batch, self.transfer.arrive)
        if not self.own:
            self.adapter.check(batch, self.train)
        ready = self.derivatives.ready if last and self.team.size > 1 else None
        with self._random(1, places):
            self.adapter.evaluate(batch, places.size, self.train, first, last, ready)
        if self.watched:
            odd = any(not asynchronous(x) and not _finite(x) for x in self.adapter.images(batch))
            self.odd = odd or (self.odd and not first)
        self.own += places.size

    def _read(self, done: _Batch) -> tuple[Any, list[np.ndarray] | None]:
        """What was counted up to a batch, also in all processes; refuses an objective that is not finite."""
        values, totals = done.read(), None
        bad = failed = self.watched and done.own > 0 and (done.odd or not self.adapter.finite(values))
        if self.team.size > 1:
            own = self.adapter.totals(values, done.own)
            flags, *totals = self.numbers.start([np.array([float(bad), float(self.interrupt.came)]), *own])()
            failed, self.told = (flags > 0).tolist()
        if failed:
            batch = f"batch {done.start // self.opts['batchSize'] + 1}/{len(self.starts)}"
            if done.odd:
                raise FloatingPointError(
                    f"{self.fn}: the images that getBatch gave are not finite in epoch {self.epoch}, {batch}; "
                    "stopOnNaN=False goes on"
                )
            where = self.adapter.locate_nonfinite() if bad else "so it is in another process"
            self._stop(f"the objective is not finite in epoch {self.epoch}, {batch}", where)
        return values, totals

    def _stop(self, what: str, where: str) -> NoReturn:
        raise FloatingPointError(
            f"{self.fn}: {what}; {where}. A lower learningRate often helps; stopOnNaN=False goes on"
        )

    def _tell(self, done: _Batch, values: Any, totals: list[np.ndarray] | None) -> None:
        now = time.perf_counter() - self.began + self.adjust
        taken = now - self.stats.time
        self.stats = Struct({**self.adapter.statistics(values, done.num, totals), "num": done.num, "time": now})
        if done.start == 3 * self.opts["batchSize"]:
            # The first three batches are slow (caches, compilation): count them as the fourth.
            self.adjust = 4 * taken - now
            self.stats.time = now + self.adjust
        self.bar.update(self.stats, average=done.num / now, current=done.images / taken)

    def _fetch(self, jobs: list[np.ndarray]) -> Generator[Any, None, None]:
        """The batches in order; with prefetch, a background thread fetches each while the one before is in use."""
        if not self.opts["prefetch"]:
            yield from map(self._get, jobs)
            return
        # The thread draws from a generator of its own, spawned from this one's: getBatch repeats when training does.
        (own,) = rng.generator().spawn(1)
        pool = ThreadPoolExecutor(1, "getBatch", initializer=rng.adopt, initargs=(own,))
        try:
            waiting = None
            for places in jobs:
                coming = pool.submit(self._get, places)
                if waiting is not None:
                    yield waiting.result()
                waiting = coming
            if waiting is not None:
                yield waiting.result()
        finally:
            pool.shutdown(wait=not self.interrupt.urgent, cancel_futures=True)

    def _get(self, places: np.ndarray) -> Any:
        with self._random(0, places):
            batch = self.getBatch(self.imdb, self.order[places])
        return self.adapter.placed(batch, self.transfer.depart)

    def _random(self, use: int, places: np.ndarray) -> AbstractContextManager[None]:
        """Random numbers for each image, of one seed for each use; MATLAB's come from its global stream in order."""
        return nullcontext() if self.opts["rng"] == "matlab" else rng.images((*self.seed, use), places)


def _finite(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return all(map(_finite, x))
    return x is None or isfinite(x)
