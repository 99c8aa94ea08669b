"""What the operators check alike: filters, biases, derivatives.

Messages begin with the argument; the name of the operator that was called is put in front (options.matlab_options).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, check_like, is_empty, size_text
from pyconvnet.geometry import Window


@lru_cache(maxsize=1024)  # layers ask the same again and again
def check_filters(shape: tuple[int, ...], filters: tuple[int, ...], window: Window) -> tuple[int, int]:
    """Refuse filters whose channels or size do not fit x; the size of the output."""
    channels, depth, count = shape[2], filters[2], filters[3]
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
