"""Plain values as scipy's savemat accepts them: the opposite of reading, checked before a byte is written."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyconvnet.records import Opaque, Struct, StructArray, plain_text

LIMIT = 2**31 - 1


def matlab_value(value: Any, where: str) -> Any:
    """`value` as savemat writes it; `where` names its place in messages."""
    if value is None:
        return np.empty((0, 0))
    if isinstance(value, StructArray):
        return _struct_array(value, where, value.fields)
    if isinstance(value, dict):
        return _struct(value, where)
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(v, (bool, int, float, np.bool_, np.integer, np.floating)) for v in value):
            # stride=(2, 2) is a row of numbers in MATLAB
            return np.array([value], bool if all(isinstance(v, (bool, np.bool_)) for v in value) else float)
        cell = np.empty((1, len(value)) if len(value) else (0, 0), object)
        for i, v in enumerate(value):
            cell[0, i] = matlab_value(v, f"{where}{{{i + 1}}}")
        return cell
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")  # h5py gives text so
    if isinstance(value, str):
        _check_text(value, where)
        return value if value else np.empty((0, 0), "U1")
    if isinstance(value, (bool, np.bool_)):
        return np.array([[bool(value)]])
    if isinstance(value, (int, float)):
        return np.array([[float(value)]])
    if isinstance(value, Opaque):
        warnings.warn(
            f"{where}: the MATLAB {value.kind.replace('_', ' ')} {value.name!r} cannot be written again; "
            "a struct with its name is saved instead",
            stacklevel=5,
        )
        return _struct({"matlab_" + value.kind: value.name}, where)
    if hasattr(value, "tocsc"):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return _array(np.asarray(value), where)
    raise TypeError(f"{where} is {_kind(value)}, which a .mat file cannot hold")


def _check_text(text: str, where: str) -> None:
    """Refuse text with half of a pair of UTF-16, which no encoding of a file holds."""
    half = re.search("[\ud800-\udfff]", text)
    if half:
        raise ValueError(
            f"{where} is {text!a}, which a .mat file cannot hold: {half[0]!a} is half of a character; "
            "give text of whole characters"
        )


def _array(a: np.ndarray, where: str) -> Any:
    if a.dtype.names:  # a struct as scipy reads it
        records = [Struct((f, r[f]) for f in a.dtype.names) for r in a.ravel(order="F")]
        return _struct_array(records, where, a.dtype.names)
    if a.dtype.kind in "OSTU":
        return matlab_value(plain_text(a), where)
    if a.dtype.kind not in "biufc" or a.dtype in (np.float16, np.longdouble):
        raise TypeError(f"{where} is an array of {a.dtype}, which a .mat file cannot hold")
    if a.nbytes > LIMIT:
        raise ValueError(f"{where} has {a.nbytes / 2**30:.1f} GiB; an array in a .mat file of version 7 has at most 2")
    # savemat has no type for logical: numbers of type bool become it
    return np.atleast_2d(a)


def _struct(record: dict[str, Any], where: str) -> Any:
    return _struct_array([record], where)


def _struct_array(records: list[Any], where: str, fields: Sequence[str] = ()) -> Any:
    fields = list(records[0] if records else fields)
    for record in records:
        if list(record) != fields:
            raise ValueError(
                f"{where}: the records of a struct array must have the same fields, {fields} and {list(record)}"
            )
    for field in fields:
        if not isinstance(field, str) or not field.isidentifier() or len(field) > 63:
            raise ValueError(f"{where}: {field!r} is not a name of a field in MATLAB")
    if not fields:
        return {} if len(records) == 1 else np.empty((0, 0), object)  # {} is savemat's struct without fields
    out = np.empty((1, len(records)), [(f, object) for f in fields])
    for i, record in enumerate(records):
        for field in fields:
            out[0, i][field] = matlab_value(record[field], f"{where}.{field}")
    return out


def _kind(value: Any) -> str:
    return "a Python function" if callable(value) else f"of Python's type {type(value).__name__}"
