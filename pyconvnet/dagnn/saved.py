"""A DagNN as the plain values that MatConvNet saves, and back."""

from __future__ import annotations

import keyword
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.arrays import is_empty
from pyconvnet.dagnn.parts import names
from pyconvnet.layers.base import Layer
from pyconvnet.layers.registry import block_class
from pyconvnet.records import Meta, Struct, StructArray
from pyconvnet.text import listed

if TYPE_CHECKING:
    from pyconvnet.dagnn.graph import DagNN

TABLES = ("vars", "params", "layers")
# further properties of MATLAB's DagNN, which a network turned into a struct has
OF_MATLAB = (
    "device computingDerivative executionOrder varNames paramNames layerNames layerIndexes numPendingVarRefs "
    "numPendingParamRefs parameterServer pendingParamNames"
).split()
SETTINGS = ("meta", "conserveMemory", "accumulateParamDers", "holdOn", "mode")


class MissingBlock(Layer, block=False):
    """Stands for a block whose class is not known here: it keeps the fields of the file and is saved as it came.

    Running it raises TypeError. Define a subclass of dagnn.Layer with the block's name, and load the network again.
    """

    def __init__(self, name: str = "", data: Any = None) -> None:
        super().__init__()
        self.matlab_class, self._data = name, data

    def _missing(self) -> TypeError:
        short = self.matlab_class.rsplit(".", 1)[-1]
        held = f" (the file holds {listed(self._data)})" if isinstance(self._data, dict) and self._data else ""
        return TypeError(
            f"block {self.matlab_class!r} is not defined here{held}: define `class {short}(dagnn.Layer)` "
            "with forward and backward, and load the network again"
        )

    def forward(self, inputs: Any, params: Any) -> Any:
        raise self._missing()

    def backward(self, inputs: Any, params: Any, derOutputs: Any) -> Any:
        raise self._missing()

    def initParams(self) -> Any:
        raise self._missing()

    def save(self) -> Any:
        return self._data

    def __repr__(self) -> str:
        return f"MissingBlock({self.matlab_class!r})"


def matlab_class(block: Layer) -> str:
    """The name of the block's class in MATLAB."""
    return block.matlab_class or f"dagnn.{type(block).__name__}"


def save(net: DagNN) -> Struct:
    """vars, params, layers and meta; transient state (values, derivatives, mode) is not saved.

    MatConvNet leaves trainMethod to the blocks; where one was changed by hand it is a field of all params, which
    DagNN.loadobj takes as it takes the other fields.
    """
    by_block = {e.params[i] for e in net.layers for i in e.block.averaged if i < len(e.params)}
    changed = any(p.trainMethod != ("average" if p.name in by_block else "gradient") for p in net.params)
    return Struct(
        vars=_table(net.vars, ("name", "precious")),
        params=_table(
            net.params, ("name", "value", *(["trainMethod"] if changed else []), "learningRate", "weightDecay")
        ),
        layers=StructArray(
            (
                Struct(
                    name=entry.name,
                    type=matlab_class(entry.block),
                    inputs=list(entry.inputs),
                    outputs=list(entry.outputs),
                    params=list(entry.params),
                    block=_block_values(entry.block.save()),
                )
                for entry in net.layers
            ),
            ("name", "type", "inputs", "outputs", "params", "block"),
        ),
        meta=net.meta,
    )


def _table(parts: Any, fields: tuple[str, ...]) -> StructArray:
    return StructArray((Struct({f: getattr(part, f) for f in fields}) for part in parts), fields)


def _block_values(values: Any) -> Any:
    """The fields of a block; an underscore that keeps a Python keyword apart is taken off."""
    if not isinstance(values, dict):
        return values
    return Struct({k[:-1] if k[-1:] == "_" and keyword.iskeyword(k[:-1]) else k: v for k, v in values.items()})


def load(cls: type[DagNN], s: Any) -> DagNN:
    """The graph from vars, params, layers and meta. Blocks of unknown classes become MissingBlock; fields of other
    names go into meta.

    A SimpleNN is converted, with a warning.
    """
    if not isinstance(s, dict) or "layers" not in s:
        raise TypeError(f"DagNN.loadobj: s must be the Struct of saveobj (vars, params, layers, meta), got {_kind(s)}")
    if is_simplenn(s):
        warnings.warn("DagNN.loadobj: this is a SimpleNN, which DagNN.fromSimpleNN makes a graph of", stacklevel=3)
        return cls.fromSimpleNN(s)
    net = cls()
    left_out: dict[str, list[str]] = {}
    for i, record in enumerate(_structs(s["layers"]), 1):
        if not (isinstance(record, dict) and all(isinstance(record.get(f), str) for f in ("name", "type"))):
            raise TypeError(f"DagNN.loadobj: layers({i}) must be a record with a name and a type, got {_kind(record)}")
        if not record["name"]:
            raise TypeError(f"DagNN.loadobj: layers({i}) ({record['type']}) has an empty name; each must have its own")
        block = _block(record["type"], record.get("block"), record["name"], left_out)
        fields = [names("DagNN.loadobj", f, _cell(record.get(f))) for f in ("inputs", "outputs", "params")]
        if not fields[0] and block._built_in:
            raise ValueError(f"DagNN.loadobj: layer {record['name']!r} ({record['type']}) has no inputs")
        net.addLayer(record["name"], block, *fields, skipRebuild=True)
    for what, layers in left_out.items():
        where = ", ".join(map(repr, layers[:3])) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
        warnings.warn(f"DagNN.loadobj: {what}; it is left out (layers {where})", stacklevel=3)
    net.rebuild()
    for table, records in ((net.params, s.get("params")), (net.vars, s.get("vars"))):
        seen: set[str] = set()
        for i, record in enumerate(_structs(records), 1):
            name = record.get("name")
            if not isinstance(name, str):
                field = "params" if table is net.params else "vars"
                raise TypeError(f"DagNN.loadobj: {field}({i}) must be a record with a name, got {_kind(record)}")
            if name in seen:
                warnings.warn(
                    f"DagNN.loadobj: {table.kind} {name!r} stands there more than once, and layers that read it share "
                    "the last",
                    stacklevel=3,
                )
            seen.add(name)
            if name not in table:
                warnings.warn(
                    f"DagNN.loadobj: {table.kind} {record['name']!r} is used by no layer and left out", stacklevel=3
                )
                continue
            part = table[record["name"]]
            for field, value in record.items():
                if field in part.__slots__ and field not in ("name", "fanin", "fanout", "der"):
                    setattr(part, field, _field(getattr(part, field), value))
    _shape_params(net)
    for field in SETTINGS:
        if field in s:
            setattr(net, field, _field(getattr(net, field), s[field]))
    if not isinstance(net.meta, dict):
        net.meta = Meta()
    for field, value in s.items():
        if field not in (*SETTINGS, *TABLES, *OF_MATLAB):  # fields of users, such as imageMean
            net.meta.setdefault(field, value)
    return net


def is_simplenn(s: Any) -> bool:
    """Whether the values are a chain: no layer names a block, inputs or outputs."""
    layers = s["layers"]
    records = [layers] if isinstance(layers, dict) else layers if isinstance(layers, (list, tuple)) else []
    of_graphs = {"block", "inputs", "outputs", "params"}
    chain = all(isinstance(r, dict) and "type" in r and of_graphs.isdisjoint(r) for r in records)
    return bool(len(records)) and chain and not {"vars", "params"} & set(s)


def _shape_params(net: DagNN) -> None:
    """Filters in the four dimensions that their block says: MATLAB drops those of 1 at the end, other programs any."""
    for entry in net.layers:
        size = getattr(entry.block, "size", None)
        param = net.params[entry.params[0]] if entry.params else None
        if param is None or not isinstance(param.value, np.ndarray) or not isinstance(size, tuple) or len(size) != 4:
            continue
        if param.value.shape != size and param.value.size == math.prod(size):
            param.value = param.value.reshape(size, order="F")


def _block(name: str, data: Any, layer: str, left_out: dict[str, list[str]]) -> Layer:
    try:
        kind = block_class(name)
    except ValueError:
        return MissingBlock(name, data)
    block = kind()
    if name != f"dagnn.{kind.__name__}":
        block.matlab_class = name
    fields = dict(data) if isinstance(data, dict) else {}
    known: dict[str, Any] = {}
    for field, value in fields.items():
        field = field + "_" if keyword.iskeyword(field) else field
        if field in kind._fields:
            default = getattr(block, field)
            if default is None and isinstance(value, np.ndarray) and value.size == 1:
                default = False if value.dtype.kind == "b" else 0  # a property that has no default is set to a number
            known[field] = _field(default, value)
        elif not is_empty(value):
            left_out.setdefault(f"{kind.__name__} has no property {field!r}", []).append(layer)
    block.load(known)
    return block


def _field(like: Any, value: Any) -> Any:
    """A value of a file in the form of the property's default: MATLAB has 1 x n arrays where Python has numbers."""
    if like is None and isinstance(value, np.ndarray) and not value.size:
        return None
    if isinstance(like, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(like, tuple) and isinstance(value, str) and all(isinstance(v, str) for v in like):
        return (value,) if value else ()  # a cell of one, as other programs write it
    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in "biuf":
        return value
    if isinstance(like, bool) and value.size == 1:
        return bool(value.ravel()[0])
    if isinstance(like, (int, float)) and value.size == 1:
        return _numbers(value)[0]
    if isinstance(like, tuple) and value.size and all(isinstance(v, (int, float)) for v in like):
        return _numbers(value)
    return value


def _numbers(values: Any) -> tuple[float, ...]:
    """Whole numbers as int, others as float."""
    return tuple(_number(value) for value in np.ravel(values).astype(float).tolist())


def _number(value: float) -> float:
    return int(value) if math.isfinite(value) and value == int(value) else value


def _structs(value: Any) -> list:
    """The structs of a struct array: a list of them, one alone, or none."""
    if isinstance(value, dict):
        return [value]
    records = [] if value is None or len(value) == 0 else list(value)
    if not all(isinstance(r, dict) for r in records):
        raise TypeError(
            f"DagNN.loadobj: structs must be as pyconvnet.load and compat.matfile.read give them, got {_kind(value)}"
        )
    return records


def _cell(value: Any) -> Any:
    """Names of a cell; an empty one may come as an empty array."""
    return [] if isinstance(value, np.ndarray) and not value.size else value


def _kind(value: Any) -> str:
    return f"a struct with {listed(value) or 'no fields'}" if isinstance(value, dict) else type(value).__name__
