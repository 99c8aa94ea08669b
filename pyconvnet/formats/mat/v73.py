"""MAT files of version 7.3, in HDF5: groups are structs, datasets arrays, references lead to the elements of cells.

HDF5 can do more than MATLAB writes: links to other files, data in other files, groups in themselves. None is followed.
"""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.formats.mat.objects import resolved
from pyconvnet.formats.mat.v5 import DEFLATE, function_name, text
from pyconvnet.records import Opaque, Struct

SPARE = 1 << 24
SHARED = 8  # MATLAB gives each element of a cell a place of its own, but for empty ones
NUMERIC = {"double", "single", "logical", *(f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64))}


def read(path: Path) -> dict[str, Any]:
    """The variables of a file."""
    import h5py

    with h5py.File(path, "r") as file:
        reader = _Reader(file)
        found = {name: reader.value(reader.member(file, name)) for name in file if not name.startswith("#")}
        if "MCOS" in file.get("#subsystem#", ()):
            return resolved(found, reader.cells(reader.member(file["#subsystem#"], "MCOS")))
        return found


class _Reader:
    def __init__(self, file: Any) -> None:
        import h5py

        self.file, self.h5py = file, h5py
        self.visits: Counter[Any] = Counter()  # of groups and cells, by address
        # What all arrays together may take, where references lead to the same one many times
        self.left = DEFLATE * file.id.get_filesize() + 4 * SPARE

    def member(self, group: Any, name: str) -> Any:
        """What stands in a group of this file under a name."""
        link = group.get(name, getlink=True)
        if isinstance(link, self.h5py.ExternalLink):
            raise ValueError(f"{group.name} has a link to another file, which is not followed: {link.filename!r}")
        return group[name]

    def cells(self, item: Any) -> list[Any]:
        """The values that a dataset refers to; a null reference is an element that was never written."""
        return [self.value(self.file[ref]) if ref else np.empty((0, 0)) for ref in np.ravel(self.data(item))]

    def data(self, item: Any) -> np.ndarray:
        """The elements of a dataset as they stand in the file."""
        if item.shape is None:
            return np.empty((0, 0))
        made = item.id.get_create_plist()
        if made.get_external_count() or made.get_layout() == self.h5py.h5d.VIRTUAL:
            raise ValueError(f"the data of {item.name} stand in another file, which is not read")
        size = prod(item.shape) * item.dtype.itemsize
        # Elements that were never written have no place in the file; SPARE leaves room for them.
        if size > DEFLATE * item.id.get_storage_size() + SPARE:
            raise ValueError(f"{item.name} claims {size} bytes, more than the file can hold")
        self.left -= size
        if self.left < 0:
            raise ValueError("references lead to the same arrays again and again: the file is damaged")
        data = np.empty(item.shape, item.dtype)
        if data.size:
            item.id.read(self.h5py.h5s.ALL, self.h5py.h5s.ALL, data)
        return data

    def value(self, item: Any) -> Any:
        if not isinstance(item, (self.h5py.Group, self.h5py.Dataset)):
            raise ValueError("a reference leads to no array: the file is broken")
        if isinstance(item, self.h5py.Group) or item.dtype == self.h5py.ref_dtype:
            place = self.h5py.h5o.get_info(item.id).addr
            self.visits[place] += 1
            if self.visits[place] > SHARED:
                raise ValueError(f"{item.name} is held by itself, or by too many others: the file is damaged")
        attributes = item.attrs
        kind = attributes.get("MATLAB_class", b"")
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if isinstance(item, self.h5py.Group):
            if "MATLAB_sparse" in attributes:
                return self.sparse(item, kind)
            if kind in ("struct", ""):
                return self.struct(item)
            fields = self.struct(item)
            if kind == "function_handle":
                return Opaque(kind, function_name(fields), fields)
            return Opaque("object", kind, fields)
        if kind not in NUMERIC and "MATLAB_object_decode" in attributes:
            if kind == "function_handle":
                return Opaque(kind, "", None)
            return Opaque("object", kind, self.data(item))
        if "MATLAB_empty" in attributes and int(attributes["MATLAB_empty"]):
            return self.empty(tuple(int(d) for d in np.ravel(self.data(item))), kind)
        if self.h5py.check_string_dtype(item.dtype):
            return self.strings(item)
        if kind == "cell" or (kind not in NUMERIC and item.dtype == self.h5py.ref_dtype):
            return self.cells(item)
        if kind == "char":
            return text(self.data(item).T)
        if kind and kind not in NUMERIC:
            return Opaque("object", kind, None)
        return self.array(item, kind)

    def array(self, item: Any, kind: str) -> np.ndarray:
        dtype = item.dtype
        if dtype.names == ("real", "imag"):
            parts = self.data(item)
            return (parts["real"] + 1j * parts["imag"]).astype(np.result_type(parts["real"].dtype, "c8")).T
        data = self.data(item)
        data = data.astype(data.dtype.newbyteorder("="), copy=False)
        data = data.T if data.ndim else data.reshape(1, 1)
        return data.astype(bool) if kind == "logical" else data

    def strings(self, item: Any) -> Any:
        """Python's strings and lists of them as h5py writes them, which MATLAB reads as strings."""
        found = [s.decode("utf-8", "replace") if isinstance(s, bytes) else str(s) for s in np.ravel(self.data(item))]
        return found if item.shape else found[0]

    def empty(self, shape: tuple[int, ...], kind: str) -> Any:
        if kind == "cell":
            return []
        if kind == "char":
            return ""
        if kind == "struct":
            return Struct() if int(np.prod(shape)) == 1 else []
        if kind in NUMERIC:
            name = {"double": "f8", "single": "f4", "logical": "bool"}.get(kind, kind)
            return np.empty(shape, name, order="F")
        if kind == "canonical empty":  # an element of a cell or struct that was never written
            return np.empty((0, 0))
        return Opaque("object", kind, None)

    def struct(self, group: Any) -> Any:
        names = [b"".join(np.ravel(name)).decode() for name in group.attrs.get("MATLAB_fields", ())]
        names = [n for n in names if n in group] + [n for n in group if n not in names]
        items = {name: self.member(group, name) for name in names}
        if items and all(self.is_column(item) for item in items.values()):
            return [Struct(zip(items, values)) for values in zip(*map(self.cells, items.values()))]
        return Struct((name, self.value(item)) for name, item in items.items())

    def is_column(self, item: Any) -> bool:
        """Whether a member of a struct group holds the field of many structs."""
        dataset = isinstance(item, self.h5py.Dataset)
        return dataset and item.dtype == self.h5py.ref_dtype and "MATLAB_class" not in item.attrs

    def sparse(self, group: Any, kind: str) -> Any:
        from scipy.sparse import csc_matrix

        starts = self.data(self.member(group, "jc"))
        rows = int(group.attrs["MATLAB_sparse"])
        data = self.data(self.member(group, "data")) if "data" in group else np.empty(0)
        index = self.data(self.member(group, "ir")) if "ir" in group else np.empty(0, int)
        data = data.astype(bool) if kind == "logical" else data
        return csc_matrix((data, index, starts), (rows, len(starts) - 1))
