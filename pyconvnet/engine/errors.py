"""Where in a network an error happened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyconvnet.arrays import size_text
from pyconvnet.text import visible


class OutOfMemory(ValueError, MemoryError):
    """The result of a layer does not fit into memory."""


def place(at: int, record: Any, size: Iterable[float] | None) -> str:
    """Where a layer of a SimpleNN is, and the size of its input, where that is known, for messages."""
    given = "" if size is None else f", input {size_text(size)}"
    return f"in layer {at + 1} {record.get('name', '')!r} ({visible(record['type'])}){given}"


def located(error: Exception, where: str) -> Exception:
    """The same error, which says `where` it happened."""
    if type(error) in (ValueError, TypeError):
        return type(error)(f"{error} ... {where}")
    if isinstance(error, MemoryError):
        return OutOfMemory(f"{str(error) or 'there is too little memory'} ... {where}")
    if hasattr(error, "add_note"):
        error.add_note(where)
    return error
