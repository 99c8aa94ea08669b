"""Mutants of MAT files of version 4: a head of five numbers, a name, and the elements, for each variable."""

from __future__ import annotations

import io
import struct
from random import Random

import numpy as np
import scipy.io

from tests.fuzz.v5 import _raw

VALUES = (0, 1, 2, 3, 9, 10, 50, 51, 100, 1000, 4000, 1 << 16, (1 << 31) - 1, -1, -(1 << 31))


def seeds() -> list[bytes]:
    """Files to start from."""
    files = []
    for values in (
        {"a": np.arange(6.0).reshape(2, 3), "name": "lenet"},
        {"s": scipy.sparse.csc_matrix(np.eye(4)), "c": np.array([[1 + 2j, 3]]), "b": np.arange(5, dtype="u1")},
    ):
        file = io.BytesIO()
        scipy.io.savemat(file, values, format="4")
        files.append(file.getvalue())
    return files


def mutant(whole: bytes, draw: Random) -> bytes:
    """One mutant of a file."""
    if draw.random() < 0.4:
        return _raw(bytearray(whole), draw)
    data, heads, at = bytearray(whole), [], 0
    while at + 20 <= len(data):
        kind, rows, columns, imaginary, name = struct.unpack_from("<5i", data, at)
        heads.append(at)
        width = (8, 4, 4, 2, 2, 1)[kind // 10 % 10]
        at += 20 + name + rows * columns * width * (1 + imaginary)
    for _ in range(draw.choice((1, 1, 2))):
        struct.pack_into("<i", data, draw.choice(heads) + 4 * draw.randrange(5), draw.choice(VALUES))
    return bytes(data)
