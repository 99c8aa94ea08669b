"""Transformed filters, kept from call to call, and never older than the filters that they came from.

A user may edit net.layers[0].weights[0] in place at any time, so every call compares a checksum of the whole array,
taken at memory speed (1.9 ms for all convolutions of VGG-VD-16, whose transforms take 25 ms). Only memory that Python
itself keeps from changes, that of a bytes object, is not read: `pyconvnet.deploy` puts weights there.
"""

from __future__ import annotations

import math
import os
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from pyconvnet.backends.cpu import compiled, hardware
from pyconvnet.backends.cpu.compiled import parallel
from pyconvnet.backends.cpu.layout import address, copy_floats, fill_zeros, scratch
from pyconvnet.backends.cpu.llvm.checksum import LANES, mix
from pyconvnet.backends.cpu.page_watch import Pages, pages_of
from pyconvnet.threads import guard, parallel_region


class _Entry(NamedTuple):
    now: tuple  # what tells other elements
    made: np.ndarray
    address: int
    lent: bool  # to a recording, which counts on its elements


_entries: OrderedDict[tuple, _Entry] = OrderedDict()
_watched: set[tuple] = set()  # keys of arrays that are there, also of those whose entry was dropped
_guard = guard()
_collected: deque[tuple] = deque()
ROW, PIECE = 2 * LANES, 4096 * LANES  # floats
KEPT_FROM = 1 << 13  # elements of filters
SMALL = 1 << 12  # elements of arrays that Watch compares as they are
# How often arrays must have been the same before their pages are watched, twice as often each time that these were
# written to: writing costs more then.
CALM = 4


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
    recording = compiled.recording_here()
    if recording is not None and recording.trains:
        made = make(None)
        return made, address(made)
    made, start = _get(kind, f, make, scale, recording is not None)
    if recording is not None:
        recording.named(made)
    return made, start


def worth_keeping(f: np.ndarray) -> bool:
    """Whether packing these filters takes longer than a checksum of them."""
    return f.size >= KEPT_FROM and (f.flags.c_contiguous or f.flags.f_contiguous)


def lasts(f: Any) -> bool:
    """Whether nothing can write to the memory of f: numpy refuses to make an array over a bytes object writable."""
    if f.flags.writeable:
        return False
    while isinstance(f, np.ndarray):
        f = f.base
    return isinstance(f, bytes)


def _get(
    kind: tuple, f: np.ndarray, make: Callable[[np.ndarray | None], np.ndarray], scale: np.ndarray | None, lent: bool
) -> tuple[np.ndarray, int]:
    dense = f.flags.c_contiguous or f.flags.f_contiguous or np.may_share_memory(f.ravel(order="K"), f)
    if not dense:  # no memory to watch
        made = make(None)
        return made, address(made)
    start = address(f)
    key = kind, scale is None, start, f.shape, f.strides
    with parallel_region() as threads:
        with compiled.unrecorded():
            seen = b"" if lasts(f) else _checksum(_pieces(start, f.size), threads)
        now = seen, None if scale is None else scale.tobytes()
        with _guard:
            _drop_collected()
            found = _entries.get(key)
            if found is not None and found.now == now:
                if lent:
                    _entries[key] = found._replace(lent=True)
                _entries.move_to_end(key)
                return found.made, found.address
            _entries.pop(key, None)  # `make` is about to write into its memory
        made = make(None if found is None or found.lent else found.made)
        if key not in _watched:
            _watched.add(key)
            _forget_with(f, key)
        with _guard:
            _entries[key] = entry = _Entry(now, made, address(made), lent)
            kept = kept_bytes()
            while kept > limit():
                kept -= _entries.popitem(last=False)[1].made.nbytes
    return entry.made, entry.address


def kept_bytes() -> int:
    """Bytes of all transformed filters that are kept now."""
    return sum(e.made.nbytes for e in _entries.values())


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


class Watch:
    """Tells whether arrays still have the elements that they had, as `get` does; they are kept.

    Pages of arrays that were the same several times are not read any more, where the system says that nothing wrote
    to them.
    """

    @staticmethod
    def knows(a: np.ndarray) -> bool:
        """Whether an array is small, or its elements lie side by side."""
        return a.size <= SMALL or (a.nbytes % 4 == 0 and (a.flags.c_contiguous or a.flags.f_contiguous))

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        arrays = [a for a in arrays if not lasts(a)]
        self.large = [a for a in arrays if a.size > SMALL]
        self.small = [a for a in arrays if a.size <= SMALL]
        self.pieces = _all_pieces([(address(a), a.nbytes) for a in self.large])
        self.seen = self._now()
        self.same, self.patience = 0, float(CALM)
        self.pages: list[Pages] = []
        self.rest = self.pieces, b""  # what is read while pages are watched

    def __bool__(self) -> bool:
        if self.pages and all([each.untouched() for each in self.pages]):
            if self._small() == self.seen[1] and _sums(self.rest[0]) == self.rest[1]:
                return True
        if self.pages:
            self.pages, self.same, self.patience = [], 0, 2 * self.patience
        self.same += 1
        if self.same > self.patience:
            self._watch_pages()  # before they are read
        return self._now() == self.seen

    def _watch_pages(self) -> None:
        """Read from now on only what does not lie in whole pages of arrays."""
        self.same, rest = 0, []
        for a in self.large:
            start, end = address(a), address(a) + a.nbytes
            if (pages := pages_of(a)) is None:
                rest.append((start, end - start))
                continue
            self.pages.append(pages)
            first, last = max(start, pages.start), min(end, pages.start + pages.size)
            rest += [(start, first - start), (last, end - last)]
        if not self.pages:
            self.patience = math.inf
            return
        pieces = _all_pieces([each for each in rest if each[1] > 0])
        self.rest = pieces, _sums(pieces)

    def _now(self) -> tuple[Any, ...]:
        return _sums(self.pieces), self._small()

    def _small(self) -> list[bytes]:
        return [a.tobytes() for a in self.small]


def checksum(f: np.ndarray, threads: int) -> bytes:
    """A few bytes for all elements of a contiguous float32 array and their places."""
    return _checksum(_pieces(address(f), f.size), threads)


@lru_cache(maxsize=512)
def _pieces(start: int, size: int) -> np.ndarray:
    """(address, floats) of each piece of so many floats in memory."""
    firsts = np.arange(0, size, PIECE)
    return np.stack([start + 4 * firsts, np.minimum(PIECE, size - firsts)], axis=1)


def _all_pieces(places: list[tuple[int, int]]) -> np.ndarray:
    """`_pieces` of memory at so many (address, bytes)."""
    return np.concatenate([_pieces(0, 0), *[_pieces(start, size // 4) for start, size in places]])


def _sums(pieces: np.ndarray) -> bytes:
    if not len(pieces):
        return b""
    with parallel_region() as threads:
        return _checksum(pieces, threads)


def _checksum(pieces: np.ndarray, threads: int) -> bytes:
    sums, rest = np.zeros((len(pieces), LANES), np.uint64), scratch("rest", threads * ROW)
    _checksums(min(threads, len(pieces)), pieces, sums, address(rest))
    return sums.tobytes()


@parallel
def _checksums(t, threads, pieces, sums, rest):
    """A checksum of each piece; what is left of its rows of ROW floats is filled up with zeros, in `rest`."""
    own = rest + 4 * ROW * t
    for p in range(len(pieces) * t // threads, len(pieces) * (t + 1) // threads):
        out, here, size = sums.ctypes.data + 8 * p * LANES, pieces[p, 0], pieces[p, 1]
        mix(out, here, size // ROW)
        if size % ROW > 0:
            fill_zeros(own, ROW)
            copy_floats(own, here + 4 * (size - size % ROW), size % ROW)
            mix(out, own, 1)
