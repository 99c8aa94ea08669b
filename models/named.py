"""Networks as the command line names them: a file, a network that MatConvNet publishes, a standard one."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pyconvnet import formats
from pyconvnet.models.catalogue import build, names
from pyconvnet.models.pretrained import fetch, path_of, published_names
from pyconvnet.options import nearest


def load(net: str, *, variable: str | None = None) -> Any:
    """The network that a path or a name stands for; a standard one has random weights, which a warning says.

    variable  which variable of the file holds the network, where there are several
    """
    if net not in names() or Path(net).exists():
        return formats.load(file_of(net), variable=variable)
    warnings.warn(f"the weights of {net} are random; `pyconvnet fetch` lists trained networks", stacklevel=2)
    return build(net, seed=0)


def file_of(net: str) -> str | Path:
    """The file that a path or the name of a published network stands for; the latter is fetched if need be."""
    if net not in published_names() or Path(net).exists():
        known = [*names(), *published_names()]
        near = None if Path(net).exists() or Path(net).suffix else nearest(net, known)
        if near:
            raise ValueError(f"{net} is neither a file nor the name of a network; did you mean {near}?")
        return net
    path = path_of(net)
    return path if path.exists() else fetch(net)
