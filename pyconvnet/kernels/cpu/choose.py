"""Which implementation a call gets: float32 on a CPU with AVX2 or AVX-512 the compiled one, everything else numpy's."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module

import numpy as np

from pyconvnet.kernels.cpu.machine import level

_SINGLE = np.dtype(np.float32)


def compiled(module: str, plain: Callable) -> Callable:
    """The function of the same name in pyconvnet.kernels.cpu.`module`, imported at its first use (numba is slow to)."""
    name, home = plain.__name__, None

    @wraps(plain)
    def kernel(x, *args, **options):
        nonlocal home
        if x.dtype != _SINGLE or not x.size or level() == "plain":
            return plain(x, *args, **options)
        if home is None:
            home = import_module(f"pyconvnet.kernels.cpu.{module}")
        return getattr(home, name)(x, *args, **options)

    return kernel
