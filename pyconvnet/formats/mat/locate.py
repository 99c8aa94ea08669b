"""Where networks stand among the variables of a MAT file, which are plain values."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from pyconvnet.formats.mat.matfile import MatFileError
from pyconvnet.records import Opaque, Struct
from pyconvnet.text import listed, visible

CHECKPOINT = ("state", "stats", "info")


def find(file: str, values: dict[str, Any], variable: str | None) -> str | None:
    """Where the network stands in a file of that name, as "net", "model.net" or "nets{2}"; None: the file itself is it.

    variable  where it is said to stand

    Raises ValueError where there is no network or are several, with the file's content in short.
    """
    if variable is not None:
        try:
            found = at(values, variable)
        except (KeyError, IndexError, TypeError):
            raise MatFileError(f"{file} has no variable {variable!r}; it holds {_listed(values)}") from None
        if not is_network(found):
            raise MatFileError(f"{file}: variable {variable!r} is not a network (struct with layers): {_kind(found)}")
        return variable
    if is_network(values):
        return None
    if is_network(values.get("net")):
        return "net"
    several = places(values, "")
    if len(several) == 1:
        return several[0]
    if several:
        found = [*several[:3], "...", several[-1]] if len(several) > 5 else several
        raise MatFileError(
            f"{file} holds several networks: {listed(found)}; pick one with variable= (--variable on the command line)"
        )
    raise MatFileError(
        f"{file} holds no MatConvNet network (layers at the top, or in a variable); it holds {_listed(values)}"
    )


def places(value: Any, where: str, depth: int = 3) -> list[str]:
    """Where networks stand in structs and cells, nearest first, up to `depth` levels down."""
    if isinstance(value, dict):
        parts = [(f"{where}.{name}" if where else name, part) for name, part in value.items()]
    elif isinstance(value, list):
        parts = [(f"{where}{{{i}}}", part) for i, part in enumerate(value, 1)]
    else:
        return []
    found = [name for name, part in parts if is_network(part)]
    if found or depth == 1:
        return found
    return [place for name, part in parts for place in places(part, name, depth - 1)]


def at(values: Any, place: str) -> Any:
    """The value at a place that `places` names; MATLAB's cells count from 1."""
    for name, index in re.findall(r"([^.{}]+)|\{(\d+)\}", place):
        values = values[name] if name else values[int(index) - 1]
    return values


def beside(values: dict[str, Any], place: str) -> dict[str, Any]:
    """The variables or fields next to a network that may belong to it."""
    parent, _, name = place.rpartition(".")
    others = at(values, parent) if parent else values
    if not isinstance(others, dict) or "{" in name:
        return {}
    return {
        field: value
        for field, value in others.items()
        if field not in (name, *CHECKPOINT)
        and not places({field: value}, "")
        and not (isinstance(value, dict) and "images" in value)
    }


def with_meta(net: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """The values of a network with others in its `meta`, but for names that it has itself, there or beside `meta`."""
    meta = net["meta"] if isinstance(net.get("meta"), dict) else Struct()
    own = {*meta, *net} - {"layers", "meta", "params", "vars"}
    return Struct({**net, "meta": Struct({**meta, **{k: v for k, v in others.items() if k not in own}})})


def is_network(value: Any) -> bool:
    """Whether there are layers, at least one of a known type or with weights: other tools have `layers` too."""
    from pyconvnet.layers import is_layer_type

    records = _records(value)
    return bool(records) and (
        _is_dag(value) or any("weights" in r or "filters" in r or is_layer_type(r["type"]) for r in records)
    )


def _records(value: Any) -> list[Any]:
    if not isinstance(value, dict) or "layers" not in value:
        return []
    layers = value["layers"]
    layers = [layers] if isinstance(layers, dict) else layers if isinstance(layers, list) else []
    return [r for r in layers if isinstance(r, dict) and isinstance(r.get("type"), str)]


def _is_dag(value: Any) -> bool:
    return isinstance(value, dict) and "vars" in value and "params" in value


def _listed(values: dict[str, Any]) -> str:
    return "; ".join(f"{visible(name)}: {_kind(value)}" for name, value in list(values.items())[:12]) or "nothing"


def _kind(value: Any) -> str:
    if is_network(value):
        return "a network"
    if _records(value):
        types = listed(dict.fromkeys(r["type"] for r in _records(value)))
        return f"struct with layers of types that MatConvNet does not have ({types})"
    if isinstance(value, dict):
        return f"struct with {listed(list(value)[:8]) or 'no fields'}"
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, np.ndarray):
        return f"{'x'.join(map(str, value.shape))} {value.dtype}"
    if isinstance(value, Opaque):
        return f"{value.kind.replace('_', ' ')} {visible(value.name)}"
    return type(value).__name__
