"""The options of cnn_train and cnn_train_dag: MatConvNet's names and defaults, checked before anything runs."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.options import read_pairs
from pyconvnet.records import Struct
from pyconvnet.solver import SOLVERS, sgd

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


# Names that other trainers have -> what to say of them.
_ELSEWHERE = {
    "checkpointfn": "postEpochFn=f is called after each epoch, once its checkpoint is written, as f(net, opts, state)"
}


def read_options(fn: str, own: dict[str, Any], args: tuple[Any, ...], given: dict[str, Any]) -> Struct:
    """COMMON and `own` defaults overridden by MATLAB pairs, then keywords (`continue_` stands for `continue`)."""
    defaults = {**COMMON, **own}
    names = {k.lower(): k for k in defaults}
    names["continue_"] = "continue"
    # MATLAB takes structs of options between the pairs, as in cnn_train(..., net.meta.trainOpts, 'numEpochs', 3).
    args = tuple(item for a in args for item in (_flat(a) if isinstance(a, dict) else (a,)))
    pairs = _flat(given)
    for name in [*args, *pairs][::2]:
        if isinstance(name, str) and name.lower() in _ELSEWHERE:
            raise ValueError(f"{fn}: unknown option {name!r}; {_ELSEWHERE[name.lower()]}")
    opts = Struct(
        {**defaults, **read_pairs(fn, [*args, *pairs], names, ignored={"memorymapfile": 1, "parameterserver": 1})}
    )
    _read_solver(fn, opts)
    for name in ("batchSize", "numSubBatches", "numEpochs"):
        opts[name] = _number(fn, name, opts[name], least=0 if name == "numEpochs" else 1, whole=True)
    for name in ("weightDecay", "momentum"):
        opts[name] = _number(fn, name, opts[name], least=0)
    force = isinstance(opts["continue"], str) and opts["continue"].lower() == "force"
    if isinstance(opts["continue"], str) and not force:
        raise ValueError(f"{fn}: continue_ takes True, False or 'force', got {opts['continue']!r}")
    for name in _FLAGS:
        opts[name] = bool(np.all(opts[name]))
    opts["continue"] = "force" if force else opts["continue"]
    opts["randomSeed"] = _number(fn, "randomSeed", opts["randomSeed"], least=0, whole=True)
    opts["epochSize"] = _number(fn, "epochSize", opts["epochSize"], least=1)
    rates = np.atleast_1d(np.asarray(opts["learningRate"], float)).ravel()
    if rates.size == 0 or not np.all(np.isfinite(rates)) or np.any(rates < 0):
        given = opts["learningRate"]
        raise ValueError(f"{fn}: learningRate takes one number, or one per epoch, from 0 up; got {given!r}")
    opts["learningRate"] = rates.tolist()
    if np.size(opts["gpus"]):
        raise ValueError(f"{fn}: gpus={opts['gpus']!r}: there is no GPU backend yet; leave it empty to use the CPU")
    if opts["processes"] is not None:
        opts["processes"] = _number(fn, "processes", opts["processes"], least=1, whole=True)
    opts["expDir"] = None if opts["expDir"] is None else Path(opts["expDir"])
    return opts


def _flat(options: dict[str, Any]) -> list[Any]:
    return [item for pair in options.items() for item in pair]


def image_sets(fn: str, imdb: Any, opts: Struct) -> dict[str, np.ndarray]:
    """0-based image indexes of 'train', 'val' and each of evalSets: as given, NaN for none, else by images.set."""
    marks = (imdb.get("images") or {}).get("set") if isinstance(imdb, dict) else None
    marks = None if marks is None else np.ravel(marks)
    sets = {}
    for name, code in (("train", 1), ("val", 2)):
        given = opts[name]
        if given is None or np.size(given) == 0:
            if marks is None:
                raise ValueError(f"{fn}: imdb has no images.set; give {name}= a list of image indexes, or NaN for none")
            sets[name] = np.flatnonzero(marks == code)
        else:
            sets[name] = _indexes(fn, name, given, marks)
    for name, given in (opts["evalSets"] or {}).items():
        if name in ("train", "val", "num", "time"):
            raise ValueError(f"{fn}: evalSets cannot be called {name!r}")
        sets[name] = _indexes(fn, f"evalSets[{name!r}]", given, marks)
    chosen = opts["evalSets"] or np.size(() if opts["val"] is None else opts["val"])
    if marks is not None and np.any((marks != 1) & (marks != 2)) and not chosen:
        if sets["train"].size and not sets["val"].size:
            _warn_of_no_validation(fn, marks)
    if not any(s.size for s in sets.values()):
        raise ValueError(f"{fn}: no image to train on or to evaluate: images.set has no 1 (train) and no 2 (val)")
    return sets


def _warn_of_no_validation(fn: str, marks: np.ndarray) -> None:
    codes, counts = np.unique(marks[(marks != 1) & (marks != 2)], return_counts=True)
    there = ", ".join(f"{count} images {code:g}" for code, count in zip(codes, counts))
    warnings.warn(
        f"{fn}: nothing is validated: images.set has no 2 (validate), but {there}. "
        f"val=np.flatnonzero(imdb['images']['set'] == {codes[-1]:g}) validates on these, as cnn_mnist.m does; "
        "val=np.nan says that no validation is meant",
        stacklevel=4,
    )


def _indexes(fn: str, name: str, given: Any, marks: np.ndarray | None) -> np.ndarray:
    a = np.ravel(np.asarray(given))
    if a.dtype.kind == "f" and a.size == 1 and np.isnan(a[0]):
        return np.zeros(0, int)
    if a.dtype == bool:
        if marks is not None and a.size != marks.size:
            raise ValueError(f"{fn}: {name} takes {marks.size} booleans, one per image, or indexes; got {a.size}")
        return np.flatnonzero(a)
    if a.dtype.kind not in "iu" and not (a.dtype.kind == "f" and np.all(a == np.floor(a))):
        raise TypeError(f"{fn}: {name} takes 0-based image indexes, got {a.dtype} values")
    top = marks.size if marks is not None else None
    if a.size and (a.min() < 0 or (top is not None and a.max() >= top)):
        raise ValueError(f"{fn}: {name} takes 0-based image indexes below {top}, got {a.min():g}..{a.max():g}")
    return a.astype(int)


def _number(fn: str, name: str, value: Any, least: float, whole: bool = False) -> Any:
    a = np.asarray(value)
    kind = "a whole number" if whole else "a number"
    if a.size != 1 or a.dtype.kind not in "iufb" or not a.item() >= least or (whole and a.item() != int(a.item())):
        raise ValueError(f"{fn}: {name} takes {kind} from {least} up, got {value!r}")
    return int(a.item()) if whole else float(a.item())


def _read_solver(fn: str, opts: Struct) -> None:
    """Check solver and solverOpts, and fill in the solver's defaults."""
    opts["solver"] = _solver(fn, opts["solver"])
    if opts["solver"] is None:
        if opts["solverOpts"]:
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
            f"{fn}: solver takes a function that returns a dict of its default options when called without "
            "arguments, and otherwise (w, state) for (w, state, grad, opts, lr)"
        )
    more = {k: v.item() if np.ndim(v) and np.size(v) == 1 else v for k, v in (opts["solverOpts"] or {}).items()}
    unknown = sorted(set(more) - set(known))
    if unknown:
        raise ValueError(f"{fn}: solverOpts has no {unknown[0]!r}; the solver takes {', '.join(known)}")
    opts["solverOpts"] = Struct({**known, **more})
    if opts["solver"] is sgd:
        # The default by its name: one path, so that a run begun under either name goes on under the other.
        opts["momentum"] = more.get("momentum", opts["momentum"])
        opts["nesterovUpdate"] = more.get("nesterov", opts["nesterovUpdate"])
        opts["solver"] = opts["solverOpts"] = None


def _solver(fn: str, given: Any) -> Any:
    if given is None or (np.size(given) == 0 and not isinstance(given, str)):
        return None
    if isinstance(given, str):
        name = given.removeprefix("solver.").removeprefix("@solver.")
        if name not in SOLVERS:
            raise ValueError(f"{fn}: unknown solver {given!r}; there are {', '.join(SOLVERS)}, or give a function")
        return SOLVERS[name]
    if not callable(given):
        raise TypeError(f"{fn}: solver takes a function or one of {', '.join(SOLVERS)}, got {type(given).__name__}")
    return given
