"""MAT files of version 7.3, in HDF5: groups are structs, datasets arrays, references lead to the elements of cells.

HDF5 can do more than MATLAB writes: links to other files, data in other files, groups in themselves. None is followed.
On damaged files it can take any memory, or end the process: sizes and types are looked at before it is asked for data,
and what it would unpack or look up in a heap is read by `chunks` and `heap`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.formats.mat import chunks
from pyconvnet.formats.mat.heap import PLACE, Heaps
from pyconvnet.formats.mat.lazy import of_dataset
from pyconvnet.formats.mat.objects import resolved
from pyconvnet.formats.mat.v5 import DEFLATE, function_name, text
from pyconvnet.records import Opaque, Struct

SPARE = 1 << 24
VALUES = 1 << 14
LONGEST_NAME = 1 << 12  # of a class; MATLAB's names have 63 characters at most
MOST_DIMENSIONS = 32  # more than MATLAB or numpy 1 write
SHARED = 8  # MATLAB gives each element of a cell a place of its own, but for empty ones
NUMERIC = {"double", "single", "logical", *(f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64))}


def read(path: Path, lazy: Collection[str] = ()) -> dict[str, Any]:
    """The variables of a file.

    lazy  names of datasets, such as "/images/data", that are not read: a LazyArray stands in for each
    """
    import h5py

    with open(path, "rb") as raw, h5py.File(path, "r") as file:
        reader = _Reader(file, Heaps(raw, file.userblock_size, path.stat().st_size), path, lazy)
        found = {name: reader.value(reader.member(file, name)) for name in file if not name.startswith("#")}
        if "MCOS" in file.get("#subsystem#", ()):
            return resolved(found, reader.cells(reader.member(file["#subsystem#"], "MCOS")))
        return found


class _Reader:
    def __init__(self, file: Any, heaps: Heaps, path: Path, lazy: Collection[str] = ()) -> None:
        import h5py

        self.file, self.heaps, self.h5py = file, heaps, h5py
        self.path, self.lazy = path, lazy
        self.visits: Counter[Any] = Counter()  # of groups and cells, by address
        # What all arrays together may take, and how many values there may be, where references lead to the same ones
        # many times; a reference takes 8 bytes
        self.left = DEFLATE * heaps.size + 4 * SPARE
        self.values_left = heaps.size // 8 + VALUES

    def member(self, group: Any, name: str) -> Any:
        """What stands in a group of this file under a name."""
        link = group.get(name, getlink=True)
        if isinstance(link, self.h5py.ExternalLink):
            raise ValueError(f"{group.name} has a link to another file, which is not followed: {link.filename!r}")
        return group[name]

    def cells(self, item: Any) -> list[Any]:
        """The values that a dataset refers to; a null reference is an element that was never written."""
        return [self.value(self.file[ref]) if ref else self.never_written() for ref in np.ravel(self.data(item))]

    def never_written(self) -> np.ndarray:
        self.take(1)
        return np.empty((0, 0))

    def take(self, count: int) -> None:
        """Count values, before they are read."""
        if count > self.values_left:
            raise ValueError("there are more values than the file can hold: the file is damaged")
        self.values_left -= count

    def data(self, item: Any, cost: int = 1) -> np.ndarray:
        """The elements of a dataset as they stand in the file."""
        return np.empty((0, 0)) if item.shape is None else self.elements(item, *self.checked(item, cost))

    def checked(self, item: Any, cost: int = 1) -> tuple[Any, np.dtype, bool]:
        """(properties it was created with, type, whether it has chunks) of a dataset that can be what it says."""
        made, dtype = item.id.get_create_plist(), item.dtype
        layout, h5d = made.get_layout(), self.h5py.h5d
        if made.get_external_count() or layout == h5d.VIRTUAL:
            raise ValueError(f"the data of {item.name} stand in another file, which is not read")
        if text := self.h5py.check_string_dtype(dtype):
            dtype = np.dtype(f"V{PLACE.size}") if text.length is None else dtype
        elif not self.is_plain(item.id.get_type(), dtype):
            raise ValueError(f"{item.name} is of a type that MATLAB does not write ({dtype})")
        if dtype.hasobject and prod(item.shape) > self.values_left:
            raise ValueError(f"{item.name} refers to {prod(item.shape)} values, more than the file can hold")
        size = prod(item.shape) * dtype.itemsize
        chunked = layout == h5d.CHUNKED
        holds = sum(n for _, n in chunks.stored(item)) if chunked else item.id.get_storage_size()
        # Elements that were never written have no place in the file; SPARE leaves room for them.
        if size > DEFLATE * holds + SPARE:
            raise ValueError(f"{item.name} claims {size} bytes, more than the file can hold")
        if chunked and prod(made.get_chunk()) * dtype.itemsize > size + SPARE:
            raise ValueError(f"{item.name} has chunks of {made.get_chunk()} elements, far more than its {item.shape}")
        self.left -= size * cost
        if self.left < 0:
            raise ValueError("references lead to the same arrays again and again: the file is damaged")
        return made, dtype, chunked

    def elements(self, item: Any, made: Any, dtype: np.dtype, chunked: bool) -> np.ndarray:
        if chunked and not dtype.hasobject:
            data = np.full(item.shape, item.fillvalue if dtype.kind != "V" else np.zeros((), dtype), dtype)
            chunks.fill(data, item, made)
            return data
        if chunked:
            for _ in chunks.unpacked(item, made, dtype.itemsize):
                pass  # references only HDF5 can read: what it unpacks is looked at before
        data = np.empty(item.shape, dtype)
        if data.size and dtype == np.dtype(f"V{PLACE.size}"):
            place = item.id.get_offset()
            if place is None:
                raise ValueError(f"the strings of {item.name} stand in a way that is not read")
            return np.frombuffer(self.heaps.bytes(place - self.heaps.base, data.nbytes), dtype).reshape(item.shape)
        if data.size:
            item.id.read(self.h5py.h5s.ALL, self.h5py.h5s.ALL, data)
        return data

    def is_reference(self, dtype: np.dtype) -> bool:
        return self.h5py.check_ref_dtype(dtype) is self.h5py.Reference

    def is_plain(self, kind: Any, dtype: np.dtype) -> bool:
        """Whether a type is one that a MAT file has: numbers as machines have them, pairs of them, references. HDF5
        knows others, and ends the process on some that do not fit together."""
        if dtype.names:
            if dtype.names != ("real", "imag") or any(dtype[name].kind not in "iuf" for name in dtype.names):
                return False
        elif dtype.kind not in "biuf" and not self.is_reference(dtype):
            return False
        return kind == self.h5py.h5t.py_create(dtype, logical=True)

    def attribute(self, item: Any, name: str, default: Any = None) -> Any:
        """The value of an attribute: a number, bytes, or a list of bytes where their lengths vary."""
        if name not in item.attrs:
            return default
        attribute = self.h5py.h5a.open(item.id, name.encode())
        kind, h5t = attribute.get_type(), self.h5py.h5t
        if kind.get_class() == h5t.VLEN and kind.get_super().get_size() != 1:
            raise ValueError(f"{item.name} has an attribute {name} of values that are not characters")
        if kind.get_class() == h5t.VLEN or (kind.get_class() == h5t.STRING and kind.is_variable_str()):
            return self.heaps.values(self.heaps.attribute(self.h5py.h5o.get_info(item.id).addr, name))
        if attribute.get_space().get_simple_extent_npoints() == 1 and kind.get_size() <= LONGEST_NAME:
            if kind.get_class() == h5t.STRING:
                data = np.empty((), attribute.dtype)
                attribute.read(data)
                return data.item()
            if kind.get_class() in (h5t.INTEGER, h5t.FLOAT) and self.is_plain(kind, attribute.dtype):
                return np.ravel(item.attrs[name])[0]
        raise ValueError(f"{item.name} has an attribute {name} of a type that MATLAB does not write")

    def value(self, item: Any) -> Any:
        if not isinstance(item, (self.h5py.Group, self.h5py.Dataset)):
            raise ValueError("a reference leads to no array: the file is broken")
        dtype = None if isinstance(item, self.h5py.Group) else item.dtype
        if dtype is None or self.is_reference(dtype):
            place = self.h5py.h5o.get_info(item.id).addr
            self.visits[place] += 1
            if self.visits[place] > SHARED:
                raise ValueError(f"{item.name} is held by itself, or by too many others: the file is damaged")
        self.take(1)
        kind = self.attribute(item, "MATLAB_class", b"")
        kind = b"".join(kind if isinstance(kind, list) else [kind]).decode()
        if dtype is None:
            if "MATLAB_sparse" in item.attrs:
                return self.sparse(item, kind)
            if kind in ("struct", ""):
                return self.struct(item)
            fields = self.struct(item)
            if kind == "function_handle":
                return Opaque(kind, function_name(fields), fields)
            return Opaque("object", kind, fields)
        if kind not in NUMERIC and "MATLAB_object_decode" in item.attrs:
            if kind == "function_handle":
                return Opaque(kind, "", None)
            return Opaque("object", kind, self.data(item))
        if int(self.attribute(item, "MATLAB_empty", 0)):
            if item.size > MOST_DIMENSIONS:
                raise ValueError(f"{item.name}, which is empty, has {item.size} dimensions: the file is damaged")
            return self.empty(tuple(int(d) for d in np.ravel(self.data(item))), kind)
        if self.h5py.check_string_dtype(dtype):
            return self.strings(item)
        if kind == "cell" or (kind not in NUMERIC and self.is_reference(dtype)):
            return self.cells(item)
        if kind == "char":
            return text(self.data(item, cost=4).T)  # as str an element takes four times the place, and the time
        if kind and kind not in NUMERIC:
            return Opaque("object", kind, None)
        return self.array(item, kind)

    def array(self, item: Any, kind: str) -> Any:
        dtype = item.dtype
        if dtype.names == ("real", "imag"):
            parts = self.data(item)
            return (parts["real"] + 1j * parts["imag"]).astype(np.result_type(parts["real"].dtype, "c8")).T
        if item.name in self.lazy and item.shape and len(item.shape) in (3, 4) and item.size:
            made, stored, chunked = self.checked(item)
            native = np.dtype(bool) if kind == "logical" else stored.newbyteorder("=")
            return of_dataset(str(self.path), item, made, stored, native, chunked)
        data = self.data(item)
        data = data.astype(data.dtype.newbyteorder("="), copy=False)
        data = data.T if data.ndim else data.reshape(1, 1)
        return data.astype(bool) if kind == "logical" else data

    def strings(self, item: Any) -> Any:
        """Python's strings and lists of them as h5py writes them, which MATLAB reads as strings."""
        data = self.data(item)
        parts = self.heaps.values(data.tobytes()) if data.dtype.kind == "V" else np.ravel(data).tolist()
        found = [part.decode("utf-8", "replace") for part in parts]
        return found if item.shape else found[0]

    def empty(self, shape: tuple[int, ...], kind: str) -> Any:
        if kind == "cell":
            return []
        if kind == "char":
            return ""
        if kind == "struct":
            return Struct() if int(np.prod(shape)) == 1 else []
        if kind in NUMERIC:
            if 0 not in shape:
                raise ValueError(f"an array that is said to be empty has dimensions {shape}: the file is damaged")
            name = {"double": "f8", "single": "f4", "logical": "bool"}.get(kind, kind)
            return np.empty(shape, name, order="F")
        if kind == "canonical empty":  # an element of a cell or struct that was never written
            return np.empty((0, 0))
        return Opaque("object", kind, None)

    def struct(self, group: Any) -> Any:
        fields = self.attribute(group, "MATLAB_fields", ())
        if not isinstance(fields, (list, tuple)):
            raise ValueError(f"{group.name} has an attribute MATLAB_fields that is no list of names")
        names = [name.decode() for name in fields]
        names = [n for n in names if n in group] + [n for n in group if n not in names]
        items = {name: self.member(group, name) for name in names}
        if items and all(self.is_column(item) for item in items.values()):
            return [Struct(zip(items, values)) for values in zip(*map(self.cells, items.values()))]
        return Struct((name, self.value(item)) for name, item in items.items())

    def is_column(self, item: Any) -> bool:
        """Whether a member of a struct group holds the field of many structs."""
        dataset = isinstance(item, self.h5py.Dataset)
        return dataset and self.is_reference(item.dtype) and "MATLAB_class" not in item.attrs

    def sparse(self, group: Any, kind: str) -> Any:
        from scipy.sparse import csc_matrix

        starts = self.data(self.member(group, "jc"))
        rows = int(self.attribute(group, "MATLAB_sparse"))
        data = self.data(self.member(group, "data")) if "data" in group else np.empty(0)
        index = self.data(self.member(group, "ir")) if "ir" in group else np.empty(0, int)
        data = data.astype(bool) if kind == "logical" else data
        return csc_matrix((data, index, starts), (rows, len(starts) - 1))
