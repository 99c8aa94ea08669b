"""What translated programs need beside pyconvnet and pyconvnet.compat.matlab: MATLAB's meaning of values and indexes.

Functions have MATLAB's names; where Python uses a name itself, `_` follows: class_, assert_, and_.
"""

# ruff: noqa: F401, F403
import math
from typing import Any

from pyconvnet.port.runtime.algebra import *
from pyconvnet.port.runtime.assignment import assign, into, removed
from pyconvnet.port.runtime.classes import *
from pyconvnet.port.runtime.functions import *
from pyconvnet.port.runtime.functions import isequal
from pyconvnet.port.runtime.indexing import END, at, brace, inside, paren
from pyconvnet.port.runtime.matconvnet import *
from pyconvnet.port.runtime.operators import *
from pyconvnet.port.runtime.surroundings import *
from pyconvnet.port.runtime.text import *
from pyconvnet.port.runtime.values import (
    cell,
    cell_rows,
    columns,
    copy,
    elements,
    empty,
    every,
    field,
    first,
    given,
    outputs,
    row,
    rows,
    span,
    steps,
    struct,
    true,
)
from pyconvnet.records import Struct, StructArray

pi = math.pi
ERRORS = (Exception,)  # what catch catches
shared = Struct()  # MATLAB's global variables


class Handle:
    """Base of translated classes: an object has properties of its own, which start as the class says."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        self = super().__new__(cls)
        for owner in reversed(cls.__mro__[:-1]):
            for name, v in vars(owner).items():
                if not name.startswith("__") and not callable(v) and not isinstance(v, (staticmethod, property)):
                    setattr(self, name, copy(v))
        return self


def wanting(f: Any, nargout: int) -> Any:
    """f as a function that is asked for so many values."""
    return lambda *arguments: f(*arguments, nargout=nargout)


def matches(x: Any, *cases: Any) -> bool:
    """Whether `switch x` runs a case: text equal to one of the texts, or a number equal to one of the numbers."""
    options = [o for c in cases for o in (c if isinstance(c, list) else [c])]
    if isinstance(x, str):
        return any_equal(x, [o for o in options if isinstance(o, str)])
    return any_equal(x, [o for o in options if not isinstance(o, str)])


def any_equal(x: Any, options: list[Any]) -> bool:
    """Whether a value equals one of several."""
    return bool([o for o in options if isequal(x, o)])
