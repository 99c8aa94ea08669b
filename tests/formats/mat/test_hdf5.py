"""What HDF5 keeps of its own in files of version 7.3: chunks and filters, heaps, headers; whole and damaged."""

import re
import struct
import zlib

import h5py
import numpy as np
import pytest
from mat73 import HDF5

import pyconvnet as pcn
from pyconvnet.compat import matfile
from pyconvnet.formats.mat import chunks

WEIGHTS = np.random.default_rng(0).standard_normal((5, 5, 3, 40)).astype("f4")
VALUES = {"net": {"layers": [{"type": "conv", "name": "c1", "weights": [WEIGHTS, np.zeros((40, 1))]}], "a": "x"}}
PACKED = {
    "plain": {},
    "gzip": {"compression": "gzip", "chunks": True},
    "shuffled": {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": True},
    "checksums": {"fletcher32": True, "chunks": True},
}


def written(path, libver=None, packing=None):
    h = HDF5(path, libver, packing)
    for name, value in VALUES.items():
        h.put(h.file, name, value)
    h.file.close()
    return path


def refused(path, match):
    with pytest.raises(pcn.MatFileError, match=rf"{path.name} cannot be read as a MAT file: .*{match}"):
        matfile.read(path)


@pytest.mark.parametrize("libver", [None, "latest"])
@pytest.mark.parametrize("packing", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("old", [False, True], ids=["", "HDF5 before 1.12"])
def test_chunks_filters_and_headers_of_every_kind_give_the_same_values(tmp_path, libver, packing, old, monkeypatch):
    if old:
        monkeypatch.setattr(chunks, "hasattr", lambda *_: False, raising=False)
    found = matfile.read(written(tmp_path / "x.mat", libver, packing))["net"]
    assert list(found) == ["layers", "a"] and list(found["layers"][0]) == ["type", "name", "weights"]
    np.testing.assert_array_equal(found["layers"][0]["weights"][0], WEIGHTS)


def test_addresses_count_from_where_matlab_ends_its_head(tmp_path):
    with h5py.File(tmp_path / "x.mat", "w", userblock_size=512) as file:
        group = file.create_group("s")
        names = np.empty(2, object)
        names[:] = [np.array(list("zeta"), "S1"), np.array(list("alpha"), "S1")]
        group.attrs.create("MATLAB_fields", names, dtype=h5py.vlen_dtype(np.dtype("S1")))
        group["alpha"], group["zeta"] = np.ones((1, 1)), np.zeros((1, 1))
        file["text"] = "é and more"
        file["texts"] = np.array(["a", "", "longer"], object)
        file.create_dataset("packed", data=["a", "bc"] * 50, dtype=h5py.string_dtype(), compression="gzip", chunks=(7,))
    found = matfile.read(tmp_path / "x.mat")
    assert list(found["s"]) == ["zeta", "alpha"]
    assert (found["text"], found["texts"], found["packed"]) == ("é and more", ["a", "", "longer"], ["a", "bc"] * 50)


def test_elements_that_were_never_written_are_the_fill_value(tmp_path):
    with h5py.File(tmp_path / "x.mat", "w") as file:
        data = file.create_dataset("a", (100, 70), "f8", chunks=(30, 20), compression="gzip", fillvalue=3)
        data[40:50, 10:30] = 1
        expected = data[()].T
    np.testing.assert_array_equal(matfile.read(tmp_path / "x.mat")["a"], expected)


def test_a_damaged_length_of_a_field_name_is_refused_before_memory_is_taken(tmp_path):
    """HDF5 takes as many bytes as the length says, up to 4 GiB, before it looks at the heap."""
    path = written(tmp_path / "x.mat")
    data = path.read_bytes()
    heap = struct.pack("<Q", data.index(b"GCOL"))
    at = data.index(heap) - 4
    path.write_bytes(data[:at] + struct.pack("<I", 1 << 31) + data[at + 4 :])
    refused(path, r"a value of 2147483648 bytes stands in a heap where \d+ are")
    path.write_bytes(data.replace(heap, struct.pack("<Q", 8)))
    refused(path, "there is no heap at byte 8")


def raw_chunk(path, content, shape=(4, 6), filters=("deflate",), mask=0):
    with h5py.File(path, "w") as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk(shape)
        for name in filters:
            getattr(made, f"set_{name}")() if name != "unknown" else made.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, ())
        space, kind = h5py.h5s.create_simple(shape), h5py.h5t.py_create(np.dtype("f8"))
        h5py.h5d.create(file.id, b"a", kind, space, made).write_direct_chunk((0, 0), content, mask)
    return path


@pytest.mark.parametrize(
    ("content", "filters", "said"),
    [
        (zlib.compress(bytes(1 << 28)), ("deflate",), "it is cut, or has more than 192 bytes"),
        (zlib.compress(bytes(192))[:-5], ("deflate",), "it is cut"),
        (zlib.compress(bytes(191)), ("deflate",), "has 191 bytes in place of 192"),
        (b"never packed", ("deflate",), "incorrect header check"),
        (bytes(192) + b"\1\0\0\0", ("fletcher32",), "its checksum is another"),
        (None, ("fletcher32",), "its checksum is another"),
        (bytes(4000), (), "has 4000 bytes in place of 192"),
        (bytes(192), ("unknown",), "is packed by filter 32001, which MATLAB does not write"),
    ],
    ids=["bomb", "cut", "short", "not packed", "checksum", "no byte", "too many", "unknown"],
)
def test_chunks_that_are_not_what_they_should_be_are_refused(tmp_path, content, filters, said):
    """A chunk without a byte, under a checksum, ended the process when HDF5 read it, as did one without filters that
    was too long."""
    path = raw_chunk(tmp_path / "x.mat", content or bytes(196), filters=filters)
    if content is None:
        path.write_bytes(path.read_bytes().replace(struct.pack("<2I", 196, 0), bytes(8)))
    refused(path, re.escape(said))


def test_a_filter_that_was_left_out_for_a_chunk_is_not_undone(tmp_path):
    content = np.arange(24.0).reshape(4, 6)
    path = raw_chunk(tmp_path / "x.mat", content.tobytes(), mask=1)
    np.testing.assert_array_equal(matfile.read(path)["a"], content.T)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda file: file.create_dataset("a", (3, 4), "f8", maxshape=(None, None), chunks=(1 << 14, 1 << 14)),
            "has chunks of .* far more than its",
        ),
        (lambda file: file.create_dataset("a", (2, 2), "V16"), "of a type that MATLAB does not write"),
        (
            lambda file: file.create_dataset("a", (2,), h5py.vlen_dtype(np.dtype("f4"))),
            "of a type that MATLAB does not",
        ),
        (lambda file: attribute(file, "MATLAB_class", np.zeros(3)), "an attribute MATLAB_class of a type"),
        (lambda file: attribute(file, "MATLAB_class", np.bytes_(b"x" * 5000)), "an attribute MATLAB_class of a type"),
        (lambda file: attribute(file, "MATLAB_empty", np.uint8(1)), "said to be empty has dimensions"),
        (lambda file: attribute(file, "MATLAB_empty", np.uint8(1), 1 << 16), "is empty, has 65536 dimensions"),
        (
            lambda file: file.create_group("a").attrs.create("MATLAB_fields", np.bytes_("type")),
            "MATLAB_fields that is no list of names",
        ),
    ],
    ids=["chunks", "opaque", "vectors", "class", "long class", "empty", "many dimensions", "fields"],
)
def test_what_matlab_does_not_write_is_refused(tmp_path, make, said):
    with h5py.File(tmp_path / "x.mat", "w") as file:
        make(file)
    refused(tmp_path / "x.mat", said)


def attribute(file, name, value, dimensions=2):
    item = file.create_dataset("a", data=np.full(dimensions, 1 << 30, np.uint64))
    item.attrs["MATLAB_class"] = np.bytes_("double")
    item.attrs[name] = value


def test_a_cell_packed_to_refer_to_one_array_without_end_is_refused(tmp_path):
    with h5py.File(tmp_path / "x.mat", "w") as file:
        one = file.create_dataset("#refs#/x", data=np.zeros((1, 1)))
        refs = np.full((1 << 18, 1), None, h5py.ref_dtype)
        refs[:] = one.ref
        cell = file.create_dataset("a", data=refs, dtype=h5py.ref_dtype, chunks=(1 << 15, 1), compression="gzip")
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
    refused(tmp_path / "x.mat", "/a refers to 262144 values, more than the file can hold")
