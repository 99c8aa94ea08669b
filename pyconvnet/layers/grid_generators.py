"""AffineGridGenerator, UniformScalingGridGenerator: transformations to sampling grids (DagNN only).

Both return a 2 x Ho x Wo x N grid for BilinearSampler: y and x in [-1, 1], of the points v_i = linspace(-1, 1, Ho) and
u_j = linspace(-1, 1, Wo) after the transformation (Jaderberg et al., Spatial Transformer Networks, 2015).
"""

from __future__ import annotations

import numpy as np

from pyconvnet.arrays import as_tensor, size_text
from pyconvnet.layers.base import Layer


class _GridGenerator(Layer, block=False):
    """Base: each of the two coordinates is a linear function of (v, u, 1), with coefficients among the input's."""

    Ho = 0
    Wo = 0

    backward_uses = "nothing"
    _coefficients = 0

    def _matrix(self, theta: np.ndarray) -> np.ndarray:
        """2 x 3 x N coefficients from C x N input values."""
        raise NotImplementedError

    def _gather(self, d: np.ndarray) -> np.ndarray:
        """C x N derivative from that of the 2 x 3 x N coefficients."""
        raise NotImplementedError

    def forward(self, inputs, params):
        fn = type(self).__name__
        x = as_tensor(fn, "input", inputs[0])
        if x.shape[:3] != (1, 1, self._coefficients):
            raise ValueError(f"{fn}: input is {size_text(x.shape)}, it takes 1x1x{self._coefficients}xN")
        return [np.tensordot(self._points(x.dtype), self._matrix(x[0, 0]), (0, 1)).transpose(2, 0, 1, 3)]

    def backward(self, inputs, params, derOutputs):
        dy = derOutputs[0]
        d = np.tensordot(self._points(dy.dtype), dy, ((1, 2), (1, 2))).transpose(1, 0, 2)
        return [self._gather(d)[None, None]], []

    def _points(self, dtype: np.dtype) -> np.ndarray:
        """3 x Ho x Wo: (v, u, 1) of every point."""
        v, u = _spread(self.Ho), _spread(self.Wo)
        out = np.ones((3, v.size, u.size), dtype)
        out[0] = v[:, None]
        out[1] = u
        return out

    def getOutputSizes(self, inputSizes):
        return [(2, int(self.Ho), int(self.Wo), inputSizes[0][3])]


class AffineGridGenerator(_GridGenerator):
    """1 x 1 x 6 x N affine transformations c to grids: y = c1 v + c2 u + c5, x = c3 v + c4 u + c6."""

    _coefficients = 6

    def _matrix(self, theta):
        return theta[[[0, 1, 4], [2, 3, 5]]]

    def _gather(self, d):
        return d.reshape(6, -1)[[0, 1, 3, 4, 2, 5]]


class UniformScalingGridGenerator(_GridGenerator):
    """1 x 1 x 3 x N transformations (s, a, b) to grids: y = s v + a, x = s u + b."""

    _coefficients = 3

    def _matrix(self, theta):
        s, a, b = theta
        zero = np.zeros_like(s)
        return np.stack([np.stack([s, zero, a]), np.stack([zero, s, b])])

    def _gather(self, d):
        return np.stack([d[0, 0] + d[1, 1], d[0, 2], d[1, 2]])


def _spread(n: int) -> np.ndarray:
    """MATLAB's linspace(-1, 1, n), which is 1 for n = 1."""
    return np.linspace(-1, 1, int(n)) if n > 1 else np.ones(int(n))
