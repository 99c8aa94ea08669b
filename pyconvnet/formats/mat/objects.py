"""Objects of MATLAB's classes (MCOS): the plain values that a file holds of them.

A variable that is an object holds only numbers that point to a table, which stands once in the file, in a cell: its
first element lists names, classes and objects, the third and later ones are the values of properties. Where a
class turns its objects into plain values to save them (saveobj), these are the one property `any`.

MathWorks does not describe the table; `tests/formats/mat/test_objects.py` reads those of files that MATLAB wrote.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from pyconvnet.records import Opaque, Struct

MARK = 0xDD000000
CLASSES, SAVED, OBJECTS, PROPERTIES = range(4)


def resolved(value: Any, table: list[Any]) -> Any:
    """`value` with each object in it that `table` describes replaced by its plain values.

    A gpuArray becomes its array, a string text, an object saved as a network (DagNN) that struct; of any other, the
    properties become the data of its Opaque.
    """
    try:
        return _Table(table).resolve(value)
    except (IndexError, ValueError, TypeError, OverflowError, RecursionError):
        return value  # a table of an unknown kind: objects stay Opaque, by name


class _Table:
    def __init__(self, cells: list[Any]) -> None:
        self.cells = cells
        self.made: dict[Any, Any] = {}
        data = np.ravel(cells[0]).astype("u1").tobytes()
        count = int.from_bytes(data[4:8], "little")
        starts = np.frombuffer(data[8:40], "<u4").tolist()
        self.names = ["", *(name.decode("utf-8", "replace") for name in data[40 : starts[0]].split(b"\0")[:count])]
        self.regions = [np.frombuffer(data[a:b], "<u4").tolist() for a, b in pairwise(starts[:5])]

    def resolve(self, value: Any) -> Any:
        if isinstance(value, dict):
            for name, part in value.items():
                value[name] = self.resolve(part)
        elif isinstance(value, list):
            value[:] = [self.resolve(part) for part in value]
        elif isinstance(value, Opaque) and value.kind == "object":
            return self.object(value)
        elif isinstance(value, Opaque):
            value.data = self.resolve(value.data)
        return value

    def object(self, value: Opaque) -> Any:
        point = np.ravel(value.data).tolist() if isinstance(value.data, np.ndarray) else []
        if len(point) < 3 or point[0] != MARK:
            value.data = self.resolve(value.data)
            return value
        numbers = point[2 + point[1] : -1]
        found = [self.properties(number) for number in numbers]
        value.data = found[0] if len(found) == 1 else found
        return _plain(value)

    def properties(self, number: int) -> Struct:
        """The properties of an object, numbered from 1."""
        if number not in self.made:
            start = 6 * number
            _, _, _, saved, normal, _ = self.regions[OBJECTS][start : start + 6]
            entries = self.entries(SAVED, saved) if saved else self.entries(PROPERTIES, normal)
            made = Struct((self.names[name], self.content(kind, where)) for name, kind, where in entries)
            self.made[number] = made  # before its properties: objects may hold each other
            self.resolve(made)
        return self.made[number]

    def entries(self, region: int, number: int) -> list[list[int]]:
        """(name, kind, where) of the properties in the block of that number, from 1; 0 is an empty one."""
        words, at = self.regions[region], 0
        for _ in range(number):
            count = words[at]
            at += (1 + 3 * count + 1) // 2 * 2  # whole pairs of words
        count = words[at]
        if at + 1 + 3 * count > len(words):
            raise ValueError(f"a block of {count} properties stands in a table of {len(words)} numbers")
        return [words[at + 1 + 3 * i : at + 4 + 3 * i] for i in range(count)]

    def content(self, kind: int, where: int) -> Any:
        if kind == 0:
            return self.names[where]
        return self.cells[where + 2] if kind == 1 else np.array([[where]], float)


def _plain(value: Opaque) -> Any:
    saved = value.data.get("any") if isinstance(value.data, dict) else None
    if value.name == "gpuArray" and isinstance(saved, list) and isinstance(saved[-1], np.ndarray):
        return saved[-1]
    if value.name == "string" and isinstance(saved, np.ndarray) and saved.dtype == np.uint64:
        return _string(saved.ravel(order="F"))
    if isinstance(saved, dict) and "layers" in saved:
        return saved
    return value


def _string(words: np.ndarray) -> Any:
    """A string array: version, number of dimensions, dimensions, lengths, and the characters as UTF-16."""
    dims = int(words[1])
    count = int(np.prod(words[2 : 2 + dims]))
    ends = np.cumsum(words[2 + dims : 2 + dims + count]).astype(int).tolist()
    chars = words[2 + dims + count :].astype("<u8").view("<u2")
    if len(ends) != count or sorted(ends) != ends or (ends and ends[-1] > chars.size):
        raise ValueError("the lengths of a string array are not those of its characters")
    texts = [chars[a:b].tobytes().decode("utf-16-le", "replace") for a, b in pairwise([0, *ends])]
    return texts[0] if count == 1 else texts
