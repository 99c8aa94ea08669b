"""MatConvNet's small functions on tensors: vl_taccum, vl_tmove, vl_tshow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet.arrays import padded_to_4d, shape_of, size_text
from pyconvnet.options import matlab_options
from pyconvnet.values import as_array, choice, number

__all__ = ["vl_taccum", "vl_tmove", "vl_tshow"]

_tensors: dict[str, Any] = {}


def vl_taccum(alpha: float, a: Any, beta: float, b: Any) -> Any:
    """alpha a + beta b; a is not changed.

    >>> vl_taccum(1, np.array([1, 2.0]), 2, np.array([10, 10.0]))
    array([21., 22.])
    """
    for name, x in (("alpha", alpha), ("a", a), ("beta", beta), ("b", b)):
        if isinstance(x, (str, list, tuple, dict)) or x is None or callable(x):
            raise TypeError(f"vl_taccum: {name} must be numbers or a tensor, got {type(x).__name__}")
    number("vl_taccum: alpha", alpha)
    number("vl_taccum: beta", beta)
    if 1 not in (math.prod(shape_of(a)), math.prod(shape_of(b))) and shape_of(a) != shape_of(b):
        raise ValueError(
            f"vl_taccum: a and b must be of one size, got {size_text(shape_of(a))}, {size_text(shape_of(b))}"
        )
    return alpha * a + beta * b


def vl_tmove(command: str, *arguments: Any) -> Any:
    """MATLAB's exchange of tensors between processes, here of one process, whose sums are what it pushed.

    vl_tmove("init", format, labindex, numlabs)   numlabs must be 1
    vl_tmove("push", name, value), vl_tmove("pull", name) -> value
    vl_tmove("reset")
    """
    command = choice("vl_tmove: command", command, ("init", "push", "pull", "reset"))
    if command in ("init", "reset"):
        _tensors.clear()
        if command == "init" and len(arguments) > 2 and int(arguments[2]) != 1:
            raise ValueError(f"vl_tmove: numlabs must be 1, got {arguments[2]}; there are no other processes here")
        return None
    if command == "push":
        _tensors[arguments[0]] = arguments[1]
        return None
    if arguments[0] not in _tensors:
        raise ValueError(f"vl_tmove: nothing was pushed as {arguments[0]!r}")
    return _tensors[arguments[0]]


@matlab_options(names_errors=True)
def vl_tshow(T: Any, *, labels: bool = True, aspectRatio: float = 0.75, optimizeAR: bool | None = None) -> Any:
    """Draw a tensor H x W x C x N as C rows and N columns of slices in matplotlib's current axes; returns the image.

    labels       write what rows and columns are
    aspectRatio  height / width of the whole, where slices are laid out anew
    optimizeAR   lay slices out anew, column by column: None: where C or N is 1

    Needs matplotlib: pip install 'pyconvnet[plot]'.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        raise ImportError("vl_tshow needs matplotlib: pip install 'pyconvnet[plot]'") from None
    x = as_array(T)
    if x.dtype.kind not in "biuf" or x.ndim > 4 or not x.size:
        raise TypeError(f"T must be numbers or logicals in at most 4 dimensions, got {x.dtype}, {size_text(x.shape)}")
    x = padded_to_4d(np.atleast_2d(x))
    h, w, channels, count = x.shape
    if optimizeAR or (optimizeAR is None and 1 in (channels, count)):
        slices = channels * count
        columns = [n for n in range(1, slices + 1) if slices % n == 0]
        best = min(columns, key=lambda n: abs(np.log(slices // n * h / (n * w)) - np.log(aspectRatio)))
        x = x.reshape((h, w, slices // best, best), order="F")
        labels = labels and optimizeAR is not None
    rows, across = x.shape[2:]
    picture = x.transpose(2, 0, 3, 1).reshape(rows * h, across * w)
    axes = plt.gca()
    image = axes.imshow(picture)
    axes.set_xticks(np.arange(1, across) * w - 0.5, [""] * (across - 1))
    axes.set_yticks(np.arange(1, rows) * h - 0.5, [""] * (rows - 1))
    axes.tick_params(length=0)
    axes.grid(color="0.94")
    if labels:
        axes.set_xlabel(f"Fourth dimension (size {count})")
        axes.set_ylabel(f"Third dimension (size {channels})")
    return image
