"""Devices: "cpu" for numpy arrays in main memory, all others for PyTorch tensors; arrays move between them.

"gpu"        the first GPU that PyTorch finds: one of NVIDIA or AMD ("cuda:0"), of Intel ("xpu:0"), or Apple's ("mps")
"cuda:1"     the second; devices count from 0
"torch:cpu"  PyTorch tensors in main memory, to try the same without a GPU ("torch" for short)

>>> gather(gpuArray([1.0, 2.0], "cpu"))
array([1., 2.])
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.values import as_array

NAMES = "'cpu', 'gpu', 'cuda:0' (or another number), 'xpu:0', 'mps' or 'torch:cpu'"


def full_name(fn: str, device: Any) -> str:
    """The device that a name stands for, such as "cuda:0" for "gpu".

    Raises ValueError for names of no device, or of one that is not there, ImportError without PyTorch.
    """
    name = device.lower() if isinstance(device, str) else ""
    kind, _, number = name.partition(":")
    known = kind in ("cuda", "xpu") and (not number or number.isdecimal())
    if name not in ("cpu", "gpu", "mps", "torch", "torch:cpu") and not known:
        raise ValueError(f"{fn}: the device must be {NAMES}, got {device!r}")
    if name == "cpu":
        return name
    _require_torch(fn, device)
    if kind == "torch":
        return "torch:cpu"
    from pyconvnet.backends.torch import places

    there = places.accelerators()
    wanted = name if number or kind == "mps" else f"{kind}:0" if known else next(iter(there), "")
    if wanted not in there:
        found = ", ".join(there) or f"no GPU that PyTorch can use ({places.torch.__version__})"
        raise ValueError(f"{fn}: there is no device {device!r} here; there is {found}, beside 'cpu' and 'torch:cpu'")
    return wanted


def _require_torch(fn: str, device: Any) -> None:
    if find_spec("torch") is None:
        raise ImportError(f"{fn}: the device {device!r} needs PyTorch: pip install 'pyconvnet[torch]'")


def of_gpus(fn: str, gpus: Any) -> str | None:
    """The device on which this process is to train for the option `gpus`; None to stay where the network is.

    gpus  a number or a list of one, counted from 0, or the name of a device; nothing for none
    """
    found = all_of_gpus(fn, gpus)
    if len(found) > 1:
        raise ValueError(f"{fn}: gpus={gpus!r}: one process trains on one GPU; give one of them")
    return found[0] if found else None


def all_of_gpus(fn: str, gpus: Any) -> list[str]:
    """The full names of the devices of the option `gpus`; several are for as many processes."""
    if isinstance(gpus, str) and gpus:
        return [full_name(fn, gpus)]
    numbers = np.ravel(np.asarray(() if gpus is None else gpus))
    if not numbers.size:
        return []
    if numbers.dtype.kind not in "iuf" or np.any(numbers != np.floor(numbers)) or numbers.min() < 0:
        raise ValueError(f"{fn}: gpus must be whole numbers from 0 up, or the name of a device, got {gpus!r}")
    _require_torch(fn, f"gpus={gpus!r}")
    from pyconvnet.backends.torch import places

    there = places.accelerators()
    if numbers.max() < len(there):
        return [there[int(number)] for number in numbers]
    first = [*range(min(len(there), numbers.size))]
    advice = f"GPUs count from 0: gpus={first}" if there else "leave it empty to use the CPU"
    count = {0: "is no GPU that PyTorch can use", 1: "is one GPU"}.get(len(there), f"are {len(there)} GPUs")
    raise ValueError(f"{fn}: gpus={gpus!r}: there {count} here; {advice}")


def move(fn: str, value: Any, device: str) -> Any:
    """Arrays, and those in lists, tuples and dicts, on a device; numpy's for "cpu". Nothing that is there is copied."""
    if isinstance(value, dict):
        fields = {k: move(fn, v, device) for k, v in value.items()}
        return value if all(fields[k] is v for k, v in value.items()) else type(value)(fields)
    if isinstance(value, (list, tuple)):
        items = [move(fn, v, device) for v in value]
        return value if all(a is b for a, b in zip(items, value)) else type(value)(items)
    backend = backends.find(value)
    if backend is None:
        return value
    if device == "cpu":
        return value if backend.name == "numpy" else np.array(backend.to_host(value), order="K")
    from pyconvnet.backends.torch import places

    where = places.device(device)
    if backend.name == "torch" and value.device == where:
        return value
    try:
        return places.sent(value, where)
    except TypeError as error:
        raise TypeError(f"{fn}: {error}") from None


class Transfer:
    """Brings the arrays of batches to a device; of two halves, the first may run in another thread.

    device  a full name; None leaves arrays where they are
    ahead   whether batches depart while the one before is in use, so that copies are to go beside kernels
    """

    def __init__(self, fn: str, device: str | None, ahead: bool) -> None:
        self.fn, self.device, self.ahead = fn, device, ahead

    def depart(self, x: Any) -> Any:
        """Send an array on its way; anything else stays as it is."""
        if self.device is None or backends.find(x) is None:
            return x
        if self.ahead and self.device.startswith("cuda") and isinstance(x, np.ndarray):
            from pyconvnet.backends.torch import places, transfer

            return transfer.Departed(x, places.device(self.device))
        return move(self.fn, x, self.device)

    def arrive(self, x: Any) -> Any:
        """The array on the device, of what depart gave."""
        return x.arrive() if hasattr(x, "arrive") else x


def gpuArray(x: Any, device: str = "gpu") -> Any:
    """An array, or nested list of numbers, on a device: gpuArray(x) -> a PyTorch tensor of x's shape and element type.

    device  "gpu" (default), "cuda:1", "mps", "torch:cpu" ...: see pyconvnet.devices; "cpu" gives a numpy array

    Operators and networks compute where their arrays are. A tensor H x W x C x N lies in memory as PyTorch's
    channels_last format has it. Memory is not shared with x.
    Raises ValueError for a device that is not there, ImportError without PyTorch.
    """
    a = x if backends.find(x) is not None else as_array(x)
    if isinstance(a, np.ndarray) and a.dtype.kind not in "biuf":
        raise TypeError(f"gpuArray: x must be an array of numbers, got {type(x).__name__} ({a.dtype})")
    return move("gpuArray", a, full_name("gpuArray", device))


def gather(x: Any) -> Any:
    """A numpy array of an array on any device: the opposite of gpuArray. numpy arrays and numbers stay as they are."""
    return x if backends.find(x) is None else move("gather", x, "cpu")
