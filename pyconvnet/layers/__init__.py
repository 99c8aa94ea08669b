"""The layer classes; importing this registers all of them."""

from pyconvnet.layers.base import Layer, block_class, layer_class
from pyconvnet.layers.conv import Conv, Filter

__all__ = ["Conv", "Filter", "Layer", "block_class", "layer_class"]
