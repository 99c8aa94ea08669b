"""MAT files of versions 5 to 7: pyconvnet.formats.mat.v5."""

from pyconvnet.formats.mat.v5 import function_name, read, text

__all__ = ["function_name", "read", "text"]
