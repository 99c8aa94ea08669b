"""Caffe's network definitions (.prototxt): protobuf's text format, without a schema.

The format is https://protobuf.dev/reference/protobuf/textformat-spec. Names of fields are not checked: networks have
fields of many versions of Caffe.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

DEPTH = 32  # of messages in messages; Caffe's have 4
_BLANK = re.compile(r"(?:[\s,;]+|#[^\n]*)*")
_TOKEN = re.compile(
    r"""
    (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)[fF]?(?![\w.]))
    |(?P<word>-?[A-Za-z_]\w*)
    |(?P<mark>[{}<>:\[\]])
    |(?P<end>\Z)""",
    re.VERBOSE,
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class Message:
    """Fields of a message, each a list of values in order: str (also for names of enums), int, float, bool, Message."""

    def __init__(self) -> None:
        self.fields: dict[str, list[Any]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def messages(self, name: str) -> list[Message]:
        return self._all(name, (Message,), "a message { }")

    def message(self, name: str) -> Message:
        """The message of a field, of several the last, an empty one where there is none."""
        return (self.messages(name) or [Message()])[-1]

    def words(self, name: str) -> list[str]:
        return self._all(name, (str,), "text")

    def word(self, name: str, default: str = "") -> str:
        return (self.words(name) or [default])[-1]

    def flag(self, name: str, default: bool) -> bool:
        return bool((self._all(name, (bool, int), "true or false") or [default])[-1])

    def numbers(self, name: str) -> list[float]:
        return [float(v) for v in self._all(name, (int, float), "numbers")]

    def number(self, name: str, default: float) -> float:
        return (self.numbers(name) or [default])[-1]

    def counts(self, name: str) -> list[int]:
        """Whole numbers from 0 to 2^31 - 1."""
        values = self._all(name, (int,), "whole numbers")
        if any(not 0 <= v < 1 << 31 for v in values):
            raise ValueError(f"{name} must be whole numbers from 0, got {', '.join(map(str, values[:8]))[:80]}")
        return values

    def count(self, name: str, default: int) -> int:
        return (self.counts(name) or [default])[-1]

    def _all(self, name: str, types: tuple[type, ...], what: str) -> list[Any]:
        values = self.fields.get(name, [])
        for value in values:
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                got = "a message" if isinstance(value, Message) else repr(value)[:80]
                raise ValueError(f"{name} must be {what}, got {got}")
        return values


def parse(text: str) -> Message:
    """The message that a text is; ValueError with the line where it is not one."""
    top = Message()
    open_: list[tuple[Message, str]] = [(top, "")]  # and the bracket that closes each
    at = 0

    def blank(start: int) -> int:
        """Where the next token starts."""
        found = _BLANK.match(text, start)
        return found.end() if found else start

    def token() -> tuple[str, str]:
        nonlocal at
        at = blank(at)
        found = _TOKEN.match(text, at)
        if found is None:
            _refuse(text, at, "there is no name, number, text or bracket")
        at = found.end()
        return found.lastgroup or "", found[found.lastgroup or 0]

    def value(kind: str, what: str) -> Any:
        if kind == "string":
            return _text(what)
        if kind == "number":
            return _number(text, at, what)
        if kind == "word":
            constant = what.lstrip("-").lower()
            if constant in ("inf", "infinity", "nan"):
                return float(what.lower())
            return {"true": True, "false": False}.get(constant, what)
        _refuse(text, at, f"a value must stand before {what or 'the end'}")

    while True:
        message, closing = open_[-1]
        kind, name = token()
        if kind == "end" and not closing:
            return top
        if kind == "mark" and name == closing:
            open_.pop()
            continue
        if kind != "word":
            _refuse(text, at, f"the name of a field must stand here, not {name or 'the end'}")
        values = message.fields.setdefault(name, [])
        kind, what = token()
        colon = what == ":" and kind == "mark"
        if colon:
            kind, what = token()
        if kind == "mark" and what in "{<":
            if len(open_) > DEPTH:
                _refuse(text, at, f"messages are nested over {DEPTH} deep")
            inner = Message()
            values.append(inner)
            open_.append((inner, "}" if what == "{" else ">"))
        elif not colon:
            _refuse(text, at, f"a colon or a bracket must follow {name}")
        elif kind == "mark" and what == "[":
            while (item := token()) != ("mark", "]"):
                values.append(value(*item))
        else:
            parts = [value(kind, what)]
            while kind == "string" and text[(start := blank(at)) : start + 1] in ("'", '"'):  # they are one text
                parts.append(value(*token()))
            values.append("".join(parts) if kind == "string" else parts[0])


def _text(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPED.get(m[1], m[1]), quoted[1:-1])


def _number(text: str, at: int, what: str) -> int | float:
    digits = what if "x" in what.lower() else what.rstrip("fF")
    try:
        return int(digits, 16) if "x" in digits.lower() else int(digits)
    except ValueError:
        pass
    try:
        return float(digits)
    except ValueError:
        _refuse(text, at, f"{digits[:40]} is not a number")


def _refuse(text: str, at: int, why: str) -> NoReturn:
    raise ValueError(f"line {text.count(chr(10), 0, at) + 1}: {why[:200]}")
