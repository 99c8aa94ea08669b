"""Backends: a module of kernels for each array type, found through the type's bases. There is no global state."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

# type name -> module that exports the kernels for it; another backend adds its array type here.
KERNELS: dict[str, str] = {"numpy.ndarray": "pyconvnet.kernels.cpu"}


def of(x: Any) -> ModuleType:
    """The kernels for arrays of the type of `x`."""
    for base in type(x).__mro__:
        home = KERNELS.get(f"{base.__module__}.{base.__qualname__}")
        if home is not None:
            return import_module(home)
    raise TypeError(f"no kernels for {type(x).__module__}.{type(x).__qualname__}; known: {', '.join(KERNELS)}")
