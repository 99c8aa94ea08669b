"""Compiled kernels on disk. They are machine code: who can write to their files can run code as the user.

So a folder is used only if nobody but the user and root can change what is in it, as ssh asks of the folders of keys.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import warnings
import zlib
from functools import lru_cache
from pathlib import Path

from pyconvnet import atomic

HERE = Path(__file__).parent
SUFFIX = ".kernel"
_MOST_LINKS = 40  # on the way to a folder, as Linux has it
_refused: dict[str, str] = {}  # folder -> why kernels are not kept in it, as long as the user has not been told


def read(name: str, machine: str, source: str) -> tuple[list[str], bytes] | None:
    """What `write` was given for such a machine and source; None if that is not on disk."""
    for home in _folders()[0]:
        try:
            head, _, code = (home / _file(name, machine)).read_bytes().partition(b"\n")
            kept = json.loads(head)
        except (OSError, ValueError):  # no file, or not one of these
            continue
        whole = isinstance(kept, dict) and kept.get("sum") == zlib.crc32(code)
        if whole and (kept.get("machine"), kept.get("source")) == (machine, source):
            return kept["functions"], code
    return None


def write(name: str, machine: str, source: str, functions: list[str], code: bytes) -> None:
    """Keep an object file with such functions, if there is a folder for it and room on the disk."""
    if (home := folder()) is None:
        return
    head = {"machine": machine, "source": source, "functions": functions, "sum": zlib.crc32(code)}
    try:
        atomic.write(home / _file(name, machine), json.dumps(head).encode() + b"\n" + code)
    except OSError:
        return


def _file(name: str, machine: str) -> str:
    """Different machines may share a folder."""
    return f"{name}-{hashlib.sha256(machine.encode()).hexdigest()[:8]}{SUFFIX}"


@lru_cache(maxsize=1)
def source_stamp(folder: Path = HERE) -> str:
    """When a source file below a folder was changed last, and how large all are."""
    found = [path.stat() for path in folder.rglob("*.py")]
    return f"{max((f.st_mtime for f in found), default=0.0)} {sum(f.st_size for f in found)}"


def folder() -> Path | None:
    """The folder that kernels are written to; None if there is none."""
    return _folders()[1]


@lru_cache(maxsize=1)
def _folders() -> tuple[list[Path], Path | None]:
    """(the safe ones of `_places`, up to the first that can be written to; that one).

    Kernels are read from all of them: root may have compiled those of a container, whose users do not write there.
    """
    safe: list[Path] = []
    for place in _places():
        try:
            _make(place, 0o777 if place.name == "__pycache__" else 0o700)  # all users of a package read that one
        except OSError:
            continue
        if _is_safe(str(place)):
            safe.append(place)
            if os.access(place, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
                return safe, place
    say_refused()
    return safe, None


def _places() -> list[Path]:
    given, own = os.environ.get("NUMBA_CACHE_DIR"), hashlib.sha256(str(HERE).encode()).hexdigest()[:12]
    out = [Path(given).absolute() / f"pyconvnet_{own}"] if given else []
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    if os.name == "nt":
        user = os.environ.get("LOCALAPPDATA") or "~\\AppData\\Local"
    home = Path(user).expanduser()
    out.append(HERE / "__pycache__")
    if home.is_absolute():  # else the user has no home
        out.append(home / "pyconvnet" / f"kernels_{own}")
    return out


def _make(folder: Path, mode: int) -> None:
    """Make a folder, and those above it that are missing."""
    if not folder.parent.exists():
        _make(folder.parent, mode)
    folder.mkdir(mode, exist_ok=True)


def _is_safe(folder: str) -> bool:
    """Whether kernels may be kept in a folder; where the user would miss them, a warning says why not."""
    # Who owns the package runs code here anyway: a checkout in a container belongs to a user outside of it.
    own = os.path.basename(folder) == "__pycache__"
    try:
        reason = weakness(folder, {os.stat(os.path.dirname(folder)).st_uid} if own else set())
    except OSError as error:
        reason = str(error)
    if reason:
        _refused[folder] = reason
        if os.environ.get("NUMBA_CACHE_DIR") or any(Path(folder).glob(f"*{SUFFIX}")):
            say_refused()
    return not reason


def say_refused() -> None:
    """Warn once of each folder whose kernels are not used."""
    for folder, reason in _refused.items():
        warnings.warn(
            f"compiled kernels in {folder} are not used, as others could have put them there: {reason}", stacklevel=2
        )
    _refused.clear()


def weakness(folder: str, owners: set[int] | frozenset[int] = frozenset()) -> str:
    """How others than the user, root and `owners` (user numbers) could change files in a folder; "" if they cannot.

    The folder, each above it and each link on the way must belong to one of these and be writable by nobody else, but
    for folders above with the sticky bit, such as /tmp. Kernels in it must be files of theirs. On Windows, whose
    folders have lists of permissions instead, always "".
    """
    if not hasattr(os, "geteuid"):
        return ""
    owners = {0, os.geteuid(), *owners}
    at, links = "/", 0
    rest = [*reversed(Path(os.getcwd(), folder).parts[1:])]
    reason = _weak_folder(at, owners, bool(rest))
    while rest and not reason:
        part = rest.pop()
        if part == "..":
            at = os.path.dirname(at)
            continue
        path = os.path.join(at, part)
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if found.st_uid not in owners or links > _MOST_LINKS:
                return f"the link {path} belongs to user {found.st_uid}"
            target = Path(os.readlink(path))
            at = "/" if target.is_absolute() else at
            rest += reversed(target.parts[target.is_absolute() :])
        else:
            at, reason = path, _weak_folder(path, owners, bool(rest))
    return reason or _weak_kernels(at, owners)


def _weak_folder(path: str, owners: set[int], above: bool) -> str:
    found = os.stat(path)
    if found.st_uid not in owners and not (above and found.st_uid == _unmapped()):
        return f"{path} belongs to user {found.st_uid}"
    return "" if above and found.st_mode & stat.S_ISVTX else _open_to_others(path, found)


def _weak_kernels(folder: str, owners: set[int]) -> str:
    if not os.stat(folder).st_mode & 0o011:  # others do not get to its files
        return ""
    for entry in os.scandir(folder):
        if entry.name.endswith(SUFFIX):
            found = entry.stat(follow_symlinks=False)
            if found.st_uid not in owners or not stat.S_ISREG(found.st_mode):
                kind = "" if stat.S_ISREG(found.st_mode) else ", and is not a file"
                return f"{entry.name} belongs to user {found.st_uid}{kind}"
            if reason := _open_to_others(entry.path, found):
                return reason
    return ""


def _open_to_others(path: str, found: os.stat_result) -> str:
    if found.st_mode & stat.S_IWOTH:
        return f"everybody can write to {path}"
    if found.st_mode & stat.S_IWGRP and not _is_private_group(found.st_gid, found.st_uid):
        return f"the group {found.st_gid} can write to {path}"
    return ""


@lru_cache(maxsize=256)
def _is_private_group(group: int, user: int) -> bool:
    """Whether the user alone is in a group: of the same name, as most systems make one for each user."""
    import grp
    import pwd

    try:
        owner, found = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return (owner.pw_gid, owner.pw_name) == (group, found.gr_name) and set(found.gr_mem) <= {owner.pw_name}


@lru_cache(maxsize=1)
def _unmapped() -> int | None:
    """In a container without root's own users, the number under which all users outside of it appear."""
    try:
        whole = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
        return None if whole else int(Path("/proc/sys/kernel/overflowuid").read_text())
    except OSError:
        return None
