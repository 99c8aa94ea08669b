"""Functions of MATLAB that ported experiments call, by their names, with MATLAB's results."""

from pyconvnet.compat.imresize import imresize
from pyconvnet.compat.matlab import images, random_numbers
from pyconvnet.compat.matlab.images import *  # noqa: F403
from pyconvnet.compat.matlab.random_numbers import *  # noqa: F403

__all__ = ["imresize"]
__all__ += images.__all__
__all__ += random_numbers.__all__
