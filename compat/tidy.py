"""vl_simplenn_tidy: networks of every release of MatConvNet as those of today."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection
from typing import Any

import numpy as np

from pyconvnet.arrays import is_empty
from pyconvnet.layers import layer_class
from pyconvnet.options import option_list
from pyconvnet.records import Struct, StructArray, reader_hint
from pyconvnet.text import listed

FN = "vl_simplenn_tidy"


def vl_simplenn_tidy(net: Any) -> Any:
    """Bring a SimpleNN up to date: vl_simplenn_tidy(net) -> net, a new one that shares the arrays.

    - `filters` and `biases` (before v1.0-beta12) become `weights`
    - filters get four dimensions, which MATLAB drops where they are 1
    - bnorm gets a third weight, the moments, where there are two
    - missing fields get their defaults, empty ones too (a struct array has all fields in each layer); missing names
      become layer1, layer2 ... (layer2_1 where another layer is called layer2)
    - `classes`, `normalization` and whatever else stood at the top goes into `meta`, whose
      records become Structs: net.meta.normalization.imageSize

    Layers of an unknown type are kept as they are.

    Raises TypeError for a value that is not a network.
    Source: MatConvNet, vl_simplenn_tidy.
    """
    from pyconvnet.simplenn import SimpleNN

    if not isinstance(net, dict) or "layers" not in net:
        raise TypeError(f"{FN}: net must be a SimpleNN (a record with 'layers'), got {type(net).__name__}")
    if "vars" in net and "params" in net:
        raise TypeError(f"{FN}: net must be a SimpleNN, got a saved DagNN: DagNN.loadobj restores it")
    meta = Struct({k: v for k, v in net.items() if k not in ("layers", "meta")})
    if isinstance(net.get("meta"), dict):
        meta.update(net["meta"])
    meta = Struct({k: _structs(v) for k, v in meta.items()})
    layers = net["layers"]
    if isinstance(layers, dict):
        layers = [layers]
    elif isinstance(layers, np.ndarray) and not layers.size:
        layers = []
    records: list[Struct] = []
    given = {record["name"] for record in layers if isinstance(record, dict) and _is_named(record)}
    channels = _input_channels(meta)
    for i, record in enumerate(layers, 1):
        if not isinstance(record, dict) or not isinstance(record.get("type"), str):
            raise TypeError(f"{FN}: layers{{{i}}} must be a record with a type, got {_kind(record)}{reader_hint(net)}")
        record = _tidied(Struct(record), _free(f"layer{i}", given), channels)
        channels = _output_channels(record, channels)
        records.append(record)
    return SimpleNN(layers=records, meta=meta)


def _structs(value: Any) -> Any:
    """Plain dicts in `value` as Structs; what holds none is shared, since the network given stays as it is."""
    if isinstance(value, dict):
        fields = {k: _structs(v) for k, v in value.items()}
        if type(value) is dict:
            return Struct(fields)
        return value if all(fields[k] is v for k, v in value.items()) else type(value)(fields)
    if isinstance(value, (list, tuple)):
        items = [_structs(v) for v in value]
        if all(new is old for new, old in zip(items, value)):
            return value
        return StructArray(items) if isinstance(value, StructArray) else type(value)(items)
    return value


def _is_named(record: dict[str, Any]) -> bool:
    return isinstance(record.get("name"), str) and bool(record["name"])


def _free(name: str, given: set[str]) -> str:
    """The name, with _1, _2 ... after it where a layer is called so."""
    return next(each for each in (name, *(f"{name}_{n}" for n in range(1, len(given) + 2))) if each not in given)


def may_have_named(name: str, names: Collection[str]) -> bool:
    """Whether vl_simplenn_tidy may have given a layer this name, where `names` are those of all layers."""
    found = re.fullmatch(r"(layer\d+)(?:_([1-9]\d{0,5}))?", name)
    if found is None or found[2] is None:
        return found is not None
    return found[1] in names and all(f"{found[1]}_{n}" in names for n in range(1, int(found[2])))


def _tidied(record: Struct, name: str, channels: int | None) -> Struct:
    """name  for a layer that has none"""
    if "weights" not in record:
        record.weights = [record.pop("filters"), record.pop("biases", None)] if "filters" in record else []
    record.weights = _weights(record.weights, channels, record["type"])
    if not _is_named(record):
        record.name = name
    if "precious" not in record:
        record.precious = bool(np.any(record.get("rememberOutput", False)))
    for field, value in _defaults(record["type"]).items():
        if field not in record or (_is_nothing(record[field]) and not _is_nothing(value)):
            record[field] = _matlab(value)
    if "opts" in record:
        record.opts = list(option_list(record.opts))
    return record


def _is_nothing(value: Any) -> bool:
    return value == "" if isinstance(value, str) else is_empty(value)


def _defaults(type: str) -> dict[str, Any]:
    try:
        return layer_class(type).simplenn_fields
    except ValueError:
        return {}


def _matlab(value: Any) -> Any:
    """A default as a file would have it: a row of numbers, an empty cell."""
    if isinstance(value, tuple):
        return np.array([value], float) if value else []
    return copy.copy(value)


def _weights(weights: Any, channels: int | None, type: str) -> list[Any]:
    weights = [weights] if isinstance(weights, np.ndarray) and weights.size else weights
    weights = [] if is_empty(weights) else list(weights)
    try:
        return layer_class(type).shapedWeights(weights, channels)
    except ValueError:
        return weights


def _input_channels(meta: Struct) -> int | None:
    for holder, field in ((meta.get("normalization"), "imageSize"), (meta, "inputSize")):
        size = holder.get(field) if isinstance(holder, dict) else None
        if isinstance(size, np.ndarray) and size.dtype.kind in "iuf" and size.size >= 3 and np.isfinite(size).all():
            return int(size.ravel()[2])
    return None


def _output_channels(record: Struct, channels: int | None) -> int | None:
    try:
        layer = layer_class(record["type"]).from_record(record)
        given: Any = (np.nan, np.nan, np.nan if channels is None else channels, 1)
        size = layer.getOutputSizes([given])[0]
    except (ValueError, TypeError, KeyError, IndexError):
        return None  # an unknown layer, or one with fields missing: the size of its output is not known
    return int(size[2]) if np.isfinite(size[2]) else None


def _kind(value: Any) -> str:
    return f"a struct with {listed(value) or 'no fields'}" if isinstance(value, dict) else type(value).__name__
