"""ReLU, sigmoid and softmax in numpy; they work in whatever memory order the arrays have."""

from __future__ import annotations

import numpy as np


def relu(x: np.ndarray, leak: float) -> np.ndarray:
    """max(x, 0) + leak min(x, 0); max(NaN, 0) is 0, as in MATLAB."""
    if leak == 0:
        return np.fmax(x, x.dtype.type(0))
    return np.where(x > 0, x, x * x.dtype.type(leak))


def relu_backward(x: np.ndarray, dzdy: np.ndarray, leak: float) -> np.ndarray:
    """dzdy where x > 0, leak dzdy elsewhere."""
    return dzdy * np.where(x > 0, x.dtype.type(1), x.dtype.type(leak))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow: exp is taken of negative numbers only."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, x.dtype.type(1), e) / (1 + e)


def sigmoid_backward(x: np.ndarray, dzdy: np.ndarray) -> np.ndarray:
    """dzdy y (1 - y)."""
    y = sigmoid(x)
    return dzdy * (y * (1 - y))


def softmax(x: np.ndarray) -> np.ndarray:
    """exp(x) over its sum across channels; the largest value of each pixel is taken off first, against overflow."""
    e = np.exp(x - x.max(axis=2, keepdims=True))
    e /= e.sum(axis=2, keepdims=True)
    return e


def softmax_backward(x: np.ndarray, dzdy: np.ndarray) -> np.ndarray:
    """y (dzdy - sum of dzdy y across channels)."""
    y = softmax(x)
    return y * (dzdy - (dzdy * y).sum(axis=2, keepdims=True))


def add(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x + y."""
    return x + y
