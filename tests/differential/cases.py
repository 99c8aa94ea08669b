"""A random case: a call of an operator, what must come out, and how both are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.differential.bounded import Bounded


@dataclass
class Case:
    """One call and its expected results, both run when they are asked for."""

    text: str
    """the call in words: operator, sizes, options"""
    call: Callable[[], Sequence[Any]]
    expect: Callable[[], Sequence[Bounded]] | None
    """None: the call must be refused"""
    may_be_refused: bool = False
    """for arrays without elements"""


class Draw:
    """Random sizes, options and arrays of one precision."""

    def __init__(self, seed: int, number: int) -> None:
        self.random = np.random.default_rng([seed, number])
        self.real = np.dtype(self.one_of(np.float32, np.float32, np.float64))

    def pick(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def one_of(self, *values: Any) -> Any:
        return values[int(self.random.integers(len(values)))]

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def channels(self) -> int:
        """1 to 65; those around whole vectors of 8 and 16 more often."""
        return self.one_of(1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, self.pick(1, 65))

    def shape(self, most: int = 6) -> tuple[int, int, int, int]:
        """H x W x C x N; sometimes without elements."""
        size = [self.pick(1, most), self.pick(1, most), self.channels(), self.pick(1, 5)]
        if self.chance(0.02):
            size[self.pick(0, 3)] = 0
        return tuple(size)

    def array(self, *shape: int, low: float | None = None, high: float = 1.0, ties: bool = False) -> np.ndarray:
        """Normal numbers, even ones from `low` to `high`, or eighths, in which ties are many and sums exact."""
        if ties:
            a = self.random.integers(-16, 17, shape) / 8
        elif low is None:
            a = self.random.standard_normal(shape)
        else:
            a = self.random.uniform(low, high, shape)
        return self.laid_out(a.astype(self.real))

    def laid_out(self, a: np.ndarray) -> np.ndarray:
        """The same array in a random memory order."""
        order = self.one_of("C", "F", "channels", "apart", "reversed")
        if order == "channels" and a.ndim == 4:
            return np.ascontiguousarray(a.transpose(3, 0, 1, 2)).transpose(1, 2, 3, 0)
        if order == "apart":
            return np.repeat(a, 2, axis=a.ndim - 1)[..., ::2]
        if order == "reversed":
            return np.ascontiguousarray(a[::-1])[::-1]
        return np.asarray(a, order="F" if order == "F" else "C")

    def borders(self, most: int) -> tuple[int, int, int, int]:
        if self.chance(0.4):
            return (0, 0, 0, 0)
        return tuple(self.pick(0, most) for _ in range(4))


def fault(case: Case) -> tuple[str | None, float]:
    """(what is wrong with a case, the largest error as a share of what is allowed)."""
    try:
        with np.errstate(all="ignore"):
            found = list(case.call())
    except (ValueError, TypeError) as e:
        if case.expect is None or case.may_be_refused:
            return None, 0.0
        return f"refused: {e}", 0.0
    except Exception as e:
        return f"{type(e).__name__}: {e}", 0.0
    if case.expect is None:
        return "not refused", 0.0
    expected = list(case.expect())
    if len(found) != len(expected):
        return f"{len(found)} results for {len(expected)}", 0.0
    worst = 0.0
    for k, (ours, theirs) in enumerate(zip(found, expected)):
        if not isinstance(ours, np.ndarray):
            return f"result {k} is {type(ours).__name__}", worst
        if ours.shape != theirs.value.shape or ours.dtype != theirs.real:
            return f"result {k} is {ours.shape} of {ours.dtype}, not {theirs.value.shape} of {theirs.real}", worst
        off = np.abs(ours - theirs.value)
        allowed = theirs.error
        wrong = ~(off <= allowed)
        if wrong.any():
            at = tuple(int(v) for v in np.argwhere(wrong)[0])
            said = f"result {k} at {at}: {ours[at]!r} for {theirs.value[at]!r} +- {allowed[at]:.3g}"
            return f"{said}; {int(wrong.sum())} of {wrong.size} are off", np.inf
        worst = max(worst, float(np.max(off[off > 0] / allowed[off > 0], initial=0)))
    return None, worst


def text(name: str, *arrays: Any, **options: Any) -> str:
    """vl_nnconv(5x4x3x1, 3x3x3x8, stride=2) float32"""
    sizes = ["x".join(map(str, a.shape)) if isinstance(a, np.ndarray) else repr(a) for a in arrays]
    given = [f"{k}={v!r}" for k, v in options.items()]
    return f"{name}({', '.join([*sizes, *given])}) {arrays[0].dtype}"


def wide(*arrays: Any) -> list[Any]:
    return [None if a is None else a.astype(np.float64) for a in arrays]
