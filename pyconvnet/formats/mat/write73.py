"""Writes MAT files of version 7.3: what `encode.matlab_value` makes of plain values, and arrays of any size by blocks.

Structs are groups, arrays datasets with their dimensions reversed, cells datasets of references into the group #refs#.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, BinaryIO

import numpy as np

from pyconvnet.arrays import size_text
from pyconvnet.formats.hdf5 import PatientFile
from pyconvnet.formats.mat.encode import matlab_value

HEAD = b"MATLAB 7.3 MAT-file, written by pyconvnet"
BYTES = 1 << 20  # of images that are written at once
BLOCK = 512  # bytes before HDF5 begins; MATLAB's head stands there
CLASSES = {"float64": "double", "float32": "single", "bool": "logical"}


class Images:
    """Stands for an array H x W x C x N in the values to be written, whose images come one after the other.

    packed  whether each is compressed
    """

    def __init__(self, images: Iterator[np.ndarray], packed: bool) -> None:
        self.images, self.packed = images, packed
        self.count = 0  # of those written


def write(draft: BinaryIO, values: dict[str, Any]) -> None:
    """Write variables to an open file; values in them may be Images, as field of a struct."""
    import h5py

    patient = PatientFile(draft)
    with patient, h5py.File(patient, "w", userblock_size=BLOCK) as file:
        matlab_value(dict.fromkeys(values), "the file")  # as for fields of structs
        writer = _Writer(h5py, file, patient)
        for name, value in values.items():
            writer.value(file, name, value, name)
    draft.seek(0)
    draft.write(HEAD.ljust(116) + bytes(8) + b"\x00\x02IM")


class _Writer:
    def __init__(self, h5py: Any, file: Any, patient: PatientFile) -> None:
        self.h5py, self.file, self.patient = h5py, file, patient
        self.numbers = count()

    def value(self, group: Any, name: str, value: Any, where: str) -> None:
        """A plain value; Images are the one kind that `encode` does not know."""
        if isinstance(value, Images):
            self.images(group, name, value, where)
        elif isinstance(value, dict) and value:
            matlab_value(dict.fromkeys(value), where)  # refuses what is no name of a field
            made = self.struct(group, name, tuple(value))
            for field, found in value.items():
                self.value(made, field, found, f"{where}.{field}")
        else:
            self.encoded(group, name, matlab_value(value, where), where)

    def struct(self, group: Any, name: str, fields: tuple[str, ...]) -> Any:
        made = group.create_group(name)
        made.attrs["MATLAB_class"] = np.bytes_("struct")
        if fields:
            names = np.empty(len(fields), object)
            names[:] = [np.array(list(field), "S1") for field in fields]
            made.attrs.create("MATLAB_fields", names, dtype=self.h5py.vlen_dtype(np.dtype("S1")))
        return made

    def encoded(self, group: Any, name: str, value: Any, where: str) -> None:
        """A value as savemat would take it."""
        if isinstance(value, dict):
            self.struct(group, name, ())
        elif isinstance(value, str):
            codes = np.frombuffer(value.encode("utf-16-le"), np.uint16)
            self.dataset(group, name, codes[:, None], "char").attrs["MATLAB_int_decode"] = np.int32(2)
        elif hasattr(value, "tocsc"):
            raise TypeError(f"{where} is a sparse matrix, which save_imdb does not write: make it full by toarray()")
        elif value.dtype.names:
            made = self.struct(group, name, value.dtype.names)
            for field in value.dtype.names:
                items = value[field].ravel()
                if value.size == 1:
                    self.encoded(made, field, items[0], f"{where}.{field}")
                else:
                    made.create_dataset(field, data=self.references(items, where), dtype=self.h5py.ref_dtype)
        elif not value.size:
            kind = {"O": "cell", "U": "char"}.get(value.dtype.kind) or _class(value.dtype)
            empty = self.dataset(group, name, np.array(value.shape, np.uint64), kind)
            empty.attrs["MATLAB_empty"] = np.uint8(1)
        elif value.dtype == object:
            made = group.create_dataset(name, data=self.references(value.ravel(), where), dtype=self.h5py.ref_dtype)
            made.attrs["MATLAB_class"] = np.bytes_("cell")
        elif value.dtype.kind == "c":
            part = np.dtype("f4" if value.dtype == np.complex64 else "f8")
            pairs = np.empty(value.T.shape, [("real", part), ("imag", part)])
            pairs["real"], pairs["imag"] = value.T.real, value.T.imag
            self.dataset(group, name, pairs, _class(part))
        elif value.dtype == bool:
            made = self.dataset(group, name, value.T.astype(np.uint8), "logical")
            made.attrs["MATLAB_int_decode"] = np.int32(1)
        else:
            self.dataset(group, name, value.T, _class(value.dtype))

    def dataset(self, group: Any, name: str, data: np.ndarray, kind: str) -> Any:
        made = group.create_dataset(name, data=data)
        made.attrs["MATLAB_class"] = np.bytes_(kind)
        return made

    def references(self, items: np.ndarray, where: str) -> np.ndarray:
        """References to values that are written elsewhere, as a column."""
        holder = self.file.require_group("#refs#")
        out = np.empty((len(items), 1), self.h5py.ref_dtype)
        for i, item in enumerate(items):
            name = f"r{next(self.numbers)}"
            self.encoded(holder, name, item, where)
            out[i, 0] = holder[name].ref
        return out

    def images(self, group: Any, name: str, images: Images, where: str) -> None:
        """A chunk for each image, so that one can be read without the others."""
        made: Any = None
        packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if images.packed else {}
        for block in _blocks(images.images, where):
            if made is None:
                size, stored = block.shape[1:], np.dtype("u1") if block.dtype == bool else block.dtype
                made = group.create_dataset(
                    name, (0, *size), stored, maxshape=(None, *size), chunks=(1, *size), **packing
                )
                made.attrs["MATLAB_class"] = np.bytes_(_class(block.dtype))
                if block.dtype == bool:
                    made.attrs["MATLAB_int_decode"] = np.int32(1)
            made.resize(images.count + len(block), axis=0)
            made[images.count :] = block
            images.count += len(block)
            if self.patient.error is not None:
                return
        if made is None:
            raise ValueError(f"{where}: there are no images")


def _blocks(images: Iterator[np.ndarray], where: str) -> Iterator[np.ndarray]:
    """n x C x W x H, a few images at a time, all of one size and type."""
    block: list[np.ndarray] = []
    first: Any = None
    for i, image in enumerate(images, 1):
        x = np.asarray(image)
        x = x[:, :, None] if x.ndim == 2 else x
        if x.ndim != 3 or x.dtype.kind not in "biuf" or x.dtype in (np.float16, np.longdouble) or not x.size:
            raise TypeError(f"{where}: image {i} must be H x W x C numbers, got {x.dtype} of {size_text(x.shape)}")
        first = (x.dtype, x.shape) if first is None else first
        if (x.dtype, x.shape) != first:
            raise ValueError(
                f"{where}: image {i} is {x.dtype} of {size_text(x.shape)}, those before are {first[0]} of "
                f"{size_text(first[1])}"
            )
        block.append(x.T)
        if len(block) * x.nbytes >= BYTES:
            yield np.stack(block)
            block.clear()
    if block:
        yield np.stack(block)


def _class(dtype: np.dtype) -> str:
    return CLASSES.get(dtype.name, dtype.name)
