"""Memory for the kernels: images with channels fastest and a border of zeros, and buffers used again and again."""

from __future__ import annotations

import numba
import numpy as np

from pyconvnet.kernels.cpu.compiled import jit
from pyconvnet.kernels.cpu.simd import fload, fstore, vload, vset1, vstore
from pyconvnet.threads import team

_kept: dict[str, np.ndarray] = {}


def address(a: np.ndarray) -> int:
    """Where the first element lies. The caller keeps `a` alive."""
    return a.__array_interface__["data"][0]


def strides(a: np.ndarray) -> tuple[int, ...]:
    """In elements."""
    return tuple(s // a.itemsize for s in a.strides)


def scratch(name: str, count: int) -> np.ndarray:
    """`count` floats that the next call with this name overwrites; only for the thread that holds `team`.

    A fresh array of 100 MB costs 4 ms of page faults; this one costs them once.
    """
    kept = _kept.get(name)
    if kept is None or not count <= kept.size <= 8 * count + (1 << 22):
        kept = _kept[name] = np.empty(count, np.float32)
    return kept[:count]


def release_scratch() -> None:
    """Gives the buffers of `scratch` back to the system."""
    with team():
        _kept.clear()


def channels_fastest(x: np.ndarray) -> np.ndarray:
    """x, H x W x C x N in any memory order, as a contiguous N x H x W x C array; copies only where it must."""
    seen = x.transpose(3, 0, 1, 2)
    if seen.flags.c_contiguous:
        return seen
    out = np.empty(seen.shape, np.float32)
    with team() as threads:
        _copy_padded(threads, address(x), *strides(seen), address(out), *seen.shape, 0, 0, 0, 0)
    return out


def padded(x: np.ndarray, pad: tuple[int, int, int, int], name: str = "padded") -> np.ndarray:
    """Like `channels_fastest`, with zeros around, `pad` = (top, bottom, left, right); those lie in scratch memory."""
    if not any(pad):
        return channels_fastest(x)
    seen = x.transpose(3, 0, 1, 2)
    n, h, w, c = seen.shape
    shape = (n, h + pad[0] + pad[1], w + pad[2] + pad[3], c)
    with team() as threads:
        out = scratch(name, n * shape[1] * shape[2] * c).reshape(shape)
        _copy_padded(threads, address(x), *strides(seen), address(out), *seen.shape, *pad)
    return out


@jit(parallel=True)
def _copy_padded(threads, x, xn, xh, xw, xc, y, n, h, w, c, top, bottom, left, right):
    """y, n x (top + h + bottom) x (left + w + right) x c, from x with element strides xn, xh, xw, xc."""
    height, width = top + h + bottom, left + w + right
    rows = n * height
    for t in numba.prange(threads):
        for q in range(rows * t // threads, rows * (t + 1) // threads):
            image = q // height
            i = q - image * height - top
            out = y + 4 * q * width * c
            if i < 0 or i >= h:
                _zeros(out, width * c)
                continue
            _zeros(out, left * c)
            _zeros(out + 4 * (left + w) * c, right * c)
            out += 4 * left * c
            source = x + 4 * (image * xn + i * xh)
            if xc == 1 and xw == c:
                _copy(out, source, w * c)
            elif xc == 1:
                for j in range(w):
                    _copy(out + 4 * j * c, source + 4 * j * xw, c)
            else:
                for j in range(w):
                    for k in range(c):
                        fstore(out + 4 * (j * c + k), fload(source + 4 * (j * xw + k * xc)))


@jit()
def _copy(out, source, count):
    i = 0
    while i + 16 <= count:
        vstore(out + 4 * i, vload(source + 4 * i))
        i += 16
    while i < count:
        fstore(out + 4 * i, fload(source + 4 * i))
        i += 1


@jit()
def _zeros(out, count):
    zero = vset1(np.float32(0))
    i = 0
    while i + 16 <= count:
        vstore(out + 4 * i, zero)
        i += 16
    while i < count:
        fstore(out + 4 * i, np.float32(0))
        i += 1
