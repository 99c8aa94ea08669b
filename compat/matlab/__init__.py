"""Functions of MATLAB that ported experiments call, by their names, with MATLAB's results.

What comes in   Arrays are numpy arrays, lists or numbers; an array of one dimension is a row. Whole numbers of Python
                and numpy's int64 count as doubles; other integer types are MATLAB's. Text is str. A cell is a list
                (1 x n), or an array of objects where it has rows; a struct a dict or Struct, a struct array a list of
                them. A list of numbers is a row where numbers may come, and a cell in functions of cells.
What comes out  Arrays with MATLAB's size, of two dimensions at least: `unique` of a row is a row. Where all arguments
                are plain numbers, a plain number: `sub2ind([3, 4], 2, 3)` is 8.
Counting        Dimensions, subscripts and positions are from 1, elements column by column, as in MATLAB. To index a
                numpy array, subtract 1.
Several values  Functions return the first of MATLAB's values, with nargout=2 or more a tuple of as many; but for
                ind2sub, meshgrid, ndgrid and fileparts, which always return all.
Options         MATLAB's 'Name', value pairs; most are accepted as keywords too.

What is not known to be as in MATLAB is refused by NotImplementedError, not guessed.
"""

from pyconvnet.compat.imresize import imresize
from pyconvnet.compat.matlab import (
    arrays,
    cell_functions,
    colours,
    containers,
    counting,
    files,
    filters,
    formatted,
    images,
    input_parser,
    random_numbers,
    sets,
    stopwatch,
    tensors,
    text_parts,
)
from pyconvnet.compat.matlab.arrays import *  # noqa: F403
from pyconvnet.compat.matlab.cell_functions import *  # noqa: F403
from pyconvnet.compat.matlab.colours import *  # noqa: F403
from pyconvnet.compat.matlab.counting import *  # noqa: F403
from pyconvnet.compat.matlab.files import *  # noqa: F403
from pyconvnet.compat.matlab.filters import *  # noqa: F403
from pyconvnet.compat.matlab.formatted import *  # noqa: F403
from pyconvnet.compat.matlab.images import *  # noqa: F403
from pyconvnet.compat.matlab.input_parser import *  # noqa: F403
from pyconvnet.compat.matlab.random_numbers import *  # noqa: F403
from pyconvnet.compat.matlab.sets import *  # noqa: F403
from pyconvnet.compat.matlab.stopwatch import *  # noqa: F403
from pyconvnet.compat.matlab.tensors import *  # noqa: F403
from pyconvnet.compat.matlab.text_parts import *  # noqa: F403

__all__ = ["containers", "imresize"]
__all__ += arrays.__all__
__all__ += cell_functions.__all__
__all__ += colours.__all__
__all__ += counting.__all__
__all__ += files.__all__
__all__ += filters.__all__
__all__ += formatted.__all__
__all__ += images.__all__
__all__ += input_parser.__all__
__all__ += random_numbers.__all__
__all__ += sets.__all__
__all__ += stopwatch.__all__
__all__ += tensors.__all__
__all__ += text_parts.__all__
