"""Linear algebra by MATLAB's names, and transforms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvnet.port.runtime.values import matrix, value


def norm(x: Any, p: Any = 2) -> float:
    """Norm of a vector or matrix; p: 1, 2, Inf, 'fro'."""
    a = matrix(x)
    if isinstance(p, str) and p.lower() == "inf":
        p = math.inf
    return float(np.linalg.norm(a.ravel() if 1 in a.shape and p != "fro" else a, p))


def dot(a: Any, b: Any) -> Any:
    """The scalar product of vectors, of matrices that of each column."""
    x, y = matrix(a), matrix(b)
    return value(np.sum(x.ravel() * y.ravel())) if 1 in x.shape else value(np.sum(x * y, axis=0, keepdims=True))


def inv(x: Any) -> Any:
    """The inverse of a matrix."""
    return value(np.linalg.inv(matrix(x)))


def pinv(x: Any) -> Any:
    """The pseudo-inverse of a matrix."""
    return value(np.linalg.pinv(matrix(x)))


def det(x: Any) -> float:
    """The determinant of a matrix."""
    return float(np.linalg.det(matrix(x)))


def trace(x: Any) -> Any:
    """The sum of the diagonal."""
    return value(np.trace(matrix(x)))


def svd(x: Any, *economy: Any, nargout: int = 1) -> Any:
    """Singular values, or with nargout=3 U, S, V."""
    u, s, vt = np.linalg.svd(matrix(x), full_matrices=not economy)
    if nargout == 1:
        return value(s.reshape(-1, 1))
    middle = np.zeros((u.shape[1], vt.shape[0]))
    np.fill_diagonal(middle, s)
    return u, middle, vt.T


def eig(x: Any, nargout: int = 1) -> Any:
    """Eigenvalues as a column, or with nargout=2 vectors and a diagonal matrix; of symmetric matrices ascending."""
    a = matrix(x)
    w, v = np.linalg.eigh(a) if np.array_equal(a, a.T) else np.linalg.eig(a)
    return (v, np.diag(w)) if nargout == 2 else value(w.reshape(-1, 1))


def fft2(x: Any) -> Any:
    """The discrete Fourier transform over the first two dimensions."""
    return np.fft.fft2(matrix(x), axes=(0, 1))


def ifft2(x: Any) -> Any:
    """The inverse of fft2."""
    out = np.fft.ifft2(matrix(x), axes=(0, 1))
    return value(out.real if np.allclose(out.imag, 0, atol=1e-12 * (1 + np.abs(out.real).max())) else out)
