"""The report of a translation: statements translated, uncertain and untranslated, by file."""

from __future__ import annotations

from pyconvnet.port.folder import Folder
from pyconvnet.text import visible


def summary(folder: Folder) -> str:
    """A table with a line for each file, and below it what has another name and what is not translated."""
    width = max(len(name) for name in ["file", *(u.name for u in folder.units.values())])
    lines = [f"{'file':<{width}}  translated  uncertain  untranslated"]
    totals = [0, 0, 0]
    for unit in folder.units.values():
        counts = [unit.counts[kind] for kind in ("translated", "uncertain", "untranslated")]
        totals = [a + b for a, b in zip(totals, counts)]
        lines.append(_line(unit.name, counts, width))
    if len(folder.units) > 1:
        lines.append(_line("total", totals, width))
    renamed = [u for u in folder.units.values() if u.renamed]
    if renamed:
        lines += ["", "named so that Python can import them:"]
        lines += [f"  {u.name}: {u.target.as_posix()}" for u in renamed]
    problems = [(u.name, *p) for u in folder.units.values() for p in u.problems]
    if problems:
        lines += ["", "not translated (these lines raise NotImplementedError):"]
        lines += [visible(f"  {name}:{line}: {text}   ({why})") for name, line, text, why in problems]
    return "\n".join(lines) + "\n"


def _line(name: str, counts: list[int], width: int) -> str:
    return f"{name:<{width}}  {counts[0]:>10}  {counts[1]:>9}  {counts[2]:>12}"
