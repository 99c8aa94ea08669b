"""Checks of the values that a layer returns, so that a mistake shows in its layer and not some layers later."""

from __future__ import annotations

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


def _size(x: Any) -> tuple[int, ...]:
    """The shape without trailing ones, which MATLAB drops."""
    shape = shape_of(x)
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape
