"""Damaged MAT files: refused at once, whatever sizes they declare, and without memory beyond what the file holds."""

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from support import python

from pyconvnet.compat import matfile

SHARED = Path(__file__).parents[3].parent / "shared"
HEAD = b"MATLAB 5.0".ljust(124) + b"\0\1IM"
FLIPS = """
import random, sys
from pyconvnet.compat import matfile
whole, read = open(sys.argv[1], "rb").read(), 0
for seed in range(int(sys.argv[2])):
    draw, data = random.Random(seed), bytearray(whole)
    for _ in range(draw.choice([1, 1, 3])):
        data[draw.randrange(len(data) if draw.random() < 0.5 else min(len(data), 300))] ^= 1 << draw.randrange(8)
    open(sys.argv[1], "wb").write(data)
    try:
        matfile.read(sys.argv[1])
        read += 1
    except ValueError as error:
        assert "x.mat cannot be read as a MAT file" in str(error), (seed, error)
print(read)
"""
VALUES = {
    "eye": np.eye(3),
    "rows": np.array(["one", "three"]),
    "record": {"x": 1, "deep": {"name": "conv", "weights": np.arange(24, dtype="f4").reshape(2, 3, 4)}},
    "cell": np.array([1, "a", np.eye(2)], object),
    "bytes": np.arange(9, dtype="u1"),
}


def element(kind, data, size=None):
    return struct.pack("<2I", kind, len(data) if size is None else size) + data + bytes(-len(data) % 8)


def array(kind, dims, *parts):
    flags = element(6, struct.pack("<2I", kind, 0))
    return element(14, flags + element(5, struct.pack(f"<{len(dims)}i", *dims)) + element(1, b"a") + b"".join(parts))


def compressed(data, size=None):
    packed = zlib.compress(data)
    return struct.pack("<2I", 15, len(packed) if size is None else size) + packed


def refused(tmp_path, content, match):
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.mat cannot be read as a MAT file: .*{match}"):
        matfile.read(tmp_path / "x.mat")


GOOD = array(6, (1, 1), element(9, struct.pack("<d", 2)))


def test_a_variable_larger_than_the_file_is_refused_before_it_is_read(tmp_path):
    """A flipped bit in the size of a compressed variable: its data end, and those of the next variable follow."""
    size = len(compressed(GOOD)) - 8
    for flipped in (size | 1 << 28, size + 1, 2**32 - 1):
        refused(tmp_path, HEAD + compressed(GOOD, flipped), f"claims {flipped} bytes")
    refused(tmp_path, HEAD + element(14, GOOD[8:], 1 << 30), "but 64 are there")


@pytest.mark.skipif(not (SHARED / "cases" / "hang.mat").exists(), reason="needs ../shared/cases")
def test_a_file_with_one_bit_flipped_in_such_a_size_is_refused():
    with pytest.raises(ValueError, match=r"hang\.mat cannot be read as a MAT file: the variable at byte 128"):
        matfile.read(SHARED / "cases" / "hang.mat")


def test_compressed_data_that_end_before_their_variable_are_read_no_further(tmp_path):
    """The size reaches into the next variable: what is read there is none of this one."""
    (tmp_path / "x.mat").write_bytes(HEAD + compressed(GOOD, len(compressed(GOOD)) + 40) + compressed(GOOD))
    with pytest.raises(ValueError, match=r"x\.mat cannot be read as a MAT file"):
        matfile.read(tmp_path / "x.mat")


def test_compressed_data_that_end_too_soon_are_refused(tmp_path):
    refused(tmp_path, HEAD + compressed(GOOD[:40]) + bytes(200), "ends in the middle")


@pytest.mark.parametrize("pack", [compressed, bytes])
def test_an_element_larger_than_its_variable_is_refused_before_memory_is_taken(tmp_path, pack):
    huge = array(6, (1 << 15, 1 << 14), element(9, b"12345678", 2**32 - 8))
    refused(tmp_path, HEAD + pack(huge), "an element of 4294967288 bytes stands in a variable of")


def test_structs_without_fields_in_any_number_are_refused(tmp_path):
    few, many = (array(2, (1, n), element(5, struct.pack("<i", 32)), element(1, b"")) for n in (3, 2**31 - 1))
    (tmp_path / "x.mat").write_bytes(HEAD + few)
    assert matfile.read(tmp_path / "x.mat")["a"] == [{}, {}, {}]
    refused(tmp_path, HEAD + many, "2147483647 structs without fields")


EMPTY, ONE = element(14, b""), array(6, (1, 1), element(9, struct.pack("<d", 1)))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (array(1, (1 << 18, 1), ONE * (1 << 18)), "more values than the file can hold"),
        (array(1, (1 << 30, 1), EMPTY * (3 << 20)), "more values than the file can hold"),
        (array(2, (1, 1), element(5, struct.pack("<i", 1)), element(1, b"a" * 70_000)), "a struct has 70000 fields"),
        (array(6, (1, 1), element(9, bytes(8))).replace(element(1, b"a"), element(1, bytes(1 << 20))), "in the head"),
        (array(6, (1 << 30, 1 << 30, 16), element(9, b"")), "an array of 18446744073709551616 elements has 0"),
    ],
    ids=["cell", "empty", "fields", "name", "dimensions"],
)
def test_what_is_little_when_compressed_and_very_many_values_else_is_refused(tmp_path, value, said):
    refused(tmp_path, HEAD + compressed(element(14, value[8:])), said)


def test_cells_of_many_values_are_read(tmp_path):
    many = array(1, (100_000, 1), ONE * 50_000 + EMPTY * 50_000)
    (tmp_path / "x.mat").write_bytes(HEAD + compressed(many))
    assert len(matfile.read(tmp_path / "x.mat")["a"]) == 100_000


def test_an_array_of_73_larger_than_the_file_is_refused_before_memory_is_taken(tmp_path):
    with h5py.File(tmp_path / "x.mat", "w") as file:
        file.create_dataset("a", shape=(1 << 17, 1 << 17), chunks=(64, 64), dtype="f8")
    with pytest.raises(ValueError, match=r"/a claims 137438953472 bytes, more than the file can hold"):
        matfile.read(tmp_path / "x.mat")
    with h5py.File(tmp_path / "x.mat", "w") as file:
        file.create_dataset("a", data=np.zeros((3000, 2000)), compression="gzip", chunks=(1000, 1000))
        file.create_dataset("b", shape=(300, 200), chunks=(64, 64), dtype="f8")  # never written
    found = matfile.read(tmp_path / "x.mat")
    assert found["a"].shape == (2000, 3000) and not found["a"].any() and not found["b"].any()


@pytest.mark.parametrize("options", [{"do_compression": True}, {}, {"format": "4"}], ids=["v7", "v6", "v4"])
def test_flipped_bits_are_read_or_refused_in_time(tmp_path, options):
    values = {k: VALUES[k] for k in ("eye", "rows")} if options.get("format") else VALUES
    scipy.io.savemat(tmp_path / "x.mat", values, **options)
    done = python(FLIPS, tmp_path / "x.mat", 1500, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 < int(done.stdout) < 1500


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "a pointer of Git LFS"),
        (b"\n <!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"\xef\xbb\xbf<HTML><head>", "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b"PK\3\4" + bytes(60), "ZIP archive"),
        (b"\x1f\x8b\x08" + bytes(60), "compressed by gzip"),
        (b"", "it is empty"),
        (b"some notes of mine, which are no network", "those of no version"),
    ],
)
def test_what_came_in_place_of_a_file_is_named(tmp_path, content, said):
    refused(tmp_path, content, said)


def test_a_sparse_matrix_of_columns_without_end_is_refused(tmp_path):
    """A file of version 4 has only the elements; in memory each column takes a place."""
    path = tmp_path / "x.mat"
    wide = scipy.sparse.coo_matrix(([1.0], ([0], [1 << 30])), shape=(3, (1 << 30) + 1))
    scipy.io.savemat(path, {"a": wide}, format="4")
    with pytest.raises(ValueError, match="a sparse matrix has 1073741825 columns, more than"):
        matfile.read(path)
