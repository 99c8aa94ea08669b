"""MAT files of version 7.3: pyconvnet.formats.mat.v73."""

from pyconvnet.formats.mat.v73 import read

__all__ = ["read"]
