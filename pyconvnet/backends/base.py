"""Backend: the kernels for one type of array.

The operators (pyconvnet.ops) check arguments and call one method of the backend that the arrays bring. Three kinds of
methods make up a backend:

primitives   functions of every array library; a new backend provides them all (primitives.py)
composites   written over the primitives here; a backend overrides the ones it does better
kernels      convolution, pooling, LRN and their like, which have no composite: a backend without one says
             "no NAME kernel for TYPE yet" when it is called

Arrays are H x W x C x N. They have shape, ndim, dtype, T, reshape, Python's operators and comparisons, and slices that
are read and assigned; a backend is asked for all else. No method warns of overflow or NaN. Derivatives are called
NAME_backward and get the arguments of NAME, then the derivative of its output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pyconvnet.backends.losses import Losses
from pyconvnet.backends.primitives import Array, Shape


class Backend(Losses):
    """Kernels for one type of array; see the module."""

    # --- devices ----------------------------------------------------------------------------------------------------

    def any(self, x: Array) -> bool:
        """Whether a value is not zero."""
        return bool(self.to_host(x).any())

    def place(self, x: Array) -> Any:
        """The device of x, where there is more than one; as text it is the device's name."""
        return ""

    def asynchronous(self, x: Array) -> bool:
        """Whether kernels on x are only launched, and Python goes on while they run."""
        return False

    def later(self, x: Array) -> Callable[[], Any]:
        """Start to copy x to main memory; the function returned waits for it, and gives a numpy array."""
        return lambda: self.to_host(x)

    def unusable(self, x: Array) -> str:
        """Why an array of this type cannot be used, and what to do; empty for all others."""
        return ""

    def plain(self, x: Array) -> Array:
        """x as the kernels take arrays of this type; copied only where it must be, and never a subclass."""
        return x

    def clear_caches(self) -> None:
        """Release the memory kept from call to call."""

    def level(self) -> str:
        """Which of its kernels run now, and in recordings: "" where runs of networks are not recorded."""
        return ""

    def recordable(self, x: Any) -> bool:
        """Whether runs of networks on x can be recorded and played again, where there is a level."""
        return False

    def in_order(self, x: Any) -> bool:
        """Whether recordings take x as it lies in memory; they copy others."""
        return False

    def recording(self, trains: bool = False) -> Any:
        """A new recording: see cpu/recording.py."""
        raise NotImplementedError

    def lasts(self, params: list[Any]) -> bool:
        """Whether nothing can write to these parameters."""
        return False

    def watchable(self, params: list[Any]) -> bool:
        """Whether a recording can watch these parameters for changes."""
        return False

    def unmoved(self, params: list[Any]) -> Any:
        """What is true as long as these parameters have the memory, shape and strides that they have now."""
        raise NotImplementedError

    # --- composites: numbers and memory ---------------------------------------------------------------------------

    def flat(self, x: Array) -> Array:
        """The elements in MATLAB's order."""
        return self.reshaped(x, (math.prod(x.shape),))

    def random(self, shape: Shape, like: Array, generator: Any) -> Array:
        """Numbers from 0 to below 1 of a numpy Generator: the same for every backend."""
        return self.asarray(generator.random(shape, dtype="float32"), like)

    def add(self, x: Array, y: Array) -> Array:
        """x + y."""
        return x + y

    def subsampled(self, x: Array, stride: tuple[int, int], pad: tuple[int, int, int, int], out: Shape) -> Array:
        """Every stride-th pixel of x with zeros around it: a convolution without filters."""
        y = self.zeros((*out, *x.shape[2:]), x)
        pixels, seen = _overlap(stride, pad, out, x.shape)
        y[pixels] = x[seen]
        return y

    def subsampled_backward(self, x: Array, stride: Any, pad: Any, out: Shape, dzdy: Array) -> Array:
        """The pixels go back to where they were."""
        dx = self.zeros(x.shape, x)
        pixels, seen = _overlap(stride, pad, out, x.shape)
        dx[seen] = dzdy[pixels]
        return dx

    def permuted(self, x: Array, axes: tuple[int, ...]) -> Array:
        """The dimensions in another order, by way of main memory: a backend whose arrays can do it does."""
        return self.asarray(self.to_host(x).transpose(axes), x)

    def bias_gradient(self, dzdy: Array) -> Array:
        """Sums over pixels and images, K values."""
        return self.sum(dzdy, (0, 1, 3)).reshape(-1)

    def crop_backward(self, shape: Shape, top: int, left: int, dzdy: Array) -> Array:
        """dzdy in the middle of zeros."""
        dx = self.zeros(shape, dzdy)
        dx[top : top + dzdy.shape[0], left : left + dzdy.shape[1]] = dzdy
        return dx

    # --- composites: element by element ---------------------------------------------------------------------------

    def relu(self, x: Array, leak: float) -> Array:
        """max(x, 0) + leak min(x, 0); max(NaN, 0) is 0, as in MATLAB."""
        return self.at_least(x, 0) if leak == 0 else self.where(x > 0, x, x * self.scalar(x, leak))

    def relu_backward(self, x: Array, dzdy: Array, leak: float) -> Array:
        """dzdy where x > 0, leak dzdy elsewhere."""
        return dzdy * self.where(x > 0, self.scalar(x, 1), self.scalar(x, leak))

    def sigmoid(self, x: Array) -> Array:
        """1 / (1 + exp(-x))."""
        return self._logistic(x)

    def sigmoid_backward(self, x: Array, dzdy: Array) -> Array:
        """dzdy y (1 - y)."""
        y = self.sigmoid(x)
        return dzdy * (y * (1 - y))

    def softplus(self, x: Array) -> Array:
        """ln(1 + e^x)"""
        return self.maximum(x, self.scalar(x, 0)) + self.log(1 + self.exp(-self.abs(x)))

    def softplus_slope(self, x: Array) -> Array:
        """Its derivative."""
        return self._logistic(x)

    def tanh(self, x: Array) -> Array:
        """tanh x = 2 sigmoid(2 x) - 1."""
        return 2 * self._logistic(2 * x) - 1

    def elu(self, x: Array, alpha: float) -> Array:
        """x above 0, alpha (e^x - 1) below."""
        return self.where(x > 0, x, self.scalar(x, alpha) * (self.exp(-self.maximum(-x, self.scalar(x, 0))) - 1))

    def elu_slope(self, x: Array, alpha: float) -> Array:
        """Its derivative."""
        below = self.scalar(x, alpha) * self.exp(-self.maximum(-x, self.scalar(x, 0)))
        return self.where(x > 0, self.scalar(x, 1), below)

    def swish(self, x: Array, beta: float) -> Array:
        """x / (1 + e^(-beta x))."""
        return x * self._logistic(self.scalar(x, beta) * x)

    def swish_slope(self, x: Array, beta: float) -> Array:
        """Its derivative."""
        z = self.scalar(x, beta) * x
        s = self._logistic(z)
        return s + z * s * (1 - s)

    # --- composites: normalization --------------------------------------------------------------------------------

    def moments_of(self, x: Array, epsilon: float) -> Array:
        """K x 2: the mean of each channel, and sqrt(variance + epsilon)."""
        count = math.prod(x.shape) // x.shape[2]
        mean = self.sum(x, (0, 1, 3)) / count
        variance = self.sum((x - mean) ** 2, (0, 1, 3)) / count
        sigma = self.power(variance + self.scalar(x, epsilon), 0.5)
        return self.concat([mean.reshape(-1, 1), sigma.reshape(-1, 1)], 1)

    def bnorm(self, x: Array, g: Array, b: Array, epsilon: float, moments: Array | None = None) -> tuple[Array, Array]:
        """(g (x - mean) / sigma + b, moments)."""
        if moments is None:
            moments = self.moments_of(x, epsilon)
        slope = g / moments[:, 1]
        return x * _per_channel(slope) + _per_channel(b - slope * moments[:, 0]), moments

    def bnorm_backward(
        self, x: Array, g: Array, b: Array, dzdy: Array, epsilon: float, moments: Array | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """(dx, dg, db, moments); given moments are taken for those of the batch, as MatConvNet does."""
        if moments is None:
            moments = self.moments_of(x, epsilon)
        mean, sigma = moments[:, 0], moments[:, 1]
        normal = (x - _per_channel(mean)) / _per_channel(sigma)
        db = self.sum(dzdy, (0, 1, 3)).reshape(-1)
        dg = self.sum(dzdy * normal, (0, 1, 3)).reshape(-1)
        mass = self.scalar(x, math.prod(x.shape) // x.shape[2])
        dx = _per_channel(g / sigma) * (dzdy - _per_channel(db / mass) - normal * _per_channel(dg / mass))
        return dx, dg, db, moments

    def noffset(self, x: Array, alpha: float, beta: float) -> Array:
        """x - alpha L^beta, with L the sum of x^2 over the channels, not less than 1e-8."""
        return x - self.scalar(x, alpha) * self._energy(x) ** self.scalar(x, beta)

    def noffset_backward(self, x: Array, alpha: float, beta: float, dzdy: Array) -> Array:
        """dzdy - 2 alpha beta x L^(beta - 1) times the sum of dzdy over the channels."""
        total = self.sum(dzdy, (2,))
        power = self._energy(x) ** self.scalar(x, beta - 1)
        return dzdy - self.scalar(x, 2 * alpha * beta) * x * (total * power)

    def _energy(self, x: Array) -> Array:
        return self.at_least(self.sum(x * x, (2,)), 1e-8)

    def normalizelp(self, x: Array, p: float, epsilon: float, axes: tuple[int, ...]) -> Array:
        """x / (sum of x^p + epsilon)^(1/p)."""
        return x / self.power(self.sum(self.power(x, p), axes) + self.scalar(x, epsilon), 1 / p)

    def normalizelp_backward(self, x: Array, p: float, epsilon: float, axes: tuple[int, ...], dzdy: Array) -> Array:
        """With s = sum of x^p + epsilon: (dzdy - x^(p-1) / s times the sum of dzdy x) / s^(1/p)."""
        inside = self.sum(self.power(x, p), axes) + self.scalar(x, epsilon)
        dzdy = dzdy / self.power(inside, 1 / p)
        return dzdy - self.sum(dzdy * x, axes) * (self.power(x, p - 1) / inside)

    # --- composites: grids of the spatial transformer --------------------------------------------------------------

    def affine_grid(self, coefficients: Array, v: Sequence[float], u: Sequence[float]) -> Array:
        """2 x len(v) x len(u) x N: a v + b u + c of every point, for coefficients 2 x 3 x N."""
        rows = self.asarray(v, coefficients).reshape(1, -1, 1, 1)
        columns = self.asarray(u, coefficients).reshape(1, 1, -1, 1)
        a, b, c = (coefficients[:, i].reshape(2, 1, 1, -1) for i in range(3))
        return a * rows + b * columns + c

    def affine_grid_backward(self, dzdy: Array, v: Sequence[float], u: Sequence[float]) -> Array:
        """The derivative of the coefficients, 2 x 3 x N."""
        rows = self.asarray(v, dzdy).reshape(1, -1, 1, 1)
        columns = self.asarray(u, dzdy).reshape(1, 1, -1, 1)
        sums = [self.sum(d, (1, 2)).reshape(2, 1, -1) for d in (dzdy * rows, dzdy * columns, dzdy)]
        return self.concat(sums, 1)

    # --- composites: training ---------------------------------------------------------------------------------------

    def sgd_start(self, w: Array, m: Any, der: Array) -> tuple[Array, Array]:
        """(w, m) as arrays that sgd_step may change; m may be a number, or an array in main memory."""
        return self.copy(w), self.asarray(m, w) + self.zeros(w.shape, w)

    def sgd_fits(self, w: Array, der: Array) -> bool:
        """Whether sgd_step can go on with arrays that sgd_start made for another derivative."""
        return True

    def sgd_step(
        self, w: Array, m: Array, der: Array, scale: float, decay: float, momentum: float, rate: float, nesterov: bool
    ) -> tuple[Array, Array]:
        """(w, m) after a step of pyconvnet.solver.sgd along scale der + decay w; w and m may be changed in place."""
        g = self.scalar(w, scale) * der + self.scalar(w, decay) * w
        m = self.scalar(w, momentum) * m - g
        step = self.scalar(w, momentum) * m - g if nesterov else m
        return w + self.scalar(w, rate) * step, m

    def sgd_steps(
        self, steps: Sequence[tuple[Array, Array, Array, float, float, float]], momentum: float, nesterov: bool
    ) -> list[tuple[Array, Array]]:
        """sgd_step of many parameters, each (w, m, der, scale, decay, rate)."""
        return [
            self.sgd_step(w, m, der, scale, decay, momentum, rate, nesterov) for w, m, der, scale, decay, rate in steps
        ]

    # --- kernels ----------------------------------------------------------------------------------------------------

    def conv(self, x: Array, f: Array, b: Array | None, window: Any) -> Array:
        """y[h, w, k, n] = b[k] + sum over i, j, c of f[i, j, c, k] x[s h + d i - top, s w + d j - left, c, n]."""
        raise self._missing("conv")

    def conv_backward(self, x: Array, f: Array, dzdy: Array, window: Any, needs: Any = (True, True, True)) -> Any:
        """(dx, df, db), None where not needed."""
        raise self._missing("conv_backward")

    def convt(self, x: Array, f: Array, b: Array | None, up: Any, crop: Any, groups: int) -> Array:
        """The derivative of a convolution by its data, as a layer."""
        raise self._missing("convt")

    def convt_backward(self, x: Array, f: Array, dzdy: Array, up: Any, crop: Any, groups: int, needs: Any) -> Any:
        """(dx, df, db), None where not needed."""
        raise self._missing("convt_backward")

    def fused_conv(
        self,
        x: Array,
        f: Array,
        b: Array | None,
        window: Any,
        scale: Any,
        add: Any,
        relu: bool,
        overwrites: bool = False,
    ) -> Any:
        """max(scale conv(x, f) + b + add, 0), each part if given; None where a backend has no such kernel for these.

        overwrites  whether the result may lie in the memory of `add`
        """
        return None

    def folded_bnorm(self, b: Any, g: Any, offset: Any, moments: Any) -> tuple[Array, Array] | None:
        """(scale of the filters, biases) of a convolution with biases b and a normalization in one, for fused_conv.

        None for parameters that vl_nnbnorm has something to say about.
        """
        return None

    def fuses(self, x: Array) -> bool:
        """Whether fused_conv is worth asking for x."""
        return False

    def pool(self, x: Array, window: Any, method: str) -> Array:
        """The maximum ("max") or mean ("avg") of the pixels of x in each window."""
        raise self._missing("pool")

    def pool_backward(self, x: Array, window: Any, method: str, dzdy: Array) -> Array:
        """To the first maximum, column by column, or in equal parts."""
        raise self._missing("pool_backward")

    def lrn(self, x: Array, n: int, kappa: float, alpha: float, beta: float) -> Array:
        """x (kappa + alpha sum of x^2 over n neighbouring channels)^-beta."""
        raise self._missing("lrn")

    def lrn_backward(self, x: Array, dzdy: Array, n: int, kappa: float, alpha: float, beta: float) -> Array:
        """dzdy L^-beta - 2 alpha beta x sum of dzdy x L^(-beta-1) over the channels whose window holds this one."""
        raise self._missing("lrn_backward")

    def spnorm(self, x: Array, window: Any, alpha: float, beta: float) -> Array:
        """x (1 + alpha mean of x^2 over the window)^-beta."""
        f = 1 + self.scalar(x, alpha) * self.pool(x * x, window, "avg")
        return x * f ** self.scalar(x, -beta)

    def spnorm_backward(self, x: Array, dzdy: Array, window: Any, alpha: float, beta: float) -> Array:
        """dzdy f^-beta - 2 alpha beta x avgpool'(dzdy x f^(-beta-1))."""
        squares = x * x
        f = 1 + self.scalar(x, alpha) * self.pool(squares, window, "avg")
        power = f ** self.scalar(x, -beta)
        inner = self.pool_backward(squares, window, "avg", dzdy * x * power / f)
        return dzdy * power - self.scalar(x, 2 * alpha * beta) * x * inner

    def bilinear(self, x: Array, grid: Array) -> Array:
        """x at the points of a grid, between four pixels."""
        raise self._missing("bilinear")

    def bilinear_backward(self, x: Array, grid: Array, dzdy: Array) -> tuple[Array, Array]:
        """(dx, dgrid)."""
        raise self._missing("bilinear_backward")

    def roipool(self, x: Array, spans: Any, cells: Any, method: str) -> Array:
        """Maximum or mean of each cell of each region; 0 for an empty one."""
        raise self._missing("roipool")

    def roipool_backward(self, x: Array, spans: Any, method: str, dzdy: Array) -> Array:
        """To the first maximum, column by column, or in equal parts to the cell."""
        raise self._missing("roipool_backward")


def _per_channel(v: Array) -> Array:
    return v.reshape(1, 1, -1, 1)


def _overlap(stride: Any, pad: Any, out: Shape, shape: Shape) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The pixels of the output that lie in the image, and where in the image they are."""
    pixels, seen = [], []
    for step, count, before, size in zip(stride, out, pad[::2], shape):
        first = -(-before // step)
        last = min(count - 1, (size - 1 + before) // step)
        pixels.append(slice(first, max(last + 1, first)))
        start = first * step - before
        seen.append(slice(start, start + step * max(last - first, 0) + (1 if last >= first else 0), step))
    return tuple(pixels), tuple(seen)
