"""Pieces of Python code that translations are put together from."""

from __future__ import annotations

from typing import NamedTuple

ATOM, UNARY, MUL, ADD, COMPARE, NOT, AND, OR, LAMBDA = 10, 8, 7, 6, 4, 3, 2, 1, 0
NUMBERS = ("int", "num")


class E(NamedTuple):
    """The code of an expression, how strongly it binds, and what kind of value it gives, where that is known."""

    code: str
    binds: int = ATOM
    kind: str | None = None

    def within(self, binds: int) -> str:
        """The code as a part of what binds so strongly."""
        return self.code if self.binds >= binds else f"({self.code})"


def quoted(text: str) -> str:
    """A text as a Python literal."""
    body = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
    return f'"{body}"'
