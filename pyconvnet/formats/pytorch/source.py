"""Networks as source files for PyTorch, with their weights beside: pyconvnet.save("net.py", net)."""

from __future__ import annotations

import inspect
import os
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError

from pyconvnet import atomic
from pyconvnet.formats.pytorch import modules, weights
from pyconvnet.formats.pytorch.description import Description, Module, describe

HEAD = '''"""A network of MatConvNet as a module of PyTorch, written by pyconvnet.

net = load()
y = net({call})    # {sizes}

It needs torch; load reads the weights, which lie in a file beside this one, by safetensors.
"""
'''
LOAD = '''

def load(path=WEIGHTS):
    """The network with its weights, in evaluation mode; it needs the package safetensors."""
    from safetensors.torch import load_file

    net = Net(){double}
    net.load_state_dict(load_file(path))
    return net.eval()
'''


def write(path: str | os.PathLike[str], net: Any) -> None:
    """Write net.py, which needs torch alone, and net.safetensors beside it."""
    description = describe("save", net)
    text = source(description)

    def both(file: BinaryIO) -> None:
        """The weights get their name once the source is on disk: where it cannot be written, both stay as they are."""
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
        weights.write_state(Path(path).with_suffix(".safetensors"), description)

    atomic.write(path, both)


def run(path: str | os.PathLike[str], x: np.ndarray) -> np.ndarray:
    """The output of the network in a file that `write` wrote, for x, H x W x C x N. The file is executed."""
    beside = Path(path).with_suffix(".safetensors")
    try:
        net = runpy.run_path(os.fspath(path))["load"]()
    except (SafetensorError, RuntimeError) as error:  # damaged, or of another network
        raise ValueError(f"{beside.name} cannot be read as the weights of {Path(path).name}: {error}") from error
    with torch.no_grad():
        y = net(torch.from_numpy(np.array(x.transpose(3, 2, 0, 1), order="C")))
    if not isinstance(y, torch.Tensor):
        raise ValueError(f"{Path(path).name}: the network has {len(y)} outputs, and must have one")
    return y.numpy().transpose(2, 3, 1, 0)


def source(description: Description) -> str:
    """A module of Python with a class Net and a function load.

    All names in it are identifiers, all values literals: what a file calls its layers can be no code.
    """
    body = "\n".join([*_needed(description), *_net(description)])
    double = ".double()" if any(v.dtype == np.float64 for v in description.state().values()) else ""
    imports = ["from pathlib import Path\n"]
    imports += ["import torch"] if re.search(r"\btorch\.", body) else []
    imports += ["import torch.nn.functional as F"] if re.search(r"\bF\.", body) else []
    imports += ["from torch import Tensor, nn" if re.search(r"\bTensor\b", body) else "from torch import nn"]
    arguments = _arguments(description)
    sizes = [f"N x {'C' if np.isnan(c) else int(c)} x H x W" for c in description.inputs.values()]
    taken = ", ".join(f"{name}: {size}" for name, size in zip(arguments, sizes))
    head = HEAD.format(call=", ".join(arguments), sizes=taken)
    beside = 'WEIGHTS = Path(__file__).with_suffix(".safetensors")\n'
    return head + "\n" + "\n".join([*imports, "", beside, body]) + LOAD.format(double=double)


def _needed(description: Description) -> Iterator[str]:
    """The source of the classes of modules.py that the network uses, and of their bases there."""
    kinds = [vars(modules)[m.kind] for m in description.modules if not m.kind.startswith("nn.")]
    wanted = [c for kind in kinds for c in reversed(kind.__mro__) if c.__module__ == modules.__name__]
    for cls in dict.fromkeys(wanted):
        yield f"\n{inspect.getsource(cls)}"


def _net(description: Description) -> Iterator[str]:
    chain = description.is_chain
    yield '\nclass Net(nn.Module):\n    """The network; its modules have the names of the layers."""\n'
    yield "    def __init__(self):\n        super().__init__()"
    for module in description.modules:
        renamed = "" if module.name == module.layer else f"  # {module.layer!a}"
        yield f"        self.{module.name} = {_call(module)}{renamed}"
    for module in description.modules:
        for key, of in module.shared.items():
            yield f"        self.{module.name}.{key} = self.{of}"
    yield f"\n    def forward(self, {', '.join(_arguments(description))}):"
    for module in description.modules:
        target, given = ("x", ["x"]) if chain else (module.output, module.inputs)
        yield f"        {target} = self.{module.name}({', '.join(given)})"
    yield f"        return {'x' if chain else ', '.join(description.outputs)}\n"


def _arguments(description: Description) -> list[str]:
    return ["x"] if description.is_chain else list(description.inputs)


def _call(module: Module) -> str:
    options = [f"{name}={_literal(value)}" for name, value in module.options.items()]
    return f"{module.kind}({', '.join([*map(_literal, module.args), *options])})"


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, float) and not np.isfinite(value):
        return f'float("{value}")'
    if type(value) not in (bool, int, float, str):
        raise TypeError(f"{value!r} has no literal")
    return repr(value)
