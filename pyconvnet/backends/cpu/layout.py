"""Memory for the kernels: images with channels fastest and a border of zeros, and buffers used again and again.

Fresh memory costs about as much as a pass over it, since the system clears it page by page. So the working
memory of a kernel comes from `scratch`, and the memory of results that nobody holds any longer goes to later ones
(`empty`).
Both begin at a cache line, which numpy's arrays do not: a vector across two of them is stored at half the speed.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from pyconvnet.backends.cpu import compiled, hardware
from pyconvnet.backends.cpu.compiled import inner, parallel
from pyconvnet.backends.cpu.llvm.simd import fload, fstore, vload, vset1, vstore
from pyconvnet.threads import guard, parallel_region

_kept: dict[str, np.ndarray] = {}
_returned: deque[Memory] = deque()  # by blocks that are gone, not yet in _free
_free: dict[int, list[Memory]] = {}  # free blocks by size, least recently used first
_free_floats = 0
_free_guard = guard()
LEAST_KEPT = 1 << 14  # floats; smaller results are not worth keeping
MOST_KEPT, MOST_SIZES = 1 / 16, 64  # of the machine's memory; and so many different ones
SPARE = 16  # one part in so many more is asked for, in which the same image with a border finds room
CACHE_LINE = 16  # floats in a cache line
STREAMED = 1 << 22  # results of so many floats leave the caches anyway, so they are written past them
AHEAD = 256  # prefetch distance in floats, of loops that compute too long to wait for memory


class Memory(NamedTuple):
    array: np.ndarray
    start: int  # its address


class _Block:
    """Memory of a result; it comes back to `_free` when the last array that lies in it is gone."""

    __slots__ = ("__array_interface__", "home", "memory")

    def __init__(self, memory: Memory, count: int, home: list[Memory] | None = None) -> None:
        """home: of a recording, to whose own memory it comes back"""
        self.memory, self.home = memory, home
        self.__array_interface__ = {"shape": (count,), "typestr": "<f4", "data": (memory.start, False), "version": 3}

    def __del__(self) -> None:
        """May run at any moment, also while this thread holds the guard: then the next call does the rest."""
        if self.home is not None:
            self.home.append(self.memory)
            return
        _returned.append(self.memory)
        if _free_guard.acquire(blocking=False):
            try:
                _keep_returned()
            finally:
                _free_guard.release()


def _keep_returned() -> None:
    global _free_floats
    while _returned:
        memory = _returned.popleft()
        size = memory.array.size
        same = _free.pop(size, [])
        same.append(memory)
        _free[size] = same  # as the last
        _free_floats += size
    while 4 * _free_floats > MOST_KEPT * hardware.memory() or len(_free) > MOST_SIZES:
        _reuse(next(iter(_free)), 0)


def _reuse(size: int, which: int) -> Memory:
    """Remove a block of this size from `_free` and return it."""
    global _free_floats
    memory = _free[size].pop(which)
    if not _free[size]:
        del _free[size]
    _free_floats -= size
    return memory


def empty_at(shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """(np.empty(shape, np.float32), its address), in memory of an earlier result where one of about that size is free.

    The memory that was used last is taken, since it may still be in the caches.
    """
    count = math.prod(shape)
    if (recording := compiled.recording_here()) is not None:
        memory = recording.memory(count)
        return np.asarray(_Block(memory, count, recording.free)).reshape(shape), memory.start
    if count < LEAST_KEPT:
        memory = aligned_memory(count)
        return memory.array.reshape(shape), memory.start
    memory = some_memory(count)
    return np.asarray(_Block(memory, count)).reshape(shape), memory.start


def some_memory(count: int) -> Memory:
    """Memory for so many floats, of an earlier result if possible; it is the caller's."""
    with _free_guard:
        _keep_returned()
        size = count if count in _free else min((s for s in _free if count <= s <= 4 * count), default=None)
        memory = None if size is None else _reuse(size, -1)
    return memory or aligned_memory(count + count // SPARE)


def empty(shape: tuple[int, ...]) -> np.ndarray:
    """The array of `empty_at` alone."""
    return empty_at(shape)[0]


def zeros(shape: tuple[int, ...]) -> np.ndarray:
    """np.zeros(shape, np.float32), in memory of `empty_at`."""
    out = empty(shape)
    with parallel_region() as threads:
        _fill(threads, address(out), out.size)
    return out


def empty_like(x: np.ndarray) -> np.ndarray:
    """np.empty_like(x) in memory of `empty_at`, for float32 arrays whose elements fill their memory."""
    axes = range(x.ndim)
    order = sorted(axes, key=x.strides.__getitem__, reverse=True)
    return empty(tuple([x.shape[i] for i in order])).transpose([order.index(i) for i in axes])


def empty_like_filters(f: np.ndarray) -> np.ndarray:
    """Memory of `empty_at` for their derivatives, in their memory order where that has no gaps."""
    in_order = f.flags.c_contiguous or not f.flags.f_contiguous
    return empty(f.shape) if in_order else empty(f.shape[::-1]).T


def aligned(count: int) -> np.ndarray:
    """np.empty(count, np.float32) that begins at a cache line."""
    return aligned_memory(count).array


def aligned_memory(count: int) -> Memory:
    if 4 * count > hardware.memory():  # the system may give it, and end the process where it is used
        have = hardware.memory() / 1e9
        raise MemoryError(f"{4e-9 * count:,.0f} GB are needed at once, and this machine has {have:,.0f} GB of memory")
    memory = np.empty(count + CACHE_LINE, np.float32)
    start = memory.__array_interface__["data"][0]  # not by `address`: a recording would keep it
    first = -(start // memory.itemsize) % CACHE_LINE
    return Memory(memory[first : first + count], start + first * memory.itemsize)


def block_of(a: np.ndarray) -> _Block | None:
    """The memory of `empty_at` that an array lies in."""
    base: Any = a
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, _Block) else None


def address(a: np.ndarray) -> int:
    """Address of the first element. The caller keeps `a` alive."""
    if compiled.recording is not None and (recording := compiled.recording_here()) is not None:
        recording.named(a)
    return a.__array_interface__["data"][0]


def streams(y: np.ndarray, columns: int) -> bool:
    """Whether a result, whose pixels are written in pieces of so many channels, goes past the caches."""
    return y.size >= STREAMED and columns % CACHE_LINE == 0 and address(y) % (4 * CACHE_LINE) == 0


def strides(a: np.ndarray) -> tuple[int, ...]:
    """Strides in elements."""
    return tuple(s // a.itemsize for s in a.strides)


def scratch(name: str, count: int) -> np.ndarray:
    """`count` floats that the next call with this name overwrites; only for the thread that is in a `parallel_region`.

    A fresh array of 100 MB costs 4 ms of page faults; this one costs them once.
    """
    if compiled.recording is not None:
        return compiled.recording.scratch(name, count)
    kept = _kept.get(name)
    if kept is None or not count <= kept.size <= 8 * count + (1 << 22):
        kept = _kept[name] = aligned(count)
    return kept[:count]


def release_scratch() -> None:
    """Gives the buffers of `scratch`, and the memory of results that are gone, back to the system."""
    global _free_floats
    with parallel_region(), _free_guard:
        _kept.clear()
        _returned.clear()
        _free.clear()
        _free_floats = 0


def channels_fastest(x: np.ndarray) -> np.ndarray:
    """x, H x W x C x N in any memory order, as a contiguous N x H x W x C array; copies only where it must."""
    seen = x.transpose(3, 0, 1, 2)
    if seen.flags.c_contiguous:
        return seen
    out = empty(seen.shape)
    copy_to(out.transpose(1, 2, 3, 0), x)
    return out


def copy_to(out: np.ndarray, x: np.ndarray) -> None:
    """Copy x, H x W x C x N in any memory order, to `out`, whose channels are fastest."""
    seen = x.transpose(3, 0, 1, 2)
    with parallel_region() as threads:
        _copy_padded(threads, address(x), *strides(seen), address(out), *seen.shape, 0, 0, 0, 0)


def dense(x: np.ndarray) -> bool:
    """Whether the elements fill their memory, in any order of the axes."""
    return x.transpose(np.argsort(x.strides)[::-1]).flags.c_contiguous


def copied(x: np.ndarray) -> np.ndarray:
    """A copy of a float32 array in its memory order."""
    if x.size < LEAST_KEPT or not dense(x):
        return x.copy(order="K")
    out = empty_like(x)
    copy_elements(out, x)
    return out


def copy_elements(out: np.ndarray, x: np.ndarray) -> None:
    """Copy x to an array of the same shape and memory order; both fill their memory."""
    with parallel_region() as threads:
        _copy_elements(threads, address(out), address(x), x.size)


def padded(x: np.ndarray, pad: tuple[int, int, int, int]) -> np.ndarray:
    """Like `channels_fastest`, with zeros around, `pad` = (top, bottom, left, right)."""
    if not any(pad):
        return channels_fastest(x)
    seen = x.transpose(3, 0, 1, 2)
    n, h, w, c = seen.shape
    shape = (n, h + pad[0] + pad[1], w + pad[2] + pad[3], c)
    out = empty(shape)
    with parallel_region() as threads:
        _copy_padded(threads, address(x), *strides(seen), address(out), *seen.shape, *pad)
    return out


@parallel
def _copy_padded(t, threads, x, xn, xh, xw, xc, y, n, h, w, c, top, bottom, left, right):
    """y, n x (top + h + bottom) x (left + w + right) x c, from x with element strides xn, xh, xw, xc."""
    height, width = top + h + bottom, left + w + right
    rows = n * height
    for q in range(rows * t // threads, rows * (t + 1) // threads):
        image = q // height
        i = q - image * height - top
        out = y + 4 * q * width * c
        if i < 0 or i >= h:
            fill_zeros(out, width * c)
            continue
        fill_zeros(out, left * c)
        fill_zeros(out + 4 * (left + w) * c, right * c)
        out += 4 * left * c
        source = x + 4 * (image * xn + i * xh)
        if xc == 1 and xw == c:
            copy_floats(out, source, w * c)
        elif xc == 1:
            for j in range(w):
                copy_floats(out + 4 * j * c, source + 4 * j * xw, c)
        else:
            for j in range(w):
                for k in range(c):
                    fstore(out + 4 * (j * c + k), fload(source + 4 * (j * xw + k * xc)))


@parallel
def _copy_elements(t, threads, out, source, count):
    first, last = count * t // threads, count * (t + 1) // threads
    copy_floats(out + 4 * first, source + 4 * first, last - first)


@parallel
def _fill(t, threads, out, count):
    first, last = count * t // threads, count * (t + 1) // threads
    fill_zeros(out + 4 * first, last - first)


@inner
def copy_floats(out, source, count):
    i = 0
    while i + 16 <= count:
        vstore(out + 4 * i, vload(source + 4 * i))
        i += 16
    while i < count:
        fstore(out + 4 * i, fload(source + 4 * i))
        i += 1


@inner
def fill_zeros(out, count):
    zero = vset1(np.float32(0))
    i = 0
    while i + 16 <= count:
        vstore(out + 4 * i, zero)
        i += 16
    while i < count:
        fstore(out + 4 * i, np.float32(0))
        i += 1
