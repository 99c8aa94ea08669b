"""Kernels for numpy arrays: checked H x W x C x N arrays of one element type in, such arrays out."""

from pyconvnet.kernels.cpu.choose import compiled
from pyconvnet.kernels.plain import conv as plain_conv
from pyconvnet.kernels.plain.bilinear import bilinear, bilinear_backward
from pyconvnet.kernels.plain.elementwise import (
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
)
from pyconvnet.kernels.plain.normalization import (
    bnorm,
    bnorm_backward,
    lrn,
    lrn_backward,
    spnorm,
    spnorm_backward,
)
from pyconvnet.kernels.plain.pool import pool, pool_backward
from pyconvnet.kernels.plain.roipool import roipool, roipool_backward

__all__ = [
    "bilinear",
    "bilinear_backward",
    "bnorm",
    "bnorm_backward",
    "conv",
    "conv_backward",
    "convt",
    "convt_backward",
    "lrn",
    "lrn_backward",
    "pool",
    "pool_backward",
    "relu",
    "relu_backward",
    "roipool",
    "roipool_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "spnorm",
    "spnorm_backward",
]

conv = compiled("convolution", plain_conv.conv)
conv_backward = compiled("convolution", plain_conv.conv_backward)
convt = compiled("convolution", plain_conv.convt)
convt_backward = compiled("convolution", plain_conv.convt_backward)
