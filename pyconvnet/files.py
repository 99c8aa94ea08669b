"""Networks in `.mat` files: load, load_checkpoint, save."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.arrays import size_text
from pyconvnet.records import Opaque, Struct


def load(path: str | os.PathLike[str], *, tidy: bool = True, variable: str | None = None) -> Any:
    """Load a MatConvNet network from a `.mat` file: load("net.mat") -> SimpleNN or DagNN.

    The file may be of any version of MATLAB (v4 to v7.3) and release of MatConvNet; the network may stand at the top
    level, under `net`, or under any variable that holds `layers`, also inside structs and cells.

    tidy      bring it up to date (vl_simplenn_tidy); False: as it is in the file
    variable  which variable holds the network, where there are several: "net2", "model.net", "nets{2}"

    Layers of unknown types, MATLAB objects and function handles are kept by name (Opaque) and raise an error only when
    they are run; nothing in a file is ever executed. Arrays have MATLAB's memory order.

    Raises FileNotFoundError, or ValueError for what holds no network, with the file's name and what was found in it.
    """
    values = _read(path)
    name = _find(Path(path), values, variable)
    return _network(path, values if name is None else _at(values, name), tidy)


def load_checkpoint(path: str | os.PathLike[str], *, tidy: bool = True) -> Struct:
    """What cnn_train saved after an epoch: load_checkpoint("net-epoch-20.mat") -> Struct(net, state, stats).

    Other variables of the file come along. `state` or `stats` is missing where the file has none.
    Raises as load does.
    """
    values = _read(path)
    name = _find(Path(path), values, None)
    if name is None:
        others = {k: values[k] for k in values if k in ("state", "stats", "info")}
        net = {k: v for k, v in values.items() if k not in others}
        return Struct(net=_network(path, net, tidy), **others)
    others = {k: v for k, v in values.items() if k not in (name, "net")}
    return Struct({"net": _network(path, _at(values, name), tidy), **others})


def save(path: str | os.PathLike[str], net: Any, *, state: Any = None, stats: Any = None) -> None:
    """Save a network for MATLAB's MatConvNet, and for load: save("net.mat", net).

    A SimpleNN is written as `layers` and `meta`, a DagNN as what DagNN.loadobj takes. With state or stats it is a
    checkpoint: net, state and stats. The file is there whole or not at all: one of that name stays until then.

    Raises TypeError for values that no `.mat` file can hold (Python functions), with the place where they are.
    """
    from pyconvnet.compat import matfile

    content = _content(net)
    if state is not None or stats is not None:
        content = {"net": content}
        for name, value in (("state", state), ("stats", stats)):
            if value is not None:
                content[name] = value
    matfile.write(path, content)


def network_of(values: Any, *, tidy: bool = True) -> Any:
    """The network in the values of a file: a DagNN if they have vars and params, else a SimpleNN."""
    if _is_dag(values):
        from pyconvnet.dagnn import DagNN

        return DagNN.loadobj(values)
    from pyconvnet.compat.tidy import vl_simplenn_tidy
    from pyconvnet.simplenn import SimpleNN

    return vl_simplenn_tidy(values) if tidy else SimpleNN(values)


def _network(path: str | os.PathLike[str], values: Any, tidy: bool) -> Any:
    try:
        return network_of(values, tidy=tidy)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{Path(path).name}: {error}") from error


def _content(net: Any) -> dict[str, Any]:
    from pyconvnet.dagnn import DagNN

    if isinstance(net, DagNN):
        return net.saveobj()
    if isinstance(net, dict) and isinstance(net.get("layers"), (list, tuple)):
        return net
    raise TypeError(f"save: net takes a SimpleNN or a DagNN, got {type(net).__name__}")


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    from pyconvnet.compat import matfile

    return matfile.read(path)


def _find(path: Path, values: dict[str, Any], variable: str | None) -> str | None:
    """Where the network stands, as "net", "model.net" or "nets{2}"; None: the file itself is it."""
    if variable is not None:
        try:
            found = _at(values, variable)
        except (KeyError, IndexError, TypeError):
            raise ValueError(f"{path.name} has no variable {variable!r}; it holds {_listed(values)}") from None
        if not _is_network(found):
            raise ValueError(
                f"{path.name}: variable {variable!r} is no network (a struct with layers) but {_kind(found)}"
            )
        return variable
    if _is_network(values):
        return None
    if _is_network(values.get("net")):
        return "net"
    places = _places(values, "")
    if len(places) == 1:
        return places[0]
    if places:
        found = [*places[:3], "...", places[-1]] if len(places) > 5 else places
        raise ValueError(
            f"{path.name} holds several networks: {', '.join(found)}; pick one with variable= "
            "(--variable on the command line)"
        )
    raise ValueError(
        f"{path.name} holds no MatConvNet network (layers at the top, or in a variable); it holds {_listed(values)}"
    )


def _places(value: Any, where: str, depth: int = 3) -> list[str]:
    """Where networks stand in structs and cells, nearest first, up to `depth` levels down."""
    if isinstance(value, dict):
        parts = [(f"{where}.{name}" if where else name, part) for name, part in value.items()]
    elif isinstance(value, list):
        parts = [(f"{where}{{{i}}}", part) for i, part in enumerate(value, 1)]
    else:
        return []
    found = [name for name, part in parts if _is_network(part)]
    if found or depth == 1:
        return found
    return [place for name, part in parts for place in _places(part, name, depth - 1)]


def _at(values: Any, place: str) -> Any:
    """The value at a place that `_places` names; MATLAB's cells count from 1."""
    for name, index in re.findall(r"([^.{}]+)|\{(\d+)\}", place):
        values = values[name] if name else values[int(index) - 1]
    return values


def _is_network(value: Any) -> bool:
    """Whether layers are there, of which one at least is of a known type or has weights: other tools say layers too."""
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
    return "; ".join(f"{name}: {_kind(value)}" for name, value in list(values.items())[:12]) or "nothing"


def _kind(value: Any) -> str:
    if _records(value):
        types = ", ".join(dict.fromkeys(r["type"] for r in _records(value)))
        return f"struct with layers of types that MatConvNet does not have ({types})"
    if isinstance(value, dict):
        return f"struct with {', '.join(list(value)[:8]) or 'no fields'}"
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, np.ndarray):
        return f"{size_text(value.shape)} {value.dtype}"
    if isinstance(value, Opaque):
        return f"{value.kind.replace('_', ' ')} {value.name}"
    return type(value).__name__
