"""Faults of disks: real ones, in a mount namespace of root's, and stand-ins that need no rights."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

PAGE = 4096


class Fault(NamedTuple):
    """`strike(folder, left)`: a context with the fault; left is how many bytes may still be written."""

    name: str
    strike: Callable[[Path, int], AbstractContextManager[None]]
    reasons: tuple[int, ...]  # of errno
    keeps: bool = True  # whether the folder is there afterwards, as it was

    def said(self) -> list[str]:
        return [os.strerror(number) for number in self.reasons] + ["its folder does not exist", "is a file"] * (
            not self.keeps
        )


@contextlib.contextmanager
def limited(folder: Path, left: int) -> Iterator[None]:
    """No file of this process becomes larger: a write fails in the middle, as on a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def not_permitted(folder: Path, left: int) -> Iterator[None]:
    """A folder that others own; root, whom nothing is forbidden, becomes nobody meanwhile."""
    mode, root = folder.stat().st_mode, os.geteuid() == 0
    os.chmod(folder, 0o555)
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        os.chmod(folder, mode)


@contextlib.contextmanager
def vanished(folder: Path, left: int) -> Iterator[None]:
    shutil.rmtree(folder)
    yield
    assert not folder.exists(), "a folder that was deleted came back"


@contextlib.contextmanager
def replaced_by_a_file(folder: Path, left: int) -> Iterator[None]:
    shutil.rmtree(folder)
    folder.write_bytes(b"a file")
    yield
    assert folder.read_bytes() == b"a file"


@contextlib.contextmanager
def full(folder: Path, left: int) -> Iterator[None]:
    """A disk, of its own for this folder, with so many bytes left."""
    ballast = folder / "ballast"
    disk = os.statvfs(folder)
    ballast.write_bytes(bytes(max(0, disk.f_bavail * disk.f_frsize - left // PAGE * PAGE)))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def read_only(folder: Path, left: int) -> Iterator[None]:
    mount("--bind", folder, folder)  # over itself, since a disk with an open file does not become read-only
    mount("-o", "remount,bind,ro", folder)
    try:
        yield
    finally:
        unmount(folder)


def mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


GONE = (errno.ENOENT, errno.ENOTDIR)
STAND_INS = [
    Fault("a full disk", limited, (errno.EFBIG,)),
    Fault("a folder without permission", not_permitted, (errno.EACCES,)),
    Fault("a folder that vanishes", vanished, GONE, keeps=False),
    Fault("a file in place of the folder", replaced_by_a_file, GONE, keeps=False),
]
MOUNTED = [Fault("a full disk", full, (errno.ENOSPC,)), Fault("a read-only disk", read_only, (errno.EROFS,))]
