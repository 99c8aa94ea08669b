"""Kernels for numpy arrays: checked H x W x C x N arrays of one element type in, such arrays out."""

from pyconvnet.kernels.plain.conv import conv, conv_backward, convt, convt_backward
from pyconvnet.kernels.plain.elementwise import relu, relu_backward, sigmoid, sigmoid_backward
from pyconvnet.kernels.plain.pool import pool, pool_backward

__all__ = [
    "conv",
    "conv_backward",
    "convt",
    "convt_backward",
    "pool",
    "pool_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
]
