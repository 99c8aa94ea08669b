"""Whether a checkpoint is of the run that is to go on: its network, solver and images against those given now."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.arrays import shape_of, size_text
from pyconvnet.compat.tidy import may_have_named
from pyconvnet.networks import is_graph
from pyconvnet.options import IGNORED
from pyconvnet.records import Struct
from pyconvnet.text import listed, visible
from pyconvnet.training import checkpoints, labels, run_metadata
from pyconvnet.training.progress import say, warn

# Options whose change is an ordinary continuation, told in one line; those left out do not touch the weights.
_TOLD = (
    "batchSize epochSize learningRate weightDecay momentum nesterovUpdate solverOpts randomSeed shuffle rng "
    "backPropDepth derOutputs"
).split()


def images_of(imdb: Any, train: np.ndarray) -> Struct:
    """The data in the run metadata: number of labels and their checksum, where there is one per image; `train`."""
    known = _labels(imdb)
    return Struct(count=known.size, checksum=_checksum(known), train=_packed(train))


def _labels(imdb: Any) -> np.ndarray:
    known = labels.of_imdb(imdb)
    known = np.asarray(known) if isinstance(known, (np.ndarray, list, tuple)) else np.zeros(0)
    one_each = known.dtype.kind in "iufb" and known.size == max(known.shape, default=0)
    return known.ravel() if one_each else np.zeros(0)


def _checksum(values: np.ndarray) -> int:
    return zlib.crc32(values.astype("<f8").tobytes())


def _packed(indexes: np.ndarray) -> str:
    """Indexes as text: one bit for each number, so that a million in order take a line."""
    bits = np.zeros(int(indexes.max(initial=-1)) + 1, bool)
    bits[indexes] = True
    return base64.b64encode(zlib.compress(np.packbits(bits).tobytes())).decode()


def _unpacked(text: str) -> np.ndarray:
    return np.flatnonzero(np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)))


def check(fn: str, opts: Struct, epoch: int, saved: Struct, given: Any, imdb: Any, sets: dict[str, Any]) -> Struct:
    """Refuse a checkpoint of another run, unless continue is 'force'; returns the data's part of the run metadata.

    given  the network to train; saved  the checkpoint of `epoch`; without run metadata beside it, as MATLAB
           writes none, the networks alone are compared
    """
    folder, force = opts["expDir"], opts["continue"] == "force"
    if is_graph(saved["net"]) != is_graph(given):
        kinds = ("SimpleNN", "DagNN")
        raise ValueError(
            f"{fn}: {folder / f'net-epoch-{epoch}.mat'} holds a {kinds[is_graph(saved['net'])]}, "
            f"net is a {kinds[is_graph(given)]}: give another expDir, or continue_=False to start over"
        )
    found, values = _networks(given, saved["net"])
    notes = _notes(folder)
    now = images_of(imdb, sets["train"])
    if sets["train"].size:
        before = other_solver(opts, saved, notes)
        if before:
            found.append(f"the solver is {_solver(opts)}, before {before}")
        found += _data(notes, imdb, sets)
        if not force and (notes.get("data") or {}).get("train"):
            trained = np.union1d(_unpacked(notes["data"]["train"]), sets["train"])
            now.train = _packed(trained)
    if found and not force:
        more = f"; and {len(found) - 5} more differences" if len(found) > 5 else ""
        raise ValueError(
            f"{fn}: {folder / f'net-epoch-{epoch}.mat'} is of another run: {'; '.join(found[:5])}{more}. Give another "
            "expDir, or continue_=False to start over, or continue_='force' to go on from that checkpoint all the same"
        )
    if sets["train"].size:
        _tell(fn, opts, notes)
    if values and sets["train"].size:
        warn(
            f"{fn}: going on from epoch {epoch} with the network of the checkpoint, where {'; '.join(values[:5])}; "
            "to have the values given, start over (continue_=False) or give another expDir",
        )
    return now


def rates(opts: Struct, epoch: int) -> dict[str, list[float]]:
    """The learning rates that postEpochFn gave up to an epoch, each with the epoch after which it did.

    None where another learningRate is given than before.
    """
    notes = _notes(opts["expDir"])
    before = (notes.get("options") or {}).get("learningRate")
    if before != run_metadata.json_value(opts["learningRate"]):
        return {}
    try:
        kept = {at: [float(v) for v in given] for at, given in notes.get("rates", {}).items() if given}
        return {at: given for at, given in kept.items() if int(at) <= epoch}
    except (AttributeError, TypeError, ValueError):
        return {}  # damaged by hand


def last_rate(fn: str, opts: Struct, kept: dict[str, list[float]]) -> list[float] | None:
    """The last of the rates that postEpochFn gave, told in one line; None where there is no such function now."""
    if opts["postEpochFn"] is None or not kept:
        return None
    at, last = [*kept.items()][-1]
    say(opts, f"{fn}: learningRate is {_shown(last)}, as postEpochFn gave it after epoch {at}")
    return last


def warn_of_leftovers(fn: str, opts: Struct) -> None:
    """Warn of an older, longer run in this folder: a later call would resume from its checkpoints."""
    last = checkpoints.highest(opts["expDir"])
    if last > opts["numEpochs"]:
        warn(
            f"{fn}: starting over in {opts['expDir']}, where net-epoch-{last}.mat of an earlier run stays: a later "
            "call would go on from that one; delete it, or give another expDir",
        )


def _notes(folder: Path) -> dict[str, Any]:
    try:
        return run_metadata.read(folder)
    except ValueError:
        return {}  # damaged by hand: as where there is none


# --- networks -------------------------------------------------------------------------------------------------


def _networks(given: Any, saved: Any) -> tuple[list[str], list[str]]:
    """(differences that make the given network another one than the saved one, differences that do not).

    Rates and factors (fractions: of dropout, leak, learning) may be changed during a run, as postEpochFn may do.
    """
    found: list[str] = []
    values: list[str] = []
    pairs = _graphs if is_graph(given) else _chains
    for name, ours, theirs in pairs(given, saved, found):
        for field in ours.keys() & theirs.keys():
            a, b = _simple(field, ours[field]), _simple(field, theirs[field])
            if a is None or b is None or a == b or (a and b and _close(a, b)):
                continue
            text = f"{name}: {field} is {_shown(ours[field])}, in the checkpoint {_shown(theirs[field])}"
            if field in ("learningRate", "weightDecay"):
                if a and b:
                    values.append(text)
            elif _fractional(a) or _fractional(b):
                values.append(text)
            else:
                found.append(text)
    return found, values


def _chains(given: Any, saved: Any, found: list[str]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The layers of two SimpleNNs by position, each as its name and two dicts of values."""
    ours, theirs = given["layers"], saved["layers"]
    if len(ours) != len(theirs):
        found.append(f"the network has {len(ours)} layers, that of the checkpoint {len(theirs)}")
    known = [{layer.get("name") for layer in layers} for layers in (ours, theirs)]
    for i, (a, b) in enumerate(zip(ours, theirs), 1):
        names, kinds = (a.get("name") or "", b.get("name") or ""), (_class(a), _class(b))
        unnamed = any(not name or may_have_named(name, beside) for name, beside in zip(names, known))
        if kinds[0] != kinds[1] or not (unnamed or names[0] == names[1]):
            shown = [f"{n!r} ({visible(layer['type'])})" for n, layer in zip(names, (a, b))]
            found.append(f"layer {i} is {shown[0]}, in the checkpoint {shown[1]}")
            if len(ours) != len(theirs):
                return  # all that follows is shifted
            continue
        where = f"layer {i} {names[0]!r} ({a['type']})"
        _sizes(where, a.get("weights"), b.get("weights"), found)
        rates = ("learningRate", "weightDecay")
        mine, other = ({**_properties(layer), **{r: layer[r] for r in rates if r in layer}} for layer in (a, b))
        yield where, mine, other


def _graphs(given: Any, saved: Any, found: list[str]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The layers and parameters of two DagNNs by name."""
    from pyconvnet.dagnn.saved import matlab_class

    for layer in given.layers:
        if layer.name not in saved.layers:
            found.append(f"layer {layer.name!r} is not in the checkpoint")
    for theirs in saved.layers:
        if theirs.name not in given.layers:
            found.append(f"layer {theirs.name!r} of the checkpoint is not in the network")
            continue
        ours, where = given.layers[theirs.name], f"layer {theirs.name!r}"
        kinds = [matlab_class(e.block).rsplit(".", 1)[-1] for e in (ours, theirs)]
        if kinds[0] != kinds[1]:
            found.append(f"{where} is a {kinds[0]}, in the checkpoint a {kinds[1]}")
            continue
        for what in ("inputs", "outputs", "params"):
            a, b = getattr(ours, what), getattr(theirs, what)
            if list(a) != list(b):
                found.append(f"{where}: {what} are {listed(a)}, in the checkpoint {listed(b)}")
        yield where, _block_properties(ours.block), _block_properties(theirs.block)
    for theirs in saved.params:
        if theirs.name in given.params:
            ours, where = given.params[theirs.name], f"parameter {theirs.name!r}"
            if ours.value is not None and theirs.value is not None:
                _sizes(where, [ours.value], [theirs.value], found)
            rates = ("learningRate", "weightDecay")
            mine, other = ({r: getattr(p, r) for r in rates} for p in (ours, theirs))
            yield where, mine, other


def _sizes(where: str, ours: Any, theirs: Any, found: list[str]) -> None:
    a, b = ([shape_of(w) for w in weights or ()] for weights in (ours, theirs))
    if [_bare(s) for s in a] != [_bare(s) for s in b]:
        shown = [", ".join(size_text(s) for s in sizes) or "none" for sizes in (a, b)]
        found.append(f"{where}: the sizes of weights are {shown[0]}, in the checkpoint {shown[1]}")


def _bare(size: tuple[int, ...]) -> tuple[int, ...]:
    """A size as files keep it: without dimensions of 1 at the end, and without the direction of a vector."""
    count = int(np.prod(size))
    if count == max(size, default=1):
        return (count,)
    while size[-1] == 1:
        size = size[:-1]
    return size


def _class(record: Any) -> Any:
    from pyconvnet.layers import is_layer_type, layer_class

    return layer_class(record["type"]) if is_layer_type(record["type"]) else record["type"]


def _properties(record: Any) -> dict[str, Any]:
    kind = _class(record)
    try:
        return {} if isinstance(kind, str) else _block_properties(kind.from_record(record))
    except (ValueError, TypeError, KeyError):
        return {}  # it cannot run either, and that error says why


def _block_properties(block: Any) -> dict[str, Any]:
    """The properties that this library's classes define; a user's block may count the steps of training in its own."""
    own = {name for k in type(block).__mro__ if k.__module__.startswith("pyconvnet.layers.") for name in vars(k)} - set(
        type(block).transient
    )
    return {name: getattr(block, name) for name in type(block)._fields if name in own}


def _simple(field: str, value: Any) -> tuple[Any, ...] | None:
    """A property as a tuple of numbers or words, the same however a file or a program writes it; None: of neither."""
    items = [] if value is None else _flat(value)
    if field == "opts":
        return tuple(_option(v) for v in _without_switches(items))
    if all(isinstance(v, str) for v in items):
        return tuple(v.lower() for v in items if v)
    numbers = []
    for v in items:
        if isinstance(v, str) or not isinstance(v, (bool, int, float, np.generic)):
            return None
        numbers.append(float(v))
    if len(set(numbers)) == 1:
        return (numbers[0],)  # a stride of 2 and of (2, 2)
    while len(numbers) > 2 and numbers[-1] == 1:
        numbers.pop()  # sizes of filters
    return tuple(numbers)


def _option(value: Any) -> Any:
    if isinstance(value, str):
        return value.lower()
    return float(value) if isinstance(value, (bool, int, float, np.generic)) else str(value)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return value.ravel().tolist()
    if isinstance(value, (list, tuple)):
        return [item for v in value for item in _flat(v)]
    return [value]


def _without_switches(items: list[Any]) -> list[Any]:
    out, skip = [], 0
    for v in items:
        if skip:
            skip -= 1
        elif isinstance(v, str) and v.lower() in IGNORED:
            skip = IGNORED[v.lower()]
        else:
            out.append(v)
    return out


def _close(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    numbers = all(isinstance(v, float) for v in a + b)
    return numbers and len(a) == len(b) and bool(np.allclose(a, b, rtol=1e-6, atol=0, equal_nan=True))


def _fractional(values: tuple[Any, ...]) -> bool:
    return any(isinstance(v, float) and not v.is_integer() for v in values)


def _shown(value: Any) -> str:
    items = _flat(value)
    return " ".join(f"{v:g}" if isinstance(v, (int, float)) else str(v) for v in items[:12]) or "empty"


# --- solver, images, options ------------------------------------------------------------------------------------


def _solver(opts: Any) -> str:
    """The name of the solver in options, also of the run metadata; "" for a function without a lasting name."""
    solver = opts["solver"]
    name = "sgd" if solver is None else solver if isinstance(solver, str) else getattr(solver, "__name__", "")
    return "" if " at 0x" in name else name


def other_solver(opts: Struct, saved: Struct, notes: dict[str, Any] | None = None) -> str:
    """Name of the solver whose state the checkpoint holds, if not the options', which would misread it."""
    notes = _notes(opts["expDir"]) if notes is None else notes
    state = (saved.get("state") or {}).get("solverState")
    if not isinstance(state, (list, tuple)) or not len(state) or "solver" not in (notes.get("options") or {}):
        return ""
    before, now = _solver(notes["options"]), _solver(opts)
    return before if before and now and before != now else ""


def _data(notes: dict[str, Any], imdb: Any, sets: dict[str, Any]) -> list[str]:
    """Differences of images or classes from the run metadata; new images at the end do not count."""
    found = []
    names = labels.class_names(imdb)
    if names and notes.get("classes") and names != notes["classes"]:
        shown = [listed(some[:4]) + (", ..." if len(some) > 4 else "") for some in (names, notes["classes"])]
        found.append(f"the classes of imdb are {shown[0]}, before {shown[1]}")
    data = notes.get("data")
    if not data:
        return found
    now = _labels(imdb)
    if data["count"] and now.size:
        if now.size < data["count"]:
            found.append(f"imdb has {now.size} images, before {data['count']}")
        elif _checksum(now[: data["count"]]) != data["checksum"]:
            found.append("images.labels of imdb are others than before")
    if not found:
        seen = np.setdiff1d(np.intersect1d(sets["val"], _unpacked(data["train"])), sets["train"])
        if seen.size:
            found.append(f"{seen.size} of the {sets['val'].size} images to validate on were trained on before")
    return found


def _tell(fn: str, opts: Struct, notes: dict[str, Any]) -> None:
    before, now = notes.get("options") or {}, run_metadata.json_value(opts)
    changed = [
        f"{name} {before[name]} -> {now[name]}" for name in _TOLD if name in before and before[name] != now.get(name)
    ]
    if changed:
        say(opts, f"{fn}: options changed since the checkpoint: {', '.join(changed)}")
