"""Which implementation a call gets: float32 on a CPU with AVX2 or AVX-512 the compiled one, everything else numpy's."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module

import numpy as np

from pyconvnet.kernels.cpu.machine import level


def compiled(module: str, plain: Callable) -> Callable:
    """The function of the same name in pyconvnet.kernels.cpu.`module`, imported at its first use (numba is slow to)."""
    name = plain.__name__

    @wraps(plain)
    def kernel(x, *args, **options):
        if x.dtype == np.float32 and x.size and level() != "plain":
            return getattr(import_module(f"pyconvnet.kernels.cpu.{module}"), name)(x, *args, **options)
        return plain(x, *args, **options)

    return kernel
