"""The one gate to 4-D float arrays of any backend, and the memory orders of numpy's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.values import as_array


def is_empty(x: Any) -> bool:
    """MATLAB's []: None, or an array or list without elements."""
    if x is None:
        return True
    if isinstance(x, (list, tuple)):
        return not x
    return backends.find(x) is not None and 0 in x.shape


def count(x: Any) -> int:
    """How many elements an array of any backend has, or numbers a nested list."""
    return math.prod(x.shape) if backends.find(x) is not None else as_array(x).size


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array of any backend, or of a value once numpy has converted it."""
    return tuple(x.shape) if backends.find(x) is not None else as_array(x).shape


def isfinite(x: Any) -> bool:
    """Whether all values of an array of any backend, or number, are finite."""
    backend = backends.find(x)
    return bool(np.all(np.isfinite(x))) if backend is None else backend.isfinite(x)


def own_copy(x: Any) -> Any:
    """An array of its own with the same values: numpy's in MATLAB's memory order."""
    if isinstance(x, np.ndarray) and not x.flags.writeable and not any(x.strides):
        return x  # one number that stands for all, as models.build(init=False) gives, and takes no memory
    return np.array(x, order="F") if backends.find(x) is None else backends.of(x).copy(x)


def size_4d(shape: Iterable[Any]) -> tuple[Any, ...]:
    """A size with the trailing ones that MATLAB drops: (5, 5) -> (5, 5, 1, 1), never more than four numbers."""
    return (*shape, 1, 1, 1, 1)[:4]


def padded_to_4d(x: Any) -> Any:
    """An array of any backend with its missing trailing dimensions, of size 1; nothing is copied."""
    return x[(...,) + (None,) * (4 - x.ndim)] if x.ndim < 4 else x


def host_numbers(x: Any, name: str = "an array of numbers") -> Any:
    """Labels, regions and the like as a numpy array, for checks of their values.

    Raises TypeError for a masked array, whose mask would be lost; `name` is how the message begins.
    """
    backend = backends.find(x)
    if backend is None:
        return as_array(x)
    host = backend.to_host(x)
    backend = backends.of(host)
    if problem := backend.unusable(host):
        raise TypeError(f"{name} {problem}")
    return backend.plain(host)


def later(x: Any) -> Callable[[], Any]:
    """Start to bring an array to main memory; what is returned waits for it, and gives it, or what is no array."""
    backend = backends.find(x)
    return (lambda: x) if backend is None else backend.later(x)


def asynchronous(x: Any) -> bool:
    """Whether reading x would wait for a device that Python is ahead of."""
    backend = backends.find(x)
    return backend is not None and backend.asynchronous(x)


def in_precision(x: Any, weights: list[Any]) -> Any:
    """x in the precision that all weights share, if they do: MATLAB mixes no single with double."""
    backend = backends.find(x)
    if backend is None or x.dtype not in backend.floats:
        return x
    kinds = {w.dtype for w in weights if backends.find(w) is backend and w.dtype in backend.floats and 0 not in w.shape}
    if len(kinds) != 1:
        return x
    return backend.cast(x, next(w for w in weights if backends.find(w) is backend and w.dtype in kinds))


def as_tensor(name: str, x: Any, like: Any = None) -> Any:
    """`x` as an array of single or double precision with four dimensions; missing trailing ones count as 1.

    Only a numpy array that is not aligned in memory is copied; of a subclass, it is the plain array.
    name  how messages begin: "x" in an operator, whose name is put in front, elsewhere "Sum: input 1"
    like  an array whose backend and element type `x` must share (MATLAB mixes no single with double)
    """
    backend = backends.find(x)
    if backend is None:
        raise TypeError(f"{name} must be a float32 or float64 array, got {type(x).__name__}")
    if x.dtype not in backend.floats:
        raise TypeError(f"{name} must be float32 or float64, got {x.dtype}: convert it first")
    if like is not None:
        check_like(name, x, like, "the other arrays are", "all must be the same")
    elif problem := backend.unusable(x):
        raise TypeError(f"{name} {problem}")
    x = backend.plain(x)
    if x.ndim == 4:
        return x
    if x.ndim > 4:
        if any(d != 1 for d in x.shape[4:]):
            raise ValueError(f"{name} must be H x W x C x N, at most 4 dimensions, got {size_text(x.shape)}")
        return x.reshape(x.shape[:4])
    return padded_to_4d(x)


def check_like(name: str, a: Any, x: Any, other: str = "x is", rule: str = "all must be the same") -> None:
    """Refuse a value that is not an array of the backend, the element type and the device of x."""
    backend, own = backends.find(a), backends.of(x)
    if backend is None:
        raise TypeError(f"{name} is {type(a).__name__} where {other} {x.dtype}; {rule}")
    if backend is not own:
        kinds = [" on ".join(str(p) for p in (b.name, b.place(v)) if p) for b, v in ((backend, a), (own, x))]
        raise TypeError(f"{name} is an array of {kinds[0]} where {other} of {kinds[1]}; {rule}")
    if a.dtype != x.dtype:
        raise TypeError(f"{name} is {a.dtype} where {other} {x.dtype}; {rule}")
    if backend.place(a) != own.place(x):
        raise TypeError(f"{name} is on {backend.place(a)} where {other} on {own.place(x)}; {rule}")
    if problem := backend.unusable(a):
        raise TypeError(f"{name} {problem}")


def derivative_like(name: str, d: Any, y: Any, output: str = "the output") -> Any:
    """The derivative that a caller gives for an output `y` of a network, in its size and precision.

    A number stands for an output of one element; trailing dimensions of 1 may be missing.
    Raises TypeError for values other than numbers and for a number in place of an array, ValueError for another size.
    """
    if backends.find(y) is None:
        y = np.asarray(y, float)  # a block of the user's may give a number
    backend = backends.of(y)
    if backends.find(d) is backend and d.dtype in backend.floats:
        given = backend.cast(d, y)
    else:
        given = backend.asarray(_numbers(name, d), y)
    size = math.prod(y.shape)
    if math.prod(given.shape) == size == 1:
        return given.reshape(y.shape)
    if not given.ndim:
        raise TypeError(
            f"{name} must be an array of its size {size_text(y.shape)}, got {type(d).__name__}; a number weighs an "
            "output of one element only"
        )
    if tuple(given.shape) + (1,) * (y.ndim - given.ndim) != tuple(y.shape) + (1,) * (given.ndim - y.ndim):
        raise ValueError(
            f"{name} is {size_text(given.shape)} where {output} is {size_text(y.shape)}; both must be the same"
        )
    return given.reshape(y.shape)


def _numbers(name: str, d: Any) -> np.ndarray:
    """The derivative that a caller gives, as a numpy array of numbers."""
    given = as_array(d)
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, got {type(d).__name__} ({given.dtype})")
    return given


def nhwc(x: np.ndarray) -> np.ndarray:
    """The same values as a C-contiguous N x H x W x C array (channels fastest); copies only if they lie otherwise."""
    return np.ascontiguousarray(x.transpose(3, 0, 1, 2))


def from_nhwc(y: np.ndarray) -> np.ndarray:
    """N x H x W x C memory seen as H x W x C x N; copies nothing."""
    return y.transpose(1, 2, 3, 0)


def size_text(shape: Iterable[float], text: Callable[[float], str] = str) -> str:
    """(6, 6, 20, 4) -> '6x6x20x4', for messages; `text` writes one number."""
    return "x".join(map(text, shape))
