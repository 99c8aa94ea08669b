"""MatConvNet's parser of options, for ported functions that take theirs as 'Name', value pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyconvnet.options import unknown_option

FN = "vl_argparse"


def vl_argparse(opts: Mapping[str, Any], args: Any, *flags: str, strict: bool = False) -> tuple[Any, list[Any]]:
    """
    vl_argparse(opts, args) -> opts, leftover

    opts      a Struct or dict of options with their defaults; a copy with the given values is returned
    args      'Name', value, 'Name', value ..., where a Struct or dict may stand for the pairs it holds; names match in
              any letter case, the last of equal names wins
    leftover  the pairs whose names opts does not have, names as given, for the function they are meant for

    A value that is a Struct or dict is merged into that of opts, name by name; its unknown names come back as one
    pair of the outer name and a Struct. It replaces the value instead with the flag "nonrecursive", and where opts has
    a structure without fields, as opts.train = struct() of MatConvNet's examples.

    strict    an unknown name is a ValueError, as in MATLAB when the function is called for one output only

    Raises TypeError for opts that is not a Struct or dict, and for pairs without a name.
    Source: MatConvNet, vl_argparse.

    >>> vl_argparse({"stride": 1, "train": {"rate": 0.1}}, ["Stride", 2, {"train": {"rate": 1}}, "x", 5])
    ({'stride': 2, 'train': {'rate': 1}}, ['x', 5])
    """
    if not isinstance(opts, Mapping):
        raise TypeError(f"{FN}: opts must be a Struct or dict, got {type(opts).__name__}")
    for flag in flags:
        if not isinstance(flag, str) or flag.lower() != "nonrecursive":
            raise ValueError(f"{FN}: the only flag is 'nonrecursive', got {flag!r}")
    kind: Any = type(opts)  # a record of the same kind
    out: dict[str, Any] = kind(opts)
    leftover: list[Any] = []
    for name, value in _pairs(args):
        field = _field(out, name)
        if field is None:
            if strict:
                raise unknown_option(FN, name, map(str, out))
            leftover += [name, value]
        elif isinstance(value, Mapping) and not flags and not (isinstance(out[field], Mapping) and not out[field]):
            if not isinstance(out[field], Mapping):
                raise TypeError(
                    f"{FN}: option {name!r} got a structure; its default is not a structure: {out[field]!r}. "
                    "'nonrecursive' lets it be replaced"
                )
            out[field], rest = vl_argparse(out[field], value, strict=strict)
            if rest:
                kind = type(value)
                leftover += [name, kind(zip(rest[::2], rest[1::2]))]
        else:
            out[field] = value
    return out, leftover


def _pairs(args: Any) -> list[tuple[str, Any]]:
    args = list(args) if isinstance(args, (list, tuple)) else [args]
    pairs: list[tuple[str, Any]] = []
    i = 0
    while i < len(args):
        if isinstance(args[i], Mapping):
            pairs += args[i].items()
            i += 1
        elif not isinstance(args[i], str):
            raise TypeError(
                f"{FN}: argument {i + 1} must be a name or a structure, got {type(args[i]).__name__}: {args[i]!r}"
            )
        elif i + 1 == len(args):
            raise ValueError(f"{FN}: option {args[i]!r} has no value")
        else:
            pairs.append((args[i], args[i + 1]))
            i += 2
    return pairs


def _field(opts: Mapping[str, Any], name: str) -> str | None:
    if name in opts:
        return name
    return next((f for f in opts if isinstance(f, str) and f.lower() == name.lower()), None)
