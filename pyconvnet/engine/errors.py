"""Where in a network an error happened."""

from __future__ import annotations


class OutOfMemory(ValueError, MemoryError):
    """The result of a layer does not fit into memory."""


def located(error: Exception, where: str) -> Exception:
    """The same error, which says `where` it happened."""
    if type(error) in (ValueError, TypeError):
        return type(error)(f"{error} ... {where}")
    if isinstance(error, MemoryError):
        return OutOfMemory(f"{str(error) or 'there is too little memory'} ... {where}")
    if hasattr(error, "add_note"):
        error.add_note(where)
    return error
