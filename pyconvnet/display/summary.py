"""The numbers in tables of a SimpleNN, apart from their layout: sizes, windows, receptive fields, memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import count, is_empty, shape_of
from pyconvnet.engine.errors import located, place
from pyconvnet.geometry import Window, borders, pair
from pyconvnet.layers import Layer, checks, layer_class
from pyconvnet.records import Struct
from pyconvnet.values import as_array, brief, number

FN = "vl_simplenn_display"
Pair = tuple[float, float]


@dataclass(frozen=True)
class LayerSummary:
    """One layer; pairs are (vertical, horizontal), pad is (top, bottom, left, right)."""

    name: str
    label: str
    classic_label: str
    support: Pair
    stride: Pair
    pad: tuple[float, float, float, float]
    filters: tuple[Any, ...] | None
    """(depth of a filter, dilation, number of filters), of convolutions only"""
    field_size: Pair
    field_offset: Pair
    field_stride: Pair
    """the receptive field in the network's input"""
    size: tuple[float, float, float, float]
    """H x W x C x N of the output"""
    parameters: int
    bytes: int
    """bytes of everything in the record as it is stored, training state included"""

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the parameters in single precision."""
        return 4 * self.parameters


@dataclass(frozen=True)
class NetworkSummary:
    """A network: the size of its input, its layers, and the bytes of all that it holds, meta included."""

    inputSize: tuple[float, float, float, float]
    layers: list[LayerSummary]
    bytes: int

    @property
    def sizes(self) -> list[tuple[float, float, float, float]]:
        """Sizes of the input and of every output."""
        return [self.inputSize, *(layer.size for layer in self.layers)]

    @property
    def parameters(self) -> int:
        """Numbers that are trained or averaged."""
        return sum(layer.parameters for layer in self.layers)

    def info(self) -> Struct:
        """MatConvNet's `info`: a column a layer, in dataSize a first one for the input."""
        columns: dict[str, list[Any]] = {
            "support": [a.support for a in self.layers],
            "stride": [a.stride for a in self.layers],
            "pad": [a.pad for a in self.layers],
            "receptiveFieldSize": [a.field_size for a in self.layers],
            "receptiveFieldOffset": [a.field_offset for a in self.layers],
            "receptiveFieldStride": [a.field_stride for a in self.layers],
            "dataSize": self.sizes,
        }
        heights = {"pad": 4, "dataSize": 4}
        return Struct(
            {k: np.array(v, float).reshape(len(v), heights.get(k, 2)).T for k, v in columns.items()},
        )


def summarize(net: Any, inputSize: Any = None, batchSize: Any = None, fitting: bool = False) -> NetworkSummary:
    """The summary of `net`, tidied or not; inputSize and batchSize as in vl_simplenn_display.

    fitting  refuse sizes that a layer could not take, as running it would
    """
    from pyconvnet.compat.tidy import vl_simplenn_tidy

    tidied = vl_simplenn_tidy(net)
    size = first = input_size(tidied.get("meta"), inputSize, batchSize)
    layers = []
    field_size, field_offset, field_stride = (1.0, 1.0), (1.0, 1.0), (1.0, 1.0)
    for at, (record, stored) in enumerate(zip(tidied["layers"], net["layers"])):
        layer = layer_of(record)
        support, stride, offset = receptive_field(layer, record)
        field_size = _pair(s + d * (k - 1) for s, d, k in zip(field_size, field_stride, support))
        field_offset = _pair(o + d * (i - 1) for o, d, i in zip(field_offset, field_stride, offset))
        field_stride = _pair(d * s for d, s in zip(field_stride, stride))
        size = fitting_size(layer, record, size, at) if fitting else output_size(layer, record, size)
        layers.append(
            LayerSummary(
                name=str(record.get("name", "")),
                label=layer.table_label(record["type"]),
                classic_label=layer.table_label(record["type"], classic=True),
                support=support,
                stride=stride,
                pad=window(layer, record).pad,
                filters=layer.table_filters(),
                field_size=field_size,
                field_offset=field_offset,
                field_stride=field_stride,
                size=size,
                parameters=sum(count(w) for w in record.get("weights") or () if w is not None),
                bytes=stored_bytes(stored),
            )
        )
    return NetworkSummary(first, layers, stored_bytes(net))


def layer_of(record: dict[str, Any]) -> Layer:
    """The layer of a record; the bare base class where its type is not known, so that the table shows it by name."""
    try:
        return layer_class(record["type"]).from_record(record)
    except ValueError:
        return Layer()


def window(layer: Layer, record: dict[str, Any]) -> Window:
    """The stride and pad that a record has, of any type, with a window of one pixel."""
    options = layer.effective_options()
    stride, pad = (options.get(name, record.get(name)) for name in ("stride", "pad"))
    try:
        return Window(
            (1, 1),
            (1, 1) if is_empty(stride) else pair("stride", stride),
            pad=(0,) * 4 if is_empty(pad) else borders("pad", pad),
        )
    except (ValueError, TypeError):
        return Window((1, 1))  # a layer of the user's own, which means something else by them


def receptive_field(layer: Layer, record: dict[str, Any]) -> tuple[Pair, Pair, Pair]:
    """(size, stride, offset) of one output pixel in the layer's input."""
    field = layer.getReceptiveFields()
    while isinstance(field, list) and field:
        field = field[0]
    if not is_empty(field):
        size, stride, offset = (_pair(np.ravel(field[k]).tolist()) for k in ("size", "stride", "offset"))
        return size, stride, offset
    point = window(layer, record)
    return (1.0, 1.0), point.stride, (1.0 - point.pad[0], 1.0 - point.pad[2])


def output_size(layer: Layer, record: dict[str, Any], size: tuple[float, ...]) -> tuple[float, float, float, float]:
    """H x W x C x N that the layer makes of `size`."""
    known = layer.table_size(size, record)
    if known is None:
        known = (*window(layer, record).output_size(size[0], size[1]), *size[2:])
    return _four(known)


def fitting_size(layer: Layer, record: dict[str, Any], size: tuple[float, ...], at: int) -> Any:
    """The same; ValueError, which says which layer, for a size that it cannot take."""
    given: Any = tuple(v if np.isnan(v) else int(v) for v in size)
    weights = record.get("weights") or ()
    try:
        layer._check_sizes([given], [shape_of(w) for w in weights if w is not None])
        known = output_size(layer, record, given)
        checks.leaves_pixels(layer, [given], [known])
    except (ValueError, TypeError) as error:
        raise located(error, place(at, record, given)) from error
    return known


def input_size(meta: Any, inputSize: Any, batchSize: Any) -> tuple[float, float, float, float]:
    """The size asked for, else that in `meta`, else NaN; one image unless told otherwise."""
    size = [np.nan, np.nan, np.nan, 1.0]
    given = inputSize
    if is_empty(given):
        given = _meta_size(meta)
    given = as_array(given).ravel()
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{FN}: inputSize must be numbers (H, W, C, N), got {inputSize!r}")
    given = given.astype(float)
    if given.size > 4:
        raise ValueError(f"{FN}: inputSize must be up to 4 numbers (H, W, C, N), got {given.size}: {brief(given)}")
    size[: given.size] = given.tolist()
    if not is_empty(batchSize):
        size[3] = number(f"{FN}: batchSize", batchSize)
    return _four(size)


def _meta_size(meta: Any) -> Any:
    if not isinstance(meta, dict):
        return ()
    found: Any = meta.get("inputSize")
    if isinstance(found, list) and not all(isinstance(v, (int, float)) for v in found):
        # {'input', [224 224 3 32]}, as networks that were once a DagNN have it
        found = next((v for v in found if isinstance(v, np.ndarray)), None)
    if is_empty(found) and isinstance(meta.get("normalization"), dict):
        found = meta["normalization"].get("imageSize")
    return () if is_empty(found) else np.ravel(found)[:4]


def _pair(values: Iterable[float]) -> Pair:
    vertical, horizontal = map(float, values)
    return vertical, horizontal


def _four(values: Iterable[float]) -> tuple[float, float, float, float]:
    h, w, c, n = map(float, values)
    return h, w, c, n


def stored_bytes(value: Any) -> int:
    """Bytes of the numbers in a value, counted as v1.0-beta7 did: 4 in single precision, 8 otherwise."""
    if isinstance(value, dict):
        return sum(stored_bytes(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return sum(stored_bytes(v) for v in value)
    backend = backends.find(value)
    if backend is not None and not isinstance(value, (np.ndarray, np.generic)):
        return count(value) * (4 if value.dtype == backend.floats[0] else 8)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.ndarray, np.number)):
        return 0
    kind = np.asarray(value).dtype
    return np.size(value) * (4 if kind == np.float32 else 8 if kind.kind in "iufc" else 0)
