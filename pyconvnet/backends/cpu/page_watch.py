"""Tells whether memory was written to since it was read, without reading it again.

Linux, from 6.7 on, can write-protect pages for a process and note each one that is written to, by the process itself
or by a system call, which costs the writer about a microsecond a page, once. Where it cannot, or may not (containers
often forbid it), there are no `Pages`. Source: the manual of Linux, ioctl_userfaultfd(2) and PAGEMAP_SCAN(2const).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
import sys
from contextlib import suppress
from functools import lru_cache
from weakref import WeakValueDictionary, finalize

import numpy as np

from pyconvnet.threads import guard

LEAST = 1 << 18  # bytes of an array; fewer are read as fast
_SYSTEM_CALL = {"x86_64": 323, "aarch64": 282}  # userfaultfd
_USER_MODE_ONLY, _WRITE_PROTECTED, _NOTED = 1, 1 << 0, 1 << 13 | 1 << 15  # WP; WP_UNPOPULATED and WP_ASYNC
_API, _REGISTER, _UNREGISTER, _PROTECT, _SCAN = 0xC018AA3F, 0xC020AA00, 0x8010AA01, 0xC018AA06, 0xC0606610
_VERSION, _REGISTER_PROTECTED, _PROTECT_ON = 0xAA, 1 << 1, 1 << 0
_CHECK_REGISTERED, _WRITTEN = 1 << 1, 1 << 1

_guard = guard()
_known: WeakValueDictionary[int, Pages] = WeakValueDictionary()  # by their first address


class _System:
    """What Linux is asked through, in this process."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        flags = _USER_MODE_ONLY | os.O_CLOEXEC | os.O_NONBLOCK
        self.process = os.getpid()
        self.faults = library.syscall(_SYSTEM_CALL[platform.machine()], flags)
        if self.faults < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd")
        self.pages = -1
        try:
            self.pages = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
            self._ask(_API, "QQQ", _VERSION, _WRITE_PROTECTED | _NOTED, 0)
        except BaseException:
            self.close()
            raise
        self.found = np.zeros(3, np.uint64)

    def close(self) -> None:
        for handle in (self.faults, self.pages):
            if handle >= 0:
                os.close(handle)
        self.faults = self.pages = -1

    def protect(self, start: int, size: int) -> None:
        self._ask(_REGISTER, "QQQQ", start, size, _REGISTER_PROTECTED, 0)
        self._ask(_PROTECT, "QQQ", start, size, _PROTECT_ON)

    def forget(self, start: int, size: int) -> None:
        with suppress(OSError):
            self._ask(_UNREGISTER, "QQ", start, size)

    def written(self, start: int, size: int) -> bool:
        """Whether any of these pages was written to since `protect`; raises OSError where they are not protected."""
        found = self.found.__array_interface__["data"][0]
        one = (1, 0, 0, _WRITTEN, 0, _WRITTEN)  # range of pages is enough, of those that were written to
        return self._ask(_SCAN, "12Q", 96, _CHECK_REGISTERED, start, start + size, 0, found, *one) > 0

    def _ask(self, what: int, form: str, *values: int) -> int:
        import fcntl

        handle = self.pages if what == _SCAN else self.faults
        if handle < 0 or os.getpid() != self.process:  # the latter where Python was not told of the fork
            raise OSError("this process was forked")
        return fcntl.ioctl(handle, what, bytearray(struct.pack(form, *values)))


class Pages:
    """The whole pages of the memory that an array owns, protected from now on until something writes to them."""

    def __init__(self, system: _System, owner: np.ndarray, start: int, size: int) -> None:
        self.system, self.owner, self.start, self.size = system, owner, start, size
        self.touched = False
        system.protect(start, size)
        self._end = finalize(self, system.forget, start, size)
        self._end.atexit = False

    def untouched(self) -> bool:
        """Whether nothing has written to them; once it was False it remains so."""
        if not self.touched:
            try:
                self.touched = self.system.written(self.start, self.size)
            except OSError:
                self.touched = True
            if self.touched:
                self._end()
        return not self.touched


def pages_of(a: np.ndarray) -> Pages | None:
    """The pages that contain an array, if that has many, in memory that numpy itself allocated: no other process shares
    such memory, and no file."""
    owner = a
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if a.nbytes < LEAST or not owner.flags.owndata:
        return None
    start, size = inside(owner)
    with _guard:
        if (system := _system()) is None:
            return None
        known = _known.get(start)
        if known is not None and known.size == size and known.untouched():
            return known
        try:
            made = _known[start] = Pages(system, owner, start, size)
        except OSError:
            return None
    return made


def inside(a: np.ndarray) -> tuple[int, int]:
    """(address, bytes) of the pages that lie within an array's memory as a whole."""
    start = a.__array_interface__["data"][0]
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    return first, (start + a.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first


@lru_cache(maxsize=1)
def _system() -> _System | None:
    """None where the system does not note what is written to, which is tried on a few pages."""
    if sys.platform != "linux" or platform.machine() not in _SYSTEM_CALL:
        return None
    try:
        system = _System()
    except OSError:
        return None
    trial = np.ones(8 * mmap.PAGESIZE, np.uint8)
    with suppress(OSError):
        pages = Pages(system, trial, *inside(trial))
        before = pages.untouched()
        trial[trial.size // 2] = 2
        if before and not pages.untouched():
            return system
    system.close()
    return None


def _after_fork_in_child() -> None:
    """A child's memory is not protected, and its pages are others."""
    if _system.cache_info().currsize and (system := _system()) is not None:
        system.close()
    _system.cache_clear()
    _known.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
