"""Which module reads and writes a file: found by the file's first bytes, else by its suffix."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple


class Format(NamedTuple):
    """A line of the table. `module` is a name, imported when it is first used, or the module itself."""

    module: Any
    suffixes: tuple[str, ...]
    magic: re.Pattern[bytes] | None = None  # of the first bytes of a file
    install: str = ""
    only_written: str = ""  # why files of it cannot be read
    runs: bool = True  # whether a file of it is a network that can be run


# Versions 5 to 7, whose head ends so; HDF5, after which a head of 512 bytes may stand (7.3); and the five numbers that
# version 4 starts with, of either byte order: of the first two bytes are 0, the fourth is 0 or 1, the last 1 to 255.
_MAT = (
    rb".{124}(\x00\x01IM|\x01\x00MI)|(.{512})?\x89HDF\r\n\x1a\n"
    rb"|..\x00{2}.{8}[\x00\x01]\x00{3}[^\x00]\x00{3}|\x00{2}...{8}\x00{3}[\x00\x01]\x00{3}[^\x00]"
)
FORMATS = [
    Format("pyconvnet.formats.mat", (".mat",), re.compile(_MAT, re.DOTALL)),
    Format("pyconvnet.formats.onnx", (".onnx",), None, "pip install 'pyconvnet[onnx]'"),
    Format(
        "pyconvnet.formats.pytorch.source",
        (".py",),
        install="pip install 'pyconvnet[torch]'",
        only_written="it is source, which is not executed; from_torch takes the module in it",
    ),
    Format(
        "pyconvnet.formats.pytorch.weights",
        (".safetensors",),
        install="pip install 'pyconvnet[torch]'",
        only_written="it holds weights without layers",
        runs=False,
    ),
    Format("pyconvnet.formats.caffe", (".caffemodel",)),
]
DEFAULT = ".mat"  # of names without a suffix

# Other kinds of files found in place of a network's, by their first bytes
INSTEAD = (
    (b"version https://git-lfs", "it is a pointer of Git LFS to the file, not the file: `git lfs pull` fetches that"),
    (b"<!doctype html", "it is a web page, not the file that it may be about: download that"),
    (b"<html", "it is a web page, not the file that it may be about: download that"),
    (b"<?xml", "it is XML, as sites answer when a download fails: download the file again"),
    (b"pk\3\4", "it is a ZIP archive (or a file of PyTorch): take out the .mat file that may be in it"),
    (b"\x1f\x8b", "it is compressed by gzip: unpack it first"),
)


def register(
    module: Any,
    suffixes: str | Sequence[str],
    *,
    magic: bytes | re.Pattern[bytes] | None = None,
    install: str = "",
    replace: bool = False,
) -> None:
    """Add a format to load and save: register("my_formats.toy", ".toy").

    module    the name of a module, which is imported when a file of the format is first read or written, or a module,
              with one of the functions below at least
    suffixes  ".toy", or several; letter case does not matter
    magic     first bytes of each file, or a regular expression that matches them, up to 1024: such a file is loaded
              under any name
    install   the command that installs the packages of the module: errors name it where one is missing
    replace   replace the formats that have one of these suffixes

    The functions of the module; each is given the options of load and save that it declares (`tidy`, `variable`;
    `state`, `stats`), others are refused:

    read(path)             a SimpleNN or DagNN, or plain values that load makes into a network: a dict with `layers`
                           (records) and `meta`, or the Struct of DagNN.saveobj
    write(path, net)       net is a SimpleNN or a DagNN
    read_checkpoint(path)  a dict with such a `net`, and `state` and `stats`
    run(path, x)           the output for x, H x W x C x N, by the program that the format is for: what
                           `pyconvnet convert --check` compares
    check_run(fn)          ImportError, with what to install, where run could not run; fn begins the message

    Raises ValueError for a suffix that is known, unless `replace`, or is not one.
    """
    suffixes = tuple(s.lower() for s in ([suffixes] if isinstance(suffixes, str) else suffixes))
    for suffix in suffixes or ("",):
        if not re.fullmatch(r"\.[a-z]\w*", suffix):
            raise ValueError(f"register: suffixes must be a dot and a word each, as .mat, got {suffix!r}")
    before = [f for f in FORMATS if set(suffixes) & set(f.suffixes)]
    if before and not replace:
        raise ValueError(f"register: {', '.join(suffixes)} is known ({_listed(before)}); replace=True replaces it")
    if isinstance(magic, bytes):
        magic = re.compile(re.escape(magic))
    FORMATS[:] = [f for f in FORMATS if f not in before] + [Format(module, suffixes, magic, install)]


def names_file(path: str | os.PathLike[str]) -> bool:
    """Whether a path has the suffix of a known format."""
    return _by_suffix(_suffix(path)) is not None


def read(path: str | os.PathLike[str], fn: str = "load", *, function: str = "read", **options: Any) -> Any:
    """Read with the `function` of a file's format: a network, or the plain values of one. `fn` is named in errors."""
    _check_path(fn, path)
    chosen = _format_of(path)
    if chosen is None:
        what = found_instead(_head(path)) or f"neither its first bytes nor {_suffix(path)} are those of a known format"
        readable = [f for f in FORMATS if not f.only_written]
        raise ValueError(f"{fn}: {Path(path).name} cannot be read: {what} (known: {_listed(readable)})")
    if chosen.only_written:
        raise ValueError(f"{fn}: {Path(path).name} cannot be read: {chosen.only_written}")
    return _call(fn, chosen, function, path, **options)


def write(path: str | os.PathLike[str], net: Any, fn: str = "save", **others: Any) -> None:
    """Write a network in the format of the path's suffix; ValueError where there is none."""
    _call(fn, written_as(path, fn), "write", path, net, **others)


def written_as(path: str | os.PathLike[str], fn: str = "save") -> Format:
    """The format in which `write` writes a path; ValueError where there is none."""
    _check_path(fn, path)
    suffix = _suffix(path) or DEFAULT
    named = _by_suffix(suffix)
    if named is None:
        raise ValueError(
            f"{fn}: {Path(path).name} is not written: no format has the suffix {suffix} (known: {_listed(FORMATS)})"
        )
    return named


def run(path: str | os.PathLike[str], x: Any) -> Any:
    """The output for x of the network in a file, by the program that the format is for; None where that is pyconvnet.

    The file is executed, where it is one of source: it must be of one's own making.
    """
    named = _by_suffix(_suffix(path) or DEFAULT)
    if named is None:
        return None
    with _needing("run", named):
        function = getattr(_module(named), "run", None)
        return None if function is None else function(path, x)


def check_run(path: str | os.PathLike[str], fn: str = "run") -> None:
    """Refuse a path that nobody could run once it is written: ValueError; ImportError with what to install."""
    form, why = written_as(path, fn), ""
    if not form.runs:
        why = form.only_written
    else:
        with _needing(fn, form):
            module = _module(form)
            if hasattr(module, "check_run"):
                module.check_run(fn)
        if not hasattr(module, "run") and not hasattr(module, "read"):
            why = f"{form.suffixes[0]} files cannot be read here"
    if why:
        raise ValueError(f"{fn}: {Path(path).name} cannot be run to compare the outputs: {why}")


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors about the content of a file name the file; their type is the `Error` of its format's module, if any."""
    try:
        yield
    except (ValueError, TypeError) as error:
        form = _format_of(path)
        kind = getattr(_module(form), "Error", ValueError) if form else ValueError
        raise kind(f"{Path(path).name}: {error}") from error


def found_instead(head: bytes) -> str | None:
    """The kind of a file that is not a network's, by its first bytes; None where that is not known."""
    if not head:
        return "it is empty"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((said for first, said in INSTEAD if start.startswith(first)), None)


def _check_path(fn: str, path: Any) -> None:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{fn}: path must be the path of a file, got {type(path).__name__}")


def _head(path: str | os.PathLike[str]) -> bytes:
    with open(Path(path), "rb") as file:  # a path, and not the number of an open file
        return file.read(1024)


def _format_of(path: str | os.PathLike[str]) -> Format | None:
    """The format of a file: that of its first bytes, of its suffix where several or none have these."""
    head = _head(path)
    named = _by_suffix(_suffix(path) or DEFAULT)
    found = [f for f in FORMATS if f.magic and f.magic.match(head)]
    return found[0] if found and named not in found else named


def _module(form: Format) -> Any:
    return import_module(form.module) if isinstance(form.module, str) else form.module


def _suffix(path: str | os.PathLike[str]) -> str:
    """The suffix in lower case; it starts with a letter: net-v1.0 and net.mat.1 have none."""
    suffix = Path(path).suffix.lower()
    return suffix if suffix[1:2].isalpha() else ""


def _by_suffix(suffix: str) -> Format | None:
    return next((f for f in FORMATS if suffix in f.suffixes), None)


def _listed(formats: Sequence[Format]) -> str:
    return ", ".join("/".join(f.suffixes) + (f" ({f.install})" if f.install else "") for f in formats)


def _call(fn: str, form: Format, name: str, *args: Any, **options: Any) -> Any:
    """Call a function of a format with the options that are given (not None); it must have each of them."""
    kind = form.suffixes[0]
    with _needing(fn, form):
        function = getattr(_module(form), name, None)
        if function is None:
            raise ValueError(f"{fn}: {kind} files cannot be {_DONE[name]} here")
        accepted = inspect.signature(function).parameters
        given = {option: value for option, value in options.items() if value is not None}
        for option in given.keys() - accepted.keys() - {"tidy"}:  # plain values are tidied in load, whatever the format
            raise ValueError(f"{fn}: {kind} files have no {option}=")
        return function(*args, **{option: value for option, value in given.items() if option in accepted})


@contextmanager
def _needing(fn: str, form: Format) -> Iterator[None]:
    """A package that is missing is named with the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not form.install:
            raise
        kind = form.suffixes[0]
        raise ImportError(f"{fn}: {kind} files need the package {error.name!r}: {form.install}") from error


_DONE = {"read": "read", "write": "written", "read_checkpoint": "read as checkpoints"}
