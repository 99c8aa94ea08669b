"""A stand-in backend: arrays in boxes, which numpy cannot look into, and a count of what the backend was asked.

Its primitives and the kernels without a composite open the boxes and ask numpy; all else are the composites that every
new backend starts with.
"""

from __future__ import annotations

import operator
from collections import Counter
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.backends.base import Backend
from pyconvnet.backends.reference import Reference


class Box:
    """An array of another library: shape, ndim, dtype, Python's operators, slices and reshape."""

    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(self, a: Any) -> None:
        self.a = np.asarray(a)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("numpy was asked for a tensor that is not one of its own")

    shape = property(lambda self: self.a.shape)
    ndim = property(lambda self: self.a.ndim)
    dtype = property(lambda self: self.a.dtype)
    T = property(lambda self: Box(self.a.T))

    def reshape(self, *shape: Any) -> Box:
        return Box(self.a.reshape(*shape))

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, key: Any) -> Box:
        return Box(self.a[opened(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.a[opened(key)] = opened(value)

    def __iadd__(self, other: Any) -> Box:
        self.a += opened(other)
        return self

    def __repr__(self) -> str:
        return f"Box({self.a!r})"


def _binary(name: str) -> Any:
    def method(self: Box, other: Any) -> Box:
        with np.errstate(invalid="ignore"):  # other libraries do not warn
            return Box(getattr(operator, name)(self.a, opened(other)))

    return method


def _reflected(name: str) -> Any:
    return lambda self, other: Box(getattr(operator, name)(opened(other), self.a))


for _name in "add sub mul truediv pow".split():
    setattr(Box, f"__{_name}__", _binary(_name))
    setattr(Box, f"__r{_name}__", _reflected(_name))
for _name in "eq ne lt le gt ge and_ or_".split():
    setattr(Box, f"__{_name.rstrip('_')}__", _binary(_name))
Box.__neg__ = lambda self: Box(-self.a)


def opened(value: Any) -> Any:
    """What is in the boxes of a value."""
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(map(opened, value))
    return value.a if isinstance(value, Box) else value


def boxed(value: Any) -> Any:
    """Arrays, and those in lists and tuples, in boxes."""
    if type(value) in (list, tuple):
        return type(value)(map(boxed, value))
    return Box(value) if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fiub" else value


class BoxBackend(Backend):
    """The backend of boxes; `asked` counts the calls of its primitives and kernels."""

    name = "boxes"
    floats = Reference.floats

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def to_host(self, x: Box) -> np.ndarray:
        self.asked["to_host"] += 1
        return x.a


PRIMITIVES = (
    "asarray zeros copy exp log sign maximum where sum max argmax take put concat isfinite reshaped cast indexes scalar"
).split()
KERNELS = (
    "conv conv_backward convt convt_backward pool pool_backward lrn lrn_backward bilinear bilinear_backward roipool "
    "roipool_backward"
).split()


def _through(name: str) -> Any:
    reference = Reference()

    def method(self: BoxBackend, *args: Any, **options: Any) -> Any:
        self.asked[name] += 1
        return boxed(getattr(reference, name)(*opened(args), **opened(options)))

    return method


for _name in (*PRIMITIVES, *KERNELS):
    setattr(BoxBackend, _name, _through(_name))


def register() -> BoxBackend:
    """Register the backend of boxes; the same one each time."""
    name = f"{Box.__module__}.{Box.__qualname__}"
    if not isinstance(backends._registered.get(name), Backend):
        backends.register(name, BoxBackend())
    return backends.of(Box(0.0))
