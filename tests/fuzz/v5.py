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
    if draw.random() < 0.2 or whole[126:128] != b"IM":
        return raw(bytearray(whole), draw)
    parts = variables(whole)
    which = draw.randrange(len(parts))
    packed, data = parts[which]
    changed = bytearray(data)
    ways = [draw.choice(WAYS) for _ in range(draw.choice((1, 1, 1, 2, 4)))]
    if draw.random() < 0.02:
        ways.append(_bomb)  # the last one: it makes very many elements
    for way in ways:
        try:
            changed = way(changed, draw)
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
                squeezed = bytes(raw(bytearray(squeezed), draw))
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


def _name(data: bytearray, draw: Random) -> bytearray:
    """Another name of a variable, or names of fields: of another length, empty, the same twice, of other characters."""
    one = _some(data, draw, 1)
    if one is None or one.short or not one.depth or one.size > 1 << 14:
        return data
    old = bytes(data[one.start : one.start + one.size])
    names = draw.choice((
        old[32:64].ljust(32, b"\0") * (one.size // 32), old[::-1], bytes(one.size), b"",
        b"layers".ljust(32, b"\0") + old[32:], b"x" * 70_000,
        b"\xff\xfe" * (one.size // 2), b"../../x\0", b"__class__".ljust(32, b"\0") + old[32:],
        old + b"type".ljust(32, b"\0"), old[: one.size // 64 * 32],
    ))  # fmt: skip
    around = _around(data, one) if draw.random() < 0.9 else []
    piece = struct.pack("<2I", 1, len(names)) + names + bytes(-len(names) % 8)
    data[one.tag : one.end] = piece
    _resize(data, around, len(piece) - (one.end - one.tag))
    return data


def _bomb(data: bytearray, draw: Random) -> bytearray:
    """Little when compressed, in the place of an array: zeros; a cell of very many arrays, empty or not; structs of as
    many fields."""
    one = _some(data, draw, MATRIX)
    if one is None or not one.depth:
        return data
    count = 1 << draw.choice((10, 16, 20, 22))
    empty = struct.pack("<2I", MATRIX, 0)
    scalar = _array(6, (1, 1), struct.pack("<2Id", 9, 8, 1.0))
    way = draw.randrange(6)
    if way == 0:
        piece = _array(6, (count, 1), struct.pack("<2I", 9, 8 * count) + bytes(8 * count))
    elif way == 1:
        piece = _array(1, (draw.choice((count, 1 << 30)), 1), empty * count)
    elif way == 2:
        piece = _array(1, (count >> 5, 1), scalar * (count >> 5))  # half a million are an honest file, and take 5 s
    elif way == 3:
        piece = _array(4, (1, 4 * count), struct.pack("<2I", 16, 4 * count) + b"a" * (4 * count))
    elif way == 4:
        names = struct.pack("<2I", 4 << 16 | 5, 1) + struct.pack("<2I", 1, count >> 2) + b"a" * (count >> 2)
        piece = _array(2, (1, 1), names + empty * (count >> 2))
    else:
        names = struct.pack("<2I", 4 << 16 | 5, 8) + struct.pack("<2I", 1, 16) + b"type\0\0\0\0name\0\0\0\0"
        piece = _array(2, (count >> 2, 1), names + empty * (count >> 1))
    around = _around(data, one)
    _resize(data, around, len(piece) - (one.end - one.tag))
    data[one.tag : one.end] = piece
    return data


def _array(kind: int, dims: tuple[int, int], body: bytes) -> bytes:
    head = struct.pack("<4I", 6, 8, kind, 0) + struct.pack("<2I2i", 5, 8, *dims) + struct.pack("<2I", 1, 0)
    return struct.pack("<2I", MATRIX, len(head) + len(body)) + head + body


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
        piece = _array(1, (1, 1), piece)
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


def raw(data: bytearray, draw: Random) -> bytes:
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
    return bytearray(raw(data, draw)) or data


WAYS = (
    _size, _size, _kind, _kind, _flags, _flags, _dims, _dims, _dims, _dims, _content, _content, _content, _content,
    _numbers, _numbers, _numbers, _name, _name, _drop, _double, _swap, _nest, _bytes, _bytes,
)  # fmt: skip
