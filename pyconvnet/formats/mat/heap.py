"""Values of variable length in HDF5: the names of a struct's fields, strings. They stand in heaps of the file, where
only a place and a length lead to.

They are read here: HDF5 takes the memory that such a length says, up to 4 GiB for each, before it looks at the heap.
Format: The HDF Group, "HDF5 File Format Specification", II (superblock), III.E (global heap), IV.A (object headers).
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

NONE = 0xFFFFFFFFFFFFFFFF
ATTRIBUTE, CONTINUATION = 0x0C, 0x10
PLACE = struct.Struct("<IQI")  # length, address of the heap, number in it
LONGEST = 1 << 20  # bytes of an object header; MATLAB's have some hundred


class Heaps:
    """The heaps of an open file. `base`: where its addresses count from."""

    def __init__(self, file: BinaryIO, base: int, size: int) -> None:
        self.file, self.base, self.size = file, base, size
        self.known: dict[int, dict[int, bytes]] = {}

    def values(self, places: bytes) -> list[bytes]:
        """The values that a vector of places leads to."""
        whole = places[: len(places) // PLACE.size * PLACE.size]
        found = []
        for length, address, number in PLACE.iter_unpack(whole):
            value = self.heap(address).get(number, b"") if length and address not in (0, NONE) else b""
            if len(value) < length:
                raise ValueError(f"a value of {length} bytes stands in a heap where {len(value)} are: damaged")
            found.append(value[:length])
        return found

    def heap(self, address: int) -> dict[int, bytes]:
        """The content of the heap at an address, by number."""
        if address not in self.known:
            head = self.bytes(address, 16)
            if head[:4] != b"GCOL":
                raise ValueError(f"there is no heap at byte {address}: the file is damaged")
            data = self.bytes(address, int.from_bytes(head[8:16], "little"))
            found, at = {}, 16
            while at + 16 <= len(data):
                number, size = struct.unpack_from("<H6xQ", data, at)
                if number == 0 or at + 16 + size > len(data):
                    break
                found[number] = data[at + 16 : at + 16 + size]
                at += 16 + size + -size % 8
            self.known[address] = found
        return self.known[address]

    def attribute(self, address: int, name: str) -> bytes:
        """The data of an attribute of the object whose header is at an address, as they stand in the file."""
        for kind, content in self.messages(address):
            if kind == ATTRIBUTE and (data := _attribute(content, name.encode())) is not None:
                return data
        raise ValueError(f"the attribute {name} stands in a way that MATLAB does not write")

    def messages(self, address: int) -> Any:
        """(type, content) of the messages of an object's header."""
        head = self.bytes(address, 32)
        if head[:4] == b"OHDR":
            at = 6 + 16 * (head[5] >> 5 & 1) + 4 * (head[5] >> 4 & 1)
            width = 1 << (head[5] & 3)
            blocks = [(address + at + width, int.from_bytes(head[at : at + width], "little"))]
            form, skip, tail = struct.Struct("<BHB" + "2x" * (head[5] >> 2 & 1)), 4, 4
        else:
            blocks = [(address + 16, int.from_bytes(head[8:12], "little"))]
            form, skip, tail = struct.Struct("<HHB3x"), 0, 0
        left = LONGEST
        for start, size in blocks:  # which grows
            left -= size
            if left < 0:
                raise ValueError(f"the header at byte {address} is longer than any: the file is damaged")
            data, at = self.bytes(start, size), 0
            while at + form.size <= len(data):
                kind, length, _ = form.unpack_from(data, at)
                content = data[at + form.size : at + form.size + length]
                at += form.size + length
                if kind == CONTINUATION and len(content) >= 16:
                    where, length = struct.unpack_from("<QQ", content)
                    blocks.append((where + skip, max(length - skip - tail, 1)))
                yield kind, content

    def bytes(self, address: int, size: int) -> bytes:
        """Bytes of the file; fewer where it ends."""
        if address + self.base + min(size, 1) > self.size or size > self.size:
            raise ValueError(f"{size} bytes at byte {address} are not in the file")
        self.file.seek(self.base + address)
        return self.file.read(size)


def _attribute(content: bytes, wanted: bytes) -> bytes | None:
    """The data of an attribute message, if it has that name."""
    if len(content) < 8:
        return None
    version, flags, *sizes = struct.unpack_from("<BB3H", content)
    at = 9 if version == 3 else 8
    if version == 1:
        sizes, flags = [s + -s % 8 for s in sizes], 0
    if not 1 <= version <= 3 or flags or content[at : at + sizes[0]].split(b"\0")[0] != wanted:
        return None
    return content[at + sum(sizes) :]
