"""What the operators check alike: filters, biases, derivatives.

Messages begin with the argument; the name of the operator that was called is put in front (options.matlab_options).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, check_like, host_numbers, is_empty, size_text
from pyconvnet.geometry import Window


@lru_cache(maxsize=1024)  # layers ask the same again and again
def check_filters(shape: tuple[int, ...], filters: tuple[int, ...], window: Window) -> tuple[int, int]:
    """Refuse filters whose channels or size do not fit x; the size of the output."""
    channels, depth, count = shape[2], filters[2], filters[3]
    if not channels:
        raise ValueError(f"x is {size_text(shape)}, without channels; f takes {depth}, or a multiple of that (groups)")
    if channels % depth:
        raise ValueError(f"x has {channels} channels and f {depth}; {depth} must divide {channels} (groups)")
    if count % (channels // depth):
        groups = f"{channels // depth} groups, which must divide the {count} filters"
        raise ValueError(f"x has {channels} channels and f {depth}: {groups}")
    out = window.output_size(*shape[:2])
    if min(out) < 1:
        padded = size_text((shape[0] + sum(window.pad[:2]), shape[1] + sum(window.pad[2:])))
        raise ValueError(f"f spans {size_text(window.extent)} pixels, more than x with its pad, {padded}")
    return out


def check_biases(b: Any, count: int, x: Any) -> Any:
    """The biases as a vector, None where there are none; any shape of `count` elements will do."""
    if is_empty(b):
        return None
    check_like("b", b, x)
    if math.prod(b.shape) != count:
        size = size_text(b.shape) or "a number"
        raise ValueError(f"b has {math.prod(b.shape)} elements ({size}), f has {count} filters")
    return backends.of(b).flat(b)


def check_derivative(dzdy: Any, x: Any, shape: tuple[int, ...]) -> Any:
    """dzdy as a tensor, which must have the shape of the output."""
    dzdy = as_tensor("dzdy", dzdy, like=x)
    if tuple(dzdy.shape) != shape:
        raise ValueError(f"dzdy is {size_text(dzdy.shape)}, the output is {size_text(shape)}")
    return dzdy


def loss_weight(dzdy: Any, x: Any) -> Any:
    """The derivative of a loss, one number, in the precision of x, 1 x 1 x 1 x 1."""
    backend = backends.of(x)
    if backends.find(dzdy) is backend and dzdy.dtype in backend.floats:
        dzdy = as_tensor("dzdy", dzdy)
    else:
        dzdy = host_numbers(dzdy, "dzdy")
        if dzdy.dtype.kind not in "iuf":
            raise ValueError(f"dzdy must be one number, got {dzdy.dtype}")
        dzdy = backend.asarray(dzdy, x)
    if math.prod(dzdy.shape) != 1:
        raise ValueError(f"dzdy must be one number, got {size_text(dzdy.shape)}")
    return backend.cast(dzdy.reshape(1, 1, 1, 1), x)


def numbers_like(name: str, a: Any, x: Any) -> Any:
    """Any numbers as a tensor in the precision of x, that of MATLAB's arithmetic."""
    backend = backends.of(x)
    if backends.find(a) is backend and a.dtype in backend.floats:
        return as_tensor(name, backend.cast(a, x))
    found = host_numbers(a, name)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, got {type(a).__name__} of {found.dtype}")
    return as_tensor(name, backend.asarray(found, x))


def fitting(name: str, a: Any, full: tuple[int, ...]) -> Any:
    """`a` where its size is `full` or 1 in a dimension; a vector is reshaped if it fits one such array only."""
    if all(s in (1, t) for s, t in zip(a.shape, full)):
        return a
    for shape in (full, (1, 1, *full[2:])):
        if max(a.shape) == math.prod(a.shape) == math.prod(shape) == max(shape):
            return a.reshape(shape)
    raise ValueError(f"{name} is {size_text(a.shape)}; it must be {size_text(full)}, or 1 in a dimension")


def target_of(name: str, t: Any, x: Any) -> Any:
    """Numbers that meet x value by value, as `fitting` allows; of 1 x 1 x C x N also as C x N."""
    given = numbers_like(name, t, x)
    if x.shape[:2] == (1, 1) and tuple(given.shape) == (*x.shape[2:], 1, 1):
        return backends.of(x).reshaped(given, tuple(x.shape))
    return fitting(name, given, tuple(x.shape))
