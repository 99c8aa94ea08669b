"""Choices of non-linearity, drawn as on the course's slide."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.layers import layer_class

SHOWN: dict[str, dict[str, Any]] = {
    "ReLU  max(0, x)": {"type": "relu", "leak": 0.0},
    "leaky ReLU  max(0.1 x, x)": {"type": "relu", "leak": 0.1},
    "sigmoid  1/(1+exp(-x))": {"type": "sigmoid"},
    "softplus  ln(1+exp(x))": {"type": "softplus"},
    "tanh  (exp(x)-exp(-x))/(exp(x)+exp(-x))": {"type": "tanh"},
    "ELU  x, below 0 exp(x)-1": {"type": "elu", "alpha": 1.0},
    "swish  x/(1+exp(-x))": {"type": "swish", "beta": 1.0},
}


def curve(record: dict[str, Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(y, dy/dx) of a layer given by its SimpleNN record, over the values of x."""
    layer = layer_class(record["type"]).from_record(record)
    column = np.asarray(x, float).reshape(-1, 1, 1, 1)
    y = layer.forward([column], [])[0]
    return y.ravel(), layer.backward([column], [], [np.ones_like(column)])[0][0].ravel()


def nonlinearities(records: dict[str, dict[str, Any]] | None = None, limit: float = 4.0) -> np.ndarray:
    """One axes per non-linearity, the function solid, its derivative dashed, over -limit..limit; returns the axes.

    records  title -> SimpleNN record; otherwise ReLU, leaky ReLU, sigmoid, softplus, tanh, ELU and swish
    """
    from pyconvnet.view.plots import figure

    records = SHOWN if records is None else records
    columns = min(4, len(records))
    axes = figure(-(-len(records) // columns), columns, 2.8, 2.6)[1].ravel()
    x = np.linspace(-limit, limit, 401)
    for ax, (title, record) in zip(axes, records.items()):
        y, slope = curve(record, x)
        ax.plot(x, y)
        ax.plot(x, slope, "--", linewidth=1)
        ax.axhline(0, color="grey", linewidth=0.5)
        ax.axvline(0, color="grey", linewidth=0.5)
        ax.set_title(title, fontsize=8)
        ax.set_xlabel("x", fontsize=8)
    axes[0].legend(["y", "dy/dx"], fontsize=8)
    for ax in axes[len(records) :]:
        ax.set_visible(False)
    return axes[: len(records)]
