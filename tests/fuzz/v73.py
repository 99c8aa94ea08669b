"""Mutants of MAT files of version 7.3: attributes, types, shapes, references, links, filters; and raw damage."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from tests.fuzz.v5 import _raw

CLASSES = (
    b"double",
    b"single",
    b"cell",
    b"struct",
    b"char",
    b"logical",
    b"function_handle",
    b"DagNN",
    b"",
    b"\xff\xfe",
)
HUGE = ((1 << 40,), (1 << 20, 1 << 20), (0,), (0, 5), (1 << 16, 1 << 16, 4), ())


def mutate(path: Path, draw: Random) -> None:
    """Change the file at `path`."""
    if draw.random() < 0.3:
        path.write_bytes(_raw(bytearray(path.read_bytes()), draw))
        return
    with h5py.File(path, "r+") as file:
        for _ in range(draw.choice((1, 1, 2, 4))):
            items = _items(file)
            if not items:
                return
            try:
                draw.choice(WAYS)(file, draw.choice(items), items, draw)
            except (ValueError, TypeError, OSError, KeyError, RuntimeError):
                pass  # a change that HDF5 does not let us make
    if draw.random() < 0.05:
        path.write_bytes(_raw(bytearray(path.read_bytes()), draw))


def _items(file: Any) -> list[Any]:
    found: list[Any] = []
    file.visititems(lambda _, item: found.append(item))
    return found


def _attribute(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    name = draw.choice(("MATLAB_class", "MATLAB_class", "MATLAB_empty", "MATLAB_fields", "MATLAB_sparse",
                        "MATLAB_object_decode", "MATLAB_int_decode", "MATLAB_global"))  # fmt: skip
    value: Any = draw.choice((
        np.bytes_(draw.choice(CLASSES)), "text", 0, 1, -1, 2**40, 1.5, float("nan"), np.zeros(3), np.zeros((0, 2)),
        np.array([b"a", b"bc"]), np.uint8(1), h5py.Empty("f8"), items[0].ref,
    ))  # fmt: skip
    item.attrs[name] = value


def _forget(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    names = list(item.attrs)
    if names:
        del item.attrs[draw.choice(names)]


def _remove(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    del file[item.name]


def _replace(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    """Another dataset, of another type or shape, under the same name, with the same attributes."""
    name, kept = item.name, dict(item.attrs)
    del file[name]
    way = draw.randrange(9)
    if way == 0:
        shape = draw.choice(HUGE)
        new = file.create_dataset(
            name, shape=shape, chunks=(1,) * len(shape) if shape and 0 not in shape else None, dtype="f8"
        )
    elif way == 1:
        new = file.create_dataset(name, data=draw.choice((1.5, "text", np.bool_(True), b"bytes", 2**62)))
    elif way == 2:
        new = file.create_dataset(name, data=np.zeros(3, [("real", "f4"), ("imag", "f8")]))
    elif way == 3:
        new = file.create_dataset(name, data=np.zeros(2, [("a", "S4"), ("b", "i2")]))
    elif way == 4:
        new = file.create_dataset(name, data=h5py.Empty(draw.choice(("f8", "S3"))))
    elif way == 5:
        new = file.create_dataset(name, (3,), dtype=h5py.vlen_dtype(np.dtype("f4")))
    elif way == 6:
        new = file.create_dataset(name, data=np.array(["a", "bé", ""], object), dtype=h5py.string_dtype())
    elif way == 7:
        kind = draw.choice((">f8", "f2", "i1", "u8", ">u2", "c16", "S5", "?"))
        new = file.create_dataset(name, data=np.ones(draw.choice(((2, 3), (1, 1), (4,), (2, 1, 3))), kind))
    else:
        packed = draw.choice(({"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}, {"scaleoffset": 3},
                              {"compression": "lzf"}))  # fmt: skip
        new = file.create_dataset(
            name, data=np.arange(24, dtype="i4").reshape(4, 6), chunks=(draw.choice((1, 4)), 2), **packed
        )
    for key, value in kept.items():
        new.attrs[key] = value


def _point(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    """References that lead to any item, to what holds them, or nowhere."""
    cells = [i for i in items if isinstance(i, h5py.Dataset) and i.dtype == h5py.ref_dtype and i.size]
    if not cells:
        return
    cell = draw.choice(cells)
    target = draw.choice((draw.choice(items), cell, cell.parent, file["/"], None))
    data = cell[()]
    data.flat[draw.randrange(data.size)] = h5py.Reference() if target is None else target.ref
    cell[...] = data


def _laughs(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    """Cells that hold the same cell ten times, which holds the same cell ten times ..."""
    name, inner = item.name, draw.choice(items)
    refs = file.require_group("#refs#")
    for i in range(draw.choice((3, 12, 40))):
        data = np.empty((10, 1), h5py.ref_dtype)
        data[:, 0] = inner.ref
        inner = refs.create_dataset(f"laugh{i}", data=data)
        inner.attrs["MATLAB_class"] = np.bytes_("cell")
    del file[name]
    file[name] = inner


def _link(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    """A name that leads elsewhere: to itself, to nothing, to what holds it, to another file."""
    name = item.name
    target = draw.choice((
        h5py.SoftLink(name), h5py.SoftLink("/nowhere"), h5py.SoftLink("/"), h5py.ExternalLink("outside.h5", "/secret"),
        h5py.ExternalLink("/dev/zero", "/a"), file["/"], item.parent, draw.choice(items),
    ))  # fmt: skip
    del file[name]
    file[name] = target


def _deep(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    name = item.name
    del file[name]
    group = file.create_group(name)
    for _ in range(draw.choice((3, 100, 1500))):
        group = group.create_group("x")


def _numbers(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    found = [i for i in items if isinstance(i, h5py.Dataset) and i.dtype.kind in "fiu" and i.size]
    if found:
        one = draw.choice(found)
        data = one[()]
        value = draw.choice((0, 1, 2, 255, float("nan"), float("inf"), -1.0, 0.5, 3e38))
        with np.errstate(all="ignore"):
            np.ravel(data)[draw.randrange(data.size)] = np.float64(value).astype(data.dtype)
        one[...] = data


WAYS = (_attribute, _attribute, _forget, _remove, _replace, _replace, _point, _laughs, _link, _deep, _numbers)
