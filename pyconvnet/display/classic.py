"""The table of MatConvNet v1.0-beta7, which the slides and practicals of its time show."""

from __future__ import annotations

from pyconvnet.arrays import size_text
from pyconvnet.display.summary import LayerSummary, NetworkSummary
from pyconvnet.table import whole_text
from pyconvnet.text import visible

MEGA = 1024**2


def classic_table(summary: NetworkSummary) -> str:
    """The whole table: cells of at least seven characters, never cut into pieces."""
    lines = (
        "|".join([title.rjust(10), *(visible(c).rjust(7) for c in cells)]) + "|\n"
        for title, *cells in classic_rows(summary)
    )
    return "".join(lines) + f"total network CPU/GPU memory: {summary.bytes / MEGA:.1f}/0 MB\n"


def classic_rows(summary: NetworkSummary) -> list[list[str]]:
    """A title, then one cell a layer."""
    layers = summary.layers
    return [
        ["layer", *(str(i) for i in range(1, len(layers) + 1))],
        ["type", *(a.classic_label for a in layers)],
        ["support", *(_times(a.support) for a in layers)],
        ["stride", *(_shortest(a.stride) for a in layers)],
        ["pad", *(_pad(a) for a in layers)],
        ["out dim", *(whole_text(k) for k in _depths(layers))],
        ["filt dim", *(whole_text(a.filters[0]) if a.filters else "n/a" for a in layers)],
        ["rec. field", *(_shortest(a.field_size) for a in layers)],
        ["c/g net KB", *(f"{a.bytes / 1024:.0f}/0" for a in layers)],
    ]


def _depths(layers: list[LayerSummary]) -> list[float]:
    """Channels after each layer, so far as convolutions tell; 0 before the first."""
    depth, depths = 0.0, []
    for layer in layers:
        depth = layer.filters[2] if layer.filters else depth
        depths.append(depth)
    return depths


def _times(values: tuple[float, ...]) -> str:
    return size_text(values, whole_text)


def _shortest(values: tuple[float, ...]) -> str:
    return whole_text(values[0]) if len(set(values)) == 1 else _times(values)


def _pad(layer: LayerSummary) -> str:
    t, b, left, r = map(whole_text, layer.pad)
    return t if t == b == left == r else f"{t},{b}x{left},{r}"
