"""Transformed filters, kept from call to call, and never older than the filters that they came from.

A user may edit net.layers[0].weights[0] in place at any time, so every call compares a checksum of the whole array,
taken at memory speed (1.9 ms for all convolutions of VGG-VD-16, whose transforms take 25 ms). Only memory that Python
itself keeps from changes, that of a bytes object, is not read: `pyconvnet.deploy` puts weights there.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from pyconvnet.backends.cpu import compiled, hardware
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.layout import address, copy_floats
from pyconvnet.backends.cpu.llvm.checksum import LANES, mix
from pyconvnet.threads import guard, parallel_region

_entries: OrderedDict[tuple, tuple[tuple, np.ndarray, int]] = OrderedDict()
_watched: set[tuple] = set()  # keys of arrays that are there, also of those whose entry was dropped
_guard = guard()
_collected: deque[tuple] = deque()
ROW, PIECE = 2 * LANES, 4096 * LANES  # floats


def limit() -> int:
    """Bytes that may be kept: a quarter of the machine's memory, or the environment variable PYCONVNET_FILTER_CACHE."""
    asked = os.environ.get("PYCONVNET_FILTER_CACHE")
    return hardware.memory() // 4 if asked is None else int(asked)


def get(
    kind: tuple, f: np.ndarray, make: Callable[[np.ndarray | None], np.ndarray], scale: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """(`make(None)` for the filters `f`, its address); the earlier one if `f` and `scale` still have the same elements.

    kind   names the work of `make`, so that one array may have several forms
    make   gets outdated memory of the same kind and shape to write into, or None
    scale  a few numbers that `make` uses as well
    """
    made, start = _get(kind, f, make, scale)
    if compiled.recording is not None:
        compiled.recording.named(made)
    return made, start


def lasts(f: Any) -> bool:
    """Whether nothing can write to the memory of f: numpy refuses to make an array over a bytes object writable."""
    if f.flags.writeable:
        return False
    while isinstance(f, np.ndarray):
        f = f.base
    return isinstance(f, bytes)


def _get(
    kind: tuple, f: np.ndarray, make: Callable[[np.ndarray | None], np.ndarray], scale: np.ndarray | None
) -> tuple[np.ndarray, int]:
    dense = f.flags.c_contiguous or f.flags.f_contiguous or np.may_share_memory(f.ravel(order="K"), f)
    if not dense:  # no memory to watch
        made = make(None)
        return made, address(made)
    start = address(f)
    key = kind, scale is None, start, f.shape, f.strides
    with parallel_region() as threads:
        seen = b"" if lasts(f) else _checksum(start, f.size, threads)
        now = seen, None if scale is None else scale.tobytes()
        with _guard:
            _drop_collected()
            found = _entries.get(key)
            if found is not None and found[0] == now:
                _entries.move_to_end(key)
                return found[1:]
            _entries.pop(key, None)  # `make` is about to write into its memory
        made = make(None if found is None else found[1])
        if key not in _watched:
            _watched.add(key)
            _forget_with(f, key)
        with _guard:
            _entries[key] = entry = now, made, address(made)
            kept = sum(value.nbytes for _, value, _ in _entries.values())
            while kept > limit():
                kept -= _entries.popitem(last=False)[1][1].nbytes
    return entry[1:]


def clear() -> None:
    """Forget all filters."""
    with parallel_region(), _guard:
        _entries.clear()


def _forget_with(f: np.ndarray, key: tuple) -> None:
    """Drop the entry when the array that owns the memory goes away."""
    while isinstance(f.base, np.ndarray):
        f = f.base
    weakref.finalize(f, _on_collected, key).atexit = False


def _on_collected(key: tuple) -> None:
    """May run at any moment, also while this thread is at work above; then the next call drops the entry."""
    _collected.append(key)
    if _guard.acquire(blocking=False):
        try:
            _drop_collected()
        finally:
            _guard.release()


def _drop_collected() -> None:
    while _collected:
        key = _collected.popleft()
        _entries.pop(key, None)
        _watched.discard(key)


def checksum(f: np.ndarray, threads: int) -> bytes:
    """A few bytes for all elements of a contiguous float32 array and their places."""
    return _checksum(address(f), f.size, threads)


def _checksum(start: int, size: int, threads: int) -> bytes:
    sums, last = np.zeros((size // PIECE + 1, LANES), np.uint64), np.zeros(ROW, np.float32)
    _checksums(threads, start, size, sums, address(last))
    return sums.tobytes()


@parallel
def _checksums(t, threads, memory, size, sums, last):
    """Checksums of each PIECE of an array and, in the last row, of its rest; zeros after that fill a ROW of `last`."""
    pieces = len(sums)
    for p in range(pieces * t // threads, pieces * (t + 1) // threads):
        out, here = sums.ctypes.data + 8 * p * LANES, memory + 4 * p * PIECE
        left = min(PIECE, size - p * PIECE)
        mix(out, here, left // ROW)
        if left % ROW > 0:
            copy_floats(last, here + 4 * (left - left % ROW), left % ROW)
            mix(out, last, 1)
