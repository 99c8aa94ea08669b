"""The layer classes; importing this registers all of them."""

from pyconvnet.layers.activations import ELU, SoftPlus, Swish, Tanh
from pyconvnet.layers.base import Layer, block_class, is_layer_type, layer_class
from pyconvnet.layers.batchnorm import BatchNorm
from pyconvnet.layers.bilinear_sampler import BilinearSampler
from pyconvnet.layers.concat import Concat
from pyconvnet.layers.conv import Conv, Filter
from pyconvnet.layers.convt import ConvTranspose
from pyconvnet.layers.crop import Crop
from pyconvnet.layers.custom import Custom
from pyconvnet.layers.dropout import DropOut
from pyconvnet.layers.elementwise import ElementWise
from pyconvnet.layers.grid_generators import AffineGridGenerator, UniformScalingGridGenerator
from pyconvnet.layers.loss import Loss, PDist, SoftMax
from pyconvnet.layers.normalization import LRN, NormOffset, SpatialNorm
from pyconvnet.layers.pooling import Pooling
from pyconvnet.layers.relu import ReLU, Sigmoid
from pyconvnet.layers.roipooling import ROIPooling
from pyconvnet.layers.scale import Scale
from pyconvnet.layers.sum import Sum

__all__ = [
    "ELU",
    "LRN",
    "AffineGridGenerator",
    "BatchNorm",
    "BilinearSampler",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Crop",
    "Custom",
    "DropOut",
    "ElementWise",
    "Filter",
    "Layer",
    "Loss",
    "NormOffset",
    "PDist",
    "Pooling",
    "ROIPooling",
    "ReLU",
    "Scale",
    "Sigmoid",
    "SoftMax",
    "SoftPlus",
    "SpatialNorm",
    "Sum",
    "Swish",
    "Tanh",
    "UniformScalingGridGenerator",
    "block_class",
    "is_layer_type",
    "layer_class",
]
