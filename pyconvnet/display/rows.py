"""Facts -> the rows of vl_simplenn_display's table: a title, the input, then one cell a layer."""

from __future__ import annotations

from math import prod

import numpy as np

from pyconvnet.display.summary import LayerSummary, NetworkSummary
from pyconvnet.table import RULE, dims_text, memory_text, whole_text

NONE = "n/a"


def layer_rows(summary: NetworkSummary) -> list[list[str]]:
    """The table with a column a layer."""
    layers, sizes = summary.layers, summary.sizes
    rule = [RULE] * (len(layers) + 2)
    return [
        ["layer", *map(str, range(len(layers) + 1))],
        ["type", "input", *(a.label for a in layers)],
        ["name", NONE, *(a.name for a in layers)],
        rule,
        ["support", NONE, *(dims_text(a.support) for a in layers)],
        ["filt dim", NONE, *(filter_text(a, 0) for a in layers)],
        ["filt dilat", NONE, *(filter_text(a, 1) for a in layers)],
        ["num filts", NONE, *(filter_text(a, 2) for a in layers)],
        ["stride", NONE, *(dims_text(a.stride) for a in layers)],
        ["pad", NONE, *(dims_text(a.pad) for a in layers)],
        rule,
        ["rf size", NONE, *(dims_text(a.field_size) for a in layers)],
        ["rf offset", NONE, *(dims_text(a.field_offset) for a in layers)],
        ["rf stride", NONE, *(dims_text(a.field_stride) for a in layers)],
        rule,
        ["data size", *(dims_text(s[:2]) for s in sizes)],
        ["data depth", *(whole_text(s[2]) for s in sizes)],
        ["data num", *(whole_text(s[3]) for s in sizes)],
        rule,
        ["data mem", *(memory_text(4 * prod(s)) for s in sizes)],
        ["param mem", NONE, *(memory_text(a.parameter_bytes) for a in layers)],
    ]


def total_rows(summary: NetworkSummary) -> list[list[str]]:
    """The two lines beneath it."""
    parameters = f"{memory_text(4 * summary.parameters)} ({summary.parameters:.2g} parameters)"
    data = memory_text(sum(4 * prod(s) for s in summary.sizes))
    return [
        ["parameter memory", parameters],
        ["data memory", f"{data} (for batch size {whole_text(summary.inputSize[3])})"],
    ]


def filter_text(layer: LayerSummary, i: int) -> str:
    """A number of the layer's filters. A dilation of [1 2] is shown as 12, as MATLAB's %d does with two numbers."""
    return NONE if layer.filters is None else "".join(whole_text(v) for v in np.ravel(layer.filters[i]))
