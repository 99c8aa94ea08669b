"""Solvers of cnn_train: how a gradient becomes a step.

A solver is a function `solver(w, state, grad, opts, lr) -> (w, state)`: the weights, the solver's state for them
(0 at first), their gradient (mean over the batch, weight decay included), its options and the learning rate.
Called without arguments it returns its default options. Any function of this form can be given to cnn_train as
`solver=`; it must not change its arguments in place.

Source: MatConvNet, examples/+solver; the papers are named at each function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pyconvnet import backends
from pyconvnet.arrays import host_numbers
from pyconvnet.records import Struct

Solver = Callable[..., Any]


def adagrad(w: Any = None, state: Any = None, grad: Any = None, opts: Any = None, lr: Any = None) -> Any:
    """AdaGrad (Duchi, Hazan, Singer 2011). Options: epsilon 1e-10; rho 1, below 1 the sum of squares fades.

    s <- rho s + g^2        w <- w - lr g / (sqrt(s) + epsilon)
    """
    if w is None:
        return Struct(epsilon=1e-10, rho=1.0)
    _check_options("adagrad", opts)
    state = state * _as(w, opts["rho"]) + grad * grad
    return w - _as(w, lr) * grad / (_sqrt(state) + _as(w, opts["epsilon"])), state


def rmsprop(w: Any = None, state: Any = None, grad: Any = None, opts: Any = None, lr: Any = None) -> Any:
    """RMSProp (Tieleman, Hinton 2012). Options: epsilon 1e-8; rho 0.99, the memory of the mean square.

    s <- rho s + (1 - rho) g^2        w <- w - lr g / (sqrt(s) + epsilon)
    """
    if w is None:
        return Struct(epsilon=1e-8, rho=0.99)
    _check_options("rmsprop", opts)
    state = state * _as(w, opts["rho"]) + grad * grad * _as(w, 1 - opts["rho"])
    return w - _as(w, lr) * grad / (_sqrt(state) + _as(w, opts["epsilon"])), state


def adadelta(w: Any = None, state: Any = None, grad: Any = None, opts: Any = None, lr: Any = None) -> Any:
    """AdaDelta (Zeiler 2012), which sets its own rate: `lr` has no effect. Options: epsilon 1e-6, rho 0.9.

    s <- rho s + (1 - rho) g^2    d = -sqrt((q + epsilon) / (s + epsilon)) g    q <- rho q + (1 - rho) d^2    w <- w + d
    """
    if w is None:
        return Struct(epsilon=1e-6, rho=0.9)
    _check_options("adadelta", opts)
    if not isinstance(state, dict):
        state = Struct(g_sqr=_zeros(w), delta_sqr=_zeros(w))
    rho, eps = _as(w, opts["rho"]), _as(w, opts["epsilon"])
    g_sqr = state["g_sqr"] * rho + grad * grad * (1 - rho)
    delta = -_sqrt((state["delta_sqr"] + eps) / (g_sqr + eps)) * grad
    return w + delta, Struct(g_sqr=g_sqr, delta_sqr=state["delta_sqr"] * rho + delta * delta * (1 - rho))


def adam(w: Any = None, state: Any = None, grad: Any = None, opts: Any = None, lr: Any = None) -> Any:
    """Adam (Kingma, Ba 2015). Options: beta1 0.9, beta2 0.999, eps 1e-8.

    m <- b1 m + (1 - b1) g    v <- b2 v + (1 - b2) g^2    w <- w - lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)
    """
    if w is None:
        return Struct(beta1=0.9, beta2=0.999, eps=1e-8)
    _check_options("adam", opts)
    if not isinstance(state, dict):
        state = Struct(m=_zeros(w), v=_zeros(w), t=0.0)
    b1, b2, t = opts["beta1"], opts["beta2"], float(host_numbers(state["t"]).item()) + 1
    m = state["m"] * _as(w, b1) + grad * _as(w, 1 - b1)
    v = state["v"] * _as(w, b2) + grad * grad * _as(w, 1 - b2)
    rate = _as(w, lr * math.sqrt(1 - b2**t) / (1 - b1**t))
    return w - rate * m / (_sqrt(v) + _as(w, opts["eps"])), Struct(m=m, v=v, t=t)


def sgd(
    w: Any = None, state: Any = None, grad: Any = None, momentum: Any = 0.9, lr: Any = None, nesterov: bool = False
) -> Any:
    """The default step: gradient descent with momentum, Nesterov's (Sutskever et al. 2013) on request.

    m <- momentum m - g        w <- w + lr m, or with nesterov: w <- w + lr (momentum m - g)

    Options: momentum 0.9, nesterov False; they come as such, or as one dict in place of momentum. As solver= of
    cnn_train it is the default itself, with cnn_train's momentum and nesterovUpdate unless solverOpts sets them.
    """
    if w is None:
        return Struct(momentum=0.9, nesterov=False)
    if isinstance(momentum, dict):
        momentum, nesterov = momentum.get("momentum", 0.9), momentum.get("nesterov", False)
    state = state * _as(w, momentum) - grad
    step = state * _as(w, momentum) - grad if nesterov else state
    return w + step * _as(w, lr), state


SOLVERS: dict[str, Solver] = {"adam": adam, "adagrad": adagrad, "adadelta": adadelta, "rmsprop": rmsprop, "sgd": sgd}


def _check_options(fn: str, opts: Any) -> None:
    if not isinstance(opts, dict):
        raise TypeError(f"{fn}: opts must be a dict of options, such as {fn}() returns, got {type(opts).__name__}")


def _as(w: Any, value: float) -> Any:
    return backends.of(w).scalar(w, value)


def _sqrt(x: Any) -> Any:
    return backends.of(x).power(x, 0.5)


def _zeros(w: Any) -> Any:
    return backends.of(w).zeros(w.shape, w)
