"""Numbers in double precision with a bound of what rounding may add in the precision of the code that is tested.

The bounds follow the arithmetic: a sum of n terms is off by n eps sum |terms|, a product by eps |product| and what its
factors bring along, and so on. A formula written with these numbers knows how far another order of its operations may
be from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FUNCTION = 4  # rounding errors of an exp, log or power, beside what its argument brings along


class Bounded:
    """value +- error, arrays of one shape, for code that rounds to `real`."""

    __array_ufunc__ = None  # arrays leave the arithmetic to this class

    def __init__(self, value: Any, real: Any, error: Any = 0.0) -> None:
        self.value = np.asarray(value, np.float64)
        self.real = np.dtype(real)
        self.error = np.broadcast_to(np.asarray(error, np.float64), self.value.shape)

    def _made(self, value: Any, error: Any, roundings: float = 1) -> Bounded:
        info = np.finfo(self.real)
        return Bounded(value, self.real, error + roundings * (info.eps * np.abs(value) + info.tiny))

    def _other(self, other: Any) -> Bounded:
        return other if isinstance(other, Bounded) else Bounded(other, self.real)

    def __neg__(self) -> Bounded:
        return Bounded(-self.value, self.real, self.error)

    def __add__(self, other: Any) -> Bounded:
        other = self._other(other)
        return self._made(self.value + other.value, self.error + other.error)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Bounded:
        return self + -self._other(other)

    def __rsub__(self, other: Any) -> Bounded:
        return -self + other

    def __mul__(self, other: Any) -> Bounded:
        other = self._other(other)
        error = np.abs(self.value) * other.error + np.abs(other.value) * self.error + self.error * other.error
        return self._made(self.value * other.value, error)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Bounded:
        other = self._other(other)
        value, room = self.value / other.value, np.abs(other.value) - other.error
        assert (room > 0).all(), "a divisor that may be 0"
        return self._made(value, (self.error + np.abs(value) * other.error) / room)

    def __rtruediv__(self, other: Any) -> Bounded:
        return self._other(other) / self

    def __getitem__(self, key: Any) -> Bounded:
        return Bounded(self.value[key], self.real, self.error[key])

    def sum(self, axes: tuple[int, ...]) -> Bounded:
        """Sums along axes, which stay with size 1."""
        count = int(np.prod([self.value.shape[a] for a in axes]))
        size = np.abs(self.value).sum(axes, keepdims=True)
        error = self.error.sum(axes, keepdims=True) + count * np.finfo(self.real).eps * size
        return Bounded(self.value.sum(axes, keepdims=True), self.real, error)

    def exp(self) -> Bounded:
        value = np.exp(self.value)
        return self._made(value, value * np.expm1(self.error), FUNCTION)

    def log(self) -> Bounded:
        value, room = np.log(self.value), self.value - self.error
        assert (room > 0).all(), "a logarithm of what may be 0"
        return self._made(value, self.error / room, FUNCTION)

    def power(self, y: float) -> Bounded:
        """For positive numbers: exp(y log x), whose argument is rounded as well."""
        room = self.value - self.error
        assert (room > 0).all(), "a power of what may be 0"
        value = self.value**y
        exponent = abs(y) * (self.error / room + FUNCTION * np.finfo(self.real).eps * np.abs(np.log(self.value)))
        return self._made(value, value * np.expm1(exponent), FUNCTION)

    def at_least(self, limit: float) -> Bounded:
        return Bounded(np.maximum(self.value, limit), self.real, self.error)


def sums(value: Any, magnitude: Any, count: int, real: Any) -> Bounded:
    """A sum of `count` products that was computed apart, and the sum of their magnitudes."""
    info = np.finfo(real)
    return Bounded(value, real, (count + 2) * (info.eps * magnitude + info.tiny))
