"""The library's random numbers: one generator per thread, seeded like MATLAB's `rng(seed)`.

Dropout, initParams and the order of images in training draw from it. A thread that was never seeded starts from fresh
entropy; NumPy's global generator is seeded along, since ported getBatch functions use it as MATLAB code uses rand.

In training, dropout, jitter and vl_imreadjpeg draw from streams instead, one for each image of the batch, which the
epoch and the image's place in the epoch's order start: what happens to an image does not depend on the sub-batch, the
process or the thread that it falls to.

There are two kinds. "numpy" is numpy's default generator. "matlab" is MATLAB's global stream, which rand and its like
in compat.matlab draw from as well: what MATLAB draws on the CPU is drawn here, in the same order, also in training.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
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


@contextmanager
def images(seed: tuple[int, ...], places: Iterable[int]) -> Iterator[None]:
    """Inside the block, this thread's images are those at `places`; `streams` has a generator for each of them."""
    before = getattr(_local, "images", None)
    _local.images = _Images(seed, places)
    try:
        yield
    finally:
        _local.images = before


def streams(count: int) -> list[np.random.Generator] | None:
    """The generator of each image at hand; None outside training, and where `count` is another number of images."""
    at_hand = getattr(_local, "images", None)
    return at_hand.streams() if at_hand is not None and len(at_hand.places) == count else None


class _Images:
    """The images at hand; their streams are made when they are asked for, and go on from call to call."""

    def __init__(self, seed: tuple[int, ...], places: Iterable[int]) -> None:
        self.seed, self.places = seed, list(places)
        self.made: list[np.random.Generator] = []

    def streams(self) -> list[np.random.Generator]:
        if not self.made:
            self.made = [np.random.default_rng((*self.seed, int(place))) for place in self.places]
        return self.made


class PerImage:
    """A source of `random` numbers for arrays H x W x C x N: those of each image from its own stream."""

    def __init__(self, streams: list[np.random.Generator]) -> None:
        self.streams = streams

    def random(self, shape: Sequence[int], dtype: str = "float64") -> np.ndarray:
        """Numbers from 0 to below 1, channels fastest in memory."""
        out = np.empty((shape[3], *shape[:3]), dtype)
        for image, stream in zip(out, self.streams):
            stream.random(out=image, dtype=dtype)  # type: ignore[call-overload]
        return out.transpose(1, 2, 3, 0)


def source(count: int) -> np.random.Generator | PerImage:
    """What fills an array of `count` images with random numbers."""
    own = streams(count)
    return generator() if own is None else PerImage(own)


def normal(shape: tuple[int, ...], deviation: float) -> np.ndarray:
    """float32 values of that shape, normally distributed around 0."""
    return scaled(generator().standard_normal(shape, dtype=np.float32), deviation)


def scaled(x: np.ndarray, factor: float) -> np.ndarray:
    """x times a number, in place, in double precision and then rounded: MATLAB's product of an array and a scalar."""
    return np.multiply(x, float(factor), out=x, dtype=np.float64, casting="same_kind")


def shuffled(items: np.ndarray) -> np.ndarray:
    """The items in random order."""
    return generator().permutation(items)
