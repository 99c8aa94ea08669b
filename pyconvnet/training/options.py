"""The options of cnn_train and cnn_train_dag: MatConvNet's names and defaults, checked before anything runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.arrays import is_empty
from pyconvnet.options import read_pairs
from pyconvnet.records import Struct
from pyconvnet.rng import KINDS
from pyconvnet.solver import SOLVERS, sgd
from pyconvnet.training.distributed import placed
from pyconvnet.training.progress import warn
from pyconvnet.values import as_array, choice, flag, function, number, path_text, whole_number

COMMON = {
    "expDir": "data/exp",
    "continue": True,
    "batchSize": 256,
    "numSubBatches": 1,
    "train": None,
    "val": None,
    "gpus": (),
    "epochSize": math.inf,
    "prefetch": False,
    "numEpochs": 300,
    "learningRate": 0.001,
    "weightDecay": 0.0005,
    "solver": None,
    "solverOpts": None,
    "momentum": 0.9,
    "saveSolverState": True,
    "nesterovUpdate": False,
    "randomSeed": 0,
    "profile": False,
    "conserveMemory": True,
    "sync": False,
    "cudnn": True,
    "plotDiagnostics": False,
    "plotStatistics": True,
    "postEpochFn": None,
    # beyond MatConvNet
    "processes": None,
    "shuffle": True,
    "rng": "numpy",
    "progress": False,
    "verbose": True,
    "stopOnNaN": True,
    "checkLabels": True,
    "evalSets": None,
}
SIMPLENN = {"backPropDepth": math.inf, "errorFunction": "multiclass", "errorLabels": ()}
DAGNN = {"derOutputs": ("objective", 1.0), "extractStatsFn": None}

_FLAGS = (
    "continue prefetch saveSolverState nesterovUpdate plotDiagnostics plotStatistics conserveMemory shuffle progress "
    "verbose stopOnNaN checkLabels"
).split()


# Names that other trainers have -> the hint in the error.
_ELSEWHERE = {
    "checkpointfn": "postEpochFn=f is called after each epoch, once its checkpoint is written, as f(net, opts, state)"
}


def read_options(fn: str, own: dict[str, Any], args: tuple[Any, ...], given: dict[str, Any]) -> Struct:
    """COMMON and `own` defaults overridden by MATLAB pairs, then keywords (`continue_` stands for `continue`)."""
    defaults = {**COMMON, **own}
    names = {k.lower(): k for k in defaults}
    names["continue_"] = "continue"
    # MATLAB accepts structs of options between the pairs, as in cnn_train(..., net.meta.trainOpts, 'numEpochs', 3).
    args = tuple(item for a in args for item in (_flat(a) if isinstance(a, dict) else (a,)))
    pairs = _flat(given)
    for name in [*args, *pairs][::2]:
        if isinstance(name, str) and name.lower() in _ELSEWHERE:
            raise ValueError(f"{fn}: unknown option {name!r}; {_ELSEWHERE[name.lower()]}")
    opts = Struct(
        {**defaults, **read_pairs(fn, [*args, *pairs], names, ignored={"memorymapfile": 1, "parameterserver": 1})}
    )
    _read_solver(fn, opts)
    for name, least in (("batchSize", 1), ("numSubBatches", 1), ("numEpochs", 0), ("randomSeed", 0)):
        opts[name] = whole_number(f"{fn}: {name}", opts[name], least)
    for name in ("weightDecay", "momentum"):
        opts[name] = number(f"{fn}: {name}", opts[name], "a number from 0 up", lambda v: v >= 0)
    opts["epochSize"] = number(f"{fn}: epochSize", opts["epochSize"], "a number from 1 up", lambda v: v >= 1)
    force = isinstance(opts["continue"], str) and opts["continue"].lower() == "force"
    if isinstance(opts["continue"], str) and not force:
        raise ValueError(f"{fn}: continue_ must be True, False or 'force', got {opts['continue']!r}")
    opts["rng"] = choice(f"{fn}: rng", opts["rng"], KINDS)
    for name in _FLAGS:
        opts[name] = "force" if name == "continue" and force else flag(f"{fn}: {name}", opts[name])
    if opts["rng"] == "matlab" and opts["prefetch"]:
        raise ValueError(
            f"{fn}: prefetch must be False with rng='matlab': what a batch fetched ahead draws would come out of order"
        )
    rates = as_array(opts["learningRate"])
    rates = rates.astype(float).ravel() if rates.dtype.kind in "biuf" else np.empty(0)
    if rates.size == 0 or not np.all(np.isfinite(rates)) or np.any(rates < 0):
        given = opts["learningRate"]
        raise ValueError(f"{fn}: learningRate must be one number, or one per epoch, from 0 up; got {given!r}")
    opts["learningRate"] = rates.tolist()
    if opts["processes"] is not None:
        opts["processes"] = whole_number(f"{fn}: processes", opts["processes"], 1)
    _check_processes(fn, opts)
    for name in ("postEpochFn", "extractStatsFn"):
        if opts.get(name) is not None:
            function(f"{fn}: {name}", opts[name])
    if "errorLabels" in own:
        labels = opts["errorLabels"]
        listed = isinstance(labels, (list, tuple)) and all(isinstance(label, str) for label in labels)
        if not listed and not isinstance(labels, str):
            raise TypeError(f"{fn}: errorLabels must be a list of texts, got {opts['errorLabels']!r}")
    opts["evalSets"] = {} if is_empty(opts["evalSets"]) else opts["evalSets"]
    if not isinstance(opts["evalSets"], dict):
        kind = type(opts["evalSets"]).__name__
        raise TypeError(f"{fn}: evalSets must be a dict of names and image indexes, got {kind}")
    opts["expDir"] = None if opts["expDir"] is None else Path(path_text(f"{fn}: expDir", opts["expDir"]))
    return opts


def _check_processes(fn: str, opts: Struct) -> None:
    """Refuse devices and random numbers that do not go with the number of processes."""
    gpus = () if isinstance(opts["gpus"], str) or opts["gpus"] is None else np.ravel(opts["gpus"]).tolist()
    if len(set(gpus)) < len(gpus):
        raise ValueError(f"{fn}: gpus={opts['gpus']!r}: each process needs a GPU of its own, but one is named twice")
    if len(gpus) > 1 and opts["processes"] not in (None, len(gpus)):
        raise ValueError(f"{fn}: processes is {opts['processes']}, but gpus={opts['gpus']!r} names {len(gpus)} GPUs")
    count = max(len(gpus), opts["processes"] or 1, placed()[1])
    if count > 1 and opts["rng"] == "matlab":
        raise ValueError(
            f"{fn}: rng must be 'numpy' in {count} processes, got 'matlab': MATLAB's order of drawing is that of one"
        )


def _flat(options: dict[str, Any]) -> list[Any]:
    return [item for pair in options.items() for item in pair]


def image_sets(fn: str, imdb: Any, opts: Struct) -> dict[str, np.ndarray]:
    """0-based image indexes of 'train', 'val' and each of evalSets: as given, NaN for none, else by images.set."""
    marks = (imdb.get("images") or {}).get("set") if isinstance(imdb, dict) else None
    marks = None if marks is None else np.ravel(marks)
    sets = {}
    for name, code in (("train", 1), ("val", 2)):
        given = opts[name]
        if is_empty(given):
            if marks is None:
                raise ValueError(f"{fn}: imdb has no images.set; give {name}= a list of image indexes, or NaN for none")
            sets[name] = np.flatnonzero(marks == code)
        else:
            sets[name] = _indexes(fn, name, given, marks)
    for name, given in opts["evalSets"].items():
        if name in ("train", "val", "num", "time"):
            raise ValueError(f"{fn}: evalSets cannot be called {name!r}")
        sets[name] = _indexes(fn, f"evalSets[{name!r}]", given, marks)
    chosen = opts["evalSets"] or not is_empty(opts["val"])
    if marks is not None and np.any((marks != 1) & (marks != 2)) and not chosen:
        if sets["train"].size and not sets["val"].size:
            _warn_of_no_validation(fn, marks)
    if not any(s.size for s in sets.values()):
        raise ValueError(f"{fn}: no image to train on or to evaluate: images.set has no 1 (train) and no 2 (val)")
    return sets


def _warn_of_no_validation(fn: str, marks: np.ndarray) -> None:
    codes, counts = np.unique(marks[(marks != 1) & (marks != 2)], return_counts=True)
    there = ", ".join(f"{count} images {code:g}" for code, count in zip(codes, counts))
    warn(
        f"{fn}: nothing is validated: images.set has no 2 (validate), but {there}. "
        f"val=np.flatnonzero(imdb['images']['set'] == {codes[-1]:g}) validates on these, as cnn_mnist.m does; "
        "val=np.nan says that no validation is meant",
    )


def _indexes(fn: str, name: str, given: Any, marks: np.ndarray | None) -> np.ndarray:
    a = as_array(given).ravel()
    if a.dtype.kind == "f" and a.size == 1 and np.isnan(a[0]):
        return np.zeros(0, int)
    if a.dtype == bool:
        if marks is not None and a.size != marks.size:
            raise ValueError(f"{fn}: {name} must be {marks.size} booleans, one per image, or indexes; got {a.size}")
        return np.flatnonzero(a)
    if a.dtype.kind not in "iu" and not (a.dtype.kind == "f" and np.all(a == np.floor(a))):
        raise TypeError(f"{fn}: {name} must be 0-based image indexes, got {a.dtype} values")
    top = marks.size if marks is not None else None
    if a.size and (a.min() < 0 or (top is not None and a.max() >= top)):
        raise ValueError(f"{fn}: {name} must be 0-based image indexes below {top}, got {a.min():g}..{a.max():g}")
    return a.astype(int)


def _read_solver(fn: str, opts: Struct) -> None:
    """Check solver and solverOpts, and fill in the solver's defaults."""
    opts["solver"] = _solver(fn, opts["solver"])
    more = {} if is_empty(opts["solverOpts"]) else opts["solverOpts"]
    if not isinstance(more, dict):
        raise TypeError(f"{fn}: solverOpts must be a dict of options, got {type(more).__name__}")
    if opts["solver"] is None:
        if more:
            raise ValueError(
                f"{fn}: solverOpts is for a solver; give solver= as well (momentum= sets that of the default)"
            )
        return
    try:
        known = opts["solver"]()
        unusable = not isinstance(known, dict)
    except TypeError:
        unusable = True
    if unusable:
        raise TypeError(
            f"{fn}: solver must be a function that returns a dict of its default options when called without "
            "arguments, and otherwise (w, state) for (w, state, grad, opts, lr)"
        )
    more = {k: v.item() if np.ndim(v) and np.size(v) == 1 else v for k, v in more.items()}
    unknown = sorted(set(more) - set(known))
    if unknown:
        raise ValueError(f"{fn}: solverOpts has no {unknown[0]!r}; the options of the solver are {', '.join(known)}")
    opts["solverOpts"] = Struct({**known, **more})
    if opts["solver"] is sgd:
        # The default by its name: one path, so that a run begun under either name goes on under the other.
        opts["momentum"] = more.get("momentum", opts["momentum"])
        opts["nesterovUpdate"] = more.get("nesterov", opts["nesterovUpdate"])
        opts["solver"] = opts["solverOpts"] = None


def _solver(fn: str, given: Any) -> Any:
    if is_empty(given):
        return None
    if isinstance(given, str):
        name = given.removeprefix("solver.").removeprefix("@solver.")
        if name not in SOLVERS:
            raise ValueError(f"{fn}: unknown solver {given!r}; there are {', '.join(SOLVERS)}, or give a function")
        return SOLVERS[name]
    if not callable(given):
        raise TypeError(f"{fn}: solver must be a function or one of {', '.join(SOLVERS)}, got {type(given).__name__}")
    return given
