"""Kinds of numpy arrays: the same values in every memory that numpy can look at, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class Named(np.ndarray):
    """A subclass as users write them."""


def bits(a: Any) -> bytes:
    """All bytes of an array's elements."""
    return np.asarray(a).tobytes()


def read_only(a: np.ndarray) -> np.ndarray:
    out = a.copy(order="K")
    out.flags.writeable = False
    return out


def stepped(a: np.ndarray) -> np.ndarray:
    out = np.full([3 * s for s in a.shape], np.nan, a.dtype)[(slice(1, None, 3),) * a.ndim]
    out[...] = a
    return out


def reversed_(a: np.ndarray) -> np.ndarray:
    back = (slice(None, None, -1),) * a.ndim
    return a[back].copy(order="K")[back]


def unaligned(a: np.ndarray) -> np.ndarray:
    memory = np.zeros(a.nbytes + 1, np.uint8)[1:]
    out = memory.view(a.dtype).reshape(a.shape, order="F")
    out[...] = a
    assert not out.flags.aligned
    return out


def field_of_records(a: np.ndarray) -> np.ndarray:
    """Steps that are not a multiple of the element's size."""
    records = np.zeros(a.shape, [("mark", "u1"), ("value", a.dtype)], order="F")
    records["mark"] = 255
    records["value"] = a
    return records["value"]


def mapped(a: np.ndarray, path: Path) -> np.ndarray:
    a.ravel(order="F").tofile(path)
    return np.memmap(path, a.dtype, "r", shape=a.shape, order="F")


def channels_fastest(a: np.ndarray) -> np.ndarray:
    axes = (*range(2, a.ndim), *range(min(2, a.ndim)))[::-1]
    return np.ascontiguousarray(a.transpose(axes)).transpose(np.argsort(axes))


RIGHT: dict[str, Callable[..., np.ndarray]] = {
    "read-only": read_only,
    "C order": lambda a: np.ascontiguousarray(a),
    "Fortran order": lambda a: np.asfortranarray(a),
    "channels fastest": channels_fastest,
    "stepped": stepped,
    "reversed": reversed_,
    "unaligned": unaligned,
    "field of packed records": field_of_records,
    "memory-mapped": mapped,
    "subclass": lambda a: a.copy(order="K").view(Named),
}


REORDERED = ("C order", "channels fastest", "stepped", "reversed")  # in memory: a plain copy need not add up alike


def made(kind: str, a: np.ndarray, folder: Path) -> np.ndarray:
    """The values of `a` as an array of a kind of RIGHT; `folder` is for files."""
    if kind != "memory-mapped":
        return RIGHT[kind](a)
    return mapped(a, folder / f"{len(list(folder.iterdir()))}.bin")


REFUSED: dict[str, Callable[[np.ndarray], Any]] = {
    "big-endian": lambda a: a.astype(">f4"),
    "masked": lambda a: np.ma.masked_array(a, a < 0),
    "records": lambda a: a.view([("value", "f4")]),
    "object": lambda a: a.astype(object),
    "text": lambda a: a.astype("U20"),
    "complex": lambda a: a.astype(np.complex64),
    "bool": lambda a: a > 0,
    "float16": lambda a: a.astype(np.float16),
    "longdouble": lambda a: a.astype(np.longdouble),
    **{kind: (lambda a, k=kind: a.astype(k)) for kind in ("int8", "int16", "int32", "int64")},
    **{kind: (lambda a, k=kind: np.abs(a).astype(k)) for kind in ("uint8", "uint16", "uint32", "uint64")},
    "list": lambda a: a.tolist(),
    "not an array": lambda a: {1},
    "datetime": lambda a: a.astype(np.int64).view("M8[s]"),
}
NEVER = ("masked", "records", "object", "text", "complex", "not an array", "datetime")  # not even where numbers are
