"""Convolution of float32 arrays: which algorithm for which layer."""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import from_nhwc
from pyconvnet.geometry import Window
from pyconvnet.kernels.cpu.direct import direct
from pyconvnet.kernels.cpu.winograd import suits, winograd


def conv(x: np.ndarray, f: np.ndarray, b: np.ndarray | None, window: Window, relu: bool = False) -> np.ndarray:
    """See `kernels.plain.conv.conv`; with `relu`, max(y, 0)."""
    run = winograd if suits(x, f, window) else direct
    return from_nhwc(run(x, f, b, window, relu))
