"""to_torch: a network as modules of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyconvnet.formats.pytorch import modules
from pyconvnet.formats.pytorch.description import Description, Module, describe
from pyconvnet.text import listed


class Graph(nn.Module):
    """Modules that are wired as a DagNN: net(*inputs), in the order of `inputs`, or by name.

    inputs, outputs  names of what it takes and returns: a tensor, or a tuple of several
    wiring           (module, names of what it reads, name of what it writes), in the order they run
    """

    def __init__(self, description: Description) -> None:
        super().__init__()
        self.inputs, self.outputs = list(description.inputs), description.outputs
        self.wiring = [(m.name, m.inputs, m.output) for m in description.modules]

    def forward(self, *inputs: Tensor, **named: Tensor) -> Any:
        """The outputs for the inputs, N x C x H x W each."""
        values = {**dict(zip(self.inputs, inputs)), **named}
        if len(inputs) + len(named) != len(self.inputs) or len(values) != len(self.inputs):
            raise TypeError(f"the network must have the inputs {listed(self.inputs)}")
        for name, reads, writes in self.wiring:
            values[writes] = getattr(self, name)(*[values[v] for v in reads])
        found = tuple(values[name] for name in self.outputs)
        return found[0] if len(found) == 1 else found


def build(net: Any, inputSize: Any = None) -> nn.Module:
    """See pyconvnet.to_torch."""
    description = describe("to_torch", net, inputSize)
    whole = nn.Sequential() if description.is_chain else Graph(description)
    for module in description.modules:
        whole.add_module(module.name, _made(module))
    for module in description.modules:
        for key, of in module.shared.items():
            setattr(whole.get_submodule(module.name), key, _at(whole, of))
    return whole.eval()


def _made(module: Module) -> nn.Module:
    known = vars(nn) if module.kind.startswith("nn.") else vars(modules)
    with torch.device("meta"):  # no first values are drawn
        made = known[module.kind.removeprefix("nn.")](*module.args, **module.options)
    state = {key: torch.from_numpy(np.array(value, order="C")) for key, value in module.state.items()}
    made.load_state_dict(state, strict=not module.shared, assign=True)
    return made


def _at(whole: nn.Module, key: str) -> Any:
    name, _, own = key.rpartition(".")
    return getattr(whole.get_submodule(name), own)
