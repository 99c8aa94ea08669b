"""Figures in Jupyter. Needs matplotlib, which plots.figure asks for."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A Figure that notebooks show where it is a cell's value; without pyplot they are not told how."""

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png", bbox_inches="tight")
        return out.getvalue()
