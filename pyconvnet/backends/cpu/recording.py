"""Recordings: the kernel calls of a run through a network, played again on new inputs without the Python between them.

A recording has memory of its own, which its calls name by address. What numpy itself computes from the inputs is no
kernel call; where that happens, in places that `note` says, it is played as well. Whoever records checks that a
recording of other inputs gives their results.
"""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from pyconvnet.backends.cpu import compiled
from pyconvnet.backends.cpu.filter_cache import Watch
from pyconvnet.backends.cpu.layout import Memory, block_of, copied, copy_elements, copy_to, some_memory
from pyconvnet.backends.cpu.llvm.player import write_player
from pyconvnet.threads import parallel_region, team

_PLAY = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)


class Recording:
    """The calls made inside `with recording:`, on arrays from `source`, by one thread.

    trains  weights change from run to run: they come from `parameter`, and their packed forms are made anew each time
    """

    def __init__(self, trains: bool = False) -> None:
        self.trains = trains
        self.calls: list[Any] = []  # (address of a kernel, its arguments, parts), or a function
        self.kept: list[Any] = []  # what the calls name by address
        self.free: list[Memory] = []  # memory of this recording that no later call reads
        self.buffers: dict[str, np.ndarray] = {}
        self.sources: list[np.ndarray] = []
        self.parameters: list[np.ndarray] = []
        self.live: set[tuple[int, int]] = set()  # (address, bytes) of parameters that the calls read where they lie
        self.thread = threading.get_ident()
        self._region = parallel_region()
        self._pieces: list[Callable[[], Any]] | None = None  # what `play` calls

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
        self.kept.append(memory)
        array = memory.array[: x.size].reshape(n, h, w, c).transpose(1, 2, 3, 0)
        self.sources.append(array)
        array[...] = x  # by numpy: the kernel that copies would be recorded
        return array

    def parameter(self, w: np.ndarray) -> np.ndarray:
        """Memory for a parameter like w, contiguous in the same order, with the values of w."""
        memory = some_memory(w.size)
        self.kept.append(memory)
        array = memory.array[: w.size].reshape(w.shape, order="C" if w.flags.c_contiguous else "F")
        self.parameters.append(array)
        array[...] = w
        return array

    def play(self, inputs: list[np.ndarray], parameters: Sequence[np.ndarray] = ()) -> None:
        """Run the calls on other inputs and parameters of the same sizes; only inside a `parallel_region`."""
        for array, x in zip(self.sources, inputs):
            copy_to(array, x)
        for array, w in zip(self.parameters, parameters):
            copy_elements(array, w)
        if self._pieces is None:
            self._pieces = [_piece(list(calls), parts) for parts, calls in groupby(self.calls, _parts)]
        for piece in self._pieces:
            piece()

    def result(self, y: np.ndarray | None) -> np.ndarray | None:
        """A copy of what the calls have written."""
        return None if y is None else copied(y)

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
        self.live.add(_place(parameter))

    def watch(self, params: list[np.ndarray]) -> Watch:
        """What tells whether the other parameters still have the elements that they have now.

        Those that several layers share may be read where they lie by one, and in another form by the next.
        """
        uses = Counter(map(_place, params))
        return Watch([p for p in params if _place(p) not in self.live or uses[_place(p)] > 1])

    def memory(self, count: int) -> Memory:
        fits = [at for at, memory in enumerate(self.free) if count <= memory.array.size <= 4 * count]
        if fits:
            return self.free.pop(fits[-1])
        memory = some_memory(count)
        self.kept.append(memory)
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


def _piece(calls: list[Any], parts: int | None) -> Callable[[], Any]:
    """A function that makes these calls, all of kernels in so many parts, or all of functions."""
    if parts is None:
        return lambda: [call() for call in calls]
    arguments = [ctypes.create_string_buffer(packed, len(packed)) for _, packed, _ in calls]
    table = np.array([[entry, ctypes.addressof(a)] for (entry, *_), a in zip(calls, arguments)])
    play = _PLAY(compiled.functions("player", write_player)[0])

    def piece(kept: Any = arguments) -> None:
        start, threads, tables = team(parts)  # a forked process has another team
        play(table.ctypes.data, len(table), start, threads, *tables)

    return piece


def _place(a: np.ndarray) -> tuple[int, int]:
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
