"""The library's random numbers: one generator per thread, seeded like MATLAB's `rng(seed)`.

Dropout, initParams and the order of images in training draw from it. A thread that was never seeded starts from fresh
entropy; NumPy's global generator is seeded along, since ported getBatch functions use it as MATLAB code uses rand.

In training, dropout, jitter and vl_imreadjpeg draw from streams instead, one for each image of the batch, which the
epoch and the image's place in the epoch's order start: what happens to an image does not depend on the sub-batch, the
process or the thread that it falls to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

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
    return generator().standard_normal(shape, dtype=np.float32) * np.float32(deviation)


def shuffled(items: np.ndarray) -> np.ndarray:
    """The items in random order."""
    return generator().permutation(items)
