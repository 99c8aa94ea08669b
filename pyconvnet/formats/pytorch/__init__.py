"""PyTorch: networks as modules (to_torch), modules as networks (from_torch), and files of source and weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyconvnet.networks import network

if TYPE_CHECKING:
    import torch

INSTALL = "pip install 'pyconvnet[torch]'"


def to_torch(net: Any, inputSize: Any = None) -> torch.nn.Module:
    """A network as a module of PyTorch: to_torch(net) -> module, in evaluation mode.

    A chain becomes an nn.Sequential, another graph a module with its wiring; both have the layers under their names
    (characters that Python's names cannot have become '_'), so that the state_dict has `conv1.weight`, K x C x H x W.
    Tensors are N x C x H x W: torch.from_numpy(x.transpose(3, 2, 0, 1)). A DagNN of several inputs is called with all,
    in the order of `module.inputs` or by name, one of several outputs returns a tuple in the order of `module.outputs`.

    Losses are left out as predict does: in place of a softmaxloss there is a softmax, called `prediction`. To train
    on scores, `module.prediction = torch.nn.Identity()` takes it away.

    module.train() is MatConvNet's training mode: batch normalization by the batch's own moments (variance divided by
    the number of values), which its buffers follow by `momentum`. Dropout draws its masks from torch's generator.
    Values agree to rounding, those of LRN with set_precision("high"), but the derivative of a maximum goes to the first
    of equal pixels row by row, where MatConvNet counts column by column. Learning rates of layers are not taken along.

    net        SimpleNN or DagNN, which is not changed; the module has copies of its parameters
    inputSize  (H, W, C), or {name: (H, W, C)} of a DagNN of several inputs: only where the first convolution has groups
               and meta does not say the size

    Raises ValueError that names all layers that have no counterpart, ImportError without torch.
    """
    network(net, "to_torch")
    with _needing_torch("to_torch"):
        from pyconvnet.formats.pytorch.build import build
    return build(net, inputSize)


def from_torch(module: torch.nn.Module, inputSize: Any) -> Any:
    """A module of PyTorch as a network: from_torch(module, (224, 224, 3)) -> SimpleNN where it is a chain, else DagNN.

    torch.export records what the module does in evaluation mode with an input of that size; each operation becomes a
    layer under the name of its module (`features.0`), with parameters under the names that they have in the
    state_dict. Linear layers become convolutions, means and adaptive pooling of whole sizes pooling, nearest
    upsampling a transposed convolution, constants that are added or multiplied Scale. Sizes are those of inputSize
    where the module asks for them: ceil_mode, adaptive pooling, flatten. What is flattened last comes out as the image.

    module     it must take tensors N x C x H x W; its own mode stays as it is
    inputSize  (H, W, C); of several inputs a list of such, or {name: (H, W, C)}

    Raises ValueError that names all operations that no layer can express, or says why torch.export records nothing;
    TypeError for what is not a module; ImportError without torch.
    """
    with _needing_torch("from_torch"):
        from pyconvnet.formats.pytorch.trace import build
    return build(module, inputSize)


@contextmanager
def _needing_torch(fn: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(f"{fn}: the package {error.name!r} is needed: {INSTALL}") from error
