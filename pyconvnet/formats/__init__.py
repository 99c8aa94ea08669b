"""Networks in files: load, load_checkpoint, save, and the formats that they know, to which `register` adds others."""

from __future__ import annotations

import os
from typing import Any

from pyconvnet.devices import move
from pyconvnet.formats import registry
from pyconvnet.formats.registry import names_file, register
from pyconvnet.networks.base import moved
from pyconvnet.records import Struct

__all__ = ["load", "load_checkpoint", "names_file", "register", "save"]


def load(path: str | os.PathLike[str], *, tidy: bool = True, variable: str | None = None) -> Any:
    """Load a network: load("net.mat") -> SimpleNN or DagNN.

    The format is found by the file's first bytes, else by its suffix; a file without one is taken for a `.mat` file.

    A `.mat` file may be of any version of MATLAB (v4 to v7.3) and release of MatConvNet; the network may stand at the
    top level, under `net`, or under any variable that holds `layers`, also inside structs and cells.

    Fields of the network that MatConvNet does not have, and other variables of the file (imageMean, classes ...),
    come along in net.meta; but not other networks, an imdb, or a checkpoint's state and statistics.

    A `.caffemodel` file of Caffe must have its `.prototxt` beside it (from_caffe is given both, and options).

    tidy      bring it up to date (vl_simplenn_tidy); False: as it is in the file
    variable  which variable holds the network, where there are several: "net2", "model.net", "nets{2}"

    Layers of unknown types, MATLAB objects and function handles are kept by name (Opaque) and raise an error only when
    they are run; nothing in a file is ever executed. Arrays have MATLAB's memory order.

    Raises FileNotFoundError; ValueError for a file without a network or of an unknown format, with the file's name and
    its content in short; ImportError where the format needs a package that is missing, with how to install it.
    """
    values = registry.read(path, tidy=tidy, variable=variable)
    with registry.naming(path):
        return network_of(values, tidy=tidy)


def load_checkpoint(path: str | os.PathLike[str], *, tidy: bool = True) -> Struct:
    """A checkpoint of cnn_train: load_checkpoint("net-epoch-20.mat") -> Struct(net, state, stats).

    Other variables of the file come along. `state` or `stats` is missing where the file has none.
    Raises as load does.
    """
    found = registry.read(path, "load_checkpoint", function="read_checkpoint", tidy=tidy)
    with registry.naming(path):
        return Struct({**found, "net": network_of(found["net"], tidy=tidy)})


def save(path: str | os.PathLike[str], net: Any, *, state: Any = None, stats: Any = None) -> None:
    """Save a network in the format of the path's suffix, `.mat` without one: save("net.mat", net).

    A `.mat` file is for MATLAB's MatConvNet, and for load: a SimpleNN is written as `layers` and `meta`, a DagNN as
    the Struct that DagNN.loadobj accepts. With state or stats it is a checkpoint: net, state and stats. The file is
    written whole or not at all: one of that name stays until then. A network on a GPU is written as from the CPU.

    Raises ValueError for a suffix that no format has, and TypeError for values that no `.mat` file can hold (Python
    functions), with the place where they are.
    """
    if not (isinstance(net, dict) and isinstance(net.get("layers"), (list, tuple))):
        from pyconvnet.dagnn import DagNN

        if not isinstance(net, DagNN):
            raise TypeError(f"save: net must be a SimpleNN or a DagNN, got {type(net).__name__}")
    registry.write(path, moved("save", net, "cpu"), state=move("save", state, "cpu"), stats=move("save", stats, "cpu"))


def network_of(values: Any, *, tidy: bool = True) -> Any:
    """The network in plain values: a DagNN if they have vars and params, else a SimpleNN; a network is given back."""
    if not isinstance(values, dict) or ("vars" in values and "params" in values):
        from pyconvnet.dagnn import DagNN

        return DagNN.loadobj(values)
    from pyconvnet.compat.tidy import vl_simplenn_tidy
    from pyconvnet.simplenn import SimpleNN

    if isinstance(values, SimpleNN):
        return values
    return vl_simplenn_tidy(values) if tidy else SimpleNN(values)
