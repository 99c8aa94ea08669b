"""Weights in Caffe's binary files (.caffemodel, .binaryproto): as much of protobuf's wire format as they need.

The wire format is https://protobuf.dev/programming-guides/encoding; the numbers of fields are those of BVLC's
caffe.proto (messages NetParameter, LayerParameter, V1LayerParameter, V0LayerParameter, BlobProto, BlobShape).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
# The layers of a network -> where a layer has its name, its blobs, and a layer of the format before
LAYERS = {100: (1, 7, None), 2: (4, 6, 1)}
V0 = (1, 50, None)
MAX_AXES = 32  # of a blob, as in Caffe


def weights(data: bytes) -> dict[str, list[np.ndarray]]:
    """Layer name -> its arrays in Caffe's order of axes, single precision; of layers of one name the last counts."""
    out: dict[str, list[np.ndarray]] = {}
    for number, kind, value in fields(memoryview(data)):
        if number in LAYERS and kind == BYTES:
            name, blobs = _layer(value, *LAYERS[number])
            if blobs:
                out[name] = blobs
    return out


def blob(data: memoryview) -> np.ndarray:
    """The array of a BlobProto."""
    dims: list[int] = []
    old = [0, 0, 0, 0]  # num, channels, height, width: before axes could be of any number
    single: list[memoryview] = []
    double: list[memoryview] = []
    for number, kind, value in fields(data):
        if number == 5 and kind in (BYTES, FLOAT):
            single.append(value)
        elif number == 8 and kind in (BYTES, DOUBLE):
            double.append(value)
        elif number == 7 and kind == BYTES:
            dims = [dim for n, k, v in fields(value) if n == 1 for dim in (_varints(v) if k == BYTES else [v])]
        elif 1 <= number <= 4 and kind == VARINT:
            old[number - 1] = value
    values = _numbers(single, "<f4") if single or not double else _numbers(double, "<f8")
    shape = dims or (old if any(old) else [values.size])
    if len(shape) > MAX_AXES or math.prod(shape) != values.size:
        size = " x ".join(map(str, shape[:8]))
        raise ValueError(f"an array of {size} must hold as many values, {values.size} are there: the file is damaged")
    return values.reshape(shape)


def fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value) of each field of a message: an int for a varint, else the bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, kind, value
            continue
        if kind == BYTES:
            length, at = _varint(data, at)
        elif kind in (DOUBLE, FLOAT):
            length = 8 if kind == DOUBLE else 4
        else:
            raise ValueError(f"there is no field at byte {at} of a message: the file is damaged, or not Caffe's")
        if not number or length > len(data) - at:
            raise ValueError(f"field {number} must hold {length} bytes, {len(data) - at} are there: it is damaged")
        yield number, kind, data[at : at + length]
        at += length


def _layer(data: memoryview, name_field: int, blobs_field: int, old_field: int | None) -> tuple[str, list[np.ndarray]]:
    name, blobs = "", []
    for number, kind, value in fields(data):
        if kind != BYTES:
            continue
        if number == name_field:
            name = str(value, "utf-8", "replace")
        elif number == blobs_field:
            blobs.append(blob(value))
        elif number == old_field:
            name, blobs = _layer(value, *V0)
    return name, blobs


def _numbers(parts: list[memoryview], kind: str) -> np.ndarray:
    """All values of a repeated field, in one part or in as many as there are values."""
    if any(len(part) % np.dtype(kind).itemsize for part in parts):
        raise ValueError("an array ends in the middle of a number: the file is damaged")
    return np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), kind).astype(np.float32, copy=False)


def _varints(data: memoryview) -> list[int]:
    out: list[int] = []
    at = 0
    while at < len(data) and len(out) <= MAX_AXES:
        value, at = _varint(data, at)
        out.append(value)
    return out


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError(f"there is no whole number at byte {at} of a message: the file is damaged, or not Caffe's")
