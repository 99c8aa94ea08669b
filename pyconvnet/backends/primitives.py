"""Primitives: the functions of an array library that a new backend provides, and how numbers meet arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Array = Any
Shape = tuple[int, ...]


class Primitives:
    """The first part of a Backend; see pyconvnet.backends.base."""

    name = ""
    floats: tuple[Any, ...] = ()
    """the element types of single and double precision"""

    def asarray(self, value: Any, like: Array) -> Array:
        """Numbers in main memory as an array of the type, precision and place of `like`; arrays of that kind as is."""
        raise self._missing("asarray")

    def to_host(self, x: Array) -> Any:
        """The same values as a numpy array."""
        raise self._missing("to_host")

    def zeros(self, shape: Shape, like: Array) -> Array:
        """Zeros of the precision of `like`."""
        raise self._missing("zeros")

    def copy(self, x: Array) -> Array:
        """An array of its own with the same values."""
        raise self._missing("copy")

    def exp(self, x: Array) -> Array:
        """e^x"""
        raise self._missing("exp")

    def log(self, x: Array) -> Array:
        """Natural logarithm: -inf for 0, NaN below, without a warning."""
        raise self._missing("log")

    def sign(self, x: Array) -> Array:
        """-1, 0 or 1."""
        raise self._missing("sign")

    def maximum(self, x: Array, y: Any) -> Array:
        """The larger of two values, NaN where one is; y may be a number."""
        raise self._missing("maximum")

    def where(self, condition: Array, x: Any, y: Any) -> Array:
        """x where the condition holds, y elsewhere; either may be a number."""
        raise self._missing("where")

    def sum(self, x: Array, axes: tuple[int, ...]) -> Array:
        """Sums along axes, which stay with size 1."""
        raise self._missing("sum")

    def max(self, x: Array, axis: int) -> Array:
        """The largest values along an axis, which stays with size 1."""
        raise self._missing("max")

    def argmax(self, x: Array, axis: int) -> Array:
        """Where the first of the largest values along an axis is; the axis stays with size 1."""
        raise self._missing("argmax")

    def take(self, x: Array, at: Array, axis: int) -> Array:
        """x at the indexes `at` along an axis, one for each place of the others."""
        raise self._missing("take")

    def put(self, x: Array, at: Array, values: Array, axis: int) -> Array:
        """x with other values at the indexes `at` along an axis; x itself may be changed."""
        raise self._missing("put")

    def indexes(self, x: Array) -> Array:
        """Whole numbers in the element type that take and put want."""
        raise self._missing("indexes")

    def concat(self, xs: Sequence[Array], axis: int) -> Array:
        """Arrays one after another along an axis."""
        raise self._missing("concat")

    def reshaped(self, x: Array, shape: Shape) -> Array:
        """The same elements in another shape, in MATLAB's order: the first dimension fastest."""
        raise self._missing("reshaped")

    def isfinite(self, x: Array) -> bool:
        """Whether all values are finite."""
        raise self._missing("isfinite")

    # --- composed of these ------------------------------------------------------------------------------------------

    def scalar(self, x: Array, value: float) -> Any:
        """A number that meets x in the precision of x."""
        return float(value)

    def cast(self, x: Array, like: Array) -> Array:
        """x, whose elements may be whole numbers or booleans, in the precision of `like`."""
        return x + self.zeros((1,) * x.ndim, like)

    def full(self, shape: Shape, value: float, like: Array) -> Array:
        """An array of one value."""
        return self.zeros(shape, like) + self.scalar(like, value)

    def at_least(self, x: Array, limit: float) -> Array:
        """MATLAB's max(x, limit): the larger of a value and a number, the number where the value is NaN."""
        return self.where(x > limit, x, self.scalar(x, limit))

    def largest(self, x: Array, axis: int) -> Array:
        """`argmax` as MATLAB's max gives it, which passes over NaN."""
        return self.argmax(self.where(x == x, x, self.scalar(x, -math.inf)), axis)

    def minimum(self, x: Array, y: Any) -> Array:
        """The smaller of two values, NaN where one is; y may be a number."""
        return -self.maximum(-x, -y)

    def abs(self, x: Array) -> Array:
        """|x|"""
        return self.maximum(x, -x)

    def power(self, x: Array, y: float) -> Array:
        """x^y; NaN where that is undefined, without a warning."""
        return x if y == 1 else x * x if y == 2 else x ** self.scalar(x, y)

    def _missing(self, kernel: str) -> TypeError:
        return TypeError(f"no {kernel} kernel for {self.name} yet")
