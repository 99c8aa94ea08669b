"""The weights of networks as safetensors, in PyTorch's layout: pyconvnet.save("net.safetensors", net)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from safetensors.numpy import save

from pyconvnet import atomic
from pyconvnet._version import __version__
from pyconvnet.formats.pytorch.description import Description, describe


def write(path: str | os.PathLike[str], net: Any) -> None:
    """Write the state_dict of to_torch(net), with `conv1.weight` as K x C x H x W; the layers are not in it."""
    write_state(path, describe("save", net))


def write_state(path: str | os.PathLike[str], description: Description) -> None:
    """The same for a network that is described already."""
    tensors = {key: np.ascontiguousarray(value) for key, value in description.state().items()}
    # "pt" is what safetensors calls PyTorch, whose layout this is
    atomic.write(path, save(tensors, {"format": "pt", "written_by": f"pyconvnet {__version__}"}))
