"""Plain values as scipy's savemat accepts them: pyconvnet.formats.mat.encode."""

from pyconvnet.formats.mat.encode import matlab_value

__all__ = ["matlab_value"]
