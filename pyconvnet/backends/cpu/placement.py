"""Keeps the threads of a team off the processor of the one that leads it.

When Linux wakes a thread, it may put it on the processor of the thread that woke it. These two then take turns there,
at times for seconds, while another processor has nothing to do, and a kernel, whose parts wait for each other, takes
twice as long. So the other threads may run on any processor but that one; when their leader has moved, they make room
again. That is for OpenMP's threads on Linux, unless an environment variable places them.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

import numpy as np
from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import I32, I64, at, counted
from pyconvnet.threads import run_team, team

_PLACED = "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"


class _Leader(threading.local):
    """Where this thread was when its team last made room for it: (processor, parts of the kernel)."""

    place: tuple[int, int] | None = None


_leader = _Leader()


def make_room(parts: int) -> None:
    """Before a kernel of so many parts; only inside a `parallel_region`."""
    processor = _processor()
    if processor is None or _leader.place == (place := (processor(), parts)):
        return
    _leader.place = place
    allowed = os.sched_getaffinity(0)
    if not team(parts)[0] or len(allowed) < parts:
        return
    mine, members = threading.get_native_id(), numbers(parts)
    if mine in members:  # else it leads only, and the team needs all processors
        for member in members - {mine}:
            with suppress(OSError):
                os.sched_setaffinity(member, allowed - {place[0]})


def numbers(parts: int) -> set[int]:
    """The system's numbers of the threads that run a kernel of so many parts."""
    from pyconvnet.backends.cpu.compiled import functions

    found = np.zeros(parts, np.int64)
    (entry,) = functions("numbers", _write_numbers, as_written=True)
    run_team(entry, struct.pack("=q", found.__array_interface__["data"][0]), parts)
    return set(found.tolist())


def _write_numbers(module: ir.Module) -> dict[int, ir.Function]:
    """An entry as `compiled` has it, whose argument is the address of a number for each part."""
    own = ir.Function(module, ir.FunctionType(I32, []), "gettid")
    fn = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 4), "numbers")
    build = ir.IRBuilder(fn.append_basic_block("entry"))
    first, count, step, found = (build.load(at(build, each, I64)) for each in fn.args)
    with counted(build, count) as index:
        part = build.add(first, build.mul(index, step))
        build.store(build.sext(build.call(own, []), I64), at(build, build.add(found, build.shl(part, I64(3))), I64))
    build.ret_void()
    return {0: fn}


@lru_cache(maxsize=1)
def _processor() -> Callable[[], int] | None:
    """A function that gives the number of the processor that the calling thread runs on; None: all is left as it is."""
    return None if any(name in os.environ for name in _PLACED) else _of_system()


def _of_system() -> Callable[[], int] | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    library = ctypes.PyDLL(None)
    return getattr(library, "sched_getcpu", None) if hasattr(library, "gettid") else None


def prepare() -> None:
    """Compile what `make_room` needs, where the system has what that needs."""
    if _of_system() is not None:
        numbers(1)
