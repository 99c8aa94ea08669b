"""Recordings: the kernel calls of a run through a network, played again on new inputs without the Python between them.

A recording has memory of its own, which its calls name by address. Inputs and parameters are read where they lie, and
results written to memory that is new in each run: then these addresses are others. What numpy itself computes from the
inputs is no kernel call; where that happens, in places that `note` says, it is played as well, and what it reads or
writes is copied. Whoever records checks that a recording of other inputs gives their results.
"""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from pyconvnet.backends.cpu import compiled
from pyconvnet.backends.cpu.filter_cache import Watch
from pyconvnet.backends.cpu.layout import (
    LEAST_KEPT,
    Memory,
    address,
    block_of,
    channels_fastest,
    copied,
    copy_elements,
    copy_to,
    empty_at,
    some_memory,
)
from pyconvnet.backends.cpu.llvm.player import write_player
from pyconvnet.backends.cpu.placement import make_room
from pyconvnet.threads import parallel_region, team

_PLAY = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)


class _Place:
    """Memory that calls name by address, and that lies elsewhere in the next run."""

    def __init__(self, start: int, size: int) -> None:
        """size  in bytes"""
        self.start, self.first, self.size = start, start, size
        self.named: list[tuple[np.ndarray, np.ndarray]] = []  # arguments of kernels, and where this is among them

    def look_in(self, pieces: list[np.ndarray]) -> None:
        for arguments in pieces:
            found = np.flatnonzero((arguments >= self.start) & (arguments < self.start + self.size))
            if found.size:
                self.named.append((arguments, found))

    def had(self, start: int) -> bool:
        """Whether it had that address when it was recorded."""
        return self.first <= start < self.first + self.size

    def move(self, start: int) -> None:
        if start != self.start:
            for arguments, where in self.named:
                arguments[where] += start - self.start
            self.start = start


class _End(NamedTuple):
    """An input, a parameter or a result of a recording."""

    array: np.ndarray | None  # where it is copied, if it is
    place: _Place | None  # else
    first: int = 0  # bytes before it in that place
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()


class Recording:
    """The calls made inside `with recording:`, on arrays from `source`, by one thread; then `ready`.

    trains  weights change from run to run: they come from `parameter`, and their packed forms are made anew each time
    """

    def __init__(self, trains: bool = False) -> None:
        self.trains = trains
        self.calls: list[Any] = []  # (address of a kernel, its arguments, parts), or a function
        self.kept: list[Any] = []  # what the calls name by address
        self.free: list[Memory] = []  # memory of this recording that no later call reads
        self.counts: dict[int, int] = {}  # by the address of such memory, how many floats of it are used
        self.buffers: dict[str, np.ndarray] = {}
        self.sources: list[np.ndarray] = []
        self.parameters: list[np.ndarray] = []
        self.live: set[tuple[int, int]] = set()  # (address, bytes) of parameters that the calls read where they lie
        self.thread = threading.get_ident()
        self.held: Any = None  # what lies where the calls of the last run read it, and those of its derivatives will
        self._region = parallel_region()
        self._pieces: list[Callable[[], Any]] = []  # what `play` calls
        self._arguments: list[np.ndarray] = []  # of kernels, in each piece
        self._places: list[_Place] = []
        self._inputs: list[_End] = []
        self._params: list[_End] = []
        self._results: list[_End | None] = []
        self._played = False

    def __enter__(self) -> Recording:
        self._region.__enter__()
        compiled.recording = self
        return self

    def __exit__(self, *raised: object) -> None:
        compiled.recording = None
        self._region.__exit__(*raised)

    def source(self, x: np.ndarray) -> np.ndarray:
        """Memory for an input like x, H x W x C x N, with the values of x."""
        h, w, c, n = x.shape
        memory = some_memory(x.size)
        array = memory.array[: x.size].reshape(n, h, w, c).transpose(1, 2, 3, 0)
        self.sources.append(array)
        array[...] = x  # by numpy: the kernel that copies would be recorded
        return array

    def parameter(self, w: np.ndarray) -> np.ndarray:
        """Memory for a parameter like w, contiguous in the same order, with the values of w."""
        memory = some_memory(w.size)
        array = memory.array[: w.size].reshape(w.shape, order="C" if w.flags.c_contiguous else "F")
        self.parameters.append(array)
        array[...] = w
        return array

    def ready(self, results: Sequence[np.ndarray | None], backward: Recording | None = None) -> int:
        """Nothing is recorded any more; returns how many elements each run copies.

        results   what `play` returns
        backward  a recording that is ready, which reads memory of this one: it is played after runs of this one
        """
        both = [self, backward] if backward else [self]
        fixed = [_extent(a) for each in both for call in each.calls if type(call) is not tuple for a in _arrays(call)]
        self._inputs = [self._end(a, *_extent(a), fixed) for a in self.sources]
        self._params = [self._end(a, *_extent(a), fixed) for a in self.parameters]
        self._results = [None if y is None else self._result(y, fixed) for y in results]
        for parts, group in groupby(self.calls, _parts):
            calls = list(group)
            if parts is None:
                self._pieces.append(partial(_call_all, calls))
                continue
            arguments = np.frombuffer(bytearray(b"".join(packed for _, packed, _ in calls)), np.int64)
            self._arguments.append(arguments)
            self._pieces.append(_piece(calls, arguments, parts))
        for place in self._places:
            for each in both:
                place.look_in(each._arguments)
        ends = [e for e in (*self._inputs, *self._params, *self._results) if e is not None]
        return sum(e.array.size for e in ends if e.array is not None)

    def _end(self, a: np.ndarray, start: int, size: int, fixed: list[tuple[int, int]]) -> _End:
        """Of an array in memory of so many bytes; fixed: memory that functions of numpy read or write."""
        if any(start < first + count and first < start + size for first, count in fixed):
            self.kept.append(a)
            return _End(a, None)
        known = [place for place in self._places if place.start == start]
        self._places += [] if known else [_Place(start, size)]
        return _End(None, (known or self._places[-1:])[0], address(a) - start, a.shape, a.strides)

    def _result(self, y: np.ndarray, fixed: list[tuple[int, int]]) -> _End:
        block = block_of(y)
        if block is None or block.home is not self.free or y.size < LEAST_KEPT:
            return _End(y, None)
        return self._end(y, block.memory.start, 4 * self.counts[block.memory.start], fixed)

    def play(self, inputs: list[np.ndarray], parameters: Sequence[np.ndarray] = ()) -> list[np.ndarray | None]:
        """The results for other inputs and parameters of the same sizes; only inside a `parallel_region`."""
        seen: list[np.ndarray] = []
        for end, x in zip(self._inputs, inputs):
            if end.array is not None:
                copy_to(end.array, x)
            else:
                seen.append(channels_fastest(x))
                end.place.move(address(seen[-1]))
        for end, w in zip(self._params, parameters):
            if end.array is not None:
                copy_elements(end.array, w)
            else:
                seen.append(w)
                end.place.move(address(w))
        made: dict[int, np.ndarray] = {}
        results = [None if end is None else _memory_for(end, made) for end in self._results]
        if not self._played:
            self._spoil(results)
        for piece in self._pieces:
            piece()
        if not self._played:
            self._release()
        out = [y if y is None or end.array is None else copied(y) for end, y in zip(self._results, results)]
        self.held = (seen, out) if self.trains else None
        return out

    def _spoil(self, results: list[np.ndarray | None]) -> None:
        """Before the first run: what calls name in ways that `ready` does not know is not moved, and has no numbers."""
        pairs = zip((*self._inputs, *self._params, *self._results), (*self.sources, *self.parameters, *results))
        for end, a in pairs:
            if end is not None and end.array is None:
                a[...] = np.nan

    def _release(self) -> None:
        """After the first run: memory that lies elsewhere from now on."""
        self._played, self.sources, self.parameters = True, [], []
        starts = [k.start if isinstance(k, Memory) else address(k) for k in self.kept]
        self.kept = [k for k, start in zip(self.kept, starts) if not any(p.had(start) for p in self._places)]

    # What kernels and their memory tell the recording that is on

    def kernel(self, entry: int, packed: bytes, parts: int, args: tuple[Any, ...]) -> None:
        self.calls.append((entry, packed, parts))
        self.kept += [a for a in args if isinstance(a, np.ndarray)]

    def named(self, a: np.ndarray) -> None:
        """Keep an array whose address is asked for, unless it lies in memory that comes back to `free`."""
        if block_of(a) is None:
            self.kept.append(a)

    def read_where_it_lies(self, parameter: np.ndarray) -> None:
        """The calls read this parameter itself, and nothing that was made of it: changes count from the next run."""
        self.live.add(_where(parameter))

    def watch(self, params: list[np.ndarray]) -> Watch:
        """What tells whether the other parameters still have the elements that they have now.

        Those that several layers share may be read where they lie by one, and in another form by the next.
        """
        uses = Counter(map(_where, params))
        return Watch([p for p in params if _where(p) not in self.live or uses[_where(p)] > 1])

    def memory(self, count: int) -> Memory:
        fits = [at for at, memory in enumerate(self.free) if count <= memory.array.size <= 4 * count]
        memory = self.free.pop(fits[-1]) if fits else some_memory(count)
        if not fits:
            self.kept.append(memory)
        self.counts[memory.start] = max(count, self.counts.get(memory.start, 0))
        return memory

    def scratch(self, name: str, count: int) -> np.ndarray:
        found = self.buffers.get(name)
        if found is None or found.size < count:
            found = self.buffers[name] = some_memory(count).array
            self.kept.append(found)
        return found[:count]


def _parts(call: Any) -> int | None:
    """The number of parts of a kernel's call; None for a function."""
    return call[2] if type(call) is tuple else None


def _arrays(call: Any) -> list[np.ndarray]:
    """Those that a function of numpy is given."""
    given = [each for a in (*call.args, *call.keywords.values()) for each in (a if isinstance(a, list) else [a])]
    return [a for a in given if isinstance(a, np.ndarray)]


def _call_all(calls: list[Any]) -> None:
    for call in calls:
        call()


def _piece(calls: list[Any], arguments: np.ndarray, parts: int) -> Callable[[], Any]:
    """A function that makes these calls of kernels in so many parts; arguments: of all, one after the other."""
    ends = np.cumsum([0, *(len(packed) for _, packed, _ in calls)])
    table = np.array([[entry, arguments.ctypes.data + first] for (entry, *_), first in zip(calls, ends)])
    play = _PLAY(compiled.functions("player", write_player)[0])

    def piece() -> None:
        if parts > 1:
            make_room(parts)
        start, threads, tables = team(parts)  # a forked process has another team
        play(table.ctypes.data, len(table), start, threads, *tables)

    return piece


def _memory_for(result: _End, made: dict[int, np.ndarray]) -> np.ndarray | None:
    """Where a result is written this time; made: what was made for others, by where their places were first."""
    place = result.place
    if place is None:
        return result.array
    if place.first not in made:
        made[place.first], start = empty_at((place.size // 4,))
        place.move(start)
    return np.ndarray(result.shape, np.float32, made[place.first], result.first, result.strides)


def _extent(a: np.ndarray) -> tuple[int, int]:
    """(first address, bytes) of the memory that an array lies in."""
    steps = [(n - 1) * s for n, s in zip(a.shape, a.strides)]
    first = address(a) + sum(s for s in steps if s < 0)
    return first, sum(map(abs, steps)) + a.itemsize


def _where(a: np.ndarray) -> tuple[int, int]:
    return a.__array_interface__["data"][0], a.nbytes


def note(fn: Any, *args: Any, **options: Any) -> None:
    """Have a function of numpy, which has just been called on arrays, played with the kernels."""
    if (recording := compiled.recording_here()) is not None:
        recording.calls.append(partial(fn, *args, **options))


def contiguous(a: np.ndarray) -> np.ndarray:
    """np.ascontiguousarray(a); where that copies, the copy is played with the kernels."""
    out = np.ascontiguousarray(a)
    if out is not a:
        note(np.copyto, out, a)
    return out


def note_of_weights(fn: Any, *args: Any, **options: Any) -> None:
    """`note` where weights change from run to run: for what is made of weights alone."""
    if (recording := compiled.recording_here()) is not None and recording.trains:
        note(fn, *args, **options)
