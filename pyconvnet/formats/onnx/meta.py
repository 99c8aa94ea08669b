"""meta of a network as the metadata of an ONNX file, field by field as JSON, and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pyconvnet.records import Meta, Struct, plain_text


def texts(meta: Any) -> dict[str, str]:
    """{field: JSON} of what JSON can hold; arrays are nested lists, rows first."""
    found = {}
    for name, value in meta.items() if isinstance(meta, dict) else ():
        try:
            found[str(name)] = json.dumps(_plain(value), ensure_ascii=False, allow_nan=True)
        except TypeError:  # MATLAB objects and function handles stay behind
            continue
    return found


def _plain(value: Any) -> Any:
    value = plain_text(value)
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind not in "biuf":
            raise TypeError(f"{value.dtype} has no JSON")
        if value.dtype == np.float32:  # the shortest text that gives the same single
            return np.array([float(str(v)) for v in value.ravel()]).reshape(value.shape).tolist()
        return value.tolist()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON")


def from_texts(found: dict[str, str]) -> Meta:
    """meta from the metadata of a file; what is no JSON is kept as text."""
    meta = Meta()
    for name, text in found.items():
        try:
            meta[name] = _value(json.loads(text))
        except (ValueError, RecursionError):
            meta[name] = text
    return meta


def _value(found: Any) -> Any:
    if isinstance(found, dict):
        return Struct({k: _value(v) for k, v in found.items()})
    if isinstance(found, list):
        if found and _numeric(found):
            try:
                return np.array(found, float, order="F")
            except ValueError:  # rows of different lengths
                pass
        return [_value(v) for v in found]
    return found


def _numeric(found: Any) -> bool:
    """Whether nested lists hold numbers only."""
    if isinstance(found, list):
        return bool(found) and all(map(_numeric, found))
    return isinstance(found, (int, float)) and not isinstance(found, bool)
