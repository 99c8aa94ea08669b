"""MAT files of every version as plain values, and back."""

import os
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from mat73 import HDF5

from pyconvnet.compat import matfile
from pyconvnet.records import Opaque, Struct, StructArray

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "matlab_fixtures").rglob("*.mat"))
MODELS = ROOT.parent / "shared" / "models"


def as_ours(value):
    """What scipy's loadmat(mat_dtype=True) returns, in our form."""
    if isinstance(value, np.ndarray) and value.dtype.names:
        out = [{n: as_ours(e[n]) for n in value.dtype.names} for e in value.ravel(order="F")]
        return out[0] if value.size == 1 else out
    if isinstance(value, np.ndarray) and value.dtype == object:
        if value.size == 1 and value.item() is None:
            return {}  # a struct without fields
        return [as_ours(e) for e in value.ravel(order="F")]
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return str(value.ravel()[0]) if value.size else ""
    return value


def same(a, b, path="", types=True):
    """The same kinds, types, shapes and bits; `path` says where they differ."""
    if isinstance(b, dict):
        assert isinstance(a, dict) and list(a) == list(b), path
        for k in b:
            same(a[k], b[k], f"{path}.{k}", types)
    elif isinstance(b, list):
        assert isinstance(a, list) and len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b)):
            same(x, y, f"{path}{{{i + 1}}}", types)
    elif isinstance(b, np.ndarray):
        assert isinstance(a, np.ndarray) and a.shape == b.shape, f"{path}: {np.shape(a)} for {b.shape}"
        assert not types or a.dtype == b.dtype, f"{path}: {a.dtype} for {b.dtype}"
        np.testing.assert_array_equal(a, b, err_msg=path)
    else:
        assert type(a) is type(b) and a == b, path


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_fixture_reads_as_scipy_reads_it(path):
    ours = matfile.read(path)
    theirs = {k: as_ours(v) for k, v in scipy.io.loadmat(path, mat_dtype=True).items() if not k.startswith("__")}
    assert set(ours) == set(theirs)
    for name in theirs:
        same(ours[name], theirs[name], name)


VALUES = Struct(
    number=np.array([[1.5]]),
    whole=np.array([[3.0, 4.0]]),
    bytes=np.array([[3, 4]], np.uint8),
    flag=np.array([[True]]),
    single=np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1)[:, :, :, 0],
    four=np.asfortranarray(np.arange(120.0).reshape(2, 3, 4, 5)),
    wide=np.array([[2**40]], np.int64),
    complex=np.array([[1 + 2j]]),
    text="conv1",
    nothing="",
    cell=["a", np.array([[1.0]]), [], Struct(x="y")],
    bare=Struct(),
    record=Struct(z="first", a=np.zeros((0, 0)), deep=Struct(list=["p", "q"])),
)


@pytest.mark.parametrize("options", [{"do_compression": True}, {}, {"format": "4"}], ids=["v7", "v6", "v4"])
def test_versions_of_scipy(tmp_path, options):
    values = {"number": np.array([[1.5, 2.0]]), "text": "conv"} if options.get("format") else {"a": np.eye(3)}
    scipy.io.savemat(tmp_path / "x.mat", values, **options)
    same(matfile.read(tmp_path / "x.mat"), values)


def test_what_is_written_reads_back_to_the_bit(tmp_path):
    matfile.write(tmp_path / "x.mat", VALUES)
    same(matfile.read(tmp_path / "x.mat"), VALUES)


def test_python_numbers_become_matlabs(tmp_path):
    values = {"a": 2, "b": True, "c": None, "d": (1.0, "x"), "e": [2, 2.5], "f": [True, False], "g": [[1], [2, 3]]}
    matfile.write(tmp_path / "x.mat", values)
    expected = {
        "a": np.array([[2.0]]),
        "b": np.array([[True]]),
        "c": np.empty((0, 0)),
        "d": [np.array([[1.0]]), "x"],
        "e": np.array([[2, 2.5]]),
        "f": np.array([[True, False]]),
        "g": [np.array([[1.0]]), np.array([[2.0, 3]])],
    }
    same(matfile.read(tmp_path / "x.mat"), expected)


def test_a_struct_array_is_a_list_of_records(tmp_path):
    records = StructArray([Struct(name="x0", precious=False), Struct(name="x1", precious=True)])
    matfile.write(tmp_path / "x.mat", {"vars": records, "one": StructArray(records[:1]), "none": StructArray()})
    found = matfile.read(tmp_path / "x.mat")
    assert [r.name for r in found["vars"]] == ["x0", "x1"] and found["vars"][1].precious.dtype == bool
    assert found["one"].name == "x0" and found["none"] == []
    assert scipy.io.loadmat(tmp_path / "x.mat")["vars"].shape == (1, 2)


def test_sparse_matrices_stay_sparse(tmp_path):
    a = scipy.sparse.csc_matrix(np.array([[0, 2.0], [1.0, 0], [0, 0]]))
    scipy.io.savemat(tmp_path / "x.mat", {"a": a})
    found = matfile.read(tmp_path / "x.mat")["a"]
    assert scipy.sparse.issparse(found)
    np.testing.assert_array_equal(found.toarray(), a.toarray())


def test_logicals_of_a_sparse_matrix_are_bytes_that_are_called_doubles(tmp_path):
    def element(kind, data):
        return struct.pack("<2I", kind, len(data)) + data + bytes(-len(data) % 8)

    parts = (
        (6, struct.pack("<2I", 5 | 0x200, 3)),
        (5, struct.pack("<2i", 2, 3)),
        (1, b"a"),
        (5, struct.pack("<3i", 1, 0, 1)),
    )
    parts += (5, struct.pack("<4i", 0, 1, 1, 3)), (9, b"\1\1\1")
    (tmp_path / "x.mat").write_bytes(
        b"MATLAB".ljust(124) + b"\0\1IM" + element(14, b"".join(element(*p) for p in parts))
    )
    found = matfile.read(tmp_path / "x.mat")["a"]
    assert found.dtype == bool
    np.testing.assert_array_equal(found.toarray(), [[0, 0, 1], [1, 0, 1]])


def test_rows_of_text_are_a_list(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.array(["one", "two"])})
    assert matfile.read(tmp_path / "x.mat")["a"] == ["one", "two"]


def test_a_big_endian_file(tmp_path):
    def element(kind, data):
        return kind.to_bytes(4, "big") + len(data).to_bytes(4, "big") + data + bytes(-len(data) % 8)

    flags = element(6, (6).to_bytes(4, "big") + bytes(4))
    body = flags + element(5, b"\0\0\0\1\0\0\0\2") + element(1, b"a") + element(9, np.array([1.5, -2], ">f8").tobytes())
    (tmp_path / "x.mat").write_bytes(b"MATLAB".ljust(124) + b"\x01\x00MI" + element(14, body))
    same(matfile.read(tmp_path / "x.mat"), {"a": np.array([[1.5, -2.0]])})


def test_version_73_gives_the_same_values(tmp_path):
    h = HDF5(tmp_path / "x.mat")
    for name, value in VALUES.items():
        h.put(h.file, name, value)
    h.put(h.file, "many", StructArray([Struct(a="1"), Struct(a="2")]))
    h.file.close()
    found = matfile.read(tmp_path / "x.mat")
    same(found.pop("many"), [{"a": "1"}, {"a": "2"}])
    same({k: found[k] for k in VALUES}, VALUES)
    assert found["four"].flags.f_contiguous


def test_an_object_of_73_is_kept_by_name(tmp_path):
    h = HDF5(tmp_path / "x.mat")
    h.put(h.file, "a", np.eye(2))
    d = h.file.create_dataset("b", data=np.zeros((1, 6), np.uint32))
    d.attrs["MATLAB_class"], d.attrs["MATLAB_object_decode"] = np.bytes_("gpuArray"), np.int32(3)
    h.file.close()
    found = matfile.read(tmp_path / "x.mat")
    assert isinstance(found["b"], Opaque) and found["b"].name == "gpuArray"
    np.testing.assert_array_equal(found["a"], np.eye(2))


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs ../shared/models")
def test_function_handles_are_kept_by_name_and_never_run():
    net = matfile.read(MODELS / "zoo" / "text-regression-function-handles.mat")
    found = []

    def walk(v):
        if isinstance(v, Opaque):
            found.append(v)
        elif isinstance(v, dict):
            [walk(x) for x in v.values()]
        elif isinstance(v, list):
            [walk(x) for x in v]

    walk(net)
    handles = [h for h in found if h.kind == "function_handle"]
    assert handles and all(h.name for h in handles)
    with pytest.raises(TypeError, match="cannot be run here"):
        handles[0]()


@pytest.mark.parametrize(
    "content", [b"", b"hello" * 100, b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + b"\x0e\0\0\0junk" * 9]
)
def test_what_is_no_mat_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "bad.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.mat cannot be read as a MAT file"):
        matfile.read(tmp_path / "bad.mat")


@pytest.mark.parametrize("compress", [True, False])
def test_a_truncated_file_is_refused(tmp_path, compress):
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.random.default_rng(0).random((50, 50))}, do_compression=compress)
    whole = (tmp_path / "x.mat").read_bytes()
    (tmp_path / "x.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"x\.mat cannot be read"):
        matfile.read(tmp_path / "x.mat")


def test_damaged_numbers_are_refused_by_their_checksum(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.zeros((50, 50))}, do_compression=True)
    whole = bytearray((tmp_path / "x.mat").read_bytes())
    whole[-1] ^= 1
    (tmp_path / "x.mat").write_bytes(whole)
    with pytest.raises(ValueError, match=r"x\.mat cannot be read .* compressed data are broken"):
        matfile.read(tmp_path / "x.mat")


def test_what_a_cell_of_73_was_never_given_is_empty(tmp_path):
    h = HDF5(tmp_path / "x.mat")
    never = h.refs.create_dataset("a", data=np.zeros(2, np.uint64))
    never.attrs["MATLAB_class"], never.attrs["MATLAB_empty"] = np.bytes_("canonical empty"), np.uint8(1)
    pointers = np.array([[never.ref], [h5py.Reference()]], h5py.ref_dtype)
    h.file.create_dataset("c", data=pointers).attrs["MATLAB_class"] = np.bytes_("cell")
    h.file.close()
    same(matfile.read(tmp_path / "x.mat"), {"c": [np.empty((0, 0)), np.empty((0, 0))]})


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        matfile.read(tmp_path / "none.mat")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x.mat"
    matfile.write(path, {"a": 1})
    before = path.read_bytes()
    with pytest.raises(TypeError, match=r"net\.layers\{2\}\.forward is a Python function"):
        matfile.write(path, {"net": {"layers": ["x", {"forward": len}]}})

    def killed(*args, **kwargs):
        args[0].write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(scipy.io, "savemat", killed)
    with pytest.raises(KeyboardInterrupt):
        matfile.write(path, {"a": 2})
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["x.mat"]


def test_a_handle_cannot_be_written_again_and_says_so(tmp_path):
    with pytest.warns(UserWarning, match=r"net\.f: the MATLAB function handle '@f' cannot be written again"):
        matfile.write(tmp_path / "x.mat", {"net": {"f": Opaque("function_handle", "@f")}})
    assert matfile.read(tmp_path / "x.mat")["net"].f.matlab_function_handle == "@f"
