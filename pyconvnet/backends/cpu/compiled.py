"""numba's decorators as the kernels use them: kept on disk where there is a safe folder, else compiled each time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import NullCache
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature

from pyconvnet.backends.cpu.kernel_folders import KernelCache, say_refused

announced = False  # whether the user knows that kernels are being compiled


def jit(**options) -> Callable:
    """numba.njit; the interpreter lock is free meanwhile, and `threads.parallel_region` keeps calls apart."""

    def decorate(fn):
        return _announced(_stamped(_kept(numba.njit(nogil=True, **options)(fn), fn)))

    return decorate


def cfunc(signature) -> Callable:
    """numba.cfunc: a C function, whose address other kernels call."""

    def decorate(fn):
        made = CFunc(fn, normalize_signature(signature), {}, {})  # numba.cfunc would compile it at once
        _announced(_stamped(_kept(made, fn))).compile()
        return made

    return decorate


def _kept(dispatcher: Any, fn: Callable) -> Any:
    """Keep its kernels on disk, as `cache=True` does, but in a folder that is the user's own alone."""
    try:
        dispatcher._cache = KernelCache(fn)
    except RuntimeError:  # neither the package's folder nor the user's can hold them
        say_refused()
    return dispatcher


def _stamped(dispatcher: Any) -> Any:
    """Extend numba's cache stamp so that a change in any kernel file invalidates the cache."""
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept._source_stamp = kept._source_stamp, stamp(Path(__file__).parent)
    return dispatcher


@lru_cache(maxsize=1)
def stamp(folder: Path) -> tuple[float, int]:
    """When a source file below a folder was changed last, and how large all are."""
    found = [path.stat() for path in folder.rglob("*.py")]
    return max((f.st_mtime for f in found), default=0.0), sum(f.st_size for f in found)


def _announced(dispatcher: Any) -> Any:
    """Call `announce` before a kernel that is not on disk is compiled."""
    kept = dispatcher._cache
    load = kept.load_overload

    def load_overload(*args: Any) -> Any:
        found = load(*args)
        if found is None:
            announce(isinstance(kept, NullCache))
        return found

    kept.load_overload = load_overload
    return dispatcher


def announce(always: bool) -> None:
    """Say, in the first call only, why this process waits. always: whether later ones wait as well."""
    global announced
    if announced or os.environ.get("PYCONVNET_QUIET", "0") not in ("", "0") or sys.stderr is None:
        return
    announced = True
    when = "by every process, as none can keep them (NUMBA_CACHE_DIR names a folder)" if always else "once"
    text = f"compiling kernels for this CPU, {when}, takes 10 to 60 s (PYCONVNET_QUIET=1 hides this line)"
    print(f"pyconvnet: {text}", file=sys.stderr, flush=True)
