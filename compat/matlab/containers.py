"""containers.Map, MATLAB's dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pyconvnet.compat.matlab.conventions import cells, is_number
from pyconvnet.options import did_you_mean
from pyconvnet.values import as_array

__all__ = ["Map"]


class Map:
    """A dictionary whose keys are texts, or numbers, and come sorted.

    Map()                                          keys are texts
    Map(keys, values)                              two lists of one length, or one key and its value
    Map("KeyType", "double", "ValueType", "any")   empty, with keys of that type

    m[key], m[key] = value, isKey, keys, values, remove, Count and length are MATLAB's; a Map that is assigned to
    another name, or passed to a function, is the same Map. KeyError for a key that is not there.

    >>> m = Map(["b", "a"], [1, 2])
    >>> m.keys(), m.values(), m["a"], m.isKey("c")
    (['a', 'b'], [2, 1], 2, False)
    """

    def __init__(self, *arguments: Any) -> None:
        given = list(arguments)
        options: dict[str, Any] = {}
        names = ("KeyType", "ValueType", "UniformValues")
        while len(given) >= 2 and isinstance(given[-2], str) and given[-2] in names and len(given) != 3:
            value, name = given.pop(), given.pop()
            options[name] = value
        self.KeyType = str(options.get("KeyType", "char"))
        self.ValueType = str(options.get("ValueType", "any"))
        self._items: dict[Any, Any] = {}
        if not given:
            return
        if len(given) > 2:
            raise ValueError(f"containers.Map: it must be called as (), (keys, values) or with options, got {given!r}")
        several = not isinstance(given[0], str) and not is_number(given[0])
        keys = _listed(given[0]) if several else [given[0]]
        if len(given) == 1:
            raise ValueError("containers.Map: values must be given with keys")
        values = _listed(given[1]) if several and (len(keys) > 1 or isinstance(given[1], (list, tuple))) else [given[1]]
        if len(keys) != len(values):
            raise ValueError(f"containers.Map: {len(keys)} keys have {len(values)} values")
        if keys and "KeyType" not in options:
            self.KeyType = "char" if isinstance(keys[0], str) else "double"
        for key, value in zip(keys, values):
            self[key] = value

    def _key(self, key: Any) -> Any:
        text = self.KeyType == "char"
        if isinstance(key, str) != text or (not text and not is_number(key) and np.size(key) != 1):
            raise TypeError(f"containers.Map: keys must be {'texts' if text else 'numbers'}, got {key!r}")
        return key if text else as_array(key).reshape(-1)[0].item()

    def __getitem__(self, key: Any) -> Any:
        found = self._key(key)
        if found not in self._items:
            hint = did_you_mean(str(found), map(str, self._items), f"there are {len(self._items)}")
            raise KeyError(f"containers.Map: there is no key {key!r}; {hint}")
        return self._items[found]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._items[self._key(key)] = value

    def __contains__(self, key: Any) -> bool:
        return self.isKey(key) is True

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._items)

    @property
    def Count(self) -> int:
        """How many keys there are."""
        return len(self._items)

    def length(self) -> int:
        """How many keys there are."""
        return len(self._items)

    def isKey(self, keys: Any) -> Any:
        """Whether a key is there; of a list of keys, 1 x n logicals."""
        if isinstance(keys, (list, tuple)):
            return np.array([[self.isKey(k) is True for k in keys]], bool)
        if isinstance(keys, str) != (self.KeyType == "char"):
            return False
        return self._key(keys) in self._items

    def keys(self) -> list[Any]:
        """All keys, sorted."""
        return sorted(self._items)

    def values(self, keys: Sequence[Any] | None = None) -> list[Any]:
        """The values in the order of the keys, or of those given."""
        return [self[k] for k in (self.keys() if keys is None else keys)]

    def remove(self, keys: Any) -> Map:
        """Remove a key, or a list of them; returns the Map."""
        for key in keys if isinstance(keys, (list, tuple)) else [keys]:
            self[key]  # refuses one that is not there
            del self._items[self._key(key)]
        return self

    def __repr__(self) -> str:
        return f"Map({self.Count} keys: {self.KeyType} to {self.ValueType})"


def _listed(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.ravel(order="F").tolist()
    return cells("containers.Map: keys and values", value)[0]
