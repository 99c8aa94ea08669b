"""MATLAB's random numbers: streams of its default generator, the Mersenne twister, and its global stream."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet.values import as_array

TYPES = ("mt19937ar", "twister")  # the generator's name in RandStream and in rng
_SINGLE_BELOW_1 = np.float32(1 - 2**-24)
_CLASSES = ("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32")


class RandStream(np.random.Generator):
    """
    RandStream("mt19937ar", Seed=1)    a stream of MATLAB's default generator, apart from the global one

    Its methods rand, randn, randi and randperm give MATLAB's numbers and sizes; `State` (625 words) can be read and
    set, reset() starts it anew. As a numpy Generator, it can be given wherever one is accepted: `random`,
    `standard_normal` and `permutation` are MATLAB's rand, randn and randperm(n), filled column by column; other methods
    (`integers`, `uniform`) draw numpy's numbers from the same stream.

    >>> RandStream("mt19937ar", Seed=0).randn(1, 3).round(4)
    array([[ 0.5377,  1.8339, -2.2588]])
    """

    def __init__(self, kind: str = "mt19937ar", *pairs: Any, Seed: Any = 0) -> None:
        check_type("RandStream", kind)
        if pairs:
            if len(pairs) != 2 or not isinstance(pairs[0], str) or pairs[0].lower() != "seed":
                raise ValueError(f"RandStream: the only option is 'Seed', got {pairs!r}")
            Seed = pairs[1]
        super().__init__(np.random.MT19937())
        self.Type = "mt19937ar"
        self.reset(seed_number("RandStream", Seed))

    @staticmethod
    def getGlobalStream() -> RandStream:
        """The stream of MATLAB's rand, randn, randi and randperm, which rng controls; one for the whole process."""
        return _streams[0]

    @staticmethod
    def setGlobalStream(stream: RandStream) -> RandStream:
        """Let rand and its like draw from this stream; returns the one before."""
        before, _streams[0] = _streams[0], stream
        return before

    def __reduce__(self) -> Any:
        return _restored, (self.Seed, self.State)

    def reset(self, Seed: Any = None) -> None:
        """Start anew, from another seed if one is given."""
        self.Seed: int = self.Seed if Seed is None else seed_number("RandStream", Seed)
        # 5489 is the seed of the reference implementation; MATLAB uses it for 0.
        np.random.RandomState(self.bit_generator).seed(self.Seed or 5489)

    @property
    def State(self) -> np.ndarray:
        """625 x 1, uint32: the words of the twister and how many of them are used up."""
        state = self.bit_generator.state["state"]
        return np.append(state["key"], np.uint32(state["pos"])).astype(np.uint32)[:, None]

    @State.setter
    def State(self, words: Any) -> None:
        words = np.ravel(words)
        if words.size != 625 or words.dtype.kind not in "uif" or not 0 <= words[-1] <= 624:
            raise ValueError(f"RandStream: State must be the 625 words that it was, got {words.size}")
        state = {"key": words[:-1].astype(np.uint32), "pos": int(words[-1])}
        self.bit_generator.state = {"bit_generator": "MT19937", "state": state}

    def rand(self, *size: Any) -> np.ndarray:
        """Uniform between 0 and 1. Sizes: `matlab_size`; 'single' at the end: the same numbers in single precision."""
        shape, dtype = matlab_size("rand", size, _CLASSES[:2])
        return self.random(shape, dtype)

    def randn(self, *size: Any) -> np.ndarray:
        """Normally distributed, mean 0 and deviation 1; otherwise as rand."""
        shape, dtype = matlab_size("randn", size, _CLASSES[:2])
        return self.standard_normal(shape, dtype)

    def randi(self, imax: Any, *size: Any) -> np.ndarray:
        """Whole numbers from 1 to imax, or from low to high with imax = [low, high]; doubles, or a class named last."""
        bounds = as_array(imax).ravel()
        low, high = (1, bounds[0]) if bounds.size == 1 else bounds if bounds.size == 2 else (1, 0)
        if bounds.dtype.kind not in "iuf" or not low <= high or low % 1 or high % 1:
            raise ValueError(f"randi: imax must be a whole number from 1 up or [low, high], got {imax!r}")
        if high - low >= 2**53:
            raise ValueError(f"randi: imax must span fewer than 2^53 numbers, got {imax!r}")
        shape, dtype = matlab_size("randi", size, _CLASSES)
        if dtype.kind != "f" and not np.iinfo(dtype).min <= low <= high <= np.iinfo(dtype).max:
            raise ValueError(f"randi: {dtype} does not hold all numbers from {low} to {high}")
        return (np.floor(self.random(shape) * (float(high) - float(low) + 1)) + float(low)).astype(dtype)

    def randperm(self, n: Any, k: Any = None) -> np.ndarray:
        """1 x n: the whole numbers 1..n in the order that sorts n random numbers. Subtract 1 to index.

        randperm(n, 1) is one of them. How MATLAB chooses k of n otherwise is not known: NotImplementedError.
        """
        count = _count("randperm", "n", n)
        if k is not None:
            return self._choice(count, _count("randperm", "k", k))
        return self.permutation(count)[None].astype(float) + 1

    def _choice(self, n: int, k: int) -> np.ndarray:
        if k > n:
            raise ValueError(f"randperm: k must be at most n, got n = {n}, k = {k}")
        if k > 1:
            raise NotImplementedError(
                f"randperm({n}, {k}): how MATLAB chooses {k} of {n} numbers is not known; randperm(n)[:, :k] is "
                "another choice, as random"
            )
        if k == 0 or n == 1:
            return np.ones((1, k))
        # Reported of R2025a and R2026a: of up to four numbers MATLAB draws twice, and the first counts.
        return np.floor(self.random(2 if n <= 4 else 1)[None, :1] * n) + 1

    def random(self, size: Any = None, dtype: Any = np.float64, out: None = None) -> Any:  # type: ignore[override]
        """Uniform between 0 and 1, as MATLAB's rand; arrays are filled column by column."""
        _no_out("random", out)
        drawn = np.asarray(super().random(_product(size)))
        if np.dtype(dtype) == np.float32:
            drawn = np.minimum(drawn.astype(np.float32), _SINGLE_BELOW_1)
        return drawn.item() if size is None else drawn.reshape(size, order="F")

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: None = None) -> Any:  # type: ignore[override]
        """Normally distributed, as MATLAB's randn; arrays are filled column by column."""
        _no_out("standard_normal", out)
        from pyconvnet.backends.cpu import ziggurat  # LLVM takes its time

        drawn = np.empty(_product(size), dtype)
        words = self.State[:, 0]
        place = words[-1:].astype(np.int64)
        ziggurat.normal(words, place, drawn)
        words[-1] = place[0]
        self.State = words
        return drawn.item() if size is None else drawn.reshape(size, order="F")

    def permutation(self, x: Any, axis: int = 0) -> np.ndarray:  # type: ignore[override]
        """The items of x, or 0..x - 1 for a whole number, in the order of MATLAB's randperm."""
        items = np.arange(x) if isinstance(x, (int, np.integer)) else np.asarray(x)
        return items.take(np.argsort(self.random(items.shape[axis]), kind="stable"), axis)


def matlab_size(fn: str, size: tuple[Any, ...], classes: tuple[str, ...]) -> tuple[tuple[int, ...], np.dtype]:
    """Size and class of an array that is asked for as in MATLAB: (), (n), (m, n, ...), ([m, n, ...]), 'single' last.

    One number n stands for n x n, none for 1 x 1; numbers below 0 count as 0. ("like", p) takes the class of p.
    """
    kind = "double"
    if size and isinstance(size[0], str) and size[0].lower() in ("state", "seed", "twister"):
        raise NotImplementedError(f"{fn}({size[0]!r}, ...) starts generators of before 2008; rng(seed) starts this one")
    if len(size) > 1 and isinstance(size[-2], str) and size[-2].lower() == "like":
        kind = {"float32": "single", "float64": "double"}.get(str(np.asarray(size[-1]).dtype), "double")
        size = size[:-2]
    elif size and isinstance(size[-1], str):
        kind = size[-1].lower()
        size = size[:-1]
    if kind not in classes:
        raise ValueError(f"{fn}: the class must be one of {', '.join(map(repr, classes))}, got {kind!r}")
    given = [as_array(v) for v in size]
    if any(a.dtype.kind not in "iufb" or (len(given) > 1 and a.size != 1) or not np.all(a % 1 == 0) for a in given):
        raise ValueError(f"{fn}: sizes must be whole numbers, (m, n, ...) or one list of them, got {size!r}")
    shape = tuple(max(int(v), 0) for a in given for v in a.ravel()) or (1, 1)
    return shape * 2 if len(shape) == 1 else shape, np.dtype({"single": "float32", "double": "float64"}.get(kind, kind))


def seed_number(fn: str, seed: Any) -> int:
    """A seed: a whole number from 0 to 2^32 - 1."""
    a = as_array(seed)
    if a.size != 1 or a.dtype.kind not in "iuf" or not 0 <= a.item() < 2**32 or a.item() % 1:
        raise ValueError(f"{fn}: the seed must be a whole number from 0 to 2^32 - 1, got {seed!r}")
    return int(a.item())


def check_type(fn: str, kind: Any) -> None:
    """Refuse MATLAB's other generators by name."""
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise ValueError(f"{fn}: the generator must be the Mersenne twister, 'twister' or 'mt19937ar', got {kind!r}")


global_stream = RandStream.getGlobalStream


def _restored(seed: int, state: np.ndarray) -> RandStream:
    stream = RandStream(Seed=seed)
    stream.State = state
    return stream


def _count(fn: str, name: str, value: Any) -> int:
    a = as_array(value)
    if a.size != 1 or a.dtype.kind not in "iuf" or a.item() < 0 or a.item() % 1:
        raise ValueError(f"{fn}: {name} must be a whole number from 0 up, got {value!r}")
    return int(a.item())


def _product(size: Any) -> int:
    return 1 if size is None else math.prod(np.ravel(size).tolist())


def _no_out(fn: str, out: Any) -> None:
    if out is not None:
        raise ValueError(f"RandStream.{fn}: out must be None; the numbers come in a new array")


_streams = [RandStream()]  # the global one
