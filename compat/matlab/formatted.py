"""Numbers as text: sprintf, fprintf, num2str, mat2str, with MATLAB's formats."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pyconvnet.compat.matlab.conventions import is_number, matlab_shape, matrix, text
from pyconvnet.values import as_array, whole_number

__all__ = ["fprintf", "mat2str", "num2str", "sprintf"]

_CONVERSION = re.compile(r"%(?P<flags>[-+ 0#]*)(?P<width>\d+|\*)?(?:\.(?P<precision>\d+|\*)?)?[hl]*(?P<kind>[a-zA-Z%])")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,4})|([0-7]{1,3})|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a"}


def sprintf(format: str, *values: Any) -> str:
    """Text with values written into it, by MATLAB's rules:

    the format starts over while values are left, and ends before the first conversion for which there is none;
    arrays give their elements column by column, text its characters where a number is asked for;
    %d of a number that is not whole is written as %e, text and numbers change into each other by character codes;
    without any value conversions are left out; \\n and the like are understood.

    Conversions: d i u f F e E g G x X o c s, with flags, width and precision, also as *. TypeError for cells, structs.

    >>> sprintf("%d, %.2f;", [[1, 2], [3, 4]])
    '1, 3.00;2, 4.00;'
    """
    return _written("sprintf", format, values)


def _written(fn: str, format: Any, values: Sequence[Any]) -> str:
    parts = list(_parts(fn, text(f"{fn}: format", format)))
    queue = _Values(fn, values)
    out: list[str] = []
    if not any(isinstance(p, re.Match) for p in parts):
        return "".join(parts)  # type: ignore[arg-type]
    while True:
        for part in parts:
            if isinstance(part, str):
                out.append(part)
            elif queue.empty and values and queue.started:
                return "".join(out)
            else:
                out.append(_converted(part, queue))
        if queue.empty:
            return "".join(out)


def fprintf(*arguments: Any) -> None:
    """sprintf to standard output, or to a file: fprintf(format, ...), fprintf(fid, format, ...).

    fid  1 standard output, 2 standard error, or an open file of Python
    """
    stream: Any = sys.stdout
    if arguments and not isinstance(arguments[0], str):
        fid, *rest = arguments
        stream = fid if hasattr(fid, "write") else {1: sys.stdout, 2: sys.stderr}.get(fid) if is_number(fid) else None
        if stream is None:
            raise ValueError(f"fprintf: fid must be 1, 2 or an open file, got {fid!r}")
        arguments = tuple(rest)
    if not arguments:
        raise ValueError("fprintf: a format must be given")
    stream.write(_written("fprintf", arguments[0], arguments[1:]))


def num2str(x: Any, format: Any = None) -> Any:
    """A number, or a matrix, as text; of a matrix with several rows a list of texts.

    format  how many digits, or a format of sprintf; otherwise whole numbers are written whole, others with 4 digits
            after the point of the largest

    >>> num2str(3.14159265), num2str([10, 200]), num2str(0.5)
    ('3.1416', '10  200', '0.5')
    """
    if isinstance(x, str):
        return x
    a = matrix("num2str: x", x)
    if a.dtype.kind == "c":
        raise NotImplementedError("num2str: complex numbers are not there")
    if a.ndim > 2:
        a = a.reshape(a.shape[0], math.prod(a.shape[1:]), order="F")
    if isinstance(format, str):
        return _rows([_written("num2str", format, row.tolist()) for row in a], strip=False)
    values = a.astype(float)
    finite = np.abs(values[np.isfinite(values)])
    top = float(finite.max(initial=0))
    digits = int(np.floor(np.log10(top))) if top > 0 else 0
    whole = bool(np.all(values == np.round(values), where=np.isfinite(values)))
    negative = bool(np.any(values < 0))
    if format is not None:
        precision = whole_number("num2str: format", format, 0)
        if a.size == 1:
            return sprintf(f"%.{precision}g", a.item())
        width = precision + 7 + negative
        return _rows(["".join(sprintf(f"%{width}.{precision}g", v) for v in row) for row in a.tolist()])
    if a.size == 1:
        return sprintf("%d" if whole else f"%.{min(max(digits + 5, 5), 16)}g", a.item())
    if whole:
        width = max(digits + 1, 3 if finite.size < values.size else 1) + negative + 2
        return _rows(["".join(sprintf(f"%{width}d", v) for v in row) for row in a.tolist()])
    precision = min(max(digits + 5, 5), 16)
    width = precision + 7 + negative
    return _rows(["".join(sprintf(f"%{width}.{precision}g", v) for v in row) for row in a.tolist()])


def mat2str(A: Any, *options: Any) -> str:
    """A matrix as MATLAB would read it back, with 15 digits or as many as given; "class" names classes but double.

    >>> mat2str([[1, 2.5], [3, 4]]), mat2str(True), mat2str("text")
    ('[1 2.5;3 4]', 'true', "'text'")
    """
    if isinstance(A, str):
        return "'" + A.replace("'", "''") + "'"
    given = [whole_number("mat2str: the number of digits", o, 0) for o in options if not isinstance(o, str)]
    digits = (given or [15])[0]
    words = [o.lower() for o in options if isinstance(o, str)]
    if any(w != "class" for w in words):
        raise ValueError(f"mat2str: the options are a number of digits and 'class', got {words}")
    a = matrix("mat2str: A", A)
    a = a.reshape(matlab_shape(a.shape))
    if a.ndim > 2:
        raise ValueError(f"mat2str: A must have two dimensions, got {a.ndim}")

    def written(v: Any) -> str:
        if isinstance(v, bool):
            return "true" if v else "false"
        return sprintf(f"%.{digits}g", v) if not isinstance(v, complex) else f"{written(v.real)}{written(v.imag)}i"

    body = ";".join(" ".join(written(v) for v in row) for row in a.tolist())
    if not a.size:
        body = f"zeros({a.shape[0]},{a.shape[1]})"
    elif a.size > 1:
        body = f"[{body}]"
    name = {"float32": "single"}.get(str(a.dtype), str(a.dtype))
    return f"{name}({body})" if words and name not in ("float64", "bool", "int64") else body


class _Values:
    """What is to be written, value by value; text as one value where text is asked for."""

    def __init__(self, fn: str, values: Sequence[Any]) -> None:
        self.items: list[Any] = []
        self.started = False
        for value in values:
            if isinstance(value, str):
                self.items += [value] if value else []
            elif value is None or isinstance(value, dict):
                raise TypeError(f"{fn}: values must be numbers or text, got {type(value).__name__}")
            else:
                a = as_array(value)
                if a.dtype.kind not in "biufU":
                    raise TypeError(f"{fn}: values must be numbers or text, got {type(value).__name__}: {value!r}")
                self.items += a.ravel(order="F").tolist()
        self.items.reverse()

    @property
    def empty(self) -> bool:
        return not self.items

    def text(self) -> Any:
        self.started = True
        return self.items.pop() if self.items else None

    def number(self) -> Any:
        """The next number; of text the code of its first character, the others come next."""
        self.started = True
        value = self.items.pop() if self.items else None
        if isinstance(value, str):
            self.items += [ord(c) for c in reversed(value[1:])]
            return ord(value[0])
        return value


def _parts(fn: str, format: str) -> Iterator[Any]:
    """Literal text, with escapes resolved, and matches of conversions."""
    start = 0
    for match in _CONVERSION.finditer(format):
        yield unescaped(format[start : match.start()])
        start = match.end()
        if match["kind"] == "%":
            yield "%"
        elif match["kind"] in "diufFeEgGxXocs":
            yield match
        else:
            raise ValueError(f"{fn}: the conversion {match[0]!r} is not known; there are d i u f e g x o c s")
    yield unescaped(format[start:])


def unescaped(text: str) -> str:
    """Text with its escapes, such as a backslash and n, resolved."""

    def resolved(m: re.Match[str]) -> str:
        if m[1]:
            return chr(int(m[1], 16))
        if m[2]:
            return chr(int(m[2], 8))
        return _CONTROL.get(m[3], m[3])

    return _ESCAPE.sub(resolved, text)


def _converted(match: re.Match[str], queue: _Values) -> str:
    flags, kind = match["flags"], match["kind"]
    width, precision = match["width"] or "", match["precision"]
    if width == "*":
        width = str(int(queue.number() or 0))
        if width.startswith("-"):
            flags, width = flags + "-", width[1:]
    if precision == "*":
        precision = str(int(queue.number() or 0))
    dot = f".{precision}" if precision is not None else "." if "." in match[0] else ""
    value = queue.text() if kind in "sc" else queue.number()
    if value is None:
        return "" if kind in "sc" and not width else " " * int(width or 0)
    if kind in "sc":
        if isinstance(value, str) and kind == "c" and len(value) > 1:
            queue.items += list(reversed(value[1:]))
            value = value[0]
        if not isinstance(value, str) and 0 <= value < 0x110000 and value % 1 == 0:
            value = chr(int(value))
        if isinstance(value, str):
            return f"%{flags.replace('0', '').replace('+', '')}{width}{dot}s" % value
        kind = "e" if precision is None else "g"
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, float) and not np.isfinite(value):
        text = "NaN" if value != value else "-Inf" if value < 0 else "+Inf" if "+" in flags else "Inf"
        return f"%{'-' if '-' in flags else ''}{width}s" % text
    if kind in "diuxXo":
        if value != int(value) or (value < 0 and kind in "xXo"):
            kind = "e"
        else:
            value, kind = int(value), {"i": "d", "u": "d"}.get(kind, kind)
    return f"%{flags}{width}{dot}{kind}" % value


def _rows(rows: list[str], strip: bool = True) -> Any:
    """Rows of equal length without the blanks that all have at their ends; one row as text."""
    if strip and rows:
        left = min(len(r) - len(r.lstrip(" ")) for r in rows)
        rows = [r[left:].rstrip(" ") for r in rows] if len(rows) == 1 else [r[left:] for r in rows]
    longest = max(map(len, rows), default=0)
    rows = [r.ljust(longest) for r in rows]
    return rows[0] if len(rows) == 1 else rows
