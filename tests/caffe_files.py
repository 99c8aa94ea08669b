"""Caffe's binary files, written for tests: messages as lists of (field number, value)."""

from __future__ import annotations

import numpy as np


def message(*fields):
    """bytes of (number, value): an int is a varint; text, bytes and arrays have their length in front."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
            continue
        data = value.encode() if isinstance(value, str) else value.tobytes() if hasattr(value, "tobytes") else value
        out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def blob(array, old=False, double=False, packed=True):
    """A BlobProto; old: num, channels, height and width instead of a shape."""
    array = np.asarray(array, "<f8" if double else "<f4")
    if old:
        sizes = [*enumerate((1, 1, 1, *array.shape)[-4:], 1)]
    else:
        sizes = [(7, message((1, b"".join(map(varint, array.shape)))))]
    if packed:
        return message(*sizes, (8 if double else 5, array))
    return message(*sizes) + b"".join(varint(5 << 3 | 5) + value.tobytes() for value in array.ravel())


def caffemodel(weights, version=2, **options):
    """A NetParameter of version 0, 1 or 2 with {layer name: arrays}."""
    out = message((1, "net"))
    for name, arrays in weights.items():
        blobs = [blob(a, old=version < 2, **options) for a in arrays]
        if version == 2:
            out += message((100, message((1, name), (2, "Type"), *((7, b) for b in blobs))))
        elif version == 1:
            out += message((2, message((4, name), (5, 4), *((6, b) for b in blobs))))
        else:
            out += message((2, message((1, message((1, name), (2, "conv"), *((50, b) for b in blobs))))))
    return out
