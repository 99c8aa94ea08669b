"""How many threads the kernels use, and who may start them.

The number is the user's limit; without one it is the number of cores this process may run on. Kernels split their work
into that many fixed parts, so that results are equal, bit for bit, from run to run. One lock lets one call at a time
start its team of threads: calls from several Python threads are safe, and do not fight for the cores.

Threads do not live on in a forked process (a worker of multiprocessing): there one thread does all parts in turn, to
the same results. For more threads, spawn the process.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

_process_limit: int | None = None
_context_limit: ContextVar[int | None] = ContextVar("pyconvnet_num_threads", default=None)
_team = threading.RLock()
_guards: list[threading.Lock] = []  # a fork waits for these after the team: its child finds nothing half done
_held: list[threading.Lock] = []
_tables: dict[int, list[Any]] = {}  # what kernels are called with, by the number of parts
_LAYERS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}
_ENTRY = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_char_p)
_PARALLEL_FOR = ctypes.CFUNCTYPE(
    None, *[ctypes.c_void_p] * 4, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int
)
_forked = False  # whether this process was forked from one whose threads had started
_broken = False  # and whether kernels cannot run in it


def get_num_threads() -> int:
    """The number of threads in force: of the innermost `num_threads`, of `set_num_threads`, or one per core."""
    return _context_limit.get() or _process_limit or _cores()


def set_num_threads(n: int) -> None:
    """Use at most `n` threads in the kernels of this process, and in numpy's BLAS.

    Raises TypeError or ValueError for what is not a whole number from 1 up.
    """
    global _process_limit
    _process_limit = _checked("set_num_threads", n)
    _limit_blas(_process_limit)


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """At most `n` threads inside the block, for this Python thread; numpy's BLAS has one limit for all threads.

    >>> with num_threads(1):
    ...     get_num_threads()
    1
    """
    n = _checked("num_threads", n)
    token = _context_limit.set(n)
    before = _limit_blas(n)
    try:
        yield
    finally:
        _context_limit.reset(token)
        _limit_blas(before)


class parallel_region:
    """`with parallel_region() as n`: the right to run a parallel kernel, and the number of parts to split it into."""

    def __enter__(self) -> int:
        _team.acquire()
        try:
            if _broken:
                raise RuntimeError(
                    "pyconvnet cannot run in a process forked from one that has used it, with this release of numba; "
                    'start it by multiprocessing.get_context("spawn")'
                )
            n = get_num_threads()
        except BaseException:
            _team.release()
            raise
        return n

    def __exit__(self, *_: object) -> None:
        _team.release()


def run_team(entry: int, arguments: bytes, parts: int) -> None:
    """Call a kernel of `backends.cpu.compiled` for its parts 0 .. parts - 1; only inside a `parallel_region`."""
    tables = _tables.get(parts) or _tables_of(parts)
    if parts == 1 or _forked:
        _ENTRY(entry)(*tables[-1], arguments)
    else:
        parallel_for, most = _pool()
        parallel_for(entry, *tables[-1], arguments, 0, 1, min(parts, most))


def team(parts: int) -> tuple[int, int, list[int]]:
    """(The C function that starts the team, or 0: one thread does all; its threads; tables that `run_team` passes)."""
    tables = _tables.get(parts) or _tables_of(parts)
    if parts == 1 or _forked:
        return 0, 1, tables[-1]
    parallel_for, most = _pool()
    return ctypes.cast(parallel_for, ctypes.c_void_p).value or 0, min(parts, most), tables[-1]


def _tables_of(parts: int) -> list[Any]:
    """Tables: the first number of a thread, how many there are, from one to the next; and their addresses in a list."""
    made = [(ctypes.c_size_t * 1)(value) for value in (0, parts, 1)]
    _tables[parts] = [*made, [ctypes.addressof(table) for table in made]]
    return _tables[parts]


@lru_cache(maxsize=1)
def _pool() -> tuple[Any, int]:
    """numba's team of threads, started now, as a C function; and how many it has."""
    from numba.np.ufunc import parallel

    with _short_waits():
        parallel._launch_threads()
    layer = import_module(f"numba.np.ufunc.{_LAYERS[parallel.threading_layer()]}")
    return _PARALLEL_FOR(layer.parallel_for), parallel.NUM_THREADS


@contextmanager
def _short_waits() -> Iterator[None]:
    """GNU's OpenMP, if it is loaded now, lets waiting threads sleep after about 0.5 ms, unless the user has a say.

    By itself it has them turn for many times as long, which on a machine that others use as well takes the cores from
    the threads that are waited for: one image of LeNet took 10 to 136 ms in place of 10 to 15. To wake a thread takes
    40 us, and the Python of a call, where a kernel has left none of it in the caches, more than 0.1 ms.
    """
    known = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"
    if any(name in os.environ for name in known):
        yield
        return
    os.environ[known[0]] = "30000"
    try:
        yield
    finally:
        del os.environ[known[0]]


def guard() -> threading.Lock:
    """A lock that a fork of this process waits for. With a parallel_region: enter the region first, then lock."""
    lock = threading.Lock()
    _guards.append(lock)
    return lock


def _before_fork() -> None:
    _team.acquire()
    _held[:] = _guards
    for lock in _held:
        lock.acquire()


def _after_fork() -> None:
    for lock in _held:
        lock.release()
    _team.release()


def _after_fork_in_child() -> None:
    """The threads did not come along: make numba go on with one, even where it would rather end the process."""
    global _forked, _broken
    _after_fork()
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    if parallel is None or not getattr(parallel, "_is_initialized", True):
        return  # none was started
    _forked = True
    openmp: Any = sys.modules.get("numba.np.ufunc.omppool")
    if getattr(openmp, "openmp_vendor", "") != "GNU":
        return  # workqueue and TBB, and the OpenMP of other makers, start anew by themselves
    # numba ends the child of a process that started GNU OpenMP, which would wait for the threads of its parent. A team
    # of one waits for no other; the user's own parallel functions get one, too.
    try:
        ctypes.CFUNCTYPE(None, ctypes.c_int)(openmp.launch_threads)(1)
        parallel._set_num_threads(1)
    except (AttributeError, TypeError):  # a numba that is not known
        _broken = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)


def _checked(fn: str, n: int) -> int:
    if isinstance(n, bool) or not hasattr(n, "__index__") or getattr(n, "shape", None):
        raise TypeError(f"{fn}: n must be a whole number, got {type(n).__name__}: {n!r}")
    if int(n) < 1:
        raise ValueError(f"{fn}: n must be from 1 up, got {n}")
    return int(n)


@lru_cache(maxsize=1)
def _cores() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _limit_blas(n: int | None) -> int | None:
    """Limits the OpenBLAS inside numpy's wheel to `n` threads; the number before, None if there is no such library."""
    found = _openblas()
    if found is None or n is None:
        return None
    get, put = found
    before = get()
    put(n)
    return before


@lru_cache(maxsize=1)
def _openblas() -> tuple[Any, Any] | None:
    """Its functions to get and set the limit. The tests, not users, have threadpoolctl, which knows every BLAS."""
    import numpy as np

    home = Path(np.__file__).parent
    symbols = [f"{head}%s_num_threads{tail}" for tail in ("64_", "") for head in ("scipy_openblas_", "openblas_")]
    for folder in (home.with_name("numpy.libs"), home / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")) if folder.is_dir() else ():
            library = ctypes.CDLL(str(path))
            for name in symbols:
                if hasattr(library, name % "get"):
                    return getattr(library, name % "get"), getattr(library, name % "set")
    return None
