"""Checks of the values that a layer returns, so that a mistake shows in its layer and not some layers later."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from pyconvnet.arrays import is_empty, shape_of, size_text


def outputs(returned: Any, count: int) -> list[Any]:
    """The list of `count` outputs that `forward` returned; TypeError or ValueError if it is not one."""
    if not isinstance(returned, (list, tuple)):
        raise TypeError(f"forward returns a list of outputs, got {type(returned).__name__}")
    if len(returned) != count:
        raise ValueError(f"forward returned {len(returned)} outputs, the layer has {count}")
    return returned


def derivatives(returned: Any, inputs: list[Any], params: list[Any], optional: int = 0) -> tuple[list[Any], list[Any]]:
    """The (derInputs, derParams) that `backward` returned, as many as inputs and parameters and of their sizes.

    An input that is None, because it is not kept, can have a derivative of any size.

    optional  how many of the last inputs (labels) need no entry
    """
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"backward returns (derInputs, derParams), two lists, got {type(returned).__name__}")
    d_inputs, d_params = returned
    for name, d in (("derInputs", d_inputs), ("derParams", d_params)):
        if not isinstance(d, (list, tuple)):
            raise TypeError(f"backward returns (derInputs, derParams), two lists; {name} is {type(d).__name__}")
    if not len(inputs) - optional <= len(d_inputs) <= len(inputs) or len(d_params) != len(params):
        raise ValueError(
            f"backward returned {len(d_inputs)} and {len(d_params)} derivatives, "
            f"the layer has {len(inputs)} inputs and {len(params)} parameters"
        )
    for name, values, ders in (("inputs", inputs, d_inputs), ("params", params, d_params)):
        for i, (value, d) in enumerate(zip(values, ders)):
            if value is None or d is None or getattr(value, "shape", 0) == getattr(d, "shape", 1):
                continue
            if not is_empty(value) and not is_empty(d) and _size(value) != _size(d):
                raise ValueError(
                    f"backward returned a derivative of size {size_text(shape_of(d))} for {name}[{i}], "
                    f"which is {size_text(shape_of(value))}"
                )
    return returned


def leaves_pixels(layer: Any, sizes: Sequence[tuple[float, ...]], outputs: Sequence[tuple[float, ...]]) -> None:
    """Refuse sizes of inputs of which nothing is left."""
    for size in outputs:
        if any(v < 1 for v in size[:3]):
            raise ValueError(f"{type(layer).__name__}: of {size_text(sizes[0])} it leaves {size_text(size)}")


def known(size: Sequence[float]) -> bool:
    """Whether height, width and channels of a size are known."""
    return not any(map(math.isnan, size[:3]))


def warn_of_sizes(layer: Any, sizes: Sequence[tuple[float, ...]], dim: int = 0) -> None:
    """Warn, as MatConvNet's Sum does, where `differing` finds that sizes are not the same."""
    where = "" if layer.layerIndex is None else f" ... in layer {layer.net.layers[layer.layerIndex].name!r}"
    for problem in differing(layer, sizes, dim):
        warnings.warn(problem + where, stacklevel=5)  # the caller of DagNN.getVarSizes


def differing(layer: Any, sizes: Sequence[tuple[float, ...]], dim: int = 0) -> list[str]:
    """The inputs of a layer whose size (H, W, C, N) is not the same as that of the first, and must be, in words.

    dim  the dimension (1 to 4) in which they may differ; 0: none. A size that is not known (NaN) differs from none.
    """
    first, found = sizes[0], []
    for k, size in enumerate(sizes[1:], 2):
        pairs = enumerate(zip(first, size), 1)
        if any(a != b and d != dim and not math.isnan(a) and not math.isnan(b) for d, (a, b) in pairs):
            same = f"must be the same in all dimensions but {dim}" if dim else "must be the same"
            found.append(
                f"{type(layer).__name__}: input {k} is {size_text(size)}, input 1 is {size_text(first)}; they {same}"
            )
    return found


def _size(x: Any) -> tuple[int, ...]:
    """The shape without trailing ones, which MATLAB drops."""
    shape = shape_of(x)
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape
