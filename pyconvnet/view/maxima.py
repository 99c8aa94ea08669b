"""Objects found in a class map: its local maxima, and where in the image they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet.arrays import host_numbers, size_text
from pyconvnet.networks import is_graph, network
from pyconvnet.values import number, whole_number


def peaks(
    map: Any, threshold: float | None = None, distance: float = 1, *, label: int = 1, blur: float = 0, border: float = 0
) -> Any:
    """Local maxima of a class map, the highest first.

    peaks(map) -> points      map: H x W or H x W x C      points: P x 3, a row (row, column, score) for each
    peaks(map) -> [points, ...]                            map: H x W x C x N; for each image, where N is not 1

    threshold  the least score of a peak; None: any
    distance   in pixels of the map: of two peaks that are nearer than this, the lower one is left out
    label      which channel, counted from 1 as labels are
    blur       standard deviation in pixels of a Gaussian by which the map is smoothed first; scores are those of the
               smoothed map
    border     peaks less than this many pixels from the outermost pixels are left out

    A peak is higher than all of its eight neighbours. Neighbours of one value that have no higher one around them are
    one peak, in their middle, so that rows and columns, which count from 0, may be fractions. NaN is no score.
    image_coordinates says where in the image they are.

    Raises ValueError for other shapes and options.
    Source: Cunefare et al., "Open source software for automatic detection of cone photoreceptors", Scientific Reports
    7, 6620, 2017, blurs a map, takes the middle of each of its maxima and drops those below a threshold.

    >>> peaks(np.array([[0, 0, 0, 0], [0, 0.9, 0.2, 0.7]]), 0.5).tolist()
    [[1.0, 1.0, 0.9], [1.0, 3.0, 0.7]]
    """
    scores = host_numbers(map, "peaks: map")
    if scores.dtype.kind not in "iufb" or not 2 <= scores.ndim <= 4:
        raise ValueError(f"peaks: map must be numbers H x W, H x W x C or H x W x C x N, got {_kind(map, scores)}")
    channel = whole_number("peaks: label", label, 1)
    least = -math.inf if threshold is None else number("peaks: threshold", threshold)
    apart, sigma, edge = (
        number(f"peaks: {name}", value, "one number from 0 up", lambda v: 0 <= v < math.inf)
        for name, value in (("distance", distance), ("blur", blur), ("border", border))
    )
    scores = scores.reshape((*scores.shape, 1, 1)[:4])
    if channel > scores.shape[2]:
        raise ValueError(f"peaks: label is {channel}, map has {scores.shape[2]} channels")
    found = [_peaks(scores[:, :, channel - 1, i], least, apart, sigma, edge) for i in range(scores.shape[3])]
    return found[0] if len(found) == 1 else found


def image_coordinates(net: Any, points: Any, layer: int | str | None = None) -> np.ndarray:
    """Points of a map that a network gives, as points of its input image; further columns (scores) stay.

    image_coordinates(net, points) -> points        P x 2 or more: (row, column, ...), counted from 0

    A row r of the map looks at the rows of the image around offset + stride r, by the receptive fields of the layers
    (strides, pads, windows); so does a column.

    layer  the map is the output of this layer (position or name), or of a DagNN, this variable; else that of the
           network

    Raises ValueError where the output has no receptive field of one stride, or for a layer that is not there.

    >>> import pyconvnet as pcn
    >>> image_coordinates(pcn.models.build("lenet", init=False), [[0, 1, 0.9]]).tolist()
    [[13.5, 17.5, 0.9]]
    """
    found = np.array(host_numbers(points, "image_coordinates: points"), float)
    if found.ndim != 2 or found.shape[1] < 2:
        raise ValueError(f"image_coordinates: points must be P x 2 or more, got {size_text(found.shape)}")
    stride, offset = _field(net, layer)
    found[:, :2] = offset - 1 + stride * found[:, :2]
    return found


def _kind(map: Any, scores: np.ndarray) -> str:
    return f"{scores.dtype} of {size_text(scores.shape)}" if hasattr(map, "dtype") else type(map).__name__


def _peaks(scores: np.ndarray, least: float, apart: float, sigma: float, edge: float) -> np.ndarray:
    from scipy import ndimage
    from scipy.spatial import cKDTree

    values = np.where(np.isnan(scores), -np.inf, scores).astype(float)
    if not values.size:
        return np.zeros((0, 3))
    if sigma:
        values = ndimage.gaussian_filter(values, sigma, mode="nearest")
    highest = (values == ndimage.maximum_filter(values, 3, mode="nearest")) & (values > -np.inf)
    # a pixel beside one of its own value that has a higher neighbour is on a slope
    beside = ndimage.maximum_filter(np.where(highest, -np.inf, values), 3, mode="nearest")
    groups, count = ndimage.label(highest, np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    slope = ndimage.maximum(highest & (beside == values), groups, numbers).astype(bool)
    middles = np.reshape(ndimage.center_of_mass(highest, groups, numbers), (-1, 2))
    points = np.column_stack([middles, np.reshape(ndimage.maximum(values, groups, numbers), -1)])
    ends = np.array(values.shape) - 1 - edge
    inside = (middles >= edge).all(axis=1) & (middles <= ends).all(axis=1)
    points = points[inside & ~slope & (points[:, 2] >= least)]
    points = points[np.lexsort((points[:, 1], points[:, 0], -points[:, 2]))]
    if len(points) < 2 or apart <= 1:
        return points
    near = cKDTree(points[:, :2]).query_ball_point(points[:, :2], np.nextafter(apart, 0))
    kept = np.ones(len(points), bool)
    for i, others in enumerate(near):
        if kept[i]:
            kept[[j for j in others if j > i]] = False
    return points[kept]


def _field(net: Any, layer: int | str | None) -> tuple[np.ndarray, np.ndarray]:
    """(stride, offset) of the receptive fields of an output, vertical and horizontal; offsets count from 1."""
    if is_graph(net):
        predictor: Any = network(net, "image_coordinates").predictor()
        graph, source = predictor.net, predictor.inputs[0]
        if isinstance(layer, str) and layer in graph.layers:  # before a variable of its name
            layer = graph.layers.place(layer)
        name = predictor.outputs[0] if layer is None else predictor.output("image_coordinates", layer)
        field = graph.getVarReceptiveFields(source)[graph.vars.place(name)]
        stride, offset = np.ravel(field.stride), np.ravel(field.offset)
    else:
        from pyconvnet.display import vl_simplenn_display
        from pyconvnet.networks.chain import names_of, position

        whole = network(net, "image_coordinates").predictor().whole  # type: ignore[attr-defined]
        info = vl_simplenn_display(whole)[0]
        at = -1 if layer is None else position("image_coordinates", layer, names_of(whole))
        stride, offset = info.receptiveFieldStride[:, at], info.receptiveFieldOffset[:, at]
    if stride.size != 2 or not np.isfinite([*stride, *offset]).all():
        what = "the output" if layer is None else f"layer {layer!r}"
        raise ValueError(f"image_coordinates: {what} has no receptive field of one size in the image")
    return stride, offset
