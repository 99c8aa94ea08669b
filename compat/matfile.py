"""MAT files as plain values, read and written by pyconvnet.formats.mat.matfile, which lists the types."""

from pyconvnet.formats.mat.matfile import HDF5, read, write
from pyconvnet.formats.registry import INSTEAD

__all__ = ["HDF5", "INSTEAD", "read", "write"]
