"""The statistics of a training, a list of one Struct per epoch for each set: as curves, as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import host_numbers
from pyconvnet.records import Struct
from pyconvnet.table import column_widths
from pyconvnet.text import visible

COUNTS = ("num", "time")  # fields of statistics that are not measured quantities


def epochs(saved: Any, empty: Struct) -> Struct:
    """Statistics of a checkpoint as lists of one Struct per epoch, numbers as Python's; sets it lacks start empty."""
    out = Struct(empty)
    for name, rows in (saved or {}).items():
        rows = [rows] if isinstance(rows, dict) else list(rows)
        out[name] = [Struct({k: as_number(v) for k, v in row.items() if np.size(v)}) for row in rows]
    return out


def as_number(value: Any) -> Any:
    """A number as Python's; several (accuracies that a block keeps side by side) as a vector."""
    a = host_numbers(value)
    if a.dtype.kind not in "biuf":
        return value
    return a.item() if a.size == 1 else a.ravel()


def number_text(value: Any, digits: int) -> str:
    """A number, or several, with so many digits after the point."""
    return " ".join(f"{v:.{digits}f}" for v in np.ravel(value).tolist())


def quantities(stats: Struct) -> list[str]:
    """Names of the measured quantities (objective, errors), sorted."""
    return sorted({k for rows in stats.values() for row in rows for k in row if k not in COUNTS})


def series(stats: Struct, name: str) -> dict[str, tuple[list[int], list[float]]]:
    """set -> (epochs from 1, values) of a quantity; one of several numbers gives "set 1", "set 2" ..."""
    out: dict[str, tuple[list[int], list[float]]] = {}
    for part, rows in stats.items():
        for epoch, row in enumerate(rows, 1):
            values = np.ravel(row[name]).tolist() if name in row else []
            for i, value in enumerate(values, 1):
                epochs, found = out.setdefault(part if len(values) == 1 else f"{part} {i}", ([], []))
                epochs.append(epoch)
                found.append(float(value))
    return out


def rows(stats: Struct) -> list[list[str]]:
    """The statistics as cells: a heading, then a row per epoch; a column per quantity and set."""
    columns = [(q, s) for q in quantities(stats) for s in stats if any(q in row for row in stats[s])]
    head = ["epoch"] + [visible(f"{s} {q}") for q, s in columns]
    count = max((len(rows) for rows in stats.values()), default=0)
    body = []
    for e in range(count):
        cells = [stats[s][e].get(q) if e < len(stats[s]) else None for q, s in columns]
        body.append([str(e + 1)] + ["" if c is None else number_text(c, 4) for c in cells])
    return [head, *body]


def stats_table(stats: Struct) -> str:
    """The statistics that cnn_train returns, or a checkpoint holds, as text: a row per epoch."""
    cells = rows(stats)
    widths = column_widths(cells)
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths)) for row in cells)
