"""Text that others wrote, such as names in files, as it may be shown: on terminals, in errors, pages and pictures."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def visible(text: str) -> str:
    r"""Characters that cannot be seen, but change what can be, as Python writes them: escapes, line ends, directions.

    >>> print(visible("conv1\x1b[2J\n\u202e"))
    conv1\x1b[2J\n\u202e
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else repr(c)[1:-1] for c in text)


def listed(names: Iterable[object]) -> str:
    """Names in an error: "a, b, c"."""
    return ", ".join(visible(str(name)) for name in names)


def shortened(text: str, most: int) -> str:
    """Its first characters and "...", where it has more than `most`."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
