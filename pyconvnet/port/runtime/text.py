"""Text and its display: comparison, changes, disp, what a statement without ';' prints, errors and warnings."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np

from pyconvnet.compat import matlab as ml
from pyconvnet.port.runtime.classes import class_
from pyconvnet.port.runtime.functions import round as _round
from pyconvnet.port.runtime.functions import size
from pyconvnet.port.runtime.values import as_cell, is_array, is_cell, matrix, size_of, true, value
from pyconvnet.records import StructArray


class MatlabError(RuntimeError):
    """What error(...) raises: message, and identifier where one was given."""

    def __init__(self, message: str, identifier: str = "") -> None:
        super().__init__(message)
        self.message, self.identifier, self.stack = message, identifier, StructArray()

    def getReport(self, *_: Any) -> str:
        """The message, as MATLAB's report begins."""
        return f"Error: {self.message}"


def caught(error: BaseException) -> Any:
    """The error that `catch e` gets, whatever Python raised."""
    return error if isinstance(error, MatlabError) else MatlabError(str(error), type(error).__name__)


def _message(arguments: tuple[Any, ...]) -> tuple[str, str]:
    text, *values = arguments
    identifier = ""
    if values and re.fullmatch(r"[A-Za-z]\w*(:[\w-]+)+", text):
        identifier, text, *values = text, *values
    return (ml.sprintf(text, *values) if values else text), identifier


def error(*arguments: Any) -> None:
    """error('text %d', v), error('id:part', 'text %d', v): raises MatlabError."""
    if isinstance(arguments[0], dict):
        raise MatlabError(arguments[0].get("message", ""), arguments[0].get("identifier", ""))
    message, identifier = _message(arguments)
    raise MatlabError(message, identifier)


def rethrow(problem: Any) -> None:
    """Raise an error again."""
    raise problem if isinstance(problem, BaseException) else MatlabError(str(problem))


def warning(*arguments: Any) -> None:
    """A warning on standard error; 'on' and 'off' have no effect."""
    if arguments and arguments[0] not in ("on", "off", "query"):
        print("Warning:", _message(arguments)[0], file=sys.stderr)


def assert_(condition: Any, *arguments: Any) -> None:
    """Raises MatlabError unless the condition holds."""
    if not true(condition):
        message, identifier = _message(arguments) if arguments else ("Assertion failed.", "MATLAB:assertion:failed")
        raise MatlabError(message, identifier)


def _compared(a: Any, b: Any, same: Any) -> Any:
    """Text with text, or each item of a cell."""
    for cells, other in ((a, b), (b, a)):
        if is_cell(cells):
            m = matrix(cells)
            others = matrix(other).ravel() if not isinstance(other, str) else [other] * m.size
            if len(others) == 1:
                others = list(others) * m.size
            flat = [isinstance(x, str) and isinstance(y, str) and same(x, y) for x, y in zip(m.ravel(), others)]
            return value(np.array(flat, bool).reshape(m.shape)) if m.size != 1 else flat[0]
    return isinstance(a, str) and isinstance(b, str) and same(a, b)


def strcmp(a: Any, b: Any) -> Any:
    """Whether texts are equal; of a cell for each item."""
    return _compared(a, b, lambda x, y: x == y)


def strcmpi(a: Any, b: Any) -> Any:
    """As strcmp, in any letter case."""
    return _compared(a, b, lambda x, y: x.lower() == y.lower())


def strncmp(a: Any, b: Any, n: Any) -> Any:
    """Whether the first n characters are equal."""
    n = int(n)
    return _compared(a, b, lambda x, y: x[:n] == y[:n] and min(len(x), len(y)) >= n)


def strncmpi(a: Any, b: Any, n: Any) -> Any:
    """As strncmp, in any letter case."""
    n = int(n)
    return _compared(a, b, lambda x, y: x[:n].lower() == y[:n].lower() and min(len(x), len(y)) >= n)


def _each(x: Any, f: Any) -> Any:
    if isinstance(x, str):
        return f(x)
    m = matrix(x)
    out = np.empty(m.shape, object)
    for i, item in np.ndenumerate(m):
        out[i] = f(item)
    return as_cell(out)


def lower(x: Any) -> Any:
    """Text in small letters; of a cell each."""
    return _each(x, str.lower)


def upper(x: Any) -> Any:
    """Text in capitals; of a cell each."""
    return _each(x, str.upper)


def strtrim(x: Any) -> Any:
    """Text without blanks at its ends; of a cell each."""
    return _each(x, lambda s: s.strip(" \t\n\r\v\f\0"))


def deblank(x: Any) -> Any:
    """Text without blanks at its end."""
    return _each(x, lambda s: s.rstrip(" \t\n\r\v\f\0"))


def strrep(x: Any, old: str, new: str) -> Any:
    """Text with one part replaced by another; of a cell each."""
    return _each(x, lambda s: s.replace(old, new))


def strfind(text: Any, part: str) -> Any:
    """Positions, from 1, at which part begins."""
    found = [k + 1.0 for k in range(len(text) - len(part) + 1) if part and text.startswith(part, k)]
    return value(np.array([found])) if found else np.zeros((0, 0))


def strcat(*parts: Any) -> Any:
    """Texts side by side without blanks at the end of each; with a cell each of its items."""
    cells = [p for p in parts if not isinstance(p, str)]
    if not cells:
        return "".join(p.rstrip(" \t\n\r\v\f") for p in parts)
    shape = matrix(cells[0]).shape
    out = np.empty(shape, object)
    for i in np.ndindex(*shape):
        out[i] = "".join(
            p if isinstance(p, str) else str(matrix(p)[i] if np.size(matrix(p)) > 1 else matrix(p).flat[0])
            for p in parts
        )
    return as_cell(out)


def str2double(x: Any) -> Any:
    """The number that a text says, NaN where it says none."""
    if isinstance(x, str):
        try:
            return float(x.replace(",", ""))
        except ValueError:
            return float("nan")
    if is_array(x):
        return float("nan")
    m = matrix(x)
    return value(np.array([str2double(item) for item in m.ravel()], float).reshape(m.shape))


def char(*x: Any) -> Any:
    """Codes as text."""
    if len(x) == 1 and isinstance(x[0], str):
        return x[0]
    if len(x) == 1 and is_array(x[0]):
        return "".join(chr(int(c)) for c in matrix(x[0]).ravel())
    texts = [t for part in x for t in (part if isinstance(part, list) else [part])]
    return texts[0] if len(texts) == 1 else texts


def int2str(x: Any) -> Any:
    """A number, rounded, as text."""
    return ml.num2str(_round(x))


def isspace(x: str) -> Any:
    """Which characters are blanks."""
    return value(np.array([[c.isspace() for c in x]], bool))


def func2str(f: Any) -> str:
    """The name of a function."""
    return getattr(f, "__name__", "@") if getattr(f, "__name__", "") != "<lambda>" else "@(anonymous)"


def feval(f: Any, *arguments: Any) -> Any:
    """f(...); f must be a handle, since names of functions are not looked up while a program runs."""
    if isinstance(f, str):
        raise NotImplementedError(f"feval: {f!r} is the name of a function; give the function itself")
    return f(*arguments)


# --- display -------------------------------------------------------------------------------------------------------


def disp(x: Any) -> None:
    """Prints a value as MATLAB's disp does, in format short."""
    print(_text(x))


def display(name: str, x: Any) -> None:
    """Prints `name = value`, as a statement without ';' does."""
    if isinstance(x, str):
        print(f"{name} =\n\n    '{x}'\n")
    elif is_array(x) and size_of(x) == (1, 1):
        kind = class_(x)
        head = "" if kind in ("double", "single") else f"  {kind}\n\n"
        print(f"{name} =\n\n{head}{_text(x)}\n")
    elif is_array(x) and np.size(x) == 0:
        print(
            f"{name} =\n\n     []\n"
            if size_of(x) == (0, 0)
            else f"{name} =\n\n  {_by(size_of(x))} empty {class_(x)} matrix\n"
        )
    elif isinstance(x, dict):
        print(f"{name} = \n\n  struct with fields:\n\n{_fields(x)}\n")
    elif is_array(x):
        kind = class_(x)
        head = f"  {_by(size_of(x))} {kind} matrix\n\n" if kind not in ("double", "single") else ""
        head = head.replace("matrix", "array") if kind == "logical" or 1 in size_of(x) or len(size_of(x)) > 2 else head
        print(f"{head}{_pages(name, matrix(x))}\n" if len(size_of(x)) > 2 else f"{name} =\n\n{head}{_text(x)}\n")
    else:
        print(f"{name} =\n\n{_text(x)}\n")


def _by(shape: Any) -> str:
    return "×".join(str(int(n)) for n in shape)


def _scalar(x: Any) -> str:
    x = value(matrix(x))
    if isinstance(x, (bool, np.bool_)):
        return str(int(x))
    if class_(x) not in ("double", "single"):
        return str(int(x))
    v = complex(x) if np.iscomplexobj(x) else float(x)
    return _number(v) if isinstance(v, float) else f"   {v.real:.4f} {'+' if v.imag >= 0 else '-'} {abs(v.imag):.4f}i"


def _number(v: float) -> str:
    if np.isnan(v) or np.isinf(v):
        return f"   {'NaN' if np.isnan(v) else 'Inf' if v > 0 else '-Inf'}"
    if v == int(v) and abs(v) < 1e9:
        return f"{int(v):6d}" if abs(v) < 1000 else f"{int(v):12d}"
    if 0.001 <= abs(v) < 1000:
        return f"{v:10.4f}"
    return f"{v:13.4e}"


def _text(x: Any) -> str:
    if isinstance(x, str):
        return x
    if isinstance(x, dict):
        return _fields(x)
    if isinstance(x, StructArray):
        return f"  {_by(size_of(x))} struct array with fields:\n\n" + "\n".join(f"    {n}" for n in x.fields)
    if isinstance(x, list) or (isinstance(x, np.ndarray) and x.dtype == object):
        m = matrix(x)
        return _cells(m) if m.size else "  0×0 empty cell array"
    if not is_array(x):
        return repr(x) if not callable(x) else f"    @{func2str(x)}"
    if np.size(x) == 0:
        return "" if size_of(x) == (0, 0) else f"  {_by(size_of(x))} empty {class_(x)} matrix"
    if size_of(x) == (1, 1):
        return f"   {_scalar(x)}" if class_(x) not in ("double", "single") else _scalar(x)
    m = matrix(value(matrix(x)))
    if m.ndim > 2:
        return _pages("", m)
    return "\n".join(_lines(m))


def _pages(name: str, m: np.ndarray) -> str:
    """The matrices of an array of more than two dimensions, the third dimension first."""
    pages = m.reshape(*m.shape[:2], -1, order="F")
    places = (place[::-1] for place in np.ndindex(*m.shape[:1:-1]))
    return "\n\n\n".join(
        f"{name}(:,:,{','.join(str(i + 1) for i in place)}) =\n\n{_text(value(pages[:, :, k]))}"
        for k, place in enumerate(places)
    )


def _cells(m: np.ndarray) -> str:
    texts = [[f"{{{_brief(item) if not _bare(item) else f'[{_brief(item)}]'}}}" for item in line] for line in m]
    widths = [max(len(line[j]) for line in texts) for j in range(len(texts[0]))]
    return "\n".join("".join(f"    {t:<{w}}" for t, w in zip(line, widths)).rstrip() for line in texts)


def _bare(item: Any) -> bool:
    """Whether _brief writes a number without brackets."""
    return is_array(item) and size_of(item) == (1, 1)


def _disp_number(v: Any) -> str:
    return _number(v) if isinstance(v, float) else _scalar(v)


def _lines(m: np.ndarray) -> list[str]:
    if m.dtype == bool or m.dtype.kind in "iu":
        width = max(len(str(int(v))) for v in m.ravel())
        return ["".join(f"{int(v):>{width + 3}d}" for v in line) for line in m]
    finite = m[np.isfinite(m)] if m.dtype.kind == "f" else m
    if m.dtype.kind == "c":
        return ["".join(f"{v.real:10.4f} {'+' if v.imag >= 0 else '-'} {abs(v.imag):.4f}i" for v in line) for line in m]
    largest = float(np.max(np.abs(finite))) if finite.size else 0.0
    if np.all(finite == np.floor(finite)) and largest < 1e9:
        width = 6 if largest < 1000 else 12
        return ["".join(_word(v, width, 0) for v in line) for line in m]
    if largest < 1000 and largest >= 0.001:
        width = 10 if largest < 100 else 11
        return ["".join(_word(v, width, 4) for v in line) for line in m]
    exponent = int(np.floor(np.log10(largest)))
    scaled = m / 10.0**exponent
    return [f"   1.0e{exponent:+03d} *", "", *("".join(_word(v, 10, 4) for v in line) for line in scaled)]


def _word(v: float, width: int, decimals: int) -> str:
    if not np.isfinite(v):
        return f"{'NaN' if np.isnan(v) else 'Inf' if v > 0 else '-Inf':>{width}}"
    return f"{v:{width}.{decimals}f}" if v or not decimals else f"{0:>{width}d}"


def _fields(s: dict[str, Any]) -> str:
    width = max((len(n) for n in s), default=0) + 4
    return "\n".join(f"{n:>{width}}: {_brief(v)}" for n, v in s.items())


def _brief(v: Any) -> str:
    if isinstance(v, str):
        return f"'{v}'"
    if is_array(v) and size_of(v) == (1, 1):
        return _scalar(v) if np.iscomplexobj(v) else _scalar(v).strip()
    if is_array(v) and np.size(v) == 0:
        return "[]" if size_of(v) == (0, 0) else f"[{_by(size_of(v))} {class_(v)}]"
    if is_array(v) and size_of(v)[0] == 1 and np.size(v) <= 10 and len(size_of(v)) == 2:
        return f"[{' '.join(_disp_number(float(i)).strip() for i in matrix(v).ravel())}]"
    if callable(v) and not isinstance(v, dict):
        return f"@{func2str(v)}"
    return f"[{_by(size(v).ravel())} {class_(v)}]" if class_(v) != "cell" else f"{{{_by(size(v).ravel())} cell}}"
