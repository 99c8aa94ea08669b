"""Mutants of MAT files of version 7.3: attributes, types, shapes, references, links, chunks, filters; damage to what
HDF5 keeps of its own; and raw damage."""

from __future__ import annotations

import re
import zlib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from tests.fuzz.v5 import SIZES, raw

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
STRUCTURES = re.compile(rb"TREE|SNOD|HEAP|GCOL|OHDR|OCHK|FRHP|FHDB|FHIB|BTHD|BTLF|BTIN|FADB|FAHD|EAHD|FSHD")
UNKNOWN_FILTERS = (4, 5, 305, 32000, 32001, 32015, 65535)


def mutate(path: Path, draw: Random) -> None:
    """Change the file at `path`."""
    way = draw.random()
    if way < 0.5:
        path.write_bytes(raw(bytearray(path.read_bytes()), draw) if way < 0.2 else _structures(path, draw))
        return
    with h5py.File(path, "r+") as file:
        for _ in range(draw.choice((1, 1, 2, 4))):
            items = _items(file)
            if not items:
                return
            way = draw.choice(WAYS)
            try:
                way(file, draw.choice(items), items, draw)
            except (ValueError, TypeError, OSError, KeyError, RuntimeError, AttributeError, MemoryError):
                pass  # a change that HDF5 does not let us make
            if way is _filters:
                break  # HDF5 may end the process when it writes into such chunks
    if draw.random() < 0.05:
        path.write_bytes(raw(bytearray(path.read_bytes()), draw))


def _items(file: Any) -> list[Any]:
    found: list[Any] = []
    file.visititems(lambda _, item: found.append(item))
    return found


def _structures(path: Path, draw: Random) -> bytes:
    """Other numbers in the headers of objects, tables of names, trees and heaps: sizes, and addresses of each other."""
    data = bytearray(path.read_bytes())
    tables = [found.start() for found in STRUCTURES.finditer(data)]
    with h5py.File(path) as file:
        headers = [h5py.h5o.get_info(item.id).addr for item in (file, *_items(file))]
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        at = draw.choice(draw.choice((tables, headers))) + draw.randrange(draw.choice((16, 48, 272)))
        width = draw.choice((1, 2, 4, 8))
        value = draw.choice((*SIZES, draw.choice(tables), draw.choice(headers), len(data), draw.randrange(1 << 16)))
        if draw.random() < 0.3:
            value = int.from_bytes(data[at : at + width], "little") ^ 1 << draw.randrange(8 * width)
        data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(data)


def _attribute(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    name = draw.choice(("MATLAB_class", "MATLAB_class", "MATLAB_empty", "MATLAB_fields", "MATLAB_sparse",
                        "MATLAB_object_decode", "MATLAB_int_decode", "MATLAB_global"))  # fmt: skip
    value: Any = draw.choice((
        np.bytes_(draw.choice(CLASSES)), "text", 0, 1, -1, 2**40, 1.5, float("nan"), np.zeros(3), np.zeros((0, 2)),
        np.array([b"a", b"bc"]), np.uint8(1), h5py.Empty("f8"), items[0].ref, np.zeros((90, 90), "i8"),
        np.bytes_(b"x" * 60_000), _names([b"name", b"type", b"name"]), _names([b"\xff", b"", b"a" * 5000, b"../x"]),
    ))  # fmt: skip
    item.attrs[name] = value


def _names(names: list[bytes]) -> np.ndarray:
    """Names of fields as MATLAB writes them: a vector of vectors of characters."""
    out = np.empty(len(names), h5py.vlen_dtype(np.dtype("S1")))
    out[:] = [np.frombuffer(name, "S1") for name in names]
    return out


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
    way = draw.randrange(12)
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
    elif way == 8:
        kind = draw.choice(("V16", "g", ("f4", (3,)), h5py.enum_dtype({"A": 1, "B": 200}, "u1"), h5py.regionref_dtype))
        new = file.create_dataset(name, (2, 2), kind)
    elif way == 9:  # chunks far larger than what is in them, and as many as there are elements
        chunk = draw.choice(((1, 1), (1 << 13, 1 << 13), (1 << 14, 1 << 14), (1, 1 << 28)))
        new = file.create_dataset(name, (3, 4), "f8", maxshape=(None, None), chunks=chunk, compression="gzip")
        if chunk == (1, 1):
            new[...] = 1
        else:
            new.id.write_direct_chunk((0, 0), _packed(1 << 20))
    elif way == 10:
        new = file.create_dataset(
            name,
            draw.choice(((1 << 22,), (1 << 11, 1 << 11), (300, 300))),
            draw.choice(("f8", "u1")),
            fillvalue=7,
            chunks=True,
        )
    else:
        packed = draw.choice(({"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}, {"scaleoffset": 3},
                              {"compression": "lzf"}))  # fmt: skip
        new = file.create_dataset(
            name, data=np.arange(24, dtype="i4").reshape(4, 6), chunks=(draw.choice((1, 4)), 2), **packed
        )
    for key, value in kept.items():
        new.attrs[key] = value


@cache
def _packed(size: int) -> bytes:
    """So many zeros."""
    return zlib.compress(bytes(size), 1)


def _filters(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    """Chunks that are not what their filters say: far larger when unpacked, cut, not packed at all; filters that
    nobody has."""
    name, kept = item.name, dict(item.attrs)
    shape, width = draw.choice((((4, 6), 8), ((1 << 9, 1 << 9), 8), ((3, 3), 1), ((1 << 13, 1 << 13), 1)))
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk(shape)
    for kind in draw.choice(("g", "sg", "gf", "gg", "u", "gu", "x", "")):
        if kind == "g":
            made.set_deflate(4)
        elif kind == "s":
            made.set_shuffle()
        elif kind == "f":
            made.set_fletcher32()
        elif kind == "u":
            made.set_filter(draw.choice(UNKNOWN_FILTERS), h5py.h5z.FLAG_OPTIONAL, tuple(range(draw.randrange(4))))
        else:
            made.set_scaleoffset(h5py.h5z.SO_INT, 3)
    space = h5py.h5s.create_simple(shape)
    kind = h5py.h5t.py_create(np.dtype("f8" if width == 8 else "u1"))
    del file[name]
    made_of = h5py.h5d.create(file.id, name.encode(), kind, space, made)
    size = shape[0] * shape[1] * width
    content = draw.choice((
        _packed(size), _packed(size)[:-6], _packed(size - 1), _packed(draw.choice((size + 1, 1 << 26, 1 << 28))),
        zlib.compress(_packed(1 << 28)), draw.randbytes(min(size, 1 << 12)),
        b"",
    ))  # fmt: skip
    made_of.write_direct_chunk((0, 0), content, draw.choice((0, 0, 0, 1, 2, 255)))
    for key, value in kept.items():
        file[name].attrs[key] = value


def _elsewhere(file: Any, item: Any, items: list[Any], draw: Random) -> None:
    """Data that stand in another file."""
    name = item.name
    del file[name]
    if draw.random() < 0.5:
        file.create_dataset(name, (5,), "f8", external=[(draw.choice(("/etc/passwd", "/dev/zero", "x")), 0, 40)])
    else:
        layout = h5py.VirtualLayout((5,), "f8")
        layout[:] = h5py.VirtualSource(draw.choice((".", "/dev/zero", "x.h5")), draw.choice((name, "a")), (5,))
        file.create_virtual_dataset(name, layout)


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
        h5py.ExternalLink("/dev/zero", "/a"), h5py.ExternalLink("mutant.mat", name), file["/"], item.parent,
        draw.choice(items),
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
    # HDF5 may end the process when it writes into the chunks that other mutations made
    found = [i for i in items if isinstance(i, h5py.Dataset) and i.dtype.kind in "fiu" and i.size and i.chunks is None]
    if found:
        one = draw.choice(found)
        data = one[()]
        value = draw.choice((0, 1, 2, 255, float("nan"), float("inf"), -1.0, 0.5, 3e38))
        with np.errstate(all="ignore"):
            np.ravel(data)[draw.randrange(data.size)] = np.float64(value).astype(data.dtype)
        one[...] = data


WAYS = (
    _attribute, _attribute, _forget, _remove, _replace, _replace, _filters, _filters, _elsewhere, _point, _laughs,
    _link, _deep, _numbers, _numbers,
)  # fmt: skip
