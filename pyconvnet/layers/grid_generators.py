"""AffineGridGenerator, UniformScalingGridGenerator: transformations to sampling grids (DagNN only).

Both return a 2 x Ho x Wo x N grid for BilinearSampler: y and x in [-1, 1], of the points v_i = linspace(-1, 1, Ho) and
u_j = linspace(-1, 1, Wo) after the transformation (Jaderberg et al., Spatial Transformer Networks, 2015).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.arrays import as_tensor, size_text
from pyconvnet.layers.base import Layer

LARGEST = 1 << 16  # points along a side of a grid


class _GridGenerator(Layer, block=False):
    """Base: each of the two coordinates is a linear function of (v, u, 1), with coefficients among the input's."""

    Ho = 0
    Wo = 0

    backward_uses = "nothing"
    _coefficients = 0

    def _matrix(self, theta: Any) -> Any:
        """2 x 3 x N coefficients from C x N input values."""
        raise NotImplementedError

    def _gather(self, d: Any) -> Any:
        """C x N derivative from that of the coefficients, 6 x N."""
        raise NotImplementedError

    def forward(self, inputs, params):
        fn = type(self).__name__
        x = as_tensor(f"{fn}: input", inputs[0])
        if tuple(x.shape[:3]) != (1, 1, self._coefficients):
            raise ValueError(f"{fn}: input is {size_text(x.shape)}, it must be 1x1x{self._coefficients}xN")
        coefficients = self._matrix(x[0, 0]).reshape(2, 3, x.shape[3])
        return [backends.of(x).affine_grid(coefficients, *self._points())]

    def backward(self, inputs, params, derOutputs):
        dy = derOutputs[0]
        d = backends.of(dy).affine_grid_backward(dy, *self._points())
        return [self._gather(d.reshape(6, dy.shape[3]))[None, None]], []

    def _size(self) -> tuple[int, int]:
        for name, size in (("Ho", self.Ho), ("Wo", self.Wo)):
            if not (isinstance(size, (int, float)) and 0 <= size <= LARGEST and size == int(size)):
                raise ValueError(f"{type(self).__name__}: {name} must be a whole number of points, got {size!r}")
        return int(self.Ho), int(self.Wo)

    def _points(self) -> tuple[list[float], list[float]]:
        height, width = self._size()
        return _linspace(height), _linspace(width)

    def getOutputSizes(self, inputSizes):
        return [(2, *self._size(), inputSizes[0][3])]


class AffineGridGenerator(_GridGenerator):
    """1 x 1 x 6 x N affine transformations c to grids 2 x Ho x Wo x N: y = c1 v + c2 u + c5, x = c3 v + c4 u + c6.

    v and u go from -1 to 1 over the Ho rows and Wo columns of the image that BilinearSampler makes.
    Source: Jaderberg et al. 2015; MatConvNet, dagnn.AffineGridGenerator.
    """

    _coefficients = 6

    def _matrix(self, theta):
        return backends.of(theta).concat([theta[0:2], theta[4:5], theta[2:4], theta[5:6]], 0)

    def _gather(self, d):
        return backends.of(d).concat([d[0:2], d[3:5], d[2:3], d[5:6]], 0)


class UniformScalingGridGenerator(_GridGenerator):
    """1 x 1 x 3 x N transformations (s, a, b) to grids 2 x Ho x Wo x N: y = s v + a, x = s u + b.

    v, u, Ho, Wo as in AffineGridGenerator.
    """

    _coefficients = 3

    def _matrix(self, theta):
        s, a, b = theta[0:1], theta[1:2], theta[2:3]
        zero = backends.of(theta).zeros(tuple(s.shape), theta)
        return backends.of(theta).concat([s, zero, a, zero, s, b], 0)

    def _gather(self, d):
        return backends.of(d).concat([d[0:1] + d[4:5], d[2:3], d[5:6]], 0)


def _linspace(n: int) -> list[float]:
    """MATLAB's linspace(-1, 1, n), which is 1 for n = 1."""
    return np.linspace(-1, 1, n).tolist() if n > 1 else [1.0] * n
