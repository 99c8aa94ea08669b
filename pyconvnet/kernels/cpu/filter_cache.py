"""Transformed filters, kept from call to call, and never older than the filters that they came from.

A user may edit net.layers[0].weights[0] in place at any time, so every call compares a checksum of the whole array,
taken at memory speed (1.9 ms for all convolutions of VGG-VD-16, whose transforms take 25 ms).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable

import numba
import numpy as np

from pyconvnet.kernels.cpu import machine
from pyconvnet.kernels.cpu.compiled import jit
from pyconvnet.kernels.cpu.layout import address
from pyconvnet.kernels.cpu.simd import LANES, mix
from pyconvnet.threads import team

_entries: OrderedDict[tuple, tuple[tuple, np.ndarray]] = OrderedDict()
_guard = threading.Lock()
_dead: deque[tuple] = deque()
ROW, ROWS_AT_ONCE = 2 * LANES, 2048  # floats; rows


def limit() -> int:
    """Bytes that may be kept: a quarter of the machine's memory, or the environment variable PYCONVNET_FILTER_CACHE."""
    asked = os.environ.get("PYCONVNET_FILTER_CACHE")
    return machine.memory() // 4 if asked is None else int(asked)


def get(
    kind: tuple, f: np.ndarray, make: Callable[[np.ndarray | None], np.ndarray], scale: np.ndarray | None = None
) -> np.ndarray:
    """`make(None)` for the filters `f`, or what it returned before if `f` and `scale` still have the same elements.

    kind   what `make` does, so that one array may have several forms
    make   gets outdated memory of the same kind and shape to write into, or None
    scale  a few numbers that `make` uses as well
    """
    memory = f.ravel(order="K")
    if not np.may_share_memory(memory, f):  # neither C nor Fortran order: no memory to watch
        return make(None)
    key = (*kind, scale is None, address(f), f.shape, f.strides)
    with team() as threads:
        sum_now = checksum(memory, threads), None if scale is None else scale.tobytes()
        with _guard:
            _bury()
            found = _entries.pop(key, None)
        known = found is not None and found[0] == sum_now
        made = found[1] if known else make(None if found is None else found[1])
        if found is None:
            _forget_with(f, key)
        with _guard:
            _entries[key] = (sum_now, made)
            if found is None:
                kept = sum(value.nbytes for _, value in _entries.values())
                while kept > limit():
                    kept -= _entries.popitem(last=False)[1][1].nbytes
    return made


def clear() -> None:
    """Forget all filters."""
    with team(), _guard:
        _entries.clear()


def _forget_with(f: np.ndarray, key: tuple) -> None:
    """Drop the entry when the array that owns the memory goes away."""
    while isinstance(f.base, np.ndarray):
        f = f.base
    weakref.finalize(f, _died, key).atexit = False


def _died(key: tuple) -> None:
    """May run at any moment, also while this thread is at work above; then the next call drops the entry."""
    _dead.append(key)
    if _guard.acquire(blocking=False):
        try:
            _bury()
        finally:
            _guard.release()


def _bury() -> None:
    while _dead:
        _entries.pop(_dead.popleft(), None)


def checksum(memory: np.ndarray, threads: int) -> int:
    """64 bits of all elements of a contiguous float32 array and their places."""
    rows = memory.size // ROW
    pieces = -(-rows // ROWS_AT_ONCE)
    sums = np.zeros((pieces, LANES), np.uint64)
    _checksums(threads, address(memory), rows, pieces, address(sums))
    return hash((sums.tobytes(), memory[rows * ROW :].tobytes()))


@jit(parallel=True)
def _checksums(threads, memory, rows, pieces, sums):
    for t in numba.prange(threads):
        for p in range(pieces * t // threads, pieces * (t + 1) // threads):
            first = p * ROWS_AT_ONCE
            mix(sums + 8 * p * LANES, memory + 4 * first * ROW, min(ROWS_AT_ONCE, rows - first))
