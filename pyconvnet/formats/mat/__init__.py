"""MAT files: the networks in them (read, write); `matfile` has all their variables, as plain values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pyconvnet.formats.mat import locate, matfile
from pyconvnet.formats.mat.matfile import MatFileError

Error = MatFileError  # what errors about the content of such files are


def read(path: str | os.PathLike[str], *, tidy: bool = True, variable: str | None = None) -> dict[str, Any]:
    """The plain values of the network in a file; tidy: the file's other variables come along in `meta`."""
    values = matfile.read(path)
    place = locate.find(Path(path).name, values, variable)
    if place is None:
        return values
    net = locate.at(values, place)
    return locate.with_meta(net, locate.beside(values, place)) if tidy else net


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """net, and the other variables of a file: state, stats."""
    values = matfile.read(path)
    place = locate.find(Path(path).name, values, None)
    if place is None:
        others = {k: values[k] for k in locate.CHECKPOINT if k in values}
        return {"net": {k: v for k, v in values.items() if k not in others}, **others}
    return {"net": locate.at(values, place), **{k: v for k, v in values.items() if k not in (place, "net")}}


def write(path: str | os.PathLike[str], net: Any, *, state: Any = None, stats: Any = None) -> None:
    """A SimpleNN as layers and meta, a DagNN as the Struct of saveobj; with state or stats both and net."""
    content = net if isinstance(net, dict) else net.saveobj()
    others = {name: value for name, value in (("state", state), ("stats", stats)) if value is not None}
    matfile.write(path, {"net": content, **others} if others else content)
