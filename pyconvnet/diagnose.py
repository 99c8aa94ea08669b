"""How large the numbers in a network are: weights, outputs and derivatives, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.records import Struct


def spread(layer: str, what: str, values: Any) -> Struct:
    """Struct(layer, what, size, mean, deviation, smallest, largest, zeros, values); zeros: the share of exact zeros."""
    v = np.ravel(values)
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
    rows: list[Struct] = []

    def add(layer: str, what: str, values: Any) -> None:
        if values is not None and np.size(values):
            rows.append(spread(layer, what, values))

    if hasattr(net, "params"):
        for layer in net.layers:
            for j, param in enumerate((net.params[p] for p in layer.params), 1):
                add(layer.name, f"weights {j}", param.value)
                add(layer.name, f"dzdw {j}", param.der)
            for var in (net.vars[v] for v in layer.outputs):
                add(layer.name, "output", var.value)
                add(layer.name, "dzdy", var.der)
        return rows
    for i, layer in enumerate(net["layers"]):
        name = layer.get("name") or f"layer{i + 1}"
        # before v1.0-beta12, and so in a network loaded with tidy=False, weights had names of their own
        weights = layer.get("weights") or (layer.get("filters"), layer.get("biases"))
        for j, w in enumerate(weights, 1):
            add(name, f"weights {j}", w)
        if res:
            for j, d in enumerate(res[i].dzdw or (), 1):
                add(name, f"dzdw {j}", d)
            add(name, "output", res[i + 1].x)
            add(name, "dzdx", res[i].dzdx)
    return rows


def text(rows: list[Struct]) -> str:
    """The rows as a table."""
    head = ["layer", "what", "size", "mean", "deviation", "smallest", "largest", "zeros"]
    body = [
        [r.layer, r.what, str(r.size)]
        + [f"{v:.3g}" for v in (r.mean, r.deviation, r.smallest, r.largest)]
        + [f"{100 * r.zeros:.0f}%"]
        for r in rows
    ]
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    cells = [
        [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))] for row in [head, *body]
    ]
    return "\n".join("  ".join(row).rstrip() for row in cells)
