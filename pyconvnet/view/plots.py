"""Pictures of training and of predictions: curves, confusion matrix, ROC. Every function draws on `ax` and returns it.

matplotlib is the optional extra: pip install 'pyconvnet[plot]'. No function opens a window; `save` writes a file.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet.arrays import size_text
from pyconvnet.records import Struct, plain_text
from pyconvnet.text import drawn_text, listed, visible
from pyconvnet.training.statistics import epochs, quantities, series
from pyconvnet.view import measures


def figure(rows: int = 1, columns: int = 1, width: float = 4.0, height: float = 3.2) -> Any:
    """A figure of rows x columns axes (inches each) that belongs to no window; returns (figure, 2-D array of axes).

    Jupyter shows it where it is the value of a cell: `view.picture(image).figure`.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from pyconvnet.view.notebook import NotebookFigure
    except ImportError:
        raise ImportError("drawing needs matplotlib: pip install 'pyconvnet[plot]'") from None
    fig = NotebookFigure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(fig)
    return fig, fig.subplots(rows, columns, squeeze=False)


def save(drawn: Any, path: str | os.PathLike[str], dpi: int = 200) -> None:
    """Write the figure of axes (or of an array of axes, or a figure) to PATH; its ending says the format.

    path   ends in .pdf, .png, .svg ...; dpi is that of a png
    drawn  an image as well, such as view.filters gives: H x W or H x W x 3, values in 0..1
    """
    if isinstance(drawn, np.ndarray) and drawn.dtype != object:
        drawn = picture(drawn)
    first = np.ravel(drawn)[0] if isinstance(drawn, (list, tuple, np.ndarray)) else drawn
    fig = getattr(first, "figure", None) or first
    path = Path(path)
    if path.suffix in ("", "."):  # matplotlib's own habit
        path = path.with_name(f"{path.name.rstrip('.')}.{fig.canvas.get_default_filetype()}")
    check_format(path)
    drawn = io.BytesIO()  # as in images.imwrite: matplotlib has Pillow write some formats
    fig.savefig(drawn, format=path.suffix[1:], dpi=dpi)
    atomic.write(path, drawn.getvalue())


def check_format(path: str | os.PathLike[str]) -> None:
    """Refuse a path whose ending is not that of a format of matplotlib; one without an ending is a png."""
    known = figure()[0].canvas.get_supported_filetypes()
    if Path(path).suffix not in ("", ".") and Path(path).suffix[1:].lower() not in known:
        raise ValueError(f"view.save: {os.fspath(path)} must end in .{', .'.join(sorted(known))}")


def picture(
    image: np.ndarray, ax: Any = None, title: str = "", scale: str = "", signed: bool = False, **how: Any
) -> Any:
    """An image as it is, pixel by pixel, without ticks: filters, responses, gradients, maps; returns the axes.

    image   H x W x 3 with values in 0..1 (others are clipped), or H x W in shades
    scale   meaning of the shades, such as "fall of the score": draws a colour bar with this label
    signed  red above zero, blue below, symmetric about it; for H x W
    how     further options of matplotlib's imshow: cmap, vmin, vmax, extent ...
    """
    image = np.squeeze(np.asarray(image))
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] == 3):
        raise ValueError(f"view.picture: image must be H x W or H x W x 3, got {size_text(image.shape)}")
    if ax is None:
        h, w = image.shape[:2]
        side = 4.0 / max(h, w)
        ax = figure(1, 1, max(w * side, 1.0) + (1.0 if scale else 0), max(h * side, 1.0) + 0.3 * bool(title))[1][0, 0]
    if image.ndim == 3:
        image = np.clip(image, 0, 1)
    elif signed:
        top = np.nanmax(np.abs(image)) or 1.0
        how = {"cmap": "RdBu_r", "vmin": -top, "vmax": top, **how}
    drawn = ax.imshow(image, **{"cmap": "gray", "interpolation": "nearest", **how})
    if scale:
        ax.figure.colorbar(drawn, ax=ax, label=scale, shrink=0.8)
    ax.set_title(title)
    ax.set_axis_off()
    return ax


def training_curves(stats: dict[str, Any], axes: Any = None, names: str | Sequence[str] | None = None) -> np.ndarray:
    """One axes per quantity (objective, top1err, top5err ...) with a curve per set over the epochs; returns the axes.

    stats  as cnn_train returns it, or `stats` of a checkpoint: {"train": [{"objective": ...}, ...], "val": ..., others}
    names  the quantities to draw, or one of them; otherwise all there are
    """
    stats = epochs(stats, Struct())
    names = _names("training_curves", stats, names)
    axes = figure(1, len(names))[1].ravel() if axes is None else np.ravel(axes)
    if len(axes) < len(names):
        raise ValueError(f"training_curves: {len(axes)} axes for {len(names)} quantities: {listed(names)}")
    for ax, name in zip(axes, names):
        for label, (when, values) in series(stats, name).items():
            ax.plot(when, values, "o-" if len(when) <= 60 else "-", label=drawn_text(label), markersize=3)
        ax.set_xlabel("epoch")
        ax.set_ylabel("share of images" if name.endswith("err") else drawn_text(name))
        if name.endswith("err"):
            ax.set_ylim(bottom=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_title(drawn_text(name))
        ax.grid(True, alpha=0.4)
        ax.legend()
    return axes


def training_text(
    stats: dict[str, Any], width: int = 60, height: int = 10, names: str | Sequence[str] | None = None
) -> str:
    """The training curves for a terminal: one block per quantity, a mark per set, the last value of each beneath.

    width, height  of the curves, in characters
    names          as in training_curves
    """
    stats, blocks = epochs(stats, Struct()), []
    for name in _names("training_text", stats, names):
        curves = series(stats, name)
        last = ", ".join(f"{visible(part)} {y[-1]:.4g}" for part, (_, y) in curves.items())
        blocks.append(f"{visible(name)}\n{text_plot(curves, width, height)}\nlast epoch: {last}")
    return "\n\n".join(blocks)


def _names(fn: str, stats: Struct, names: str | Sequence[str] | None) -> list[str]:
    """The quantities to draw, which are there."""
    known, names = quantities(stats), plain_text(names)
    chosen = known if names is None else [names] if isinstance(names, str) else list(names)
    if not chosen:
        raise ValueError(f"{fn}: stats holds no quantity to draw")
    for name in chosen:
        if name not in known:
            raise ValueError(f"{fn}: names must be among {listed(known)}, got {name!r}")
    return chosen


def confusion(matrix: Any, names: str | Sequence[str] | None = None, ax: Any = None, normalise: bool = False) -> Any:
    """The confusion matrix as shades, with counts (or shares of each true class) written in; returns the axes."""
    matrix = np.asarray(matrix)
    names = [drawn_text(name) for name in measures.names_of(len(matrix), names)]
    shares = measures.normalised(matrix)
    if ax is None:
        side = min(max(3.2, 0.55 * len(names) + 1.6), 12.0)
        ax = figure(1, 1, side, side)[1][0, 0]
    shades = ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    if len(names) > 30:
        ax.figure.colorbar(shades, ax=ax, label="share of the true class", shrink=0.8)
    else:
        for i, j in np.ndindex(matrix.shape):
            text = f"{shares[i, j]:.2f}" if normalise else f"{matrix[i, j]:g}"
            ax.text(j, i, text, ha="center", va="center", color="white" if shares[i, j] > 0.6 else "black", fontsize=8)
    # So many names as there is room for.
    every = slice(None, None, -(-len(names) // 60))
    ax.set_xticks(range(len(names))[every], names[every], rotation=90 if len(names) > 12 else 45, ha="right")
    ax.set_yticks(range(len(names))[every], names[every])
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.set_title(f"accuracy {measures.precision_recall(matrix).accuracy:.3f}")
    return ax


def roc_curve(curve: dict[str, Any], ax: Any = None, label: str | None = None) -> Any:
    """The curve that view.roc gives, with its area in the legend; returns the axes."""
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
    y = np.asarray(values, float).ravel()
    columns = min(width, y.size)
    picked = y[np.round(np.linspace(0, y.size - 1, columns)).astype(int)] if y.size else y
    return text_plot({"": (np.arange(columns), picked)}, columns, height)


def text_plot(curves: dict[str, tuple[Any, Any]], width: int = 60, height: int = 10) -> str:
    """Curves for a terminal, {name: (x, y)}: a mark for each, the range of y at the left, of x and the names beneath.

    >>> print(text_plot({"x squared": ([0, 1, 2, 3], [0, 1, 4, 9])}, width=20, height=4))
    9 |                   *
      |
      |             *
    0 |*     *
       0                  3
       * x squared
    """
    curves = {name: (np.asarray(x, float), np.asarray(y, float)) for name, (x, y) in curves.items()}
    good = [v[np.isfinite(x) & np.isfinite(y)] for x, y in curves.values() for v in (x, y)]
    xs, ys = np.concatenate([[], *good[::2]]), np.concatenate([[], *good[1::2]])
    if not ys.size:
        raise ValueError("text_curve: no finite value to draw")
    left, right, low, high = xs.min(), xs.max(), ys.min(), ys.max()
    lines = [[" "] * max(width, 1) for _ in range(height)]
    marks = dict(zip(curves, "*o+x#@" * len(curves)))
    for name, (x, y) in curves.items():
        for a, b in zip(x, y):
            if np.isfinite(a) and np.isfinite(b):
                column = round((a - left) / ((right - left) or 1) * (width - 1))
                lines[round((high - b) / ((high - low) or 1) * (height - 1))][column] = marks[name]
    labels = [f"{high:.4g}"] + [""] * (height - 2) + [f"{low:.4g}"]
    pad = max(map(len, labels))
    text = [f"{label:>{pad}} |{''.join(line).rstrip()}" for label, line in zip(labels, lines)]
    if any(curves):
        ends = f"{left:g}{f'{right:g}':>{max(width - len(f'{left:g}'), 1)}}"
        text += [
            " " * (pad + 2) + ends,
            " " * (pad + 2) + "   ".join(f"{marks[name]} {visible(name)}" for name in curves),
        ]
    return "\n".join(text)
