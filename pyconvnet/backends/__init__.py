"""Backends: the kernels for each type of array; an array brings its own, and there is no global current one.

>>> import numpy as np
>>> of(np.zeros(3)).name
'numpy'
>>> register("mylib.Array", "mylib.for_pyconvnet:Kernels")      # a Backend subclass, imported when one is met
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyconvnet.backends.base import Backend

# name of an array type -> "module:class" of its backend, or the backend itself
_registered: dict[str, Any] = {
    **dict.fromkeys(("numpy.ndarray", "numpy.generic"), "pyconvnet.backends.cpu:CPU"),
    "torch.Tensor": "pyconvnet.backends.torch:Torch",
}
_found: dict[type, Any] = {}  # cache of `of`, by type; None for a type without a backend


def register(array_type: str, backend: str | Backend) -> None:
    """Let a backend compute for arrays of a type, and of the types derived from it.

    array_type  its module and name, "torch.Tensor"
    backend     a Backend, or "module:class" of one that is imported when such an array is met first
    """
    _registered[array_type] = backend
    _found.clear()


def registered() -> dict[str, Backend]:
    """The backends by the names of their array types; all that are registered are imported."""
    return {name: _load(name) for name in _registered}


def of(x: Any) -> Backend:
    """The backend of an array; TypeError names the types that there are backends for."""
    backend = find(x)
    if backend is None:
        kind = type(x)
        raise TypeError(f"no backend for {kind.__module__}.{kind.__qualname__}; there are: {', '.join(_registered)}")
    return backend


def find(x: Any) -> Backend | None:
    """The backend of an array; None for a value that is not an array of a known type."""
    kind = type(x)
    try:
        return _found[kind]
    except KeyError:
        names = (f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__)
        name = next((n for n in names if n in _registered), None)
        _found[kind] = None if name is None else _load(name)
        return _found[kind]


def _load(name: str) -> Backend:
    backend = _registered[name]
    if isinstance(backend, str):
        module, _, cls = backend.partition(":")
        backend = getattr(import_module(module), cls)()
        spec = _registered[name]
        _registered.update(dict.fromkeys([n for n, b in _registered.items() if b == spec], backend))
    return backend
