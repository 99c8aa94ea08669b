"""Pictures of training and of predictions: curves, confusion matrix, ROC. Every function draws on `ax` and returns it.

matplotlib is the optional extra: pip install 'pyconvnet[plot]'. No function opens a window; `save` writes a file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyconvnet.training.report import quantities
from pyconvnet.view import measures


def figure(rows: int = 1, columns: int = 1, width: float = 4.0, height: float = 3.2) -> Any:
    """A figure of rows x columns axes (inches each) that belongs to no window; returns (figure, 2-D array of axes)."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("drawing needs matplotlib: pip install 'pyconvnet[plot]'") from None
    fig = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(fig)
    return fig, fig.subplots(rows, columns, squeeze=False)


def save(drawn: Any, path: str | os.PathLike[str]) -> None:
    """Write the figure of axes (or of an array of axes, or a figure) to PATH; its ending says the format."""
    first = np.ravel(drawn)[0] if isinstance(drawn, (list, tuple, np.ndarray)) else drawn
    fig = getattr(first, "figure", None) or first
    fig.savefig(os.fspath(path))


def training_curves(stats: dict[str, Any], axes: Any = None) -> np.ndarray:
    """One axes per quantity (objective, top1err, top5err ...) with a curve per set over the epochs; returns the axes.

    stats  what cnn_train returns, or `stats` of a checkpoint: {"train": [{"objective": ...}, ...], "val": ..., others}
    """
    names = quantities(stats)
    if not names:
        raise ValueError("training_curves: stats holds no quantity to draw")
    axes = figure(1, len(names))[1].ravel() if axes is None else np.ravel(axes)
    for ax, name in zip(axes, names):
        for part, rows in stats.items():
            points = [(epoch, float(row[name])) for epoch, row in enumerate(rows, 1) if name in row]
            if points:
                ax.plot(*zip(*points), "o-", label=part, markersize=3)
        ax.set_xlabel("epoch")
        ax.set_title(name)
        ax.grid(True, alpha=0.4)
        ax.legend()
    return axes


def confusion(matrix: Any, names: Sequence[str] | None = None, ax: Any = None, normalise: bool = False) -> Any:
    """The confusion matrix as shades, with counts (or shares of each true class) written in; returns the axes."""
    matrix = np.asarray(matrix)
    names = measures.names_of(len(matrix), names)
    shares = measures.normalised(matrix)
    if ax is None:
        side = max(3.2, 0.55 * len(names) + 1.6)
        ax = figure(1, 1, side, side)[1][0, 0]
    ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    if len(names) <= 30:
        for i, j in np.ndindex(matrix.shape):
            text = f"{shares[i, j]:.2f}" if normalise else f"{matrix[i, j]:g}"
            ax.text(j, i, text, ha="center", va="center", color="white" if shares[i, j] > 0.6 else "black", fontsize=8)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.set_title(f"accuracy {measures.precision_recall(matrix).accuracy:.3f}")
    return ax


def roc_curve(curve: dict[str, Any], ax: Any = None, label: str | None = None) -> Any:
    """The curve that measures.roc gives, with its area in the legend; returns the axes."""
    ax = figure()[1][0, 0] if ax is None else ax
    ax.plot(curve["fpr"], curve["tpr"], label=f"{label + ', ' if label else ''}area {curve['auc']:.3f}")
    ax.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
    ax.set_xlabel("false positive rate")
    ax.set_ylabel("true positive rate")
    ax.set_aspect("equal")
    ax.legend(loc="lower right")
    return ax


def text_curve(values: Sequence[float], width: int = 60, height: int = 10) -> str:
    """A curve for a terminal: `height` lines with the largest and smallest value at the left."""
    values = np.asarray(values, float)
    good = values[np.isfinite(values)]
    if not good.size:
        raise ValueError("text_curve: no finite value to draw")
    low, high = good.min(), good.max()
    columns = min(width, values.size)
    picked = values[np.round(np.linspace(0, values.size - 1, columns)).astype(int)]
    lines = [[" "] * columns for _ in range(height)]
    for x, v in enumerate(picked):
        if np.isfinite(v):
            lines[round((high - v) / ((high - low) or 1) * (height - 1))][x] = "*"
    labels = [f"{high:.4g}"] + [""] * (height - 2) + [f"{low:.4g}"]
    pad = max(map(len, labels))
    return "\n".join(f"{label:>{pad}} |{''.join(line).rstrip()}" for label, line in zip(labels, lines))
