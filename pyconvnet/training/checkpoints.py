"""net-epoch-N.mat: the checkpoint of each epoch, and where to resume."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import host_numbers, shape_of
from pyconvnet.formats import load_checkpoint, save
from pyconvnet.records import Struct, StructArray
from pyconvnet.training.progress import warn
from pyconvnet.training.team import Team


def path_of(folder: Path, epoch: int) -> Path:
    """The checkpoint of an epoch (1-based), as MatConvNet names it."""
    return folder / f"net-epoch-{epoch}.mat"


def write(folder: Path, epoch: int, net: Any, state: Struct, stats: Struct) -> None:
    """Write net, state and stats; the file is there whole or not at all."""
    state = Struct(state, solverState=_cells(state["solverState"]))
    save(
        path_of(folder, epoch),
        _without_functions(net),
        state=state,
        stats=Struct({k: _struct_array(v) for k, v in stats.items()}),
    )


def _without_functions(net: Any) -> Any:
    """A SimpleNN whose layers hold the names of functions in place of functions, which no `.mat` file can hold."""
    if not isinstance(net, dict) or not any(callable(v) for layer in net["layers"] for v in layer.values()):
        return net
    names = [{k: getattr(v, "__name__", "function") if callable(v) else v for k, v in a.items()} for a in net["layers"]]
    return type(net)({**net, "layers": [type(a)(b) for a, b in zip(net["layers"], names)]})


def with_functions(net: Any, given: Any) -> Any:
    """The network of a checkpoint, with the functions that the layers of the network `given` to cnn_train have."""
    if isinstance(net, dict) and len(net["layers"]) == len(given["layers"]):
        for layer, own in zip(net["layers"], given["layers"]):
            layer.update({k: v for k, v in own.items() if callable(v)})
    return net


def _cells(memory: Any) -> Any:
    """Solver state as MATLAB has it: a cell also where each layer or weight has a number, as before the first step."""
    if isinstance(memory, (list, tuple)):
        return [_cells(v) for v in memory]
    return np.array([[memory]], float) if isinstance(memory, (int, float)) else memory


def _struct_array(epochs: list[Struct]) -> list[Any]:
    """As MATLAB has it, stats.train(epoch).objective: every epoch with the same fields, empty where it had none."""
    names = list(dict.fromkeys(name for epoch in epochs for name in epoch))
    return StructArray(Struct({name: epoch.get(name, []) for name in names}) for epoch in epochs) if epochs else []


def last(folder: Path) -> tuple[int, Struct] | None:
    """(epoch, Struct(net, state, stats)) of the newest checkpoint that can be read; a broken one warns."""
    for epoch in sorted(_epochs(folder), reverse=True):
        path = path_of(folder, epoch)
        try:
            point = load_checkpoint(path)
        except (ValueError, OSError) as problem:
            warn(f"skipping the checkpoint {path.name}, which cannot be read: {problem}")
            continue
        return epoch, point
    return None


def shared(team: Team, folder: Path, point: tuple[int, Struct] | None) -> tuple[int, Struct] | None:
    """What process 0 resumes from, in all processes; only process 0 needs to see the folder."""
    if team.size == 1:
        return point
    if point is None:
        told = team.tell(None)
    else:
        # Only whether there is a solver state may differ from the file.
        epoch = point[0]
        head = f"{epoch} {int(point[1].get('state') is not None)}\n".encode()
        told = team.tell(head + path_of(folder, epoch).read_bytes())
    if told is None or team.rank == 0:
        return point
    head, _, content = told.partition(b"\n")
    epoch, has_state = map(int, head.split())
    with tempfile.TemporaryDirectory() as own:
        copy = path_of(Path(own), epoch)
        copy.write_bytes(content)
        found = load_checkpoint(copy)
    return epoch, found if has_state else Struct(found, state=None)


def highest(folder: Path) -> int:
    """The epoch of the newest checkpoint, 0 where there is none."""
    return max(_epochs(folder), default=0)


def advice(opts: Struct, epoch: int) -> str:
    """How a run goes on that was stopped when the checkpoint of `epoch` was its last; 0: there was none."""
    if opts["expDir"] is None:
        return "nothing of it is kept, as expDir is None"
    if not epoch:
        return f"{opts['expDir']} has no checkpoint yet, and the same call begins anew"
    again = "the same call" if opts["continue"] else "the same call with continue_=True"
    return f"{again} goes on from {path_of(opts['expDir'], epoch)}"


def _epochs(folder: Path) -> list[int]:
    found = (re.fullmatch(r"net-epoch-(\d+)\.mat", p.name) for p in folder.glob("net-epoch-*.mat"))
    return [int(m[1]) for m in found if m]


def solver_state(saved: Any, like: list[Any]) -> list[Any]:
    """The state of solvers in a file, in the shapes of the weights `like` (nested as they are).

    MATLAB drops trailing dimensions of 1, and calls it `momentum` in the releases before beta23.
    """
    if isinstance(saved, dict):
        saved = saved.get("solverState", saved.get("momentum"))
    saved = list(saved) if isinstance(saved, (list, tuple)) else []
    return [_shaped(saved[i] if i < len(saved) else 0.0, w) for i, w in enumerate(like)]


def _shaped(value: Any, like: Any) -> Any:
    if isinstance(like, list):
        value = list(value) if isinstance(value, (list, tuple)) else []
        return [_shaped(value[i] if i < len(value) else 0.0, w) for i, w in enumerate(like)]
    if isinstance(value, dict):
        return Struct({k: _shaped(v, like) for k, v in value.items()})
    a, shape = host_numbers(value), shape_of(like)
    if a.size == 1 and math.prod(shape) != 1:
        return a.item()
    if a.size == 0:
        return 0.0
    if a.size != math.prod(shape):
        raise ValueError(f"the solver state in the checkpoint has {a.shape} where the weights have {shape}")
    return backends.of(like).asarray(a.reshape(shape, order="F"), like) if a.size > 1 else a.reshape(shape)
