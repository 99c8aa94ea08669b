"""Files that are written whole or not at all, so that a full disk or a killed process leaves the old file as it was."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".part"  # of a draft, NAME + 8 random characters + SUFFIX, which only a killed process leaves behind


def write(path: str | os.PathLike[str], content: str | bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file by way of a draft in the same folder, which is flushed to disk and then renamed.

    content  text (written as UTF-8), bytes, or a function that writes them: it is called with the draft, an open binary
             file, whose `name` is its path

    An existing file keeps its permissions; through a link, the file that it points to is written. The draft is removed
    where anything fails. Raises OSError naming `path`, and whatever `content` raises.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a device or a pipe has no draft; a folder is refused here
        with open(path, "wb") as file:
            _fill(file, content)
        return
    target = Path(os.path.realpath(path))
    draft = target.with_name(target.name + secrets.token_hex(4) + SUFFIX)
    try:
        with open(draft, "x+b") as file:
            _fill(file, content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(draft, target.stat().st_mode & 0o7777)
        rename(draft, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        if isinstance(error, OSError) and error.filename == str(draft):
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise


def rename(draft: Path, target: Path) -> None:
    """Give a flushed file of the same folder its name, in place of a file that has it."""
    os.replace(draft, target)
    _flush_folder(target.parent)


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
