"""The epoch loop: shuffle, pass over each set, save. Differences between networks are in an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from pyconvnet import rng
from pyconvnet.devices import Transfer, of_gpus
from pyconvnet.interrupts import Interrupt
from pyconvnet.networks import is_graph
from pyconvnet.networks.base import moved
from pyconvnet.records import Struct
from pyconvnet.training import (
    checkpoints,
    distributed,
    expdir,
    labels,
    progress,
    resume,
    run_metadata,
    statistics,
    sums,
)
from pyconvnet.training.adapter import TrainingAdapter
from pyconvnet.training.options import image_sets
from pyconvnet.training.passes import Pass
from pyconvnet.training.progress import warn
from pyconvnet.training.step import Steps
from pyconvnet.training.team import Team


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
    if not callable(getBatch):
        raise TypeError(f"{fn}: getBatch must be a function of (imdb, images), got {type(getBatch).__name__}")
    sets = image_sets(fn, imdb, opts)
    with distributed.postponed_interrupt() as interrupt, distributed.joined(fn) as team:
        if team.rank:
            opts["verbose"] = opts["progress"] = False
        distributed.check_same(fn, team, adapter, opts, sets)
        with expdir.claimed(fn, opts["expDir"] if sets["train"].size and team.rank == 0 else None):
            return _train(fn, adapter, imdb, getBatch, opts, transfer, sets, team, interrupt)


def _train(
    fn: str,
    adapter: TrainingAdapter,
    imdb: Any,
    getBatch: Callable[..., Any],
    opts: Struct,
    transfer: Transfer,
    sets: dict[str, np.ndarray],
    team: Team,
    interrupt: Interrupt,
) -> Struct:
    training = sets["train"].size > 0
    folder = opts["expDir"] if training and team.rank == 0 else None
    stats, state, start = Struct({name: [] for name in sets}), None, 0
    given, rates = opts["learningRate"], dict[str, list[float]]()
    if folder is not None:
        data = resume.images_of(imdb, sets["train"])
        if not opts["continue"]:
            resume.warn_of_leftovers(fn, opts)
        if opts["plotStatistics"] and find_spec("matplotlib") is None:
            progress.say(opts, f"{fn}: without matplotlib there is no net-train.pdf: pip install 'pyconvnet[plot]'")
    if opts["expDir"] is not None:
        point = checkpoints.last(opts["expDir"]) if opts["continue"] and team.rank == 0 else None
        if point is not None:
            start, saved = point
            data = resume.check(fn, opts, start, saved, adapter.net, imdb, sets)
            progress.say(opts, f"{fn}: resuming by loading epoch {start}")
            if resume.other_solver(opts, saved):
                # continue_="force": the state of another solver is of no use to this one
                saved.state = None
            rates = resume.rates(opts, start)
        point = checkpoints.shared(team, opts["expDir"], point)
        if point is not None:
            start, saved = point
            adapter.net = checkpoints.with_functions(saved["net"], adapter.net)
            state, stats = saved.get("state"), statistics.epochs(saved.get("stats"), stats)
            rate = _of_first(team, resume.last_rate(fn, opts, rates))
            if rate is not None:
                opts["learningRate"] = np.ravel(rate).tolist()
    if transfer.device is not None:
        _move(fn, adapter, transfer.device)
    memory = checkpoints.solver_state(state, adapter.weights())
    sums.share_weights(team, adapter.parameters())
    interrupt.advice = checkpoints.advice(opts, start)

    for epoch in range(start + 1, opts["numEpochs"] + 1):
        # As in MatConvNet the seed follows from the epoch alone, so that a resumed run repeats an uninterrupted one.
        seed = epoch + opts["randomSeed"]
        rng.seed(seed, opts["rng"])
        orders = {name: rng.shuffled(images) if opts["shuffle"] else images for name, images in sets.items()}
        if team.rank:
            # What getBatch draws by itself is to be other numbers in each process.
            rng.seed(int(np.random.SeedSequence((seed, team.rank)).generate_state(1)[0]))
        rate = opts["learningRate"][min(epoch, len(opts["learningRate"])) - 1]
        state, confusions = Struct(solverState=memory, stats=Struct()), {}
        for i, (name, order) in enumerate(orders.items()):
            if name == "train":
                order = order[: int(min(opts["epochSize"], order.size))]
            final = not any(later.size for later in [*sets.values()][i + 1 :])
            run = Pass(
                fn, adapter, imdb, getBatch, opts, transfer, team, name, epoch, order, (seed, i), interrupt, final
            )
            state.stats[name] = run.run(Steps(fn, memory, opts, rate))
            stats[name].append(state.stats[name])
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
            notes = Struct(
                options={**opts, "learningRate": given},
                confusion=confusions,
                classes=labels.class_names(imdb),
                data=data,
                rates=rates,
            )
            run_metadata.write(folder, **notes)
            if opts["plotStatistics"]:
                progress.plot(stats, folder / "net-train.pdf")
            if opts["plotDiagnostics"]:
                adapter.diagnose(folder / "net-diagnostics.pdf")
        if training:
            interrupt.advice = checkpoints.advice(opts, epoch)
        if opts["postEpochFn"] is not None:
            params = {**opts, **sets, "epoch": epoch, "learningRate": rate, "imdb": imdb, "getBatch": getBatch}
            again = opts["postEpochFn"](adapter.net, Struct(params), state)
            again = _of_first(team, again)
            if again is not None and np.size(again):
                _warn_of_bool(fn, again)
                before, opts["learningRate"] = opts["learningRate"], np.ravel(np.asarray(again, float)).tolist()
                if not any(opts["learningRate"]):
                    break
                if folder is not None and opts["learningRate"] != before:
                    rates[str(epoch)] = opts["learningRate"]
                    run_metadata.write(folder, **notes)
        if run.stop:
            raise KeyboardInterrupt(f"{fn}: stopped after epoch {epoch}; {interrupt.advice}")
    return stats


def _warn_of_bool(fn: str, again: Any) -> None:
    if np.asarray(again).dtype == bool:
        effect = "sets the learning rate to 1" if np.any(again) else "ends the training"
        warn(
            f"{fn}: postEpochFn returned {again}, which {effect}, as in MatConvNet; return None to go on, a number for "
            "a new learning rate, 0 to stop",
        )


def _of_first(team: Team, again: Any) -> Any:
    """What postEpochFn returned in process 0: it is called in all, since it may change the network."""
    if team.size == 1:
        return again
    told = team.tell(None if again is None else np.ravel(np.asarray(again, float)).tobytes())
    return again if team.rank == 0 or told is None else np.frombuffer(told)
