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


def drawn_text(name: object) -> str:
    """A name as a picture of matplotlib shows it: not as a formula, and no longer than there is room for."""
    from matplotlib import rcParams

    text = visible(str(name))
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return latex_text(text) if rcParams["text.usetex"] else text.replace("$", r"\$")


_LATEX = {
    "_": "\\char`_",  # as MatConvNet has it
    "\\": "\\textbackslash{}",
    "^": "\\textasciicircum{}",
    "~": "\\textasciitilde{}",
    **{c: f"\\{c}" for c in "{}&%#$"},
}


def latex_text(text: str) -> str:
    """Text as LaTeX prints it, without any command in it."""
    return "".join(_LATEX.get(c, c) for c in text)
