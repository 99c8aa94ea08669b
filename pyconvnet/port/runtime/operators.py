"""MATLAB's operators on all classes: arrays expand from the first dimension on, integers saturate, single wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyconvnet.port.runtime.values import as_cell, is_array, matrix, value
from pyconvnet.port.runtime.values import cast as converted


def _pair(name: str, a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    for v in (a, b):
        if not is_array(v) and not isinstance(v, str):
            raise TypeError(f"{name}: operands must be numeric or text, got {type(v).__name__}")
    x, y = matrix(a), matrix(b)
    ndim = max(x.ndim, y.ndim)
    return x.reshape(x.shape + (1,) * (ndim - x.ndim)), y.reshape(y.shape + (1,) * (ndim - y.ndim))


def _class(x: np.ndarray, y: np.ndarray) -> np.dtype:
    for a in (x, y):
        if a.dtype.kind in "iu":
            return a.dtype
    if any(a.dtype.kind == "c" for a in (x, y)):
        return np.dtype(complex)
    return np.dtype(np.float32) if np.float32 in (x.dtype, y.dtype) else np.dtype(float)


def _arithmetic(name: str, f: Callable[..., np.ndarray]) -> Callable[[Any, Any], Any]:
    def operator(a: Any, b: Any) -> Any:
        x, y = _pair(name, a, b)
        dtype = _class(x, y)
        with np.errstate(all="ignore"):
            # MATLAB multiplies a single array by a double number in double precision and rounds once (rng.scaled).
            once = name == "times" and dtype == np.float32 and x.dtype != y.dtype and 1 in (x.size, y.size)
            if dtype.kind in "iu" or once:
                return value(converted(f(x.astype(float), y.astype(float)), dtype))
            return value(f(x.astype(dtype, copy=False), y.astype(dtype, copy=False)))

    operator.__name__ = operator.__qualname__ = name
    operator.__doc__ = f"MATLAB's {name}, element by element."
    return operator


def _power(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "f" and np.any(x < 0) and np.any(y != np.floor(y)):
        return np.power(x.astype(complex), y)
    return np.power(x, y)


plus = _arithmetic("plus", np.add)
minus = _arithmetic("minus", np.subtract)
times = _arithmetic("times", np.multiply)
rdivide = _arithmetic("rdivide", np.divide)
ldivide = _arithmetic("ldivide", lambda x, y: np.divide(y, x))
power = _arithmetic("power", _power)


def _comparison(name: str, f: Callable[..., np.ndarray]) -> Callable[[Any, Any], Any]:
    def operator(a: Any, b: Any) -> Any:
        if not all(is_array(v) or isinstance(v, str) for v in (a, b)) and name in ("eq", "ne"):
            return (a is b) == (name == "eq")  # handles
        x, y = _pair(name, a, b)
        return value(f(x, y))

    operator.__name__ = operator.__qualname__ = name
    operator.__doc__ = f"MATLAB's {name}, element by element: logical."
    return operator


eq = _comparison("eq", np.equal)
ne = _comparison("ne", np.not_equal)
lt = _comparison("lt", np.less)
le = _comparison("le", np.less_equal)
gt = _comparison("gt", np.greater)
ge = _comparison("ge", np.greater_equal)
and_ = _comparison("and", lambda x, y: (x != 0) & (y != 0))
or_ = _comparison("or", lambda x, y: (x != 0) | (y != 0))
xor = _comparison("xor", lambda x, y: (x != 0) ^ (y != 0))


def not_(a: Any) -> Any:
    """~a: logical."""
    return value(matrix(a) == 0)


def uminus(a: Any) -> Any:
    """-a."""
    x = matrix(a)
    return value(-(x.astype(float) if x.dtype == bool else x)) if x.dtype.kind not in "iu" else minus(0, a)


def mtimes(a: Any, b: Any) -> Any:
    """a * b: the product of matrices, or each element times a number."""
    x, y = _pair("mtimes", a, b)
    if x.size == 1 or y.size == 1:
        return times(a, b)
    if x.ndim > 2 or x.shape[1] != y.shape[0]:
        raise ValueError(f"a * b: inner sizes must be equal, got {x.shape} and {y.shape}; .* is element by element")
    dtype = _class(x, y)
    return value(x.astype(dtype, copy=False) @ y.astype(dtype, copy=False))


def mrdivide(a: Any, b: Any) -> Any:
    """a / b: by a number, or the solution of x * b = a."""
    if np.size(matrix(b)) == 1:
        return rdivide(a, b)
    return value(matrix(mldivide(matrix(b).T, matrix(a).T)).T)


def mldivide(a: Any, b: Any) -> Any:
    r"""a \ b: by a number, or the solution of a * x = b, of least squares where a is not square."""
    x, y = matrix(a), matrix(b)
    if x.size == 1:
        return rdivide(b, a)
    return value(np.linalg.solve(x, y) if x.shape[0] == x.shape[1] else np.linalg.lstsq(x, y, rcond=None)[0])


def mpower(a: Any, b: Any) -> Any:
    """a ^ b: of numbers, or a square matrix to a whole power."""
    x, y = matrix(a), matrix(b)
    if x.size == 1 and y.size == 1:
        return power(a, b)
    return value(np.linalg.matrix_power(x, int(y.item())))


def transpose(a: Any) -> Any:
    """a.', rows become columns; of a cell as well."""
    if isinstance(a, str):
        return matrix(a).T if len(a) > 1 else a
    x = matrix(a)
    if x.ndim > 2:
        raise ValueError(f"a': a must have two dimensions, got {x.ndim}")
    return as_cell(x.T) if x.dtype == object else value(x.T)


def ctranspose(a: Any) -> Any:
    """a', rows become columns, complex numbers their conjugates."""
    x = transpose(a)
    return value(np.conj(x)) if isinstance(x, np.ndarray) and x.dtype.kind == "c" else x
