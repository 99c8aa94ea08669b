"""The library's random numbers: one generator per thread, seeded like MATLAB's `rng(seed)`.

Dropout, initParams and the order of images in training draw from it. A thread that was never seeded starts from fresh
entropy; NumPy's global generator is seeded along, since ported getBatch functions use it as MATLAB code uses rand.
"""

from __future__ import annotations

import threading

import numpy as np

_local = threading.local()


def seed(value: int) -> None:
    """Start this thread's generator, and NumPy's global one, from a whole number."""
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


def normal(shape: tuple[int, ...], deviation: float) -> np.ndarray:
    """float32 values of that shape, normally distributed around 0."""
    return generator().standard_normal(shape, dtype=np.float32) * np.float32(deviation)


def shuffled(items: np.ndarray) -> np.ndarray:
    """The items in random order."""
    return generator().permutation(items)
