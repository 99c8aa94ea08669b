"""The progress of a training: console lines or a progress bar, and curves in net-train.pdf."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from pyconvnet.records import Struct
from pyconvnet.training.statistics import COUNTS, number_text, quantities


def say(opts: Struct, text: str) -> None:
    """Print a line unless verbose=False."""
    if opts["verbose"]:
        print(text, flush=True)


def warn(text: str) -> None:
    """A warning that points to the line outside the library from which training was called."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("pyconvnet.", "contextlib")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)


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
        shown = " ".join(f"{k}: {number_text(stats[k], 3)}" for k in sorted(stats) if k not in COUNTS)
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
    plots.save(figure, path)
