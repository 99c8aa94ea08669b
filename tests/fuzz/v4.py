"""Mutants of MAT files of version 4: a head of five numbers, a name, and the elements, for each variable.

A sparse matrix is a table of rows, columns and values, whose last row is its size.
"""

from __future__ import annotations

import io
import struct
from random import Random

import numpy as np
import scipy.io

from tests.fuzz.v5 import raw

VALUES = (0, 1, 2, 3, 9, 10, 50, 51, 100, 1000, 4000, 1 << 16, (1 << 31) - 1, -1, -(1 << 31))
NUMBERS = (float("nan"), float("inf"), -1.0, 0.0, 0.5, 1.0, 5.0, 1e6, 2.0**31, 2.0**40, 1e300)


def seeds() -> list[bytes]:
    """Files to start from."""
    files = []
    for values in (
        {"a": np.arange(6.0).reshape(2, 3), "name": "lenet"},
        {"s": scipy.sparse.csc_matrix(np.eye(4)), "c": np.array([[1 + 2j, 3]]), "b": np.arange(5, dtype="u1")},
        {
            "i": np.arange(4, dtype="i2"),
            "j": np.arange(4, dtype="i4"),
            "f": np.ones((2, 2), "f4"),
            "e": np.zeros((0, 3)),
        },
        {"rows": np.array(["one", "three"]), "z": scipy.sparse.csc_matrix(np.eye(3) * 1j)},
    ):
        file = io.BytesIO()
        scipy.io.savemat(file, values, format="4")
        files.append(file.getvalue())
    return files


def mutant(whole: bytes, draw: Random) -> bytes:
    """One mutant of a file."""
    if draw.random() < 0.3:
        return raw(bytearray(whole), draw)
    data, variables, at = bytearray(whole), [], 0
    while at + 20 <= len(data):
        kind, rows, columns, imaginary, name = struct.unpack_from("<5i", data, at)
        size = rows * columns * (8, 4, 4, 2, 2, 1)[kind // 10 % 10] * (1 + imaginary)
        variables.append((at, at + 20 + name, size))
        at += 20 + name + size
    for _ in range(draw.choice((1, 1, 2))):
        head, start, size = draw.choice(variables)
        if draw.random() < 0.5 and size >= 8:
            struct.pack_into("<d", data, start + 8 * draw.randrange(size // 8), draw.choice(NUMBERS))
        else:
            struct.pack_into("<i", data, head + 4 * draw.randrange(5), draw.choice(VALUES))
    if draw.random() < 0.05:
        head, start, size = draw.choice(variables)
        data += data[head : start + size]
    if draw.random() < 0.1:
        return raw(data, draw)
    return bytes(data)
