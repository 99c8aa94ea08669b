"""Files and folders: exist, fullfile, fileparts, mkdir, dir, dlmread, csvread, textscan, memmapfile."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet.compat.matlab.conventions import integers, named_options, text, texts
from pyconvnet.compat.matlab.stopwatch import datenum_of, datestr
from pyconvnet.records import Struct, StructArray
from pyconvnet.values import choice, number, path_text, whole_number

__all__ = ["csvread", "dir", "dlmread", "exist", "fileparts", "fullfile", "memmapfile", "mkdir", "textscan"]

_CLASSES = {
    "single": "<f4",
    "double": "<f8",
    **{f"{u}int{n}": f"<{u[:1] or 'i'}{n // 8}" for u in ("", "u") for n in (8, 16, 32, 64)},
}


def exist(name: str, kind: str | None = None) -> int:
    """2 for a file, 7 for a folder, 0 for neither; kind: "file" (either) or "dir".

    NotImplementedError for "var" and "builtin": which variables there are is not for a function to see.
    """
    name = path_text("exist: name", name)
    if kind is not None and text("exist: kind", kind).lower() in ("var", "builtin", "class"):
        raise NotImplementedError(f"exist: {kind!r} is not there; in Python, try the name, or ask locals()")
    only = choice("exist: kind", kind, ("file", "dir")) if kind is not None else "file"
    if os.path.isdir(name):
        return 7
    return 2 if only == "file" and os.path.isfile(name) else 0


def fullfile(*parts: Any) -> Any:
    """Parts of a path put together with one separator between them; where a part is a list, a list of paths."""
    if not parts:
        raise ValueError("fullfile: parts must be given")
    lists = [p for p in parts if isinstance(p, (list, tuple))]
    if lists:
        count = max(map(len, lists))
        rows = [list(p) * (count if len(p) == 1 else 1) if isinstance(p, (list, tuple)) else [p] * count for p in parts]
        if any(len(r) != count for r in rows):
            raise ValueError(f"fullfile: lists must be of one length, got {', '.join(str(len(p)) for p in lists)}")
        return [fullfile(*row) for row in zip(*rows)]
    for p in parts:
        if not isinstance(p, (str, os.PathLike)):
            raise TypeError(f"fullfile: parts must be texts or paths, got {type(p).__name__}: {p!r}")
    texts = [os.fspath(p) for p in parts]
    kept = [t for t in texts if t]
    if not kept:
        return ""
    joined = os.sep.join(kept) + ("" if texts[-1] else os.sep)
    return re.sub(r"/{2,}" if os.sep == "/" else r"(?<!^)[\\/]{2,}", lambda m: os.sep, joined)


def fileparts(path: str | os.PathLike[str]) -> tuple[str, str, str]:
    """(folder, name, extension with its dot) of a path.

    >>> fileparts("data/net.tar.gz")
    ('data', 'net.tar', '.gz')
    """
    whole = path_text("fileparts: path", path)
    cut = max(whole.rfind("/"), whole.rfind(os.sep))
    folder, name = (whole[:cut] or whole[: cut + 1], whole[cut + 1 :]) if cut >= 0 else ("", whole)
    dot = name.rfind(".")
    return (folder, name, "") if dot < 0 else (folder, name[:dot], name[dot:])


def mkdir(*parts: str) -> bool:
    """Make a folder and those above it: mkdir(path), mkdir(parent, name). True, also where it was there before."""
    if not parts:
        raise ValueError("mkdir: a path must be given")
    atomic.make_folder(os.path.join(*(path_text("mkdir: path", p) for p in parts)))
    return True


def dir(name: str | os.PathLike[str] = ".") -> StructArray:
    """What a folder holds, or which files a pattern (*, ?, **) matches: Structs of name, folder, date, bytes, isdir,
    datenum, in the order of their names; of a folder with "." and ".." first, as in MATLAB.
    """
    where = path_text("dir: name", name)
    if os.path.isdir(where):
        paths = [os.path.join(where, n) for n in (".", "..", *sorted(os.listdir(where)))]
    else:
        paths = sorted(glob.glob(where, recursive=True))
    entries = []
    for path in paths:
        stat = os.stat(path, follow_symlinks=os.path.exists(path))  # a link may lead nowhere
        when = datenum_of(stat.st_mtime)
        folder, last = os.path.split(path)
        entries.append(
            Struct(
                name=last,
                folder=os.path.abspath(folder or "."),
                date=datestr(when),
                bytes=0 if os.path.isdir(path) else stat.st_size,
                isdir=os.path.isdir(path),
                datenum=when,
            )
        )
    return StructArray(entries, ["name", "folder", "date", "bytes", "isdir", "datenum"])


def dlmread(path: str | os.PathLike[str], delimiter: str | None = None, row: int = 0, column: int = 0) -> np.ndarray:
    """A text file of numbers as a matrix; places that are empty, or missing at the end of a row, are 0.

    delimiter    a character; comma, semicolon, tab or blanks, the first that the file has, unless given
    row, column  where to start, from 0, as in MATLAB
    """
    return _numbers_of("dlmread", path, delimiter, row, column)


def _numbers_of(fn: str, path: Any, delimiter: str | None, row: int, column: int) -> np.ndarray:
    path = path_text(f"{fn}: path", path)
    row, column = whole_number(f"{fn}: row", row, 0), whole_number(f"{fn}: column", column, 0)
    given = None if delimiter is None else text(f"{fn}: delimiter", delimiter)
    try:
        body = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{fn}: {path!r} is not a text: {error}") from None
    lines = [line for line in body.splitlines()[row:] if line.strip()]
    body = "\n".join(lines)
    mark = given.replace("\\t", "\t") if given else next((d for d in ",;\t" if d in body), None)
    rows = [line.split(mark) if mark not in (None, " ") else line.split() for line in lines]
    wide = max((len(r) for r in rows), default=0)
    out = np.zeros((len(rows), max(wide - column, 0)))
    for i, fields in enumerate(rows):
        for j, field in enumerate(fields[column:]):
            if field.strip():
                try:
                    out[i, j] = float(field)
                except ValueError:
                    where = f"row {row + i}, column {column + j}"
                    raise ValueError(f"{fn}: {path!r} has no number at {where}: {field!r}") from None
    return out


def csvread(path: str | os.PathLike[str], row: int = 0, column: int = 0) -> np.ndarray:
    """dlmread with a comma."""
    return _numbers_of("csvread", path, ",", row, column)


def textscan(source: Any, format: str = "%f", *pairs: Any) -> list[Any]:
    """Columns of a text, or of an open file, as a list: numbers as n x 1, texts as a list.

    format       %f, %d (int32), %s, %q (quoted); %*s and the like are skipped; other characters must be there
    Delimiter    a text or a list of them; white space otherwise
    HeaderLines  how many lines to pass over

    A light one: lines have as many fields as the format, the last of which may be missing.
    """
    given = named_options("textscan", pairs, ("Delimiter", "HeaderLines"))
    body = source.read() if hasattr(source, "read") else source
    if not isinstance(body, str):
        raise TypeError(f"textscan: the source must be text or an open file, got {type(source).__name__}")
    kinds = re.findall(r"%(\*?)\d*(?:\.\d+)?([a-zA-Z]\d*)", text("textscan: format", format))
    if not kinds or any(k[0] not in "fdsqnu" for _, k in kinds):
        raise ValueError(f"textscan: format must be made of %f, %d, %s, %q and %*s, got {format!r}")
    marks = given.get("Delimiter")
    marks = None if marks is None else texts("textscan: Delimiter", marks)
    columns: list[list[Any]] = [[] for _ in kinds]
    skip = whole_number("textscan: HeaderLines", given.get("HeaderLines", 0), 0)
    for line in body.splitlines()[skip:]:
        if not line.strip():
            continue
        pattern = "|".join(re.escape(m.replace("\\t", "\t")) for m in marks) if marks else r"\s+"
        fields = re.split(pattern, line.strip() if not marks else line)
        for k in range(0, len(fields), len(kinds)):
            for column, (_, kind), field in zip(columns, kinds, fields[k:]):
                field = field.strip()
                if kind[0] in "fdnu":
                    column.append(_number(field) if field else np.nan)
                else:
                    column.append(field.strip('"') if kind == "q" else field)
    out: list[Any] = []
    for column, (skipped, kind) in zip(columns, kinds):
        if not skipped:
            numbers = kind[0] in "fdnu"
            out.append(np.array(column, np.int32 if kind == "d" else float)[:, None] if numbers else column)
    return out


def _number(field: str) -> float:
    try:
        return float(field)
    except ValueError:
        raise ValueError(f"textscan: {field!r} is not a number, which format asks for there") from None


class memmapfile:
    """A file seen as arrays: memmapfile(path, "Format", format, "Offset", 0, "Repeat", inf, "Writable", False).

    Format  a class ("single", "uint8", ...): Data is n x 1; or rows of (class, size, name): Data is a Struct of arrays,
            column-major as MATLAB has them, a list of Structs where they repeat

    Data is a view of the file: writing to its arrays writes to the file, where Writable.
    """

    def __init__(self, path: str | os.PathLike[str], *pairs: Any, **options: Any) -> None:
        given = named_options("memmapfile", pairs, ("Format", "Offset", "Repeat", "Writable"), options)
        self.Filename, self.Format = path_text("memmapfile: path", path), given.get("Format", "uint8")
        self.Offset = whole_number("memmapfile: Offset", given.get("Offset", 0), 0)
        self.Repeat = number("memmapfile: Repeat", given.get("Repeat", np.inf), "a number from 1 up", lambda n: n >= 1)
        self.Writable = bool(np.all(given.get("Writable", False)))
        mode: Any = "r+" if self.Writable else "r"
        Format, Repeat = self.Format, self.Repeat
        if isinstance(Format, str):
            kind = _class(Format)
            most = (os.path.getsize(path) - self.Offset) // kind.itemsize
            count = int(min(Repeat, most))
            self.Data: Any = np.memmap(path, kind, mode, self.Offset, (count, 1))
            return
        if not isinstance(Format, (list, tuple)) or not Format:
            raise TypeError(f"memmapfile: Format must be a class or rows of (class, size, name), got {Format!r}")
        rows = [Format] if len(Format) == 3 and isinstance(Format[0], str) else list(Format)
        if any(not isinstance(r, (list, tuple)) or len(r) != 3 for r in rows):
            raise ValueError(f"memmapfile: rows of Format must be (class, size, name), got {Format!r}")
        fields = [(str(n), _class(c), tuple(integers("memmapfile: the size", s))[::-1]) for c, s, n in rows]
        record = np.dtype(fields)
        count = int(min(Repeat, (os.path.getsize(path) - self.Offset) // record.itemsize))
        if count < 1:
            raise ValueError(f"memmapfile: {self.Filename!r} is too short for one record of {record.itemsize} bytes")
        records = np.memmap(path, record, mode, self.Offset, (count,))
        made = [Struct((name, records[name][i].T) for name, _, _ in fields) for i in range(count)]
        self.Data = made[0] if count == 1 else StructArray(made)


def _class(name: str) -> np.dtype:
    return np.dtype(_CLASSES[choice("memmapfile: the class", name, tuple(_CLASSES))])
