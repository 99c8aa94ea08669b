"""The folder of a training: one process at a time writes there, and begins by clearing what killed ones left."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pyconvnet import atomic, locks
from pyconvnet.training.progress import warn

LOCK = "training.lock"  # holds one line about its holder


@contextlib.contextmanager
def claimed(fn: str, folder: Path | None) -> Iterator[None]:
    """Until the end of the block nobody else trains in the folder, which is made where it is missing.

    folder  None: nothing is written, nothing happens

    Drafts of files that killed processes left there are deleted. The system frees the lock of a process that ended;
    where the file system has no locks, its name in the file counts.

    Raises RuntimeError that names the holder, and OSError where the folder cannot be made or written.
    """
    if folder is None:
        yield
        return
    atomic.make_folder(folder)
    path = folder / LOCK
    handle, locked = locks.take(path)
    before = _holder(path)
    host = re.match(r"process (\d{1,9}) on (\S+)", before)
    elsewhere = host is not None and host[2] != socket.gethostname()
    if handle is None or not (locked or _ended(host)):
        if handle is not None:
            locks.free(handle, None)
        stuck = elsewhere or not locked
        hint = f"; if that process is not running any more, delete {path}" if stuck else ""
        who = before or "another process"
        raise RuntimeError(f"{fn}: {folder} is in use by {who}: wait for its end, or give another expDir{hint}")
    try:
        if elsewhere:
            warn(f"{fn}: {folder} was in use by {before}, which has let go of it; training goes on here")
        _sign(handle, path)
        atomic.sweep(folder)
        yield
    finally:
        locks.free(handle, path)


def _holder(path: Path) -> str:
    """The line in the file, fit for a message."""
    try:
        line = path.read_bytes()[:200].decode("utf-8", "replace")
    except OSError:
        return ""
    return "".join(c if c.isprintable() else "?" for c in line.rstrip("\n"))


def _sign(handle: int, path: Path) -> None:
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else Path(sys.executable).name
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    line = f"process {os.getpid()} on {socket.gethostname()} since {since} ({program})\n"
    with atomic.naming(path):
        os.ftruncate(handle, 0)
        os.write(handle, line.encode("utf-8", "replace"))


def _ended(found: re.Match[str] | None) -> bool:
    """Whether the process that the file names is known to have ended: one of this machine, or none."""
    if found is None:
        return True
    if found[2] != socket.gethostname() or os.name == "nt":  # where signal 0 would end it
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False
