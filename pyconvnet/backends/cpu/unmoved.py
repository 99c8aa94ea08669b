"""Tells whether arrays still have the memory, the shape and the strides that they had.

`a.__setstate__`, `a.resize` and `a.strides = ...` change these in place, and numpy may free the old memory. To ask an
array takes 1 us, so what numpy keeps of it is read: the first fields of PyArrayObject_fields, which numpy's binary
interface promises to extensions, in 80 ns.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

_INTEGER = ctypes.sizeof(ctypes.c_ssize_t)


class _Fields(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_size_t),
        ("nd", ctypes.c_int),
        ("dimensions", ctypes.c_size_t),
        ("strides", ctypes.c_size_t),
    ]


class Unmoved:
    """False once one of the arrays, which are kept, lies elsewhere or in another order."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays = list(arrays)
        self._fields: list[ctypes.Array[ctypes.c_char]] = []
        self._numbers: list[ctypes.Array[ctypes.c_char]] = []
        starts = [id(a) + object.__basicsize__ for a in self.arrays]
        # never true with a numpy that breaks its promise
        self._kept = all(
            _Fields.from_address(start).data == a.__array_interface__["data"][0]
            for start, a in zip(starts, self.arrays)
        )
        for start, a in zip(starts, self.arrays if self._kept else ()):
            fields = _Fields.from_address(start)
            self._fields.append(_bytes(start, ctypes.sizeof(_Fields)))
            size = a.ndim * _INTEGER
            if fields.strides == fields.dimensions + size:  # as numpy allocates them
                self._numbers.append(_bytes(fields.dimensions, 2 * size))
            else:
                self._numbers += [_bytes(fields.dimensions, size), _bytes(fields.strides, size)]
        self._were = [f.raw for f in self._fields], [n.raw for n in self._numbers]

    def __bool__(self) -> bool:
        # first the fields: where they are others, the numbers may lie in memory that was given back
        same = self._kept and [f.raw for f in self._fields] == self._were[0]
        return same and [n.raw for n in self._numbers] == self._were[1]


def _bytes(start: int, size: int) -> ctypes.Array[ctypes.c_char]:
    return (ctypes.c_char * size).from_address(start)
