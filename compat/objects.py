"""Objects of MATLAB's classes in files: pyconvnet.formats.mat.objects."""

from pyconvnet.formats.mat.objects import resolved

__all__ = ["resolved"]
