"""Kernels for numpy arrays: checked H x W x C x N arrays of one element type in, such arrays out.

float32 goes to the compiled kernel in the module named here, float64 and what is not listed to kernels/plain.
"""

from pyconvnet.kernels.cpu.choose import compiled
from pyconvnet.kernels.plain import conv as _conv
from pyconvnet.kernels.plain import elementwise as _elementwise
from pyconvnet.kernels.plain import normalization as _normalization
from pyconvnet.kernels.plain import pool as _pool
from pyconvnet.kernels.plain.bilinear import bilinear, bilinear_backward
from pyconvnet.kernels.plain.roipool import roipool, roipool_backward

conv = compiled("convolution", _conv.conv)
conv_backward = compiled("convolution_gradients", _conv.conv_backward)
convt = compiled("convolution_gradients", _conv.convt)
convt_backward = compiled("convolution_gradients", _conv.convt_backward)
pool = compiled("pooling", _pool.pool)
pool_backward = compiled("pooling", _pool.pool_backward)
total = compiled("activations", _elementwise.total)
relu = compiled("activations", _elementwise.relu)
relu_backward = compiled("activations", _elementwise.relu_backward)
sigmoid = compiled("activations", _elementwise.sigmoid)
sigmoid_backward = compiled("activations", _elementwise.sigmoid_backward)
softmax = compiled("activations", _elementwise.softmax)
softmax_backward = compiled("activations", _elementwise.softmax_backward)
bnorm = compiled("batch_normalization", _normalization.bnorm)
bnorm_backward = compiled("batch_normalization", _normalization.bnorm_backward)
lrn = compiled("channel_normalization", _normalization.lrn)
lrn_backward = compiled("channel_normalization", _normalization.lrn_backward)
spnorm = compiled("channel_normalization", _normalization.spnorm)
spnorm_backward = compiled("channel_normalization", _normalization.spnorm_backward)

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
    "total",
]
