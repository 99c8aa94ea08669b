"""vl_nnSubP: sub-pixels, from channels to pixels and back (FFDNet, SRMD)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, is_empty, size_text
from pyconvnet.ops.checks import check_derivative
from pyconvnet.options import matlab_options
from pyconvnet.values import number


@matlab_options(names_errors=True)
def vl_nnSubP(x: np.ndarray, dzdy: np.ndarray | None = None, *, scale: Any = 2) -> np.ndarray:
    """Channels become pixels (pixel shuffle), or pixels channels.

    vl_nnSubP(x, scale=s) -> y              x: H x W x C s^2 x N     y: sH x sW x C x N
    vl_nnSubP(x, scale=1/s) -> y            x: sH x sW x C x N       y: H x W x C s^2 x N
    vl_nnSubP(x, dzdy, scale=...) -> dzdx   dzdy like y, dzdx like x

    scale  2; a whole number from 1 up, or 1 divided by one: 1/2, 1/3 ...

    Each pixel of s^2 channels becomes s x s pixels of one channel, in MATLAB's order, rows fastest: for a and b from 0
    to s - 1,

        y[s h + a, s w + b, c] = x[h, w, s^2 c + s b + a]

    (torch's pixel_shuffle counts columns fastest.) 1/s is the inverse. A value that is only moved has its derivative
    moved back.

    Raises TypeError for arrays that are not float32 or float64; ValueError for sizes that s does not divide.
    Source: Zhang, Zuo, Zhang, FFDNet, IEEE TIP 2018, and its code's vl_nnSubP; Shi et al., arXiv:1609.05158.

    >>> x = np.arange(1.0, 5).reshape(1, 1, 4, 1)
    >>> vl_nnSubP(x)[:, :, 0, 0].tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    x = as_tensor("x", x)
    up, factor = factors("scale", scale)
    size = output_size("x", x.shape, up, factor)
    if is_empty(dzdy):
        return move(x, up, factor)
    return move(check_derivative(dzdy, x, size), not up, factor)


def factors(name: str, scale: Any) -> tuple[bool, int]:
    """(whether channels become pixels, s) for a scale of s or 1/s."""
    value = number(name, scale, "a whole number or 1 divided by one, such as 2 or 1/2", _is_scale)
    return value > 1, round(value if value > 1 else 1 / value)


def _is_scale(value: float) -> bool:
    if not 1e-4 < value < 1e4:
        return False
    # 1/3 may come as 0.333 from a file: vl_nnSubP rounds 1/scale
    return value == round(value) if value > 1 else abs(1 / value - round(1 / value)) < 0.01


def output_size(name: str, size: Any, up: bool, s: int) -> tuple[Any, ...]:
    """The size of the output for (H, W, C, N), in which NaN is not known."""
    h, w, c, n = size
    if up:
        if c % (s * s) > 0:
            raise ValueError(f"{name} has {c:g} channels; for scale {s} they must be a multiple of {s * s}")
        return h * s, w * s, c // (s * s), n
    if h % s > 0 or w % s > 0:
        raise ValueError(
            f"{name} is {size_text(size)}; for scale 1/{s} height and width must be multiples of {s} (repeat the last "
            "row or column, and cut the output)"
        )
    return h // s, w // s, c * s * s, n


def move(x: Any, up: bool, s: int) -> Any:
    """The elements of x where they belong; sizes are right."""
    backend, (h, w, c, n) = backends.of(x), x.shape
    # in MATLAB's order of elements, each dimension below splits into two neighbours or comes of two
    if up:
        apart = backend.reshaped(x, (h, w, s, s, c // (s * s), n))
        return backend.reshaped(backend.permuted(apart, (2, 0, 3, 1, 4, 5)), (h * s, w * s, c // (s * s), n))
    apart = backend.reshaped(x, (s, h // s, s, w // s, c, n))
    return backend.reshaped(backend.permuted(apart, (1, 3, 0, 2, 4, 5)), (h // s, w // s, c * s * s, n))
