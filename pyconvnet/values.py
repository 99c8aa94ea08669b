"""Values of options: numbers, True or False, one of several names. MATLAB's 1 x 1 arrays of any class are numbers.

Messages begin with `name`: "stride" in an operator, whose name is put in front (options.matlab_options), elsewhere
"cnn_train: batchSize".
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

LARGEST = (1 << 31) - 1  # of sizes, strides, pads: sums and products of two stay within 64 bits


def as_array(value: Any) -> np.ndarray:
    """Any value as a numpy array; a list of lists of different lengths is one of no numbers."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.asarray(None)


def number(name: str, value: Any, accepted: str = "one number", fits: Callable[[float], bool] | None = None) -> float:
    """One number.

    accepted  what it must be, for the message; fits  whether it is
    """
    a = as_array(value)
    if a.size != 1 or a.dtype.kind not in "biuf" or (fits is not None and not fits(a.item())):
        raise ValueError(f"{name} must be {accepted}, got {value!r}")
    return float(a.item())


def whole_number(name: str, value: Any, least: int) -> int:
    """One whole number from `least` up."""
    return int(number(name, value, f"a whole number from {least} up", lambda v: v >= least and v == v // 1))


def flag(name: str, value: Any) -> bool:
    """True or False; any number is one of them."""
    if isinstance(value, bool):
        return value
    return bool(number(name, value, "True or False"))


def numbers(name: str, value: Any, what: str) -> tuple[float, ...]:
    """Floats, as many as `what` names: "[alpha, beta]"."""
    a = as_array(value)
    count = what.count(",") + 1
    if a.dtype.kind not in "iuf" or a.size != count:
        raise ValueError(f"{name} must be {count} numbers {what}, got {brief(a)}")
    return tuple(float(v) for v in a.ravel())


def path_text(name: str, value: Any) -> str:
    """A path as text."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path, text or of pathlib, got {type(value).__name__}: {value!r}")
    return str(os.fspath(value))


def function(name: str, value: Any) -> Callable[..., Any]:
    """A function, or what can be called like one."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {type(value).__name__}")
    return value


def choice(name: str, value: Any, accepted: Sequence[str]) -> str:
    """One of the names `accepted`, in lower case; any letter case is accepted."""
    if not isinstance(value, str) or value.lower() not in accepted:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, accepted))}, got {value!r}")
    return value.lower()


def whole_numbers(name: str, value: Any, counts: tuple[int, ...], least: int = 0) -> tuple[int, ...]:
    """`value` as a tuple of whole numbers, as many as `counts` allows; MATLAB's 1 x n arrays of any class will do."""
    a = as_array(value)
    if a.dtype.kind not in "iufb":
        raise TypeError(f"{name} must be {_counts(counts)}, got {type(value).__name__}: {reprlib.repr(value)}")
    a = a.ravel()
    if a.size not in counts:
        raise ValueError(f"{name} must be {_counts(counts)}, got {a.size}: {brief(a)}")
    out = tuple(int(v) for v in a if np.isfinite(v))
    if len(out) != a.size or any(o != v for o, v in zip(out, a.tolist())) or min(out) < least:
        raise ValueError(f"{name} must be whole numbers from {least} up, got {a.tolist()}")
    if max(out) > LARGEST:
        raise ValueError(f"{name} must be whole numbers up to {LARGEST}, got {a.tolist()}")
    return out


def brief(a: np.ndarray) -> str:
    """The numbers of an array for a message: those of a damaged file may be millions."""
    shown = a.ravel()[:12].tolist()
    return str(shown) if a.size <= len(shown) else str(shown)[:-1] + ", ...]"


def _counts(counts: tuple[int, ...]) -> str:
    return " or ".join(map(str, counts)) + (" number" if counts == (1,) else " numbers")
