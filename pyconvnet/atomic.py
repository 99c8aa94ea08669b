"""Files that are written whole or not at all, so that a full disk or a killed process leaves the old file as it was."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from pyconvnet import locks

SUFFIX = ".part"  # of a draft, NAME + 8 random characters + SUFFIX, which only a killed process leaves behind
_DRAFT = re.compile(rf".+[0-9a-f]{{8}}{re.escape(SUFFIX)}")


def write(path: str | os.PathLike[str], content: str | bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file by way of a draft in the same folder, which is flushed to disk and then renamed.

    content  text (written as UTF-8), bytes, or a function that writes them: it is called with the draft, an open binary
             file, whose `name` is its path

    An existing file keeps its permissions; through a link, the file that it points to is written. The draft is removed
    where anything fails. Raises OSError naming `path`, and whatever `content` raises.
    """
    path = Path(path)
    with naming(path):
        if path.exists() and not path.is_file():  # a device or a pipe has no draft; a folder is refused here
            with open(path, "wb") as device:
                _fill(device, content)
            return
        target = Path(os.path.realpath(path))
        draft, file = _open_draft(target)
        try:
            with file:
                _fill(file, content)
                file.flush()
                os.fsync(file.fileno())
                if target.exists():
                    os.chmod(draft, target.stat().st_mode & 0o7777)
                if os.name == "nt":
                    file.close()  # Windows renames no open file
                rename(draft, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise


def check(path: str | os.PathLike[str]) -> None:
    """Refuse a path to which `write` cannot write for want of a folder, before the work for it is done.

    Raises OSError naming `path`.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.parent.is_dir():
        lost = not path.parent.exists()
        raise _error(errno.ENOENT if lost else errno.ENOTDIR, path)


def rename(draft: Path, target: Path) -> None:
    """Give a flushed file of the same folder its name, in place of a file that has it."""
    os.replace(draft, target)
    _flush_folder(target.parent)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder and those above it, flushed to disk, where they are missing. Raises OSError naming the folder."""
    path = Path(path)
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file, and must be a folder", str(path)) from None
        return
    except FileNotFoundError:
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
    _flush_folder(path.parent)


def sweep(folder: Path) -> None:
    """Delete the drafts in a folder that killed processes left, and not those that are being written."""
    for path in folder.glob(f"*{SUFFIX}"):
        if _DRAFT.fullmatch(path.name):
            with contextlib.suppress(OSError):
                handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
                dead = locks.lock(handle)
                if dead and os.name != "nt":
                    os.unlink(path)
                os.close(handle)
                if dead and os.name == "nt":  # which removes no open file
                    os.unlink(path)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the system name this file where they name none, as those of a full disk, or a draft."""
    try:
        yield
    except OSError as error:
        if not error.errno or not (error.filename is None or _DRAFT.fullmatch(os.path.basename(str(error.filename)))):
            raise
        raise _error(error.errno, path) from None


def _error(number: int, path: Path) -> OSError:
    lost = number == errno.ENOENT and not path.parent.is_dir()
    return OSError(number, "its folder does not exist" if lost else os.strerror(number), str(path))


def _open_draft(target: Path) -> tuple[Path, BinaryIO]:
    """A draft, locked for as long as it is open: `sweep` lets it be."""
    while True:
        draft = target.with_name(target.name + secrets.token_hex(4) + SUFFIX)
        file = open(draft, "x+b")
        if locks.lock(file.fileno()) is not False and draft.exists():
            return draft, file
        file.close()  # another process swept it before it was locked


def _fill(file: BinaryIO, content: str | bytes | Callable[[BinaryIO], object]) -> None:
    if callable(content):
        content(file)
    else:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def _flush_folder(folder: Path) -> None:
    """The new name is on disk only when its folder is; not every system can flush one."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as error:  # nor do some file systems flush them
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
