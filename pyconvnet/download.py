"""Large files from the web: resumed where a connection broke, checked, and there whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import http.client
import os
import re
import socket
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib import error, parse, request

from pyconvnet import atomic, locks
from pyconvnet._version import __version__

TRIES = 4  # requests in a row that bring nothing, after which the next address is asked
WAIT = 1.0  # seconds before the second of them, so much more before each further one
TIMEOUT = 30.0  # seconds without a byte
LARGEST = 8 * 2**30  # bytes, of what a server sends without saying how much it is
BLOCK = 2**18


class _Broken(OSError):
    """The connection broke, or the server is busy: another request may bring the rest."""


class _Useless(OSError):
    """This address does not have the file."""


def download(urls: Sequence[str], target: Path, md5: str | None = None, progress: bool = True) -> Path:
    """Bring a file, and return its path; the file is whole and has the sum `md5`, if one is given.

    urls      addresses of the file (http, https, file), each of which is asked if those before it fail
    target    where it goes; a file that is there already is only checked
    progress  a bar, on a terminal where tqdm is installed

    What has come is kept beside the target, in a draft for each address and version (ETag or date) of the file, and the
    next call goes on from there. Of two processes the second one waits for the first.

    Raises OSError: with what each address answered, if none gives the file; if a file that is there has another sum.
    """
    atomic.make_folder(target.parent)
    answers = []
    with contextlib.nullcontext() if target.exists() else _lock(target):
        if target.exists():
            try:
                _check(target, md5)
            except _Useless as found:
                raise OSError(f"{target}: {found}; move it away to fetch the file") from None
            return target
        for url in urls:
            try:
                draft = _Download(url, target, progress).run(md5)
            except (_Broken, _Useless) as found:
                answers.append(f"{url}: {found}")
                continue
            atomic.rename(draft, target)
            for other in target.parent.glob(f"{glob.escape(target.name)}.*{atomic.SUFFIX}"):
                other.unlink(missing_ok=True)
            return target
    raise OSError("; ".join(answers))


class _Download:
    """A file from one address."""

    def __init__(self, url: str, target: Path, progress: bool) -> None:
        self.url, self.target, self.progress = url, target, progress
        self.stem = f"{target.name}.{hashlib.sha256(url.encode()).hexdigest()[:12]}."

    def draft(self) -> tuple[Path | None, int, str]:
        """What has come so far: (its path, how many bytes, the version of the file that it is of)."""
        for path in self.target.parent.glob(f"{glob.escape(self.stem)}*{atomic.SUFFIX}"):
            version = parse.unquote(path.name[len(self.stem) : -len(atomic.SUFFIX)])
            if version and path.stat().st_size:
                return path, path.stat().st_size, version
        return None, 0, ""

    def drop(self) -> None:
        for path in self.target.parent.glob(f"{glob.escape(self.stem)}*{atomic.SUFFIX}"):
            path.unlink(missing_ok=True)

    def run(self, md5: str | None) -> Path:
        """Ask until the draft is whole; its path."""
        idle, restarted = 0, False
        while True:
            before = self.draft()[1]
            try:
                path = self.request()
                _check(path, md5)
                return path
            except _Broken:
                idle = 0 if self.draft()[1] > before else idle + 1
                if idle == TRIES:
                    raise
                time.sleep(WAIT * idle)
            except _Useless:
                self.drop()
                if restarted or not before:
                    raise
                restarted = True  # the beginning may have been of another file

    def request(self) -> Path:
        """One request, for what is missing; the path of the draft, which is as long as the server says."""
        path, start, version = self.draft()
        try:
            with _open(self.url, {"Range": f"bytes={start}-", "If-Range": version} if path else {}) as response:
                return self.receive(response, path, start, version)
        except error.HTTPError as answer:
            with answer:
                if path and answer.code == 416:
                    if answer.headers.get("Content-Range") == f"bytes */{start}":
                        return path
                    self.drop()
                    raise _Broken("the server has no such part of the file") from None
                again = answer.code in (408, 429) or answer.code >= 500
                raise (_Broken if again else _Useless)(f"{answer.code} {answer.reason}") from None

    def receive(self, response: Any, path: Path | None, start: int, version: str) -> Path:
        """Write what a server sends; where it sends the whole file though a part was asked for, from the start."""
        found = _version(response)
        if response.status == 206 and path:
            part = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range") or "")
            if not part or int(part[1]) != start or found not in ("", version):
                self.drop()
                raise _Broken("the server sent another part than the one it was asked for")
            total: int | None = int(part[2])
        elif response.status in (200, None):  # None: of a file
            self.drop()
            start, length = 0, response.headers.get("Content-Length") or ""
            total = int(length) if length.isdecimal() else None
            path = self.target.with_name(self.stem + parse.quote(found, safe="") + atomic.SUFFIX)
        else:
            raise _Useless(f"{response.status} {response.reason}")
        with (
            atomic.naming(self.target),
            open(path, "ab" if start else "wb") as file,
            _bar(self.target.name, start, total, self.progress) as bar,
        ):
            for block in _blocks(response):
                file.write(block)
                start += len(block)
                if bar is not None:
                    bar.update(len(block))
                if start > LARGEST:
                    raise _Useless(f"the file does not end after {start} bytes")
            file.flush()
            os.fsync(file.fileno())
        if total is not None and start != total:
            raise _Broken(f"the connection broke after {start} of {total} bytes")
        return path


class _Redirects(request.HTTPRedirectHandler):
    """Redirections stay on the web, and on https."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        kind = parse.urlsplit(newurl).scheme
        if kind != "https" and not (kind == "http" and req.type == "http"):
            raise error.HTTPError(newurl, code, f"redirection to {newurl} is not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = request.build_opener(_Redirects)


def _open(url: str, headers: dict[str, str]) -> Any:
    """The answer to a request; HTTPError where it is a refusal."""
    try:
        asked = request.Request(url, headers={"User-Agent": f"pyconvnet/{__version__}", **headers})
        return _OPENER.open(asked, timeout=TIMEOUT)
    except error.HTTPError:
        raise
    except error.URLError as found:
        hopeless = (socket.gaierror, FileNotFoundError, IsADirectoryError, PermissionError)
        raise (_Useless if isinstance(found.reason, hopeless) else _Broken)(str(found.reason)) from None
    except (http.client.HTTPException, OSError) as broken:
        raise _Broken(str(broken) or type(broken).__name__) from None
    except ValueError as found:  # of an address that is none
        raise _Useless(str(found)) from None


def _version(response: Any) -> str:
    """What tells one version of the file from another, for If-Range: its ETag or date; "" where there is neither."""
    tag = response.headers.get("ETag") or ""
    version = response.headers.get("Last-Modified") or "" if not tag or tag.startswith("W/") else tag
    return version if len(parse.quote(version, safe="")) <= 120 else ""


def _blocks(response: Any) -> Iterator[bytes]:
    try:
        while block := response.read(BLOCK):
            yield block
    except (http.client.HTTPException, OSError) as broken:
        raise _Broken(f"the connection broke: {broken or type(broken).__name__}") from None


def _check(path: Path, md5: str | None) -> None:
    """_Useless for a file of another sum."""
    if md5 is None:
        return
    total = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        head = file.read(BLOCK)
        total.update(head)
        while block := file.read(BLOCK):
            total.update(block)
    if total.hexdigest() != md5:
        page = "; it is a web page" if head.lstrip().lower().startswith((b"<!doctype html", b"<html")) else ""
        raise _Useless(f"its MD5 is {total.hexdigest()} rather than {md5}{page}")


@contextlib.contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Until the end of the block, no other process fetches the file. Who dies lets go of it."""
    path = target.with_name(f".{target.name}.lock")
    handle, _ = locks.take(path)
    if handle is None:
        warnings.warn(f"download: waiting for another process, which fetches {target.name}", stacklevel=4)
    while handle is None:
        time.sleep(0.1)
        handle, _ = locks.take(path)
    try:
        yield  # also where the file system has no locks; the sum still tells if two processes wrote one draft
    finally:
        locks.free(handle, path)


def _bar(name: str, start: int, total: int | None, wanted: bool) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return contextlib.nullcontext()
    shown = None if wanted else True  # None: on a terminal
    return tqdm(desc=name, initial=start, total=total, unit="B", unit_scale=True, file=sys.stderr, disable=shown)
