"""First values of filters: MatConvNet's three methods, drawn in single precision from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyconvnet.rng import scaled


class Draw:
    """Draws float32 arrays in MATLAB's order.

    seed  of numpy.random.default_rng, or a generator; None: fresh entropy
    init  False gives arrays of zeros that take no memory and cannot be written, to look at a network's table
    """

    def __init__(self, seed: int | np.random.Generator | None = None, init: bool = True) -> None:
        self.init = init
        self.rng = np.random.default_rng(seed)

    def normal(self, shape: tuple[int, ...], deviation: float) -> np.ndarray:
        """Normally distributed values of mean 0."""
        return self._fill(shape, lambda n: self.rng.standard_normal(n, dtype=np.float32), deviation)

    def uniform(self, shape: tuple[int, ...], bound: float) -> np.ndarray:
        """Values between -bound and bound."""
        return self._fill(shape, lambda n: self.rng.random(n, dtype=np.float32) * 2 - 1, bound)

    def constant(self, shape: tuple[int, ...], value: float = 0.0) -> np.ndarray:
        """`value` everywhere."""
        return np.full(shape, value, np.float32, order="F") if self.init else _placeholder(shape)

    def _fill(self, shape: tuple[int, ...], values: Callable[[int], np.ndarray], scale: float) -> np.ndarray:
        if not self.init:
            return _placeholder(shape)
        return scaled(values(int(np.prod(shape))), scale).reshape(shape, order="F")


def gaussian(draw: Draw, shape: tuple[int, int, int, int], scale: float = 1.0) -> np.ndarray:
    """Deviation 0.01 / scale, whatever the shape (Krizhevsky et al., 2012)."""
    return draw.normal(shape, 0.01 / scale)


def xavier(draw: Draw, shape: tuple[int, int, int, int], scale: float = 1.0) -> np.ndarray:
    """Uniform within sqrt(3 / fan-in), so that activations keep their variance (Glorot and Bengio, 2010)."""
    h, w, c, _ = shape
    return draw.uniform(shape, np.sqrt(3 / (h * w * c)))


def xavierimproved(draw: Draw, shape: tuple[int, int, int, int], scale: float = 1.0) -> np.ndarray:
    """Deviation sqrt(2 / fan-out), so that derivatives keep their variance through rectifiers (He et al., 2015)."""
    h, w, _, k = shape
    return draw.normal(shape, np.sqrt(2 / (h * w * k)))


METHODS = {"gaussian": gaussian, "xavier": xavier, "xavierimproved": xavierimproved}


def method(name: str) -> Callable[..., np.ndarray]:
    """The method of that name, in any letter case."""
    try:
        return METHODS[name.lower()]
    except (KeyError, AttributeError):
        raise ValueError(f"weightInitMethod must be one of {', '.join(map(repr, METHODS))}, got {name!r}") from None


def _placeholder(shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.float32(0), shape)
