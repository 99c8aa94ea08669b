"""Mutants of MAT files of versions 5 to 7: by structure, below the compression, so that checksums hold."""

from __future__ import annotations

import struct
import zlib
from random import Random
from typing import NamedTuple

HEAD = 128
MATRIX, COMPRESSED = 14, 15
SIZES = (0, 1, 2, 3, 4, 7, 8, 9, 255, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 8, (1 << 32) - 1)


class Element(NamedTuple):
    """Where an element stands in the bytes of a variable: its tag, its data, and whether the data are in the tag."""

    tag: int
    kind: int
    start: int
    size: int
    short: bool
    depth: int

    @property
    def end(self) -> int:
        return self.tag + 8 if self.short else self.start + self.size + (-self.size) % 8


def variables(data: bytes) -> list[tuple[bool, bytes]]:
    """(whether it was compressed, the element with its tag) of each variable of a file of this machine's byte order."""
    found, at = [], HEAD
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<2I", data, at)
        body = data[at + 8 : at + 8 + size]
        found.append((True, zlib.decompress(body)) if kind == COMPRESSED else (False, data[at : at + 8 + size]))
        at += 8 + size
    return found


def elements(data: bytes, at: int = 0, end: int | None = None, depth: int = 0) -> list[Element]:
    """All elements of a variable, from the outside in."""
    end = len(data) if end is None else end
    found = []
    while at + 8 <= end:
        kind, size = struct.unpack_from("<2I", data, at)
        short = bool(kind >> 16)
        if short:
            kind, size = kind & 0xFFFF, kind >> 16
        one = Element(at, kind, at + 4 if short else at + 8, size, short, depth)
        found.append(one)
        if kind == MATRIX and not short:
            found += elements(data, one.start, min(one.start + size, end), depth + 1)
        at = one.end
    return found


def mutant(whole: bytes, draw: Random) -> bytes:
    """One mutant of a file."""
    if draw.random() < 0.2:
        return _raw(bytearray(whole), draw)
    parts = variables(whole)
    which = draw.randrange(len(parts))
    packed, data = parts[which]
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        try:
            changed = draw.choice(WAYS)(changed, draw)
        except (struct.error, IndexError, RecursionError):  # an earlier change of this mutant led outside
            break
    parts[which] = (packed, bytes(changed))
    if draw.random() < 0.05:
        parts.append(draw.choice(parts))
    out = whole[:HEAD]
    for packed, data in parts:
        if packed or draw.random() < 0.05:
            squeezed = zlib.compress(data, 1)
            if draw.random() < 0.05:
                squeezed = bytes(_raw(bytearray(squeezed), draw))
            out += struct.pack("<2I", COMPRESSED, len(squeezed)) + squeezed
        else:
            out += data
    return out


def _some(data: bytearray, draw: Random, *kinds: int) -> Element | None:
    found = [e for e in elements(bytes(data)) if not kinds or e.kind in kinds]
    return draw.choice(found) if found else None


def _size(data: bytearray, draw: Random) -> bytearray:
    """Another number of bytes in a tag."""
    one = _some(data, draw)
    if one is not None:
        size = draw.choice((*SIZES, one.size + 8, max(one.size - 8, 0), one.size * 2))
        struct.pack_into("<I", data, one.tag + 4, size & 0xFFFFFFFF)
    return data


def _kind(data: bytearray, draw: Random) -> bytearray:
    """Another type in a tag."""
    one = _some(data, draw)
    if one is not None:
        struct.pack_into("<I", data, one.tag, draw.choice((*range(20), 1 << 16 | 1, 4 << 16 | 5, 5 << 16 | 9, 1 << 31)))
    return data


def _flags(data: bytearray, draw: Random) -> bytearray:
    """Another class of an array: a cell that says it is a struct, numbers that say they are complex or sparse."""
    one = _some(data, draw, 6)
    if one is not None and one.size >= 4:
        struct.pack_into("<I", data, one.start, draw.randrange(20) | draw.choice((0, 0, 0x200, 0x800, 0xA00)))
    return data


def _dims(data: bytearray, draw: Random) -> bytearray:
    """Other dimensions, or other whole numbers of four bytes."""
    one = _some(data, draw, 5)
    if one is not None and one.size >= 4:
        at = one.start + 4 * draw.randrange(one.size // 4)
        value = draw.choice((0, 1, 2, 3, 7, 1 << 15, 1 << 20, (1 << 31) - 1, -1, -(1 << 31), draw.randrange(1 << 16)))
        struct.pack_into("<i", data, at, value)
    return data


def _content(data: bytearray, draw: Random) -> bytearray:
    """Other data in an element: names, strings, numbers."""
    one = _some(data, draw)
    if one is not None and 0 < one.size < 1 << 20:
        for _ in range(draw.choice((1, 1, 3))):
            at = one.start + draw.randrange(one.size)
            if at < len(data):
                data[at] = draw.choice((0, 1, 255, 127, 128, draw.randrange(256)))
    return data


def _numbers(data: bytearray, draw: Random) -> bytearray:
    """A number that no network has: NaN, infinities, huge, negative, fractions."""
    one = _some(data, draw, 7, 9)
    if one is not None:
        width = 8 if one.kind == 9 and one.size >= 8 else 4
        if one.size >= width:
            value = draw.choice((float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 0.5, 1e9, 3e38, -0.0, 2.0, 1e6))
            at = one.start + width * draw.randrange(one.size // width)
            struct.pack_into("<d" if width == 8 else "<f", data, at, value)
    return data


def _drop(data: bytearray, draw: Random) -> bytearray:
    """An element less; the sizes of those around it say so, or do not."""
    one = _some(data, draw)
    if one is not None and one.depth:
        removed = one.end - one.tag
        around = _around(data, one) if draw.random() < 0.7 else []
        del data[one.tag : one.end]
        _resize(data, around, -removed)
    return data


def _double(data: bytearray, draw: Random) -> bytearray:
    """An element twice."""
    one = _some(data, draw)
    if one is not None and one.depth and one.end - one.tag < 1 << 16:
        piece = bytes(data[one.tag : one.end])
        around = _around(data, one) if draw.random() < 0.7 else []
        data[one.end : one.end] = piece
        _resize(data, around, len(piece))
    return data


def _swap(data: bytearray, draw: Random) -> bytearray:
    """An element in the place of another."""
    one, other = _some(data, draw), _some(data, draw)
    if one is not None and other is not None and one.depth and other.end - other.tag < 1 << 16:
        piece = bytes(data[other.tag : other.end])
        around = _around(data, one)
        grown = len(piece) - (one.end - one.tag)
        data[one.tag : one.end] = piece
        _resize(data, around, grown)
    return data


def _nest(data: bytearray, draw: Random) -> bytearray:
    """Cells in cells in cells, in the place of an array."""
    one = _some(data, draw, MATRIX)
    if one is None or not one.depth or one.end - one.tag > 1 << 16:
        return data
    piece = bytes(data[one.tag : one.end])
    for _ in range(draw.choice((1, 3, 50, 500, 3000))):
        body = struct.pack("<4I", 6, 8, 1, 0) + struct.pack("<2I2i", 5, 8, 1, 1) + struct.pack("<2I", 1, 0) + piece
        piece = struct.pack("<2I", MATRIX, len(body)) + body
        if len(piece) > 1 << 18:
            break
    around = _around(data, one)
    grown = len(piece) - (one.end - one.tag)
    data[one.tag : one.end] = piece
    _resize(data, around, grown)
    return data


def _around(data: bytearray, one: Element) -> list[int]:
    """The tags of the arrays that hold an element."""
    return [e.tag for e in elements(bytes(data)) if e.kind == MATRIX and e.tag < one.tag and e.end >= one.end]


def _resize(data: bytearray, tags: list[int], grown: int) -> None:
    for tag in tags:
        size = struct.unpack_from("<I", data, tag + 4)[0]
        struct.pack_into("<I", data, tag + 4, max(size + grown, 0) & 0xFFFFFFFF)


def _raw(data: bytearray, draw: Random) -> bytes:
    """Flips, cuts and splices, wherever they fall."""
    way = draw.random()
    if way < 0.15:
        return bytes(data[: draw.randrange(len(data))])
    if way < 0.3 and len(data) > 64:
        start, length = draw.randrange(len(data)), draw.randrange(1, 64)
        data[start : start + length] = data[draw.randrange(len(data)) :][: draw.randrange(64)]
        return bytes(data)
    for _ in range(draw.choice((1, 1, 3, 20))):
        data[draw.randrange(len(data) if draw.random() < 0.5 else min(len(data), 300))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _bytes(data: bytearray, draw: Random) -> bytearray:
    return bytearray(_raw(data, draw)) or data


WAYS = (_size, _kind, _flags, _dims, _dims, _content, _content, _numbers, _drop, _double, _swap, _nest, _bytes)
