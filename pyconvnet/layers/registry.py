"""The registry of layer classes: by SimpleNN type, and by name as blocks of a DagNN."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pyconvnet.options import did_you_mean

if TYPE_CHECKING:
    from pyconvnet.layers.base import Layer

_BY_TYPE: dict[str, type[Layer]] = {}
_BY_BLOCK: dict[str, type[Layer]] = {}


def register(cls: type[Layer], types: Iterable[str], block: bool = True, replace: bool = False) -> None:
    """Make a class known: under its SimpleNN types, and under its name where it is a block.

    ValueError where another class has one of these, unless `replace`, or unless that one yields to others. A class that
    is defined again, in a notebook or a reloaded module, is not another class.
    """
    claims = [("SimpleNN type", _BY_TYPE, type_name) for type_name in types]
    if block:
        claims.append(("DagNN block", _BY_BLOCK, cls.__name__))
    for kind, known, name in claims:
        other = known.get(name)
        if other is not None and not (replace or other._yields) and _definition(other) != _definition(cls):
            raise ValueError(
                f"layer class {_path(cls)}: the {kind} {name!r} is {_path(other)}; choose another name, or write "
                f"`class {cls.__name__}(..., replace=True)` to replace that class in all networks"
            )
    for _, known, name in claims:
        known[name] = cls


def registered() -> list[type[Layer]]:
    """Every class that is known, as a SimpleNN type or as a block."""
    return list(dict.fromkeys([*_BY_TYPE.values(), *_BY_BLOCK.values()]))


def layer_class(type_name: str) -> type[Layer]:
    """The class for a SimpleNN type string; ValueError with the nearest known type."""
    try:
        return _BY_TYPE[type_name]
    except KeyError:
        raise ValueError(_unknown("type", type_name, _BY_TYPE)) from None


def is_layer_type(type_name: str) -> bool:
    """Whether there is a class for a SimpleNN type string."""
    return type_name in _BY_TYPE


def block_class(name: str) -> type[Layer]:
    """The class for a DagNN block, `dagnn.Conv` or `Conv`; ValueError with the nearest known block."""
    try:
        return _BY_BLOCK[name.rsplit(".", 1)[-1]]
    except KeyError:
        raise ValueError(_unknown("block", name, _BY_BLOCK)) from None


def _definition(cls: type) -> tuple[str, str]:
    """Where a class is defined: one file may be two modules, `train` and `__main__`."""
    module = sys.modules.get(cls.__module__)
    return getattr(module, "__file__", None) or cls.__module__, cls.__qualname__


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _unknown(kind: str, name: str, known: dict[str, Any]) -> str:
    hint = did_you_mean(name.rsplit(".", 1)[-1], known, f"known: {', '.join(sorted(known))}")
    return f"unknown layer {kind} {name!r}; {hint}"
