"""Window: the one reader of size, stride, pad and dilate, and the formulas that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from pyconvnet.values import whole_numbers


def pair(name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """(vertical, horizontal) from one number or two."""
    v = whole_numbers(name, value, (1, 2), least)
    return (v[0], v[0]) if len(v) == 1 else (v[0], v[1])


def borders(name: str, value: Any) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) from one number or four."""
    v = whole_numbers(name, value, (1, 4))
    return (v[0],) * 4 if len(v) == 1 else (v[0], v[1], v[2], v[3])


def broadcast(value: Any, count: int) -> Any:
    """As MATLAB's blocks set pad, stride, crop: one number for all of `count`, of four borders two as (v, v, h, h).

    Anything else stays as it is, to be refused where it is used.
    """
    a = np.ravel(value)
    if a.dtype.kind not in "iuf" or a.size not in (1, 2) or a.size == count:
        return value
    numbers = [int(v) if v == int(v) else v for v in a.tolist() if np.isfinite(v)]
    if len(numbers) < a.size or (a.size == 2 and count != 4):
        return value
    return tuple(numbers * count) if a.size == 1 else (numbers[0], numbers[0], numbers[1], numbers[1])


@dataclass(frozen=True)
class Window:
    """A window that slides over an image: all fields are (vertical, horizontal), pad is (top, bottom, left, right)."""

    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilate: tuple[int, int] = (1, 1)

    @classmethod
    def parse(cls, size: Any, stride: Any = 1, pad: Any = 0, dilate: Any = 1, size_name: str = "pool") -> Window:
        """The window for values of a caller or a file: scalars, lists, MATLAB's 1 x n arrays of any numeric class."""
        given: Any = (size, stride, pad, dilate)
        if not _HASHABLE.issuperset(map(type, given)):
            given = map(_hashable, given)
        try:
            return _known_window(*given, size_name)
        except TypeError:  # values that are not hashable, or not numbers, for which the error is raised again
            return _window(size, stride, pad, dilate, size_name)

    @cached_property
    def extent(self) -> tuple[int, int]:
        """Pixels that the dilated window spans."""
        (h, w), (down, across) = self.size, self.dilate
        return down * (h - 1) + 1, across * (w - 1) + 1

    def output_size(self, height: Any, width: Any) -> tuple[Any, Any]:
        """floor((in + pads - extent) / stride) + 1 in each direction; less than 1 where the window does not fit."""
        t, b, left, r = self.pad
        e = self.extent
        return (
            (height + t + b - e[0]) // self.stride[0] + 1,
            (width + left + r - e[1]) // self.stride[1] + 1,
        )


def _window(size: Any, stride: Any, pad: Any, dilate: Any, size_name: str) -> Window:
    return Window(pair(size_name, size), pair("stride", stride), borders("pad", pad), pair("dilate", dilate))


_HASHABLE = {int, float, tuple}
_known_window = lru_cache(maxsize=1024)(_window)  # layers ask for the same one again and again


def _hashable(value: Any) -> Any:
    """A number, or a tuple of numbers; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.size <= 4:
        value = value.ravel().tolist()
    if type(value) is int or type(value) is float:
        return value
    if isinstance(value, (list, tuple)) and all(type(v) is int or type(v) is float for v in value):
        return tuple(value)
    return None
