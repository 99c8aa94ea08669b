"""The chunks of HDF5's datasets, unpacked here: what HDF5 itself unpacks takes the memory that a damaged file says, and
checksums of chunks without a byte end the process.

Format: The HDF Group, "HDF5 File Format Specification", III.G and IV.A.2.l (filters).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
KEY = 16  # bytes that a chunk takes in the file's tables at the least


def stored(dataset: Any) -> list[tuple[tuple[int, ...], int]]:
    """(offset, number of bytes) of each chunk of a dataset of h5py that stands in the file."""
    return [(offset, size) for offset, _, size, _ in places(dataset)]


def places(dataset: Any) -> list[tuple[tuple[int, ...], int, int, int]]:
    """(offset, address, number of bytes, mask of filters left out) of each of these chunks."""
    room = dataset.file.id.get_filesize() // KEY
    found: list[tuple[tuple[int, ...], int, int, int]] = []

    def add(chunk: Any) -> bool | None:
        found.append((chunk.chunk_offset, chunk.byte_offset, chunk.size, chunk.filter_mask))
        return True if len(found) > room else None  # True ends it

    if hasattr(dataset.id, "chunk_iter"):
        dataset.id.chunk_iter(add)
    else:  # HDF5 before 1.12.3
        for i in range(dataset.id.get_num_chunks()):
            add(dataset.id.get_chunk_info(i))
    if len(found) > room:
        raise ValueError(f"{dataset.name} has more chunks than the file can hold")
    return found


def unpacked(dataset: Any, made: Any, width: int) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """(offset, its elements) of each chunk.

    made   the properties that the dataset was created with
    width  bytes of an element in the file
    """
    packing = filters(dataset, made)
    size = prod(made.get_chunk()) * width
    most = dataset.file.id.get_filesize()
    for offset, held in stored(dataset):
        # HDF5 puts them into a place of `size` bytes, however many they are, unless there are filters
        if held > most or not (packing or held == size):
            raise ValueError(f"a chunk of {dataset.name} has {held} bytes in place of {size}: the file is damaged")
        mask, data = dataset.id.read_direct_chunk(offset)
        yield offset, restored(data, mask, packing, size, dataset)


def filters(dataset: Any, made: Any) -> list[Any]:
    """The filters that chunks went through, in their order; ValueError for one that MATLAB does not write."""
    found = [made.get_filter(i) for i in range(made.get_nfilters())]
    for kind, _, _, name in found:
        if kind not in (DEFLATE, SHUFFLE, FLETCHER32):
            said = f"{kind} ({name.decode('utf-8', 'replace')})" if name else kind
            raise ValueError(f"{dataset.name} is packed by filter {said}, which MATLAB does not write")
    return found


def restored(data: bytes, mask: int, packing: list[Any], size: int, dataset: Any) -> bytes:
    """A chunk of `size` bytes as it was before the filters, but those that the mask says were left out."""
    for i in reversed(range(len(packing))):
        if not mask >> i & 1:
            data = _undone(data, packing[i], size, dataset)
    if len(data) != size:
        raise ValueError(f"a chunk of {_name(dataset)} has {len(data)} bytes in place of {size}: the file is damaged")
    return data


def _name(dataset: Any) -> str:
    """Of a dataset, or of a file, whose name is text."""
    return dataset if isinstance(dataset, str) else dataset.name


def fill(data: np.ndarray, dataset: Any, made: Any) -> None:
    """Put the elements of all chunks into an array of the dataset's shape and type."""
    chunk = made.get_chunk()
    for offset, content in unpacked(dataset, made, data.itemsize):
        place = tuple(slice(a, a + c) for a, c in zip(offset, chunk))
        target = data[place]
        target[...] = np.frombuffer(content, data.dtype).reshape(chunk)[tuple(map(slice, target.shape))]


def _undone(data: bytes, filter: tuple[Any, ...], size: int, dataset: Any) -> bytes:
    """The data of a chunk of `size` bytes before a filter. Its dataset is for errors: a name is slow to look up."""
    kind, values = filter[0], filter[2]
    if kind == DEFLATE:
        inflate, most = zlib.decompressobj(), size + size // 1000 + 64  # what a further filter adds at the most
        try:
            out = inflate.decompress(data, most)
        except zlib.error as error:
            raise ValueError(f"a chunk of {_name(dataset)} is broken ({error})") from None
        if not inflate.eof:
            raise ValueError(f"a chunk of {_name(dataset)} is broken (it is cut, or has more than {size} bytes)")
        return out
    if kind == FLETCHER32:
        if len(data) < 4 or _fletcher32(data[:-4]) != tuple(v % 0xFFFF for v in np.frombuffer(data[-4:], "<u2")):
            raise ValueError(f"a chunk of {_name(dataset)} is broken (its checksum is another)")
        return data[:-4]
    width = int(values[0]) if values else 0
    if not 0 < width <= max(len(data), 1):
        raise ValueError(f"a chunk of {_name(dataset)} is shuffled by {width} bytes: the file is damaged")
    whole = len(data) // width * width
    return np.frombuffer(data[:whole], np.uint8).reshape(width, -1).T.tobytes() + data[whole:]


def _fletcher32(data: bytes) -> tuple[int, int]:
    """The two sums of Fletcher's checksum over words of two bytes, the first one first in each."""
    words = np.frombuffer(data + bytes(len(data) % 2), ">u2").astype(np.uint64)
    weights = np.arange(words.size, 0, -1, dtype=np.uint64) % 0xFFFF
    return int(words.sum() % 0xFFFF), int((words * weights).sum() % 0xFFFF)
