"""Sizes and receptive fields of the variables of a graph."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.arrays import shape_of, size_4d
from pyconvnet.dagnn.parts import pairs
from pyconvnet.engine.errors import located
from pyconvnet.layers import checks
from pyconvnet.records import Struct

if TYPE_CHECKING:
    from pyconvnet.dagnn.graph import DagNN

UNKNOWN = (math.nan,) * 4
NOWHERE = Struct(size=(), stride=(), offset=())
NO_WINDOW = Struct(size=(math.nan,) * 2, stride=(math.nan,) * 2, offset=(math.nan,) * 2)


def var_sizes(net: DagNN, input_sizes: Any, fitting: bool = False) -> list[tuple]:
    """(H, W, C, N) of every variable, from {'input': (H, W, C, N)} or MATLAB's flat list.

    fitting  refuse sizes that a layer could not take, as running it would
    """
    sizes: list[Any] = [UNKNOWN] * len(net.vars)
    for name, size in pairs("DagNN.getVarSizes", "inputSizes", input_sizes):
        numbers = np.ravel(size)
        if numbers.dtype.kind not in "iuf":
            raise TypeError(f"DagNN.getVarSizes: size of {name!r} must be numbers (H, W, C, N), got {size!r}")
        size = tuple(_whole(s) for s in numbers.tolist())
        if not 1 <= len(size) <= 4:
            raise ValueError(f"DagNN.getVarSizes: size of {name!r} must be at most 4 numbers, got {size}")
        sizes[net.vars.place(name)] = size_4d(size)
    for at in net.executionOrder:
        entry = net.layers[at]
        given = [sizes[i] for i in entry.inputIndexes]
        try:
            if fitting:
                params = [shape_of(p.value) for p in net.params[entry.params] if p.value is not None]
                entry.block._check_sizes(given, params)
            out = entry.block.getOutputSizes(given)
            if fitting:
                checks.leaves_pixels(entry.block, given, out)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            if fitting and isinstance(error, (ValueError, TypeError)):
                raise located(error, entry.place(zip(entry.inputs, given))) from error
            where = f"layer {entry.name!r} ({type(entry.block).__name__})"
            raise ValueError(
                f"DagNN.getVarSizes: {where} has no output size for its {len(given)} inputs: {error}"
            ) from error
        if len(out) != len(entry.outputs):
            raise ValueError(
                f"DagNN.getVarSizes: layer {entry.name!r} gives {len(out)} sizes for {len(entry.outputs)} outputs"
            )
        for i, size in zip(entry.outputIndexes, out):
            sizes[i] = tuple(_whole(s) for s in size)
    return sizes


def receptive_fields(net: DagNN, var: Any) -> list:
    """Receptive fields of all variables in one variable, or a list of them for a list of variables."""
    if isinstance(var, (list, tuple)):
        return [receptive_fields(net, v) for v in var]
    fields = [NOWHERE] * len(net.vars)
    fields[net.vars.place(var)] = Struct(size=(1, 1), stride=(1, 1), offset=(1, 1))
    for at in net.executionOrder:
        entry = net.layers[at]
        table = entry.block.getReceptiveFields()
        for i, v in enumerate(entry.inputIndexes):
            for j, w in enumerate(entry.outputIndexes):
                fields[w] = _join(fields[w], _compose(fields[v], _cell(table, i, j)))
    return [Struct(f) for f in fields]


def _cell(table: Any, i: int, j: int) -> Struct:
    """Field of output j in input i; one Struct stands for all, nothing where it is not a window."""
    if isinstance(table, dict):
        return Struct(table)
    if not len(table):
        return NO_WINDOW
    row = table[i]
    return Struct(row if isinstance(row, dict) else row[j])


def _compose(outer: Struct, inner: Struct) -> Struct:
    if not len(outer.size) or not len(inner["size"]):
        return NOWHERE
    stride, size, offset = (np.asarray(outer[f], float) for f in ("stride", "size", "offset"))
    return Struct(
        size=_numbers(stride * (np.asarray(inner["size"], float) - 1) + size),
        stride=_numbers(stride * np.asarray(inner["stride"], float)),
        offset=_numbers(stride * (np.asarray(inner["offset"], float) - 1) + offset),
    )


def _join(a: Struct, b: Struct) -> Struct:
    """The smallest window that holds both; none where their strides differ."""
    if not len(b.size):
        return a
    if any(map(math.isnan, b.size)):
        return NO_WINDOW
    if not len(a.size):
        return b
    if any(map(math.isnan, a.size)) or a.stride != b.stride:
        return NO_WINDOW
    sa, oa, sb, ob = (np.asarray(v, float) for v in (a.size, a.offset, b.size, b.offset))
    first = np.minimum(oa - (sa - 1) / 2, ob - (sb - 1) / 2)
    last = np.maximum(oa + (sa - 1) / 2, ob + (sb - 1) / 2)
    return Struct(size=_numbers(last - first + 1), stride=a.stride, offset=_numbers((first + last) / 2))


def _numbers(values: Iterable[float]) -> tuple:
    return tuple(_whole(float(v)) for v in values)


def _whole(v: float) -> float:
    return int(v) if math.isfinite(v) and v == int(v) else v
