"""MAT files of versions 5 to 7, as described in MathWorks' "MAT-File Format": a file is a sequence of elements.

An element is a tag (type, number of bytes) and its data, filled up to 8 bytes; short data stand in the tag itself.
scipy reads these files too, but either forgets MATLAB's types (whole doubles become uint8, logicals numbers) or needs
twice the memory; here each array is read once, into its place.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from math import prod
from typing import Any, BinaryIO

import numpy as np

from pyconvnet.formats.mat.objects import resolved
from pyconvnet.records import Opaque, Struct

# element types
INT8, COMPRESSED, MATRIX, UTF8, UTF16, UTF32 = 1, 15, 14, 16, 17, 18
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
LABELS = {**NUMBERS, UTF8: "u1"}
# classes of arrays
CELL, STRUCT, OBJECT, CHAR, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
CHUNK = 1 << 16  # larger pieces are fresh memory from the system each time: 1 MB took 1.4 times as long
# A byte of compressed data makes no more than this. Source: zlib, "Technical Details", maximum compression factor
DEFLATE = 1032
BARE = 1 << 20  # structs without fields take no place in a file: more of them than this are damage
# Values that are all alike take next to no place in a compressed file: how many there may be beyond one in 2 of its
# bytes (the names of a million images take 6 each), and how many that are empty
VALUES, EMPTY = 1 << 17, 1 << 20
FIELDS = 1 << 16  # of a struct
LABEL = 1 << 16  # bytes of a name, of dimensions


def read(file: BinaryIO) -> dict[str, Any]:
    """The variables of an open file."""
    order = "<" if file.read(128)[126:128] == b"IM" else ">"
    found, unnamed = _variables(file, order)
    table = _object_table(unnamed) if unnamed else None
    return resolved(found, table) if table else found


def _variables(file: BinaryIO, order: str) -> tuple[dict[str, Any], list[Any]]:
    """The variables from here to the end, and the values without a name, which belong to MATLAB's own objects."""
    found: dict[str, Any] = {}
    unnamed: list[Any] = []
    here = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(here)
    room = _Room(end)
    while True:
        tag = file.read(8)
        if not tag:
            return found, unnamed
        kind, size = np.frombuffer(tag, order + "u4").tolist() if len(tag) == 8 else (0, 0)
        start = file.tell()
        if size > end - start:
            raise ValueError(f"the variable at byte {start - 8} claims {size} bytes, but {end - start} are there")
        holds = size
        if kind == COMPRESSED:
            source: Any = _Inflated(file, size)
            kind, holds = np.frombuffer(source.read(8), order + "u4").tolist()
            holds = min(holds, DEFLATE * size)
        else:
            source = file
        if kind != MATRIX:
            raise ValueError(f"an element of type {kind} at byte {start - 8} is not a variable: the file is broken")
        name, value = _Elements(source, order, holds, room).matrix()
        if isinstance(source, _Inflated):
            source.finish()
        if name:
            found[name] = value
        else:
            unnamed.append(value)
        file.seek(start + size)


def _object_table(unnamed: list[Any]) -> list[Any] | None:
    """The table of all objects (see objects.py): a file in the file, in an array of bytes, which has a short head."""
    for value in unnamed:
        if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.size > 8:
            data = value.tobytes(order="F")
            try:
                _, inner = _variables(io.BytesIO(data[8:]), "<" if data[2:4] == b"IM" else ">")
            except (ValueError, EOFError, IndexError):
                continue
            for part in inner:
                wrapper = part.get("MCOS") if isinstance(part, dict) else None
                if isinstance(wrapper, Opaque) and isinstance(wrapper.data, list):
                    return wrapper.data
    return None


def text(chars: np.ndarray) -> Any:
    """A char array, as numbers or single characters, as str; several rows as a list of them, without the blanks at
    their ends, as MATLAB's cellstr gives them.

    Of more than two dimensions, which scipy makes of an array of strings, the last one runs along a row.
    """
    codes = chars.reshape(-1, chars.shape[-1], order="F") if chars.ndim > 1 else chars[None]
    rows = ["".join(r.tolist()) if chars.dtype.kind == "U" else _joined(r) for r in codes]
    return (rows[0] if rows else "") if len(rows) < 2 else [row.rstrip(" \0") for row in rows]


def _joined(codes: np.ndarray) -> str:
    """Characters by their codes; those of MATLAB are UTF-16, where some take two."""
    if codes.dtype.itemsize <= 2 and codes.dtype.kind == "u":
        return codes.astype("<u2").tobytes().decode("utf-16-le", "replace")
    out = "".join(map(chr, codes.tolist()))
    return out if out.isascii() else out.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Room:
    """How many more values there may be in a file of that many bytes."""

    def __init__(self, size: int) -> None:
        self.values, self.empty = VALUES + size // 2, EMPTY + size

    def take(self, empty: bool) -> None:
        if empty:
            self.empty -= 1
        else:
            self.values -= 1
        if self.values < 0 or self.empty < 0:
            raise ValueError("there are more values than the file can hold: it is broken")


class _Inflated:
    """The decompressed bytes of one element of a file, read in pieces."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.left, self.inflate = file, size, zlib.decompressobj()
        self.piece, self.at = b"", 0  # what is decompressed, and how much of that is read

    def more(self) -> bool:
        """Decompress the next piece, if there is one."""
        while not self.inflate.eof:
            data = self.inflate.unconsumed_tail
            if not data and self.left:
                data = self.file.read(min(CHUNK, self.left))
                self.left -= len(data)
            try:
                self.piece, self.at = self.inflate.decompress(data, CHUNK), 0
            except zlib.error as error:
                raise ValueError(f"compressed data are broken ({error})") from None
            if self.piece or not data:
                break
        return self.at < len(self.piece)

    def readinto(self, target: Any) -> int:
        view = memoryview(target).cast("B")
        done = 0
        while done < len(view) and (self.at < len(self.piece) or self.more()):
            part = memoryview(self.piece)[self.at : self.at + len(view) - done]
            view[done : done + len(part)] = part
            done += len(part)
            self.at += len(part)
        return done

    def read(self, size: int) -> bytes:
        if self.at + size <= len(self.piece):
            self.at += size
            return self.piece[self.at - size : self.at]
        data = bytearray(size)
        return bytes(data[: self.readinto(data)])

    def finish(self) -> None:
        """Read to the end, where the checksum of all that was read stands."""
        self.read(8)
        if self.at < len(self.piece) or self.more() or not self.inflate.eof:
            raise ValueError("compressed data are broken (they do not end where the variable does)")


class _Elements:
    """Reads the elements of a variable one after the other. `holds`: how many bytes it has at most."""

    def __init__(self, source: Any, order: str, holds: int, room: _Room) -> None:
        self.source, self.order, self.holds, self.room = source, order, holds, room
        self.pair = struct.Struct(order + "2I").unpack

    def take(self, size: int) -> bytes:
        data = self.source.read(size)
        if len(data) != size:
            raise EOFError("it ends in the middle of a variable")
        return data

    def tag(self) -> tuple[int, int, bytes | None]:
        """(type, number of bytes, the data where they stand in the tag)."""
        raw = self.take(8)
        kind, size = self.pair(raw)
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise ValueError("a short element has more than four bytes: the file is broken")
            return kind, size, raw[4 : 4 + size]
        if size > self.holds:
            raise ValueError(f"an element of {size} bytes stands in a variable of {self.holds}: the file is broken")
        return kind, size, None

    def numbers(self, flags: int | None = None) -> np.ndarray:
        """The data of an element as a vector of the type they are stored in.

        flags  how many logicals they are: MATLAB stores those of sparse matrices as bytes, but calls them doubles
        """
        kind, size, short = self.tag()
        if flags is not None and size == flags:
            dtype = np.dtype("u1")
        elif kind in (UTF8, UTF16, UTF32):
            dtype = np.dtype(self.order + {UTF8: "u1", UTF16: "u2", UTF32: "u4"}[kind])
        elif kind in NUMBERS:
            dtype = np.dtype(self.order + NUMBERS[kind])
        else:
            raise ValueError(f"an element of type {kind} stands where numbers must: the file is broken")
        if short is not None:
            out = np.frombuffer(short, dtype).copy()
        else:
            out = np.empty(size // dtype.itemsize, dtype)
            if self.source.readinto(out.view("u1") if out.size else bytearray()) not in (out.nbytes, None):
                raise EOFError("it ends in the middle of a variable")
            self.take(-size % 8)
        if kind == UTF8:
            out = np.frombuffer(out.tobytes().decode("utf-8", "replace").encode("utf-32-le"), "<u4")
        return out if out.dtype.isnative else out.astype(out.dtype.newbyteorder("="))

    def label(self) -> np.ndarray:
        """The numbers of a short element: flags, dimensions, a name."""
        kind, size, data = self.tag()
        if size > LABEL or kind not in LABELS:
            raise ValueError(f"an element of type {kind} and {size} bytes stands in the head of an array: it is broken")
        if data is None:
            data = self.take(size + -size % 8)[:size]
        dtype = np.dtype(self.order + LABELS[kind])
        return np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)

    def string(self) -> str:
        return self.label().astype("u1").tobytes().decode("utf-8", "replace")

    def value(self) -> Any:
        """A value inside a cell or struct."""
        kind, size, _ = self.tag()
        if kind != MATRIX:
            raise ValueError(f"an element of type {kind} stands where an array must: the file is broken")
        if size == 0:
            self.room.take(empty=True)
            return np.empty((0, 0))
        return self.matrix()[1]

    def matrix(self) -> tuple[str, Any]:
        """(name, value) of an array, whose tag has been read."""
        self.room.take(empty=False)
        flags = int(self.label()[0])
        kind, logical, imaginary = flags & 0xFF, flags & 0x200, flags & 0x800
        if kind == OPAQUE:
            name = self.string()
            self.string()  # the system of types, MCOS or java
            return name, Opaque("object", self.string(), self.value())
        shape = tuple(int(d) for d in self.label().tolist())
        name = self.string()
        count = prod(shape)
        if kind == CELL:
            return name, [self.value() for _ in range(count)]
        if kind == FUNCTION:
            data = self.value()
            return name, Opaque("function_handle", function_name(data), data)
        if kind in (STRUCT, OBJECT):
            type_name = self.string() if kind == OBJECT else ""
            records = self.structs(count)
            value = records[0] if count == 1 else records
            return name, Opaque("object", type_name, value) if kind == OBJECT else value
        if kind == SPARSE:
            return name, self.sparse(shape, logical, imaginary)
        if kind == CHAR:
            chars = self.numbers()
            if chars.size != count:  # UTF-8 or UTF-32: MATLAB counts as UTF-16 does
                line = "".join(map(chr, chars.tolist()))
                chars = np.frombuffer(line.encode("utf-16-le", "surrogatepass"), "<u2")
                if chars.size != count:
                    return name, line
            return name, text(chars.reshape(shape, order="F")) if count else ""
        if kind not in CLASSES:
            raise ValueError(f"variable {name!r} is of class {kind}, which is not known")
        dtype = np.dtype(bool if logical else CLASSES[kind])
        data = self.part(dtype, count)
        if imaginary:
            data = data + np.array(1j, np.result_type(dtype, "c8")) * self.part(dtype, count)
        return name, data.reshape(shape, order="F")

    def part(self, dtype: np.dtype, count: int) -> np.ndarray:
        data = self.numbers()
        if data.size != count:
            raise ValueError(f"an array of {count} elements has {data.size}: the file is broken")
        return data.astype(dtype, copy=False)

    def structs(self, count: int) -> list[Struct]:
        width = max(int(self.label()[0]), 1)
        names = self.numbers().astype("u1").tobytes()
        if len(names) > FIELDS * width:
            raise ValueError(f"a struct has {len(names) // width} fields: the file is broken")
        fields = [names[i : i + width].split(b"\0")[0].decode("utf-8", "replace") for i in range(0, len(names), width)]
        if not fields and count > BARE:
            raise ValueError(f"there are {count} structs without fields: the file is broken")
        return [Struct((field, self.value()) for field in fields) for _ in range(count)]

    def sparse(self, shape: tuple[int, ...], logical: int, imaginary: int) -> Any:
        from scipy.sparse import csc_matrix

        rows, starts = self.numbers(), self.numbers()
        size = int(starts[-1])
        data = self.numbers(size if logical else None)
        if imaginary:
            data = data + 1j * self.numbers()
        elif logical:
            data = data.astype(bool)
        return csc_matrix((data[:size], rows[:size], starts), shape)


def function_name(data: Any) -> str:
    """The text of a function handle, from the struct that stands for it."""
    inner = data.get("function_handle") if isinstance(data, dict) else data
    if isinstance(inner, dict):
        inner = inner.get("function", "")
    return re.sub(r"^sf%\d+", "", inner) if isinstance(inner, str) else ""  # how MATLAB marks an anonymous one
