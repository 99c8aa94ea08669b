"""Jitter: random changes of training images, composable and seeded.

A jitter is a function `jitter(images, rng) -> images` on H x W x C x N arrays: every image is changed on its own, size
and element type stay, and the same generator gives the same images. `compose` chains them; a getBatch uses one so:

    change = jitter.compose(jitter.translate(2), jitter.mirror(), jitter.noise(0.02))

    def getBatch(imdb, batch):
        images = imdb["images"]["data"][:, :, :, batch]
        return change(images), imdb["images"]["labels"][batch]

Without `rng`, in training, each image has a generator of its own, which the epoch and the image's place in the epoch's
order seed: the changes are the same with prefetch=True, in sub-batches and in any number of processes. (`context`,
which lays other images of the batch beside each one, and a batch of which only a part is changed, draw from the
library's generator, as everything does outside training.)

Sources: Simard, Steinkraus, Platt 2003 (translation, warping); the MatConvNet practical (context jitter).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from weakref import WeakSet

import numpy as np

from pyconvnet import rng as library_rng
from pyconvnet.values import number

Jitter = Callable[..., np.ndarray]
_SEEDED: WeakSet[Jitter] = WeakSet()  # jitters whose rng may be None


def _seeded(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Jitter:
    """A jitter whose `rng` may be left out."""

    @wraps(change)
    def jitter(images: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        own = library_rng.streams(images.shape[3]) if rng is None else None
        if own is None:
            return change(images, library_rng.generator() if rng is None else rng)
        out = np.empty_like(images)
        for n, stream in enumerate(own):
            out[..., n : n + 1] = change(images[..., n : n + 1], stream)
        return out

    _SEEDED.add(jitter)
    return jitter


def _from_zero(name: str, value: float) -> float:
    return number(name, value, "a finite number from 0 up", lambda v: 0 <= v < np.inf)


def compose(*steps: Jitter) -> Jitter:
    """One jitter that applies the steps in order."""

    def change(images: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        for step in steps:
            # our own find each image's generator themselves; other functions are given one
            given = rng if rng is not None or step in _SEEDED else library_rng.generator()
            images = step(images, given)
        return images

    _SEEDED.add(change)
    return change


def translate(pixels: float, fill: float | None = None) -> Jitter:
    """Shift by up to `pixels` whole pixels in each direction; pixels from outside are `fill`, or repeat the border."""
    reach = int(_from_zero("translate: pixels", pixels))

    @_seeded
    def change(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        h, w = images.shape[:2]
        out = np.empty_like(images)
        shifts = rng.integers(-reach, reach + 1, (images.shape[3], 2))
        for n, (dy, dx) in enumerate(shifts):
            rows, cols = np.arange(h) - dy, np.arange(w) - dx
            out[..., n] = images[np.clip(rows, 0, h - 1)[:, None], np.clip(cols, 0, w - 1), :, n]
            if fill is not None:
                out[(rows < 0) | (rows >= h), :, :, n] = fill
                out[:, (cols < 0) | (cols >= w), :, n] = fill
        return out

    return change


def mirror(axis: str = "horizontal", probability: float = 0.5) -> Jitter:
    """Turn over left to right ('horizontal') or top to bottom ('vertical') with the given probability."""
    if axis not in ("horizontal", "vertical"):
        raise ValueError(f"mirror: axis must be 'horizontal' or 'vertical', got {axis!r}")
    probability = number("mirror: probability", probability, "a number from 0 to 1", lambda v: 0 <= v <= 1)

    @_seeded
    def change(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        out = images.copy()
        turned = rng.random(images.shape[3]) < probability
        out[..., turned] = out[..., turned][:, ::-1] if axis == "horizontal" else out[..., turned][::-1]
        return out

    return change


def rotate(degrees: float) -> Jitter:
    """Rotate about the centre by an angle drawn evenly from -degrees to degrees."""
    degrees = _from_zero("rotate: degrees", degrees)

    def matrix(rng: np.random.Generator) -> np.ndarray:
        a = np.deg2rad(rng.uniform(-degrees, degrees))
        return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])

    return _affine(matrix)


def scale(low: float, high: float) -> Jitter:
    """Scale about the centre by a factor drawn evenly from low to high (above 1 enlarges)."""
    if not 0 < low <= high:
        raise ValueError(f"scale: low and high must be 0 < low <= high, got {low} and {high}")
    return _affine(lambda rng: np.eye(2) / rng.uniform(low, high))


def warp(strength: float, smoothness: float = 4.0) -> Jitter:
    """Elastic deformation: random shifts up to `strength` pixels, smoothed by a Gaussian of `smoothness` pixels."""
    strength, smoothness = _from_zero("warp: strength", strength), _from_zero("warp: smoothness", smoothness)

    @_seeded
    def change(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy.ndimage import gaussian_filter, map_coordinates

        h, w, c, count = images.shape
        grid = np.mgrid[:h, :w].astype(float)
        out = np.empty_like(images)
        for n in range(count):
            field = np.stack([gaussian_filter(rng.uniform(-1, 1, (h, w)), smoothness) for _ in range(2)])
            at = grid + field * (strength / max(np.abs(field).max(), 1e-12))
            for k in range(c):
                out[:, :, k, n] = map_coordinates(images[:, :, k, n], at, order=1, mode="nearest")
        return out

    return change


def noise(deviation: float) -> Jitter:
    """Add independent Gaussian noise of this standard deviation to every pixel; integers are rounded and clipped."""
    deviation = _from_zero("noise: deviation", deviation)

    @_seeded
    def change(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        added = rng.normal(0, deviation, images.shape)
        if images.dtype.kind in "iu":
            limits = np.iinfo(images.dtype)
            return np.clip(np.rint(images + added), limits.min, limits.max).astype(images.dtype)
        return images + added.astype(images.dtype)

    return change


def context(images: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Put each image between two others of the batch and cut out a window near the middle one.

    In a sentence a letter has neighbours: a network that was shown single letters only is lost there. The neighbours
    are drawn from the batch and laid beside the image, 1 to 4 pixels between the inks (or, one in five, 6 to 14, as at
    the end of a word); the darkest pixel stays, as ink on paper, and the whole is shifted by up to 2 pixels. White is
    the largest value of the batch; ink is all pixels darker than the mean of white and the darkest pixel of its image.
    """
    rng = library_rng.generator() if rng is None else rng
    h, w, c, count = images.shape
    white = images.max()
    extents = [_extent(images[..., n], white) for n in range(count)]
    out = np.empty_like(images)
    for n in range(count):
        page = np.full((h + 4, 3 * w, c), white, images.dtype)
        page[2 : 2 + h, w : 2 * w] = images[..., n]
        for side, k in enumerate(rng.integers(0, count, 2)):
            gap = int(rng.integers(1, 5) if rng.random() < 0.8 else rng.integers(6, 15))
            first, last = extents[k]
            # columns of ink first..last of the neighbour go to at..at + last - first of the page
            at = w + extents[n][0] - gap - (last - first + 1) if side == 0 else w + extents[n][1] + 1 + gap
            begin, end = max(at, 0), max(min(at + last - first + 1, 3 * w), 0)
            part = page[2 : 2 + h, begin:end]
            np.minimum(part, images[:, first + begin - at : first + end - at, :, k], out=part)
        dy, dx = rng.integers(-2, 3, 2)
        out[..., n] = page[2 + dy : 2 + dy + h, w + dx : 2 * w + dx]
    return out


_SEEDED.add(context)


def _extent(image: np.ndarray, white: float) -> tuple[int, int]:
    """First and last column with ink; the middle column where there is none."""
    dark = float(image.min())
    columns = np.flatnonzero((image < (dark + float(white)) / 2).any(axis=(0, 2)))
    middle = image.shape[1] // 2
    return (int(columns[0]), int(columns[-1])) if columns.size else (middle, middle)


def _affine(matrix: Callable[[np.random.Generator], np.ndarray]) -> Jitter:
    @_seeded
    def change(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy.ndimage import affine_transform

        out = np.empty_like(images)
        centre = (np.array(images.shape[:2]) - 1) / 2
        for n in range(images.shape[3]):
            m = matrix(rng)
            for k in range(images.shape[2]):
                out[:, :, k, n] = affine_transform(
                    images[:, :, k, n], m, offset=centre - m @ centre, order=1, mode="nearest"
                )
        return out

    return change
