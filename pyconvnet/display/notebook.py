"""A network in one line, and as the HTML table that notebooks show."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from pyconvnet.arrays import count, is_empty, size_text
from pyconvnet.display.rows import filter_text
from pyconvnet.display.summary import LayerSummary, NetworkSummary, input_size, summarize
from pyconvnet.table import dims_text, memory_text, whole_text
from pyconvnet.text import visible

COLUMNS = ("layer", "name", "type", "support", "filters", "stride", "pad", "receptive field", "output", "parameters")
WINDOW = ("size", "stride", "pad")
GRAPH_COLUMNS = ("layer", "name", "type", *WINDOW, "inputs", "outputs", "params", "parameters")


def short_repr(net: Any) -> str:
    """`SimpleNN(8 layers, 431,080 parameters, input 28x28x1)`; never raises, whatever the network holds."""
    layers = net.get("layers") or []
    weights = [w for record in layers for w in _weights(record)]
    total = sum(count(w) for w in weights if hasattr(w, "shape"))
    text = f"{len(layers)} layer{'s' * (len(layers) != 1)}, {total:,} parameters"
    try:
        size = input_size(net.get("meta"), None, None)[:3]
    except (TypeError, ValueError):
        size = (float("nan"),) * 3
    known = all(v == v for v in size)
    return f"{type(net).__name__}({text}{', input ' + size_text(size, whole_text) if known else ''})"


def html_table(net: Any) -> str:
    """A row a layer, with the columns a reader looks for first."""
    return _table(short_repr(net), COLUMNS, _rows(summarize(net)))


def graph_html_table(net: Any) -> str:
    """A row a layer of a DagNN, in the order they were added: its inputs, outputs and parameters."""
    return _table(repr(net), GRAPH_COLUMNS, [_graph_row(i, entry, net) for i, entry in enumerate(net.layers, start=1)])


def _graph_row(i: int, entry: Any, net: Any) -> list[str]:
    from pyconvnet.dagnn.saved import matlab_class

    block, values = entry.block, [net.params[name].value for name in entry.params]
    window = [
        "" if is_empty(v := getattr(block, p, None)) else dims_text(np.ravel(np.asarray(v)).tolist()) for p in WINDOW
    ]
    total = sum(count(v) for v in values if v is not None)
    memory = f"{total:,} ({memory_text(4 * total)})" if total else ""
    names = [", ".join(part) for part in (entry.inputs, entry.outputs, entry.params)]
    return [str(i), entry.name, matlab_class(block).removeprefix("dagnn."), *window, *names, memory]


def _table(caption: str, columns: Sequence[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{c}</th>" for c in columns)
    body = "".join(f"<tr>{_cells(cells)}</tr>" for cells in rows)
    caption = escape(visible(caption))
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _rows(summary: NetworkSummary) -> list[list[str]]:
    first = ["0", "", "input", "", "", "", "", "", _size(summary.inputSize), ""]
    return [first, *([str(i), *_row(a)] for i, a in enumerate(summary.layers, start=1))]


def _row(a: LayerSummary) -> list[str]:
    filters = f"{filter_text(a, 2)} of depth {filter_text(a, 0)}" if a.filters else ""
    memory = f"{a.parameters:,} ({memory_text(a.parameter_bytes)})" if a.parameters else ""
    window = (dims_text(a.support), filters, dims_text(a.stride), dims_text(a.pad), dims_text(a.field_size))
    return [a.name, a.label, *window, _size(a.size), memory]


def _size(size: tuple[float, ...]) -> str:
    return size_text(size, lambda v: "?" if v != v else whole_text(v))


def _cells(cells: list[str]) -> str:
    return "".join(f"<td>{escape(visible(c))}</td>" for c in cells)


def _weights(record: Any) -> list[Any]:
    if not isinstance(record, dict):
        return []
    weights = record.get("weights")
    found = weights if isinstance(weights, (list, tuple)) else []
    return [*found, *(record[k] for k in ("filters", "biases") if k in record)]
