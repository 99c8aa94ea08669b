"""The losses and distances of a backend, composed of its primitives (see pyconvnet.backends.base)."""

from __future__ import annotations

import math

from pyconvnet.backends.primitives import Array, Primitives


class Losses(Primitives):
    """Softmax, losses and distances of vl_nnloss and vl_nnpdist at each pixel, and their derivatives."""

    def _logistic(self, x: Array) -> Array:
        """1 / (1 + exp(-x))."""
        # exp of negative numbers only, so that nothing overflows
        e = self.exp(-self.abs(x))
        return self.where(x >= 0, self.scalar(x, 1), e) / (1 + e)

    # --- composites: softmax -----------------------------------------------------------------------------------------

    def softmax(self, x: Array) -> Array:
        """exp(x) over its sum across channels; the largest value of each pixel is taken off, against overflow."""
        e = self.exp(self.less_largest(x))
        return e / self.sum(e, (2,))

    def less_largest(self, x: Array) -> Array:
        """x less the largest channel of each pixel, which is NaN where that is infinite."""
        return x - self.max(x, 2)

    def softmax_backward(self, x: Array, dzdy: Array) -> Array:
        """y (dzdy - sum of dzdy y across channels)."""
        y = self.softmax(x)
        return y * (dzdy - self.sum(dzdy * y, (2,)))

    # --- composites: distances --------------------------------------------------------------------------------------

    def pdist(self, x: Array, x0: Array, p: float, root: bool) -> Array:
        """(sum over channels of |x - x0|^p)^(1/p), without the root if not wanted; a NaN in x0 does not count."""
        mass = self.sum(self.power(self.abs(self._difference(x, x0)), p), (2,))
        return mass ** self.scalar(x, 1 / p) if root and p != 1 else mass

    def pdist_backward(self, x: Array, x0: Array, p: float, root: bool, epsilon: float, dzdy: Array) -> Array:
        """The derivative by x; divisors are not less than epsilon."""
        d = self._difference(x, x0)
        size = self.abs(d)
        if p == 1:
            return dzdy * self.sign(d)
        if p == 2:
            slope = d
        else:
            slope = (self.at_least(size, epsilon) if p < 1 else size) ** self.scalar(x, p - 1) * self.sign(d)
        if not root:
            return self.scalar(x, p) * dzdy * slope
        mass = self.sum(self.power(size, p), (2,))
        mass = mass if p < 1 else self.at_least(mass, epsilon)
        return dzdy * mass ** self.scalar(x, (1 - p) / p) * slope

    def _difference(self, x: Array, x0: Array) -> Array:
        return self.where(x0 == x0, x - x0, self.scalar(x, 0))

    # --- composites: losses ---------------------------------------------------------------------------------------

    def categorical_loss(self, x: Array, labels: Array, loss: str, k: int) -> Array:
        """The loss of vl_nnloss at each pixel, H x W x 1 x N; labels, whole numbers of that size, count from 1."""
        at = self._places(labels)
        if loss == "classerror":
            return self.cast(self.largest(x, 2) != at, x)
        if loss == "topkerror":
            return 1 - self.cast(self.within(x, at, k), x)
        if loss == "log":
            return -self.log(self._picked(x, labels, at))
        if loss == "softmaxlog":
            return self.softmaxlog(x, at)
        if loss == "mhinge":
            return self.at_least(1 - self.take(x, at, 2), 0)
        margin, _ = self._margin(x, at)
        return self.at_least(margin, 0)

    def categorical_loss_backward(self, x: Array, labels: Array, loss: str, k: int) -> Array | None:
        """Its derivative for each channel; None where that is zero everywhere."""
        at = self._places(labels)
        if loss in ("classerror", "topkerror"):
            return None
        if loss == "log":
            return self._scatter(x, at, -1 / self.at_least(self._picked(x, labels, at), 1e-8))
        if loss == "softmaxlog":
            return self.softmaxlog_backward(x, at)
        if loss == "mhinge":
            return self._scatter(x, at, -self.cast(self.take(x, at, 2) < 1, x))
        margin, rival = self._margin(x, at)
        inside = self.cast(margin > 0, x)
        d = self._scatter(x, at, -inside)
        return self.put(d, rival, self.take(d, rival, 2) + inside, 2)

    def softmaxlog(self, x: Array, at: Array) -> Array:
        """log(sum of exp(x)) - x at one channel of each pixel, H x W x 1 x N; `at`: the indexes of these."""
        shifted = self.less_largest(x)
        return self.log(self.sum(self.exp(shifted), (2,))) - self.take(shifted, at, 2)

    def softmaxlog_backward(self, x: Array, at: Array) -> Array:
        """Its derivative for each channel."""
        y = self.softmax(x)
        return self.put(y, at, self.take(y, at, 2) - 1, 2)

    def _places(self, labels: Array) -> Array:
        """Indexes of channels; those of label 0 are any."""
        return self.indexes(self.maximum(labels, 1)) - 1

    def _picked(self, x: Array, labels: Array, at: Array) -> Array:
        return self.where(labels > 0, self.take(x, at, 2), self.scalar(x, 1))

    def _scatter(self, x: Array, at: Array, values: Array) -> Array:
        return self.put(self.zeros(x.shape, x), at, values, 2)

    def within(self, x: Array, at: Array, k: int) -> Array:
        """Whether the channel at `at` is among the k largest, as MATLAB sorts: NaN first, of equal ones the first."""
        own = self.take(x, at, 2)
        channel = self.asarray(list(range(x.shape[2])), x).reshape(1, 1, -1, 1)
        nan, own_nan = x != x, own != own
        ahead = ((x > own) | nan) & (own == own) | ((x == own) | nan & own_nan) & (channel < at)
        return self.sum(self.cast(ahead, x), (2,)) < k

    def _margin(self, x: Array, at: Array) -> tuple[Array, Array]:
        """(1 - x of the label + the largest other, where that is)."""
        others = self.put(self.copy(x), at, self.full((*x.shape[:2], 1, x.shape[3]), -math.inf, x), 2)
        rival = self.largest(others, 2)
        return 1 - self.take(x, at, 2) + self.take(others, rival, 2), rival

    def binary_loss(self, x: Array, c: Array, loss: str, threshold: float) -> Array:
        """The loss of vl_nnloss for labels +1, -1 (0: left out), for each value of x."""
        if loss == "binaryerror":
            return self.cast(self.sign(x - self.scalar(x, threshold)) != c, x)
        if loss == "binarylog":
            return -self.log(c * (x - self.scalar(x, 0.5)) + self.scalar(x, 0.5))
        if loss == "logistic":
            a = -c * x
            b = self.at_least(a, 0)
            return b + self.log(self.exp(-b) + self.exp(a - b))
        return self.at_least(1 - c * x, 0)

    def binary_loss_backward(self, x: Array, c: Array, loss: str, threshold: float) -> Array | None:
        """Its derivative; None where that is zero everywhere."""
        if loss == "binaryerror":
            return None
        if loss == "binarylog":
            # not by c (x - 1/2) + 1/2, in which a small x drowns
            return -c * c / self.where(c == 0, self.scalar(x, 1), x + (c - 1) * self.scalar(x, 0.5))
        if loss == "logistic":
            return -c * self._logistic(-c * x)
        return -c * self.cast(1 - c * x > 0, x)
