"""The parts of a DagNN: variables, parameters, layers, and the tables that hold them by position and name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from pyconvnet.arrays import shape_of, size_text
from pyconvnet.options import did_you_mean
from pyconvnet.text import listed


class UnknownName(ValueError, KeyError):
    """A variable, parameter or layer that the graph does not have."""

    __str__ = ValueError.__str__


class _Part:
    """Base of the three: fields as attributes, mistyped ones refused, shown in one line."""

    __slots__: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={_brief(getattr(self, k))}' for k in self.__slots__)})"


class Var(_Part):
    """A variable: an array that flows between layers. `fanin` layers write it (0 or 1), `fanout` inputs read it.

    precious  keep `value` and `der` although the network conserves memory
    """

    __slots__ = ("der", "fanin", "fanout", "name", "precious", "value")
    optional = False  # a layer that lacks it does not run

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Any = None
        self.der: Any = None
        self.fanin = self.fanout = 0
        self.precious = False


class Param(_Part):
    """A parameter, read by `fanout` layers. trainMethod: 'gradient', 'average' (moments) or 'none'."""

    __slots__ = ("der", "fanout", "learningRate", "name", "trainMethod", "value", "weightDecay")

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Any = None
        self.der: Any = None
        self.fanout = 0
        self.trainMethod = "gradient"
        self.learningRate = 1.0
        self.weightDecay = 1.0


class LayerEntry(_Part):
    """A layer: its name, names and positions of the variables that it reads and writes, and the block that computes."""

    __slots__ = (
        "backwardTime",
        "block",
        "forwardTime",
        "inputIndexes",
        "inputs",
        "name",
        "outputIndexes",
        "outputs",
        "paramIndexes",
        "params",
    )

    def __init__(self, name: str, block: Any, inputs: list[str], outputs: list[str], params: list[str]) -> None:
        self.name, self.block = name, block
        self.inputs, self.outputs, self.params = inputs, outputs, params
        self.inputIndexes: list[int] = []
        self.outputIndexes: list[int] = []
        self.paramIndexes: list[int] = []
        self.forwardTime: float | None = None
        self.backwardTime: float | None = None

    def where(self) -> str:
        """The layer and the sizes of its inputs, for messages."""
        read = [self.block.net.vars[i] for i in self.inputIndexes] if self.block.net is not None else []
        return self.place((v.name, shape_of(v.value)) for v in read if v.value is not None)

    def place(self, inputs: Iterable[tuple[str, Iterable[float]]]) -> str:
        """The same for inputs of other sizes: (name, size) of each."""
        sizes = listed(f"{name} {size_text(size)}" for name, size in inputs)
        return f"in layer {self.name!r} ({type(self.block).__name__})" + (f", inputs {sizes}" if sizes else "")


T = TypeVar("T", Var, Param, LayerEntry)


class Table(list, Generic[T]):
    """A list whose items are found by name too: `table[0]`, `table["conv1"]`, `table[["conv1", "conv2"]]`."""

    def __init__(self, kind: str, items: Iterable[T] = ()) -> None:
        super().__init__(items)
        self.kind = kind
        self.reindex()

    def reindex(self) -> None:
        """Read the names again, after a change of names or items."""
        # MATLAB's scripts never ask a list for `index`; here it is the table of names.
        self.index: dict[str, int] = {item.name: i for i, item in enumerate(self)}  # type: ignore[assignment]

    def place(self, key: Any) -> int:
        """The position of a name or a position; UnknownName with the nearest name."""
        if isinstance(key, str):
            try:
                return self.index[key]
            except KeyError:
                raise UnknownName(unknown(self.kind, key, self.index)) from None
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            if not -len(self) <= key < len(self):
                raise IndexError(f"{self.kind} {key} does not exist: there are {len(self)}")
            return int(key) % len(self)
        raise TypeError(f"a {self.kind} is found by its name or position, got {type(key).__name__}: {key!r}")

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return super().__getitem__(key)
        if isinstance(key, (list, tuple)):
            return [self[k] for k in key]
        return super().__getitem__(self.place(key))

    def __contains__(self, key: Any) -> bool:
        return key in self.index if isinstance(key, str) else any(key is item for item in self)

    def __reduce__(self) -> Any:
        return type(self), (self.kind, list(self))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """'no variable 'inptu'; did you mean 'input'?'"""
    known = list(known)
    shown = listed(known[:12]) + (", ..." if len(known) > 12 else "")
    hint = did_you_mean(name, known, f"there are: {shown or 'none'}")
    return f"no {kind} {name!r}; {hint}"


def names(fn: str, what: str, value: Any) -> list[str]:
    """Names from one string, a list or tuple of them, or nothing: None, [], or {} as MATLAB writes it."""
    if value is None or (isinstance(value, dict) and not value):
        return []
    if isinstance(value, str):
        return [value] if value else []  # MATLAB's empty string
    if not isinstance(value, Iterable) or isinstance(value, (set, dict)):  # those have no order to rely on
        raise TypeError(f"{fn}: {what} must be a name or a list of them, got {type(value).__name__}: {value!r}")
    out = value.ravel().tolist() if isinstance(value, np.ndarray) else list(value)
    for name in out:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{fn}: {what} must be names, got {type(name).__name__}: {name!r}")
    return [str(name) for name in out]


def pairs(fn: str, what: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of a dict, or of MATLAB's flat list; no name twice."""
    if value is None:
        return
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, (list, tuple)):
        if len(value) % 2:
            raise ValueError(f"{fn}: {what} must be names and values in turn, got {len(value)} items")
        items = list(zip(value[::2], value[1::2]))
    else:
        raise TypeError(
            f"{fn}: {what} must be a dict or a list ['name', value, ...], got {type(value).__name__}; "
            "name the variable that the array is for"
        )
    seen = set()
    for name, item in items:
        if not isinstance(name, str):
            raise TypeError(f"{fn}: {what} must be names of variables, got {type(name).__name__}: {name!r}")
        if name in seen:
            raise ValueError(f"{fn}: {what} names {name!r} twice")
        seen.add(name)
        yield name, item


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"<{size_text(value.shape)} {value.dtype}>"
    return repr(value)
