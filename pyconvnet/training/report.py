"""What training tells: console lines or a progress bar, curves in net-train.pdf, statistics as text."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.records import Struct

_COUNTS = ("num", "time")


def say(opts: Struct, text: str) -> None:
    """Print a line unless verbose=False."""
    if opts["verbose"]:
        print(text, flush=True)


class Bar:
    """One line per batch as MatConvNet prints it, or with progress=True a tqdm bar per pass."""

    def __init__(self, opts: Struct, name: str, epoch: int, total: int) -> None:
        self.head, self.total, self.done = f"{name}: epoch {epoch:02d}", total, 0
        self.lines, self.bar = opts["verbose"] and not opts["progress"], None
        if opts["progress"] and total:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                raise ImportError("progress=True needs tqdm: pip install 'pyconvnet[progress]'") from None
            self.bar = tqdm(total=total, desc=self.head, unit="batch")

    def update(self, stats: Struct, average: float, current: float) -> None:
        """Show the statistics so far, and the speed in images per second."""
        self.done += 1
        shown = " ".join(f"{k}: {_text(stats[k], 3)}" for k in sorted(stats) if k not in _COUNTS)
        if self.bar is not None:
            self.bar.set_postfix_str(f"{average:.1f} Hz {shown}", refresh=False)
            self.bar.update()
        elif self.lines:
            print(
                f"{self.head}: {self.done:3d}/{self.total:3d}: {average:.1f} ({current:.1f}) Hz {shown}".rstrip(),
                flush=True,
            )

    def close(self) -> None:
        """End the bar, if there is one."""
        if self.bar is not None:
            self.bar.close()


def epochs(saved: Any, empty: Struct) -> Struct:
    """Statistics of a checkpoint as lists of one Struct per epoch, numbers as Python's; sets it lacks start empty."""
    out = Struct(empty)
    for name, rows in (saved or {}).items():
        rows = [rows] if isinstance(rows, dict) else list(rows)
        out[name] = [Struct({k: plain(v) for k, v in row.items() if np.size(v)}) for row in rows]
    return out


def plain(value: Any) -> Any:
    """A number as Python's; several (accuracies that a block keeps side by side) as a vector."""
    a = np.asarray(value)
    if a.dtype.kind not in "biuf":
        return value
    return a.item() if a.size == 1 else a.ravel()


def _text(value: Any, digits: int) -> str:
    return " ".join(f"{v:.{digits}f}" for v in np.ravel(value).tolist())


def quantities(stats: Struct) -> list[str]:
    """Names of what was measured (objective, errors), sorted."""
    return sorted({k for rows in stats.values() for row in rows for k in row if k not in _COUNTS})


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
    head = ["epoch"] + [f"{s} {q}" for q, s in columns]
    count = max((len(rows) for rows in stats.values()), default=0)
    body = []
    for e in range(count):
        cells = [stats[s][e].get(q) if e < len(stats[s]) else None for q, s in columns]
        body.append([str(e + 1)] + ["" if c is None else _text(c, 4) for c in cells])
    return [head, *body]


def table(stats: Struct) -> str:
    """The statistics that cnn_train returns, or a checkpoint holds, as text: a row per epoch."""
    cells = rows(stats)
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths)) for row in cells)


def plot(stats: Struct, path: Path) -> None:
    """Curves of every quantity over the epochs, one axes each, into a PDF; without matplotlib nothing is written."""
    names = quantities(stats)
    if not names:
        return
    from pyconvnet.view import plots

    try:
        figure = plots.training_curves(stats)[0].figure
    except ImportError:
        return
    handle, draft = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        figure.savefig(draft, format="pdf")
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
