"""Tables of text cells: MatConvNet's number formats, and the same rows written as ascii, LaTeX or CSV.

A table is a list of rows, a row a list of cells (str). A row of RULE cells is a horizontal line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence

from pyconvnet.arrays import size_text
from pyconvnet.text import latex_text, visible
from pyconvnet.values import whole_number

Rows = Sequence[Sequence[str]]

RULE = "-"


def render(
    rows: Rows,
    format: str = "ascii",
    maxNumColumns: int | None = None,
    fn: str = "render",
    formats: dict[str, Callable[[Rows], str]] | None = None,
) -> str:
    """`rows` as text, an empty line after each table; wide ones are cut, the first column repeated in each piece.

    format         "ascii", "latex" or "csv"
    maxNumColumns  columns of a piece, without the first; None: one table whatever its width
    fn             the function that an error about these options names
    formats        name -> writer; FORMATS unless given (DagNN.print has DAG_FORMATS)
    """
    formats = FORMATS if formats is None else formats
    write = formats.get(format.lower()) if isinstance(format, str) else None
    if write is None:
        raise ValueError(f"{fn}: format must be one of {', '.join(map(repr, formats))}, got {format!r}")
    rows = [[visible(cell) for cell in row] for row in rows]
    width = max((len(row) for row in rows), default=0)
    if maxNumColumns is None:
        maxNumColumns = max(width, 1)
    step = whole_number(f"{fn}: maxNumColumns", maxNumColumns, 1)
    pieces = ([[row[0], *row[i : i + step]] for row in rows] for i in range(1, width, step))
    return "".join(write(piece) + "\n" for piece in pieces)


def ascii_table(rows: Rows) -> str:
    """Right-aligned cells, each followed by a bar."""
    widths = column_widths(rows)
    return "".join("".join(_bar(cell, w) for cell, w in zip(row, widths)) + "\n" for row in rows)


def latex_table(rows: Rows) -> str:
    """A tabular environment with centred columns."""
    widths = column_widths(rows)
    body = "".join(
        "\\hline\n" if row[0] == RULE else "&".join(latex_text(c).rjust(w) for c, w in zip(row, widths)) + "\\\\\n"
        for row in rows
    )
    return f"\\begin{{tabular}}{{{'c' * len(widths)}}}\n{body}\\end{{tabular}}\n"


def csv_table(rows: Rows) -> str:
    """Quoted cells, each followed by a comma; lines are left out."""
    return "".join("".join(_csv(cell) + "," for cell in row) + "\n" for row in rows if row[0] != RULE)


def aligned_csv_table(rows: Rows) -> str:
    """The same with the quoted cells right-aligned, as DagNN.print writes them."""
    rows = [[_csv(cell) for cell in row] for row in rows if row[0] != RULE]
    widths = column_widths(rows)
    return "".join("".join(c.rjust(w) + "," for c, w in zip(row, widths)) + "\n" for row in rows)


FORMATS: dict[str, Callable[[Rows], str]] = {"ascii": ascii_table, "latex": latex_table, "csv": csv_table}
DAG_FORMATS = {**FORMATS, "csv": aligned_csv_table}


def column_widths(rows: Rows) -> list[int]:
    """Characters of the widest cell of each column."""
    return [max(map(len, column)) for column in zip(*rows)]


def memory_text(n: float) -> str:
    """Bytes in the largest unit that leaves at least 1: 12288 -> '12KB'."""
    if math.isnan(n):
        return "NaN"
    for unit, size in (("B", 1), ("KB", 1024), ("MB", 1024**2)):
        if n < 1024 * size:
            return f"{n / size:.0f}{unit}"
    return f"{n / 1024**3:.0f}GB"


def dims_text(values: Iterable[float]) -> str:
    """(3, 3) -> '3', (1, 2) -> '1x2'. NaN equals nothing, so (NaN, NaN) -> 'NaNxNaN', as MATLAB has it."""
    values = [float(v) for v in values]
    if all(v == values[0] for v in values):
        return short_text(values[0])
    return size_text(values, short_text)


def short_text(value: float) -> str:
    """MATLAB's %.4g."""
    return _special(value) or f"{value:.4g}"


def whole_text(value: float) -> str:
    """MATLAB's %d: whole numbers plainly, others in exponential notation."""
    return _special(value) or (f"{value:.0f}" if value == int(value) else f"{value:e}")


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "" if math.isfinite(value) else ("Inf" if value > 0 else "-Inf")


def _bar(cell: str, width: int) -> str:
    return (RULE * width if cell == RULE else cell.rjust(width)) + "|"


def _csv(cell: str) -> str:
    """A quoted cell."""
    return '"' + spreadsheet_text(cell).replace('"', '""') + '"'


def spreadsheet_text(cell: str) -> str:
    """A cell of a CSV file. What a spreadsheet takes for a formula, and is not a number or size, begins with '."""
    if not re.fullmatch(r"-?(\d[\dex.+-]*|Inf)", cell):
        cell = re.sub(r"(^|[,;])(?=[=+@-])", r"\1'", cell)  # inside too: blanks before a quote make it a letter
    return cell
