"""Backends: a module of kernels for each array type, found through the type's bases. There is no global state."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

# type name -> module that exports the kernels for it; another backend adds its array type here.
KERNELS: dict[str, str] = {"numpy.ndarray": "pyconvnet.kernels.cpu"}


def of(x: Any) -> ModuleType:
    """The kernels for arrays of the type of `x`."""
    return _of(type(x), tuple(KERNELS.items()))


@lru_cache(maxsize=64)
def _of(kind: type, known: tuple[tuple[str, str], ...]) -> ModuleType:
    for base in kind.__mro__:
        home = dict(known).get(f"{base.__module__}.{base.__qualname__}")
        if home is not None:
            return import_module(home)
    names = ", ".join(name for name, _ in known)
    raise TypeError(f"no kernels for {kind.__module__}.{kind.__qualname__}; known: {names}")
