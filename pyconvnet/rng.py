"""The library's random numbers: one generator per thread, seeded like MATLAB's `rng(seed)`.

Dropout, initParams and the order of images in training draw from it. A thread that was never seeded starts from fresh
entropy; NumPy's global generator is seeded along, since ported getBatch functions use it as MATLAB code uses rand.

There are two kinds. "numpy" is numpy's default generator. "matlab" is MATLAB's global stream, which rand and its like
in compat.matlab draw from as well: what MATLAB draws on the CPU is drawn here, in the same order.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyconvnet.randstream import RandStream, global_stream
from pyconvnet.values import choice

KINDS = ("numpy", "matlab")
_local = threading.local()


def seed(value: int, kind: str = "numpy") -> None:
    """Start this thread's generator, and NumPy's global one, from a whole number; kind: "numpy" or "matlab"."""
    if choice("rng.seed: kind", kind, KINDS) == "matlab":
        global_stream().reset(value)
        _local.generator = global_stream()
    else:
        _local.generator = np.random.default_rng(value)
    np.random.seed(value % 2**32)


def generator() -> np.random.Generator:
    """This thread's generator."""
    if not hasattr(_local, "generator"):
        _local.generator = np.random.default_rng()
    return _local.generator


def adopt(other: np.random.Generator) -> None:
    """Let this thread draw from `other`, such as a generator that the thread which starts it has spawned."""
    _local.generator = other


@contextmanager
def drawing_from(other: np.random.Generator) -> Iterator[None]:
    """Let this thread draw from `other` in a block."""
    before = generator()
    adopt(other)
    try:
        yield
    finally:
        adopt(before)


def chosen(name: str, kind: Any, seed: Any = None) -> np.random.Generator:
    """A generator for first weights: kind "numpy" or "matlab", which without a seed is MATLAB's global stream.

    name  what the error calls the argument: "models.build: rng"
    """
    if choice(name, kind, KINDS) == "numpy":
        return np.random.default_rng(seed)
    return global_stream() if seed is None else RandStream(Seed=seed)


def normal(shape: tuple[int, ...], deviation: float) -> np.ndarray:
    """float32 values of that shape, normally distributed around 0."""
    return scaled(generator().standard_normal(shape, dtype=np.float32), deviation)


def scaled(x: np.ndarray, factor: float) -> np.ndarray:
    """x times a number, in place, in double precision and then rounded: MATLAB's product of an array and a scalar."""
    return np.multiply(x, float(factor), out=x, dtype=np.float64, casting="same_kind")


def shuffled(items: np.ndarray) -> np.ndarray:
    """The items in random order."""
    return generator().permutation(items)
