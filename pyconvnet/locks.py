"""Locks on files, between processes and threads. The system frees them when their holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

_held: set[int] = set()


def lock(handle: int) -> bool | None:
    """Lock an open file until it is closed; False: another has it; None: its file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 2**30, os.SEEK_SET)  # a byte beyond the content, which others may read
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def take(path: Path) -> tuple[int | None, bool]:
    """(handle of the file, whether it is locked), until `free`; the handle is None where another has the lock.

    The file is made where it is missing; a link in its place is refused. Raises OSError.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        locked = lock(handle)
        if locked is False:
            os.close(handle)
            return None, True
        if _is(handle, path):
            _held.add(handle)
            return handle, bool(locked)
        os.close(handle)  # who had it has removed it since it was opened


def free(handle: int, path: Path | None) -> None:
    """Let go of the lock and remove its file, if given; in a process that was forked meanwhile nothing happens."""
    if handle not in _held:
        return
    _held.remove(handle)
    if path is not None and os.name != "nt":
        with contextlib.suppress(OSError):
            if _is(handle, path):
                os.unlink(path)
    os.close(handle)
    if path is not None and os.name == "nt":  # which removes no open file, neither ours nor that of the next one
        with contextlib.suppress(OSError):
            os.unlink(path)


def _is(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _after_fork() -> None:
    """A child must not keep the locks of a parent that is killed."""
    for handle in _held:
        os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
