"""The layer classes. Importing this imports every module of this folder: a new layer is a new file here, no more.

For editors and type checkers, `python tools/layer_stubs.py` writes the names into `__init__.pyi`.
"""

from importlib import import_module
from pkgutil import iter_modules

from pyconvnet.layers.base import Layer
from pyconvnet.layers.registry import block_class, is_layer_type, layer_class


def _classes() -> dict[str, type[Layer]]:
    """The public classes that the modules define."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    own = [v for m in modules for v in vars(m).values() if isinstance(v, type) and v.__module__ == m.__name__]
    return {c.__name__: c for c in own if issubclass(c, Layer) and not c.__name__.startswith("_")}


globals().update(_classes())
__all__ = ["block_class", "is_layer_type", "layer_class", *_classes()]
