"""MATLAB's global stream of random numbers: rng, rand, randn, randi, randperm, randsample.

The numbers are those of MATLAB's default generator, the Mersenne twister 'mt19937ar'. `randn` is a ziggurat that was
found from the weights of a public network, which it gives to the bit. 'single' rounds what is drawn in double
precision; for `rand` the last bit of that is not confirmed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pyconvnet import rng as library_rng
from pyconvnet.compat.matlab.conventions import floats
from pyconvnet.randstream import RandStream, check_type, global_stream, seed_number
from pyconvnet.records import Struct
from pyconvnet.values import as_array, flag, whole_number

__all__ = [
    "RandStream",
    "rand",
    "randi",
    "randn",
    "randperm",
    "randsample",
    "rng",
]

_OTHERS = "sprand sprandn sprandsym normrnd unifrnd mvnrnd exprnd poissrnd binornd gamrnd betarnd".split()
__all__ += _OTHERS


def rng(seed: Any = None, generator: str = "twister") -> Struct:
    """
    s = rng()                                   the generator's settings: Struct(Type, Seed, State)
    rng(seed), rng("default"), rng("shuffle")   start it from a whole number, from 0, or from the clock
    rng(s)                                      go on from settings of before, of MATLAB's as well

    Returns the settings of before. Once it has started or gone on, layers (initParams, dropout) draw from it in this
    thread, as in MATLAB, until pyconvnet.rng.seed, or training without rng="matlab", starts another generator.

    >>> s = rng(0)
    >>> rand(1, 3).round(4)
    array([[0.8147, 0.9058, 0.127 ]])
    """
    stream = global_stream()
    before = Struct(Type="twister", Seed=stream.Seed, State=stream.State)
    if seed is None:
        return before
    check_type("rng", generator)
    if isinstance(seed, dict):
        if missing := {"Type", "Seed", "State"} - set(seed):
            raise ValueError(f"rng: settings must have the fields Type, Seed and State; missing: {', '.join(missing)}")
        check_type("rng", seed["Type"])
        stream.Seed, stream.State = seed_number("rng", seed["Seed"]), seed["State"]
    elif isinstance(seed, str):
        if seed not in ("default", "shuffle"):
            raise ValueError(f"rng: the seed must be a whole number, 'default' or 'shuffle', got {seed!r}")
        stream.reset(0 if seed == "default" else int(time.time() * 100) % (2**31 - 1))
    else:
        stream.reset(seed_number("rng", seed))
    library_rng.adopt(stream)
    return before


def rand(*size: Any) -> np.ndarray:
    """Uniform between 0 and 1.

    rand()            1 x 1
    rand(n)           n x n
    rand(m, n, ...)   m x n x ..., filled column by column; rand([m, n, ...]) as well
    rand(..., "single"), rand(..., "like", p)   of this class, double otherwise
    rand(s, ...)      drawn from a RandStream
    """
    stream, size = _stream(size)
    return stream.rand(*size)


def randn(*size: Any) -> np.ndarray:
    """Normally distributed, mean 0 and deviation 1; arguments as rand.

    >>> s = rng(0)
    >>> randn(1, 3).round(4)
    array([[ 0.5377,  1.8339, -2.2588]])
    """
    stream, size = _stream(size)
    return stream.randn(*size)


def randi(imax: Any, *size: Any) -> np.ndarray:
    """Whole numbers from 1 to imax, or from low to high with imax = [low, high]; doubles, or of a class named last."""
    stream, size = _stream((imax, *size))
    return stream.randi(*size)


def randperm(n: Any, k: Any = None, *more: Any) -> np.ndarray:
    """1 x n: the whole numbers 1..n in the order that sorts n random numbers. Subtract 1 to index.

    randperm(n, 1) is one of them. How MATLAB chooses k of n otherwise is not known: NotImplementedError.
    """
    stream, given = _stream((n, k, *more))
    if len(given) > 2:
        raise TypeError(f"randperm: arguments must be n and k, after a RandStream, got {len(given)} without it")
    return stream.randperm(*given)


def randsample(population: Any, k: Any, replace: bool = False, w: Any = None) -> np.ndarray:
    """k items of a population (a vector; a number n stands for 1..n), as MATLAB's Statistics Toolbox draws them.

    randsample(n, k)                    k x 1: different numbers from 1 to n
    randsample(population, k)           as population lies: a row for a row (and for a list)
    randsample(..., True)               with replacement
    randsample(..., True, w)            with probabilities in the ratio of the weights w

    ValueError where k is more than there are, without replacement, and for weights without replacement.
    """
    items = as_array(population)
    whole = items.size == 1 and items.dtype.kind in "iuf" and items.item() >= 0 and items.item() % 1 == 0
    n, count = int(items.item()) if whole else items.size, whole_number("randsample: k", k, 0)
    replace = flag("randsample: replace", replace)
    if replace and count and not n:
        raise ValueError("randsample: population must have items, got none")
    if w is not None and not replace:
        raise ValueError("randsample: replace must be True with weights")
    if not replace and count > n:
        raise ValueError(f"randsample: k must be at most {n} without replacement, got {k}")
    stream = global_stream()
    if w is not None:
        weights = floats("randsample: w", w).ravel()
        if weights.size != n or not np.all(weights >= 0) or not weights.sum() > 0:
            raise ValueError(f"randsample: w must be {n} weights from 0 up, not all 0, got {w!r}")
        edges = np.minimum(np.append(0, np.cumsum(weights / weights.sum())), 1)
        edges[-1] = 1
        chosen = np.searchsorted(edges, stream.rand(count, 1).ravel(), side="right")
    elif replace:
        chosen = stream.randi(n, count, 1).ravel().astype(int)
    elif 4 * count > n:  # a good part of them: all are put in order
        chosen = stream.randperm(n)[0, :count].astype(int)
    else:
        marked = np.zeros(n + 1, bool)
        while (missing := count - int(marked.sum())) > 0:
            marked[stream.randi(n, 1, missing).astype(int)] = True
        chosen = np.flatnonzero(marked)[stream.randperm(count)[0].astype(int) - 1]
    if whole:
        return chosen[:, None].astype(float)
    picked = items.ravel(order="F")[chosen - 1]
    return picked[:, None] if items.ndim == 2 and items.shape[1] == 1 else picked[None]


def _stream(arguments: tuple[Any, ...]) -> tuple[RandStream, tuple[Any, ...]]:
    if arguments and isinstance(arguments[0], RandStream):
        return arguments[0], arguments[1:]
    return global_stream(), arguments


def _refused(name: str) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        raise NotImplementedError(
            f"{name}: how MATLAB draws it is not known; scipy.stats and scipy.sparse.random draw other numbers of the "
            "same distribution"
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Refused: NotImplementedError."
    return function


globals().update({name: _refused(name) for name in _OTHERS})
