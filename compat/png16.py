"""Colour PNG files of 16 bits, which Pillow cuts to 8. Source: PNG specification (W3C), sections 7 and 9."""

from __future__ import annotations

import zlib

import numpy as np

CHANNELS = {2: 3, 6: 4}  # colour types: RGB, and with alpha


def decode(data: bytes) -> np.ndarray:
    """H x W x 3 or H x W x 4 uint16 of the bytes of a file; ValueError for interlaced or broken ones."""
    header, packed, at = b"", [], 8
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            packed.append(body)
        at += 12 + size
    width, height = (int.from_bytes(header[i : i + 4], "big") for i in (0, 4))
    depth, colour, _, _, interlaced = header[8:13]
    if depth != 16 or colour not in CHANNELS or interlaced:
        raise ValueError("it is an interlaced PNG file, or not one of colours of 16 bits")
    step = 2 * CHANNELS[colour]
    length = width * step
    try:
        lines = np.frombuffer(zlib.decompress(b"".join(packed)), np.uint8)
    except zlib.error as error:
        raise ValueError(f"its data are broken ({error})") from None
    if lines.size != height * (length + 1):
        raise ValueError(f"its data are broken: {lines.size} bytes, not {height * (length + 1)}")
    rows = np.zeros((height + 1, length), np.uint8)  # the first is the row of zeros above the image
    for i, line in enumerate(lines.reshape(height, length + 1)):
        rows[i + 1] = _unfiltered(int(line[0]), line[1:], rows[i], step)
    values = rows[1:].reshape(height, width, step // 2, 2).astype(np.uint16)
    return values[..., 0] << 8 | values[..., 1]


def _unfiltered(kind: int, line: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    if kind == 0:
        return line
    if kind == 1:  # a byte was stored less the one of the pixel before
        return line.reshape(-1, step).cumsum(axis=0, dtype=np.uint8).ravel()
    if kind == 2:  # less the one above
        return line + above
    if kind > 4:
        raise ValueError(f"it has a row of filter type {kind}")
    out, up, corner = [0] * step + line.tolist(), [0] * step + above.tolist(), 0
    for i in range(step, len(out)):
        a, b = out[i - step], up[i]
        if kind == 3:  # less the mean of both
            out[i] = (out[i] + (a + b) // 2) & 255
            continue
        corner = up[i - step]
        near = abs(b - corner), abs(a - corner), abs(a + b - 2 * corner)  # Paeth: left, above or corner
        least = min(near)
        out[i] = (out[i] + (a if near[0] == least else b if near[1] == least else corner)) & 255
    return np.array(out[step:], np.uint8)
