"""Writes MAT files of version 7.3 as MATLAB lays them out: cells hold references into #refs#, axes are reversed."""

from __future__ import annotations

from itertools import count
from typing import Any

import h5py
import numpy as np

from pyconvnet.records import StructArray


class HDF5:
    """A file that is being written; `put` adds a value to one of its groups.

    packing  how numbers are stored: options of h5py's create_dataset
    """

    def __init__(self, path, libver=None, packing=None):
        self.file = h5py.File(path, "w", libver=libver)
        self.packing = packing or {}
        self.refs = self.file.create_group("#refs#")
        self.numbers = count()

    def put(self, group, name, value):
        if isinstance(value, StructArray):
            g = group.create_group(name)
            g.attrs["MATLAB_class"] = np.bytes_("struct")
            for field in value[0]:
                g.create_dataset(field, data=self.pointers(r[field] for r in value), dtype=h5py.ref_dtype)
            return
        if isinstance(value, dict):
            g = group.create_group(name)
            g.attrs["MATLAB_class"] = np.bytes_("struct")
            fields = np.empty(len(value), object)
            fields[:] = [np.array(list(f), "S1") for f in value]
            g.attrs.create("MATLAB_fields", fields, dtype=h5py.vlen_dtype(np.dtype("S1")))
            for f, v in value.items():
                self.put(g, f, v)
            return
        if isinstance(value, (list, str)) and not len(value):
            d = group.create_dataset(name, data=np.zeros(2, np.uint64))
            d.attrs["MATLAB_empty"] = np.uint8(1)
            kind = "cell" if isinstance(value, list) else "char"
        elif isinstance(value, list):
            d, kind = group.create_dataset(name, data=self.pointers(value), dtype=h5py.ref_dtype), "cell"
        elif isinstance(value, str):
            d, kind = group.create_dataset(name, data=np.array([[ord(c)] for c in value], np.uint16)), "char"
        elif not value.size:
            d = group.create_dataset(name, data=np.array(value.shape, np.uint64))
            d.attrs["MATLAB_empty"] = np.uint8(1)
            kind = _kind(value.dtype)
        elif value.dtype.kind == "c":
            parts = np.empty(value.T.shape, [("real", "f8"), ("imag", "f8")])
            parts["real"], parts["imag"] = value.T.real, value.T.imag
            d, kind = group.create_dataset(name, data=parts), "double"
        else:
            kind = _kind(value.dtype)
            d = group.create_dataset(name, data=value.T.astype("u1") if kind == "logical" else value.T, **self.packing)
        d.attrs["MATLAB_class"] = np.bytes_(kind)

    def pointers(self, values):
        made = []
        for v in values:
            name = f"r{next(self.numbers)}"
            self.put(self.refs, name, v)
            made.append(self.refs[name].ref)
        out = np.empty((len(made), 1), h5py.ref_dtype)
        out[:, 0] = made
        return out


def _kind(dtype: Any) -> str:
    return {"float64": "double", "float32": "single", "bool": "logical"}.get(dtype.name, dtype.name)
