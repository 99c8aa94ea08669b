"""Training in several processes: joining those that torchrun has started, or starting some."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import numpy as np

from pyconvnet import devices
from pyconvnet.arrays import shape_of
from pyconvnet.interrupts import Interrupt, postponed
from pyconvnet.training import checkpoints
from pyconvnet.training.team import GATHERING, PATIENCE, Lost, Processes, Team, Watch

# What torchrun tells each process; any other launcher may say the same.
_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_alone: ContextVar[bool] = ContextVar("pyconvnet_trains_alone", default=False)
_store: Any = None  # the addresses of all processes, for as long as this one lives
_joined = 0  # how often they have met


@contextmanager
def alone() -> Iterator[None]:
    """Inside the block this process trains by itself, whatever others there are."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def placed() -> tuple[int, int]:
    """(rank, size): the number of this process among those that train together, and how many these are."""
    dist = sys.modules.get("torch.distributed")
    if _alone.get():
        return 0, 1
    if dist is not None and dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    if all(os.environ.get(name) for name in _NAMES):
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1


def own_devices(gpus: Any) -> Any:
    """The option `gpus` for this process: of several, one; torchrun counts the processes on each machine."""
    named = isinstance(gpus, str)
    if placed()[1] == 1 or gpus is None or not np.size(gpus) or (named and gpus.lower() not in ("gpu", "cuda", "xpu")):
        return gpus
    local = int(os.environ.get("LOCAL_RANK", placed()[0]))
    asked = [] if named else np.ravel(gpus).tolist()
    return [asked[local] if local < len(asked) else local]


def postponed_interrupt() -> AbstractContextManager[Interrupt]:
    """Ctrl-C waits for the end of a batch, see interrupts.postponed; process 0 says so."""
    rank, size = placed()
    # The terminal sends it to all processes, and torch's launcher passes it on to them once more.
    return postponed("" if rank else "this batch", apart=1.0 if size > 1 else 0.0)


def require_torch(fn: str, what: str) -> None:
    """Refuse what needs torch where it is missing."""
    try:
        import torch.distributed  # noqa: F401
    except ImportError:
        raise ImportError(f"{fn}: {what} needs torch: pip install 'pyconvnet[torch]'") from None


@contextmanager
def joined(fn: str) -> Iterator[Team]:
    """The processes that train together, for one call of `fn`: a process group of the user's, or else a new one.

    An error in one of them ends all, with its reason.
    """
    rank, size = placed()
    if size == 1:
        yield Team()
        return
    require_torch(fn, f"training in {size} processes")
    import torch.distributed as dist

    if dist.is_initialized():
        yield Processes(fn)
        return
    watch = _meet(fn, rank, size)
    try:
        team = Processes(fn, watch)
        watch.start()
        yield team
        team.largest(np.zeros(1))  # nobody leaves before all have what they need
    except BaseException as error:
        if not isinstance(error, Lost):
            reason = traceback.format_exception_only(error)[0].strip().splitlines()[0]
            watch.failed(f"process {rank} of {size} has stopped: {reason}")
        watch.end()
        if watch.silent:
            # A machine that is gone answers nothing: torch would wait for it, also at the end of the program.
            atexit.register(_leave)
        else:
            dist.destroy_process_group()
        raise
    watch.end()
    dist.destroy_process_group()


_SAME = "batchSize numSubBatches numEpochs epochSize learningRate weightDecay momentum randomSeed shuffle".split()


def check_same(fn: str, team: Team, adapter: Any, opts: Any, sets: dict[str, np.ndarray]) -> None:
    """Refuse processes whose networks, options or images are others, before their sums mean nothing."""
    if team.size == 1:
        return
    shapes = [(p.key, shape_of(p.value), str(getattr(p.value, "dtype", ""))) for p in adapter.parameters()]
    found = {
        "the network": zlib.crc32(repr(shapes).encode()),
        "the options": zlib.crc32(repr([opts[name] for name in _SAME]).encode()),
        "the images": zlib.crc32(b"".join(name.encode() + images.tobytes() for name, images in sets.items())),
    }
    own = np.array([*found.values()], float)
    largest, smallest = team.largest(own), -team.largest(-own)
    others = [name for name, a, b in zip(found, smallest, largest) if a != b]
    if others:
        raise ValueError(f"{fn}: {' and '.join(others)} must be the same in all {team.size} processes")


def _meet(fn: str, rank: int, size: int) -> Watch:
    """Start the process group; each time under a name of its own, in the same store."""
    import torch
    import torch.distributed as dist

    global _store, _joined
    if _store is None:
        _store = next(dist.rendezvous("env://"))[0]
    _joined += 1
    try:
        _store.set(f"pyconvnet {_joined} has {rank}", "")
        _store.wait([f"pyconvnet {_joined} has {other}" for other in range(size)], GATHERING)
    except RuntimeError as error:
        minutes = GATHERING.total_seconds() / 60
        raise Lost(f"{fn}: not all of the {size} processes have come within {minutes:.0f} minutes") from error
    kind = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    dist.init_process_group(
        kind, store=dist.PrefixStore(f"pyconvnet {_joined}", _store), rank=rank, world_size=size, timeout=PATIENCE
    )
    # A connection of its own: the signs of life do not wait for other questions.
    return Watch(dist.PrefixStore(f"pyconvnet {_joined} watch", _store.clone()), rank, size)


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def to_start(opts: Any) -> int:
    """How many processes the options ask for, where they are not there already; 0 where this one goes on."""
    asked = opts["processes"] or np.size(opts["gpus"])
    return asked if asked > 1 and placed()[1] == 1 and not _alone.get() else 0


def started(
    fn: str, opts: Any, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Any, Any]:
    """function(*args, **options) in new processes on this machine, as `opts` say; what that of process 0 returned.

    Raises what the function raised first in any of them; RuntimeError where a process died.
    """
    count = to_start(opts)
    require_torch(fn, f"training in {count} processes")
    devices.all_of_gpus(fn, opts["gpus"])
    _check_main(fn, count)
    _check_pickle(fn, args, options)
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        start_method="spawn",
    )
    try:
        with _threads_for(count), _own_handlers():
            found = elastic_launch(config, _run)(function, args, options)
    except SignalException as error:
        if error.sigval != signal.SIGINT:
            raise SystemExit(128 + error.sigval) from None
        epoch = 0 if opts["expDir"] is None else checkpoints.highest(opts["expDir"])
        raise KeyboardInterrupt(f"{fn}: stopped; {checkpoints.advice(opts, epoch)}") from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise RuntimeError(
            f"{fn}: process {rank} of {count} has died, exit code {failure.exitcode}; a new call goes on from the last "
            "checkpoint"
        ) from None
    errors = [error for _, error in found.values() if error is not None]
    if errors:
        raise min(errors, key=lambda error: isinstance(error, Lost))
    return found[0][0]


def _run(function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    try:
        result = function(*args, **options)
    except Exception as error:
        return None, error
    return (result if os.environ["RANK"] == "0" else None), None


@contextmanager
def _threads_for(count: int) -> Iterator[None]:
    """The cores shared out over the processes that start inside the block, as torchrun does not."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    from pyconvnet.threads import get_num_threads

    os.environ["OMP_NUM_THREADS"] = str(max(1, get_num_threads() // count))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


@contextmanager
def _own_handlers() -> Iterator[None]:
    """Afterwards signals are handled as before: torch's launcher takes them, to end the processes, and keeps them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}}
    try:
        yield
    finally:
        for number, handler in kept.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _check_main(fn: str, count: int) -> None:
    """A new process imports the script that is running, and would train again from there."""
    import multiprocessing

    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(
            f"{fn}: the new processes import your script, and must not start others: put what it runs under "
            f"if __name__ == '__main__':, or leave out processes and call torchrun --nproc-per-node {count}"
        )


def _check_pickle(fn: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    import pickle

    named = dict(zip(("net", "imdb", "getBatch"), args[:3]))
    named |= {str(k): v for k, v in [*zip(args[3::2], args[4::2]), *options.items()]}
    for name, value in named.items():
        if name == "imdb":
            continue  # large; what is wrong with it shows when it is sent
        try:
            pickle.dumps(value)
        except Exception as error:
            raise TypeError(
                f"{fn}: {name} cannot be handed to new processes ({error}): functions must stand at the top of a "
                "file. torchrun, which runs the whole script in each process, has no such limit"
            ) from None
