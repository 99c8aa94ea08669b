"""How large the numbers in a network are: weights, outputs and derivatives, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import count, host_numbers
from pyconvnet.networks import network
from pyconvnet.records import Struct
from pyconvnet.table import column_widths
from pyconvnet.text import visible


def value_statistics(layer: str, what: str, values: Any) -> Struct:
    """Struct(layer, what, size, mean, deviation, smallest, largest, zeros, values); zeros: the share of exact zeros."""
    v = np.ravel(host_numbers(values))
    return Struct(
        layer=layer,
        what=what,
        size=v.size,
        mean=float(v.mean(dtype=float)),
        deviation=float(v.std(dtype=float)),
        smallest=float(v.min()),
        largest=float(v.max()),
        zeros=float(np.mean(v == 0)),
        values=v,
    )


def of_results(net: Any, res: list[Any] | None = None) -> list[Struct]:
    """A row for each array of weights, and with `res` of vl_simplenn for each output and derivative still held.

    A DagNN holds its values and derivatives itself.
    """
    if res is not None and not (isinstance(res, (list, tuple)) and all(hasattr(r, "dzdw") for r in res)):
        raise TypeError(
            f"vl_simplenn_diagnose: res must be the list that vl_simplenn returns, got {type(res).__name__}"
        )
    rows: list[Struct] = []

    def add(layer: str, what: str, values: Any) -> None:
        if values is not None and count(values):
            rows.append(value_statistics(layer, what, values))

    for layer, what, values in network(net, "vl_simplenn_diagnose").arrays(res):
        add(layer, what, values)
    return rows


def text(rows: list[Struct]) -> str:
    """The rows as a table."""
    head = ["layer", "what", "size", "mean", "deviation", "smallest", "largest", "zeros"]
    body = [
        [visible(r.layer), visible(r.what), str(r.size)]
        + [f"{v:.3g}" for v in (r.mean, r.deviation, r.smallest, r.largest)]
        + [f"{100 * r.zeros:.0f}%"]
        for r in rows
    ]
    table = [head, *body]
    widths = column_widths(table)
    cells = [[c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))] for row in table]
    return "\n".join("  ".join(row).rstrip() for row in cells)
