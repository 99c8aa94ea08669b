"""Looking inside a trained network: filters, responses, the parts of the image that a class score depends on.

Every function is for a SimpleNN or a DagNN, and an image already prepared for it (H x W x C or H x W x C x 1, see
models.preprocess). Scores of classes are the network's output before its softmax or loss: the probabilities of a
sure network hardly move, and their derivative is nothing but zeros in single precision. A DagNN must have one input
besides labels, and one output (or several losses of one).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import as_tensor, padded_to_4d
from pyconvnet.diagnose import of_results, text, value_statistics
from pyconvnet.networks import network
from pyconvnet.records import Struct
from pyconvnet.text import drawn_text
from pyconvnet.view.imarray import vl_imarraysc


def filters(net: Any, layer: int | str | None = None, spacing: int = 1) -> np.ndarray:
    """The filters of a layer as one picture in 0..1, each scaled by itself; RGB where they have three channels.

    layer  position or name of a layer with weights, or of a parameter of a DagNN; otherwise the first that has filters

    Raises ValueError for a layer that is not there, or has no weights.
    """
    f = padded_to_4d(np.asarray(network(net).filters(layer)))
    if f.shape[2] != 3:
        f = f.reshape(f.shape[0], f.shape[1], 1, -1, order="F")
    return np.asarray(vl_imarraysc(f, spacing=spacing))


def responses(net: Any, image: np.ndarray, layer: int | str = 0) -> np.ndarray:
    """The output of a layer for an image, H x W x C: feature maps, to be tiled by vl_imarraysc(maps[:, :, None, :]).

    layer  position (0: the first) or name of a layer; for a DagNN a variable's name as well

    Raises ValueError for a layer that is not there, and as predict does.
    """
    model = network(net).predictor()
    return model.values(_batch(image), layer)[:, :, :, 0]


def scores(net: Any, image: np.ndarray) -> np.ndarray:
    """Scores of the classes for one image, the output before softmax or loss; averaged over positions of a map."""
    return network(net).predictor().scores(_batch(image)).mean(axis=(0, 1))[:, 0]


def class_gradient(net: Any, image: np.ndarray, label: int) -> np.ndarray:
    """Derivative of a class score with respect to the image, H x W x C; `label` counts from 1.

    Source: Simonyan, Vedaldi, Zisserman 2014, "Deep inside convolutional networks" (unnormalised scores, section 2).
    """
    return _gradient(network(net).predictor(), _batch(image), label)[0]


def add_gradient(
    net: Any, image: np.ndarray, label: int, step: float = 1.0, iterations: int = 1, limits: tuple | None = None
) -> Struct:
    """The image changed towards a class: Struct(image, scores), with its score before each step and at the end.

    image <- image + step g / max|g|, where g is class_gradient: each step changes no value by more than `step`.
    limits  (low, high) that values are kept within, such as (0, 255) less the average
    """
    model, x = network(net).predictor(), _batch(image).copy()
    course = []
    for _ in range(iterations):
        g, score = _gradient(model, x, label)
        course.append(score)
        x = x + x.dtype.type(step / (np.abs(g).max() or 1.0)) * g[..., None]
        if limits is not None:
            x = np.clip(x, *limits).astype(x.dtype)
    course.append(float(model.scores(x)[:, :, label - 1].mean()))
    return Struct(image=x[:, :, :, 0], scores=np.array(course))


def occlusion_map(
    net: Any, image: np.ndarray, label: int, window: int = 8, stride: int = 4, fill: float = 0.0, batchSize: int = 32
) -> np.ndarray:
    """How much the score of a class falls when a window x window patch is covered by `fill`: one value per position.

    Row i, column j belong to the patch whose first pixel is (i stride, j stride). Large values mark the parts
    that the class is seen by.
    Source: Zeiler, Fergus 2014.
    """
    model, x = network(net).predictor(), _batch(image)
    h, w = x.shape[:2]
    if not 0 < window <= min(h, w) or stride < 1:
        raise ValueError(f"occlusion_map: window {window}, stride {stride} do not fit an image of {h}x{w}")
    rows, cols = range(0, h - window + 1, stride), range(0, w - window + 1, stride)
    whole = model.scores(x)[:, :, label - 1].mean()
    places = [(r, c) for r in rows for c in cols]
    out = np.empty(len(places))
    for start in range(0, len(places), batchSize):
        part = places[start : start + batchSize]
        batch = np.repeat(x, len(part), axis=3)
        for n, (r, c) in enumerate(part):
            batch[r : r + window, c : c + window, :, n] = fill
        out[start : start + len(part)] = whole - model.scores(batch)[:, :, label - 1].mean(axis=(0, 1))
    return out.reshape(len(rows), len(cols))


def statistics(net: Any, image: np.ndarray | None = None) -> list[Struct]:
    """Spread of the weights, and of the activations for an image, layer by layer: to look at when nothing is learnt.

    Each Struct has layer, what ("weights 1", "output"), size, mean, deviation, smallest, largest, zeros (share of exact
    zeros) and values (all of them, flat).
    """
    if image is None:
        return [row for row in of_results(net) if row.what.startswith("weights")]
    found = network(net).predictor().everything(_batch(image))
    return [value_statistics(name, what, values) for name, what, values in found if np.size(values)]


def statistics_text(rows: list[Struct]) -> str:
    """The rows of `statistics` as a table."""
    return text(rows)


def diagnosis(net: Any, res: list[Any] | None = None) -> np.ndarray:
    """The numbers of vl_simplenn_diagnose as a picture: one axes per kind of number, the layers from left to right.

    The band goes from the smallest to the largest, the line is the mean, the bars are the deviation; symmetric
    logarithmic scale. net, res as vl_simplenn_diagnose. Returns the axes; needs matplotlib.
    """
    from pyconvnet.view.plots import figure

    rows = of_results(net, res)
    kinds = list(dict.fromkeys(row.what for row in rows))
    if not kinds:
        raise ValueError("view.diagnosis: the network has no weights, and no results are given")
    fig, axes = figure(len(kinds), 1, max(5.0, 0.35 * len({row.layer for row in rows})), 2.0)
    axes = axes[:, 0]
    for ax, kind in zip(axes, kinds):
        part = [row for row in rows if row.what == kind]
        at = np.arange(len(part))
        means = np.array([row.mean for row in part])
        low, high = [row.smallest for row in part], [row.largest for row in part]
        ax.fill_between(at, low, high, alpha=0.2, label="smallest to largest")
        bars = [row.deviation for row in part]
        ax.errorbar(at, means, bars, fmt="o-", markersize=3, capsize=2, label="mean and deviation")
        least = min((bar for bar in bars if bar > 0), default=1.0)
        ax.set_yscale("symlog", linthresh=10 ** np.floor(np.log10(least)))
        ax.yaxis.get_major_locator().set_params(numticks=5)
        ax.tick_params(axis="y", labelsize=7)
        ax.set_xticks(at, [drawn_text(row.layer) for row in part], rotation=60, ha="right", fontsize=7)
        ax.set_title(kind, fontsize=9)
        ax.grid(True, alpha=0.4)
    # above all axes: inside one, it would cover what is drawn
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=7)
    return axes


def histograms(rows: list[Struct], columns: int = 4, bins: int = 50) -> np.ndarray:
    """One histogram for each row of `statistics`; returns the axes. Needs matplotlib."""
    from pyconvnet.view.plots import figure

    columns = min(columns, max(len(rows), 1))
    axes = figure(-(-len(rows) // columns) or 1, columns, 3.0, 2.2)[1]
    for ax, row in zip(axes.ravel(), rows):
        good = row["values"][np.isfinite(row["values"])]
        ax.hist(good, bins=bins)
        if good.size > 1000:
            ax.set_yscale("log")
        ax.set_title(drawn_text(f"{row.layer} {row.what}"), fontsize=8)
        ax.set_xlabel("value", fontsize=7)
        ax.set_ylabel("count", fontsize=7)
        ax.tick_params(labelsize=7)
    for ax in axes.ravel()[len(rows) :]:
        ax.set_visible(False)
    return axes


def _batch(image: np.ndarray) -> np.ndarray:
    x = as_tensor("view: image", image)
    if x.shape[3] != 1:
        raise ValueError(f"view: image must be one image, got a batch of {x.shape[3]}")
    return x


def _gradient(model: Any, x: np.ndarray, label: int) -> tuple[np.ndarray, float]:
    """(derivative of a class's score with respect to the image, the score)."""
    g, y = model.gradient(x, lambda y: _selected(y, label))
    return g[:, :, :, 0], float(y[:, :, label - 1].mean())


def _selected(y: np.ndarray, label: int) -> np.ndarray:
    if not 1 <= label <= y.shape[2]:
        raise ValueError(f"view: class {label} of {y.shape[2]}; classes count from 1")
    dzdy = np.zeros_like(y)
    dzdy[:, :, label - 1] = 1 / (y.shape[0] * y.shape[1])
    return dzdy
