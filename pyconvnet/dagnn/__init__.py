"""DagNN, the graph of layers, and its blocks: `pyconvnet.dagnn.Conv` and all others, Layer to subclass for your own.

The blocks, and their bases, are those of pyconvnet.layers. For editors and type checkers,
`python tools/layer_stubs.py` writes the names into `__init__.pyi`.
"""

from pyconvnet import layers
from pyconvnet.dagnn.graph import DagNN


def _blocks() -> dict[str, type[layers.Layer]]:
    """The layer classes without those of SimpleNN only; bases have no type."""
    found = {name: getattr(layers, name) for name in layers.__all__}
    return {name: c for name, c in found.items() if isinstance(c, type) and (c._block or not c.simplenn)}


globals().update(_blocks())
__all__ = ["DagNN", *_blocks()]
