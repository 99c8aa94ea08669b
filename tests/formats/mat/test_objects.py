"""MATLAB's objects in a file: arrays of the GPU, graphs saved as they are, strings, and what stays a placeholder."""

import io
import struct
from itertools import count
from pathlib import Path
from time import perf_counter

import h5py
import numpy as np
import pytest
import scipy.io

import pyconvnet as pcn
from pyconvnet.compat import matfile
from pyconvnet.records import Opaque, Struct

MODELS = Path(__file__).parents[4] / "shared" / "models"
F = np.arange(2 * 2 * 1 * 3, dtype=np.float32).reshape(2, 2, 1, 3)
VERSIONS = ["v5", "v7.3"]
NUMBERS = count()


def index(classes, objects):
    """The first element of a table: objects are (class, [(property, cell)], whether by saveobj)."""
    names = ["any", *(part for name in classes for part in name.rpartition(".")[::2] if part)]
    names += [p for _, properties, _ in objects for p, _ in properties if p not in names]
    place = {"": 0, **{n: i for i, n in enumerate(names, 1)}}
    kinds = [w for name in classes for w in (*(place[p] for p in name.rpartition(".")[::2]), 0, 0)]
    blocks, counts, entries = ([0, 0], [0, 0]), [0, 0], []
    for kind, properties, by_saveobj in objects:
        words = [len(properties), *(w for name, cell in properties for w in (place[name], 1, cell))]
        blocks[not by_saveobj].extend(words + [0] * (len(words) % 2))
        counts[not by_saveobj] += 1
        entries += [kind, 0, 0, counts[0] * by_saveobj, counts[1] * (not by_saveobj), 1]
    regions = [[0] * 4 + kinds, blocks[0], [0] * 6 + entries, blocks[1], [0] * 4]
    text = b"\0".join(n.encode() for n in names) + b"\0"
    text += bytes(-len(text) % 8)
    starts = np.cumsum([40 + len(text), *(4 * len(r) for r in regions)]).tolist()
    head = struct.pack("<10I", 2, len(names), *starts[:6], 0, 0)
    return np.frombuffer(head + text + b"".join(struct.pack(f"<{len(r)}I", *r) for r in regions), np.uint8)


class Pointer:
    """A variable that is an object: which one, of which class."""

    def __init__(self, kind, *numbers):
        self.kind = kind
        dims = (len(numbers), 1)
        self.data = np.array([[0xDD000000, 2, *dims, *numbers, 1]], np.uint32).T


def element(kind, data):
    return struct.pack("<2I", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(value, name=b""):
    """A value as version 5 has it, objects too."""
    if isinstance(value, Pointer):
        flags = element(6, struct.pack("<2I", 17, 0))
        return element(
            14, flags + element(1, name) + element(1, b"MCOS") + element(1, value.kind.encode()) + matrix(value.data)
        )
    if isinstance(value, dict):
        parts = b"".join(field.encode().ljust(32, b"\0") for field in value)
        body = element(5, struct.pack("<I", 32)) + element(1, parts) + b"".join(map(matrix, value.values()))
        return element(14, shape(2, 1, name) + body)
    if isinstance(value, list):
        return element(14, shape(1, len(value), name) + b"".join(map(matrix, value)))
    file = io.BytesIO()
    scipy.io.savemat(file, {"x": value})
    return file.getvalue()[128:]


def shape(kind, count, name):
    return element(6, struct.pack("<2I", kind, 0)) + element(5, struct.pack("<2i", 1, count)) + element(1, name)


def write5(path, variables, cells):
    body = b"".join(matrix(value, name.encode()) for name, value in variables.items())
    table = Pointer("FileWrapper__")
    table.data = cells
    inner = b"\0\1IM" + bytes(4) + matrix({"MCOS": table})
    bytes_ = element(6, struct.pack("<2I", 9, 0)) + element(5, struct.pack("<2i", 1, len(inner)))
    tail = element(14, bytes_ + element(1, b"") + element(2, inner))
    path.write_bytes(b"MATLAB 5.0".ljust(116) + struct.pack("<Q", 128 + len(body)) + b"\0\1IM" + body + tail)


def put73(file, place, name, value):
    """A value as version 7.3 has it; a list is a cell of references."""
    if isinstance(value, dict):
        item = place.create_group(name)
        kind = "struct"
        for field, part in value.items():
            put73(file, item, field, part)
    elif isinstance(value, list):
        pointers = []
        for part in value:
            pointers.append(put73(file, file["#refs#"], f"r{next(NUMBERS)}", part).ref)
        item, kind = place.create_dataset(name, data=np.array(pointers, h5py.ref_dtype)[None]), "cell"
    elif isinstance(value, Pointer):
        item, kind = place.create_dataset(name, data=value.data.T), value.kind
        item.attrs["MATLAB_object_decode"] = np.int32(3)
    elif isinstance(value, str):
        item, kind = place.create_dataset(name, data=np.array([[ord(c)] for c in value], np.uint16)), "char"
    else:
        item = place.create_dataset(name, data=np.asarray(value).T)
        kind = {"float32": "single", "float64": "double"}.get(str(item.dtype), str(item.dtype))
    item.attrs["MATLAB_class"] = np.bytes_(kind)
    return item


def write73(path, variables, cells):
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_group("#refs#")
        for name, value in variables.items():
            put73(file, file, name, value)
        put73(file, file.create_group("#subsystem#"), "MCOS", cells)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")


def written(path, version, variables, classes, objects, values):
    cells = [index(classes, objects).reshape(-1, 1), [], *values, []]
    (write5 if version == "v5" else write73)(path, variables, cells)
    return path


def layer(weights):
    return {"type": "conv", "name": "c", "weights": weights, "stride": np.array([[1.0]]), "pad": np.array([[0.0]])}


@pytest.mark.parametrize("version", VERSIONS)
def test_arrays_of_the_gpu_are_arrays(tmp_path, version):
    weights = [Pointer("gpuArray", 1), Pointer("gpuArray", 2)]
    objects = [(1, [("any", 0)], True), (1, [("any", 1)], True)]
    values = [[np.array([[1.0]]), F], [np.array([[1.0]]), np.ones((1, 3), np.float32)]]
    path = written(tmp_path / "a.mat", version, {"layers": [layer(weights)]}, ["gpuArray"], objects, values)
    net = pcn.load(path)
    np.testing.assert_array_equal(net.layers[0].weights[0], F)
    np.testing.assert_array_equal(net.layers[0].weights[1], np.ones((1, 3)))
    assert pcn.vl_simplenn(net, np.ones((4, 4, 1, 2), np.float32), mode="test")[-1].x.shape == (3, 3, 3, 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_graph_saved_as_the_object_it_is_loads(tmp_path, version):
    saved = {
        "vars": {"name": "x", "precious": np.array([[0.0]])},
        "params": {"name": "f", "value": Pointer("gpuArray", 2), "learningRate": np.array([[2.0]])},
        "layers": {
            "name": "c",
            "type": "dagnn.Conv",
            "inputs": ["x"],
            "outputs": ["y"],
            "params": ["f"],
            "block": {"size": np.array([[2.0, 2, 1, 3]]), "hasBias": np.array([[0.0]])},
        },
    }
    objects = [(1, [("any", 0)], True), (2, [("any", 1)], True)]
    values = [saved, [np.array([[1.0]]), F]]
    path = written(
        tmp_path / "a.mat", version, {"net": Pointer("dagnn.DagNN", 1)}, ["dagnn.DagNN", "gpuArray"], objects, values
    )
    net = pcn.load(path)
    assert isinstance(net, pcn.DagNN) and net.params["f"].learningRate == 2
    np.testing.assert_array_equal(net.params["f"].value, F)


@pytest.mark.parametrize("version", VERSIONS)
def test_strings_are_text(tmp_path, version):
    words = [1, 2, 1, 1, 4, *np.frombuffer("conv".encode("utf-16-le"), "<u8").tolist()]
    layers = [{**layer([F, np.ones((1, 3), np.float32)]), "type": Pointer("string", 1)}]
    values = [np.array([words], np.uint64)]
    path = written(tmp_path / "a.mat", version, {"layers": layers}, ["string"], [(1, [("any", 0)], True)], values)
    assert pcn.load(path).layers[0].type == "conv"


@pytest.mark.parametrize("version", VERSIONS)
def test_other_objects_stay_by_name_with_their_properties(tmp_path, version):
    variables = {"s": {"a": Pointer("my.Solver", 1), "b": np.array([[2.0]])}}
    objects = [(1, [("rate", 0), ("self", 1)], False)]
    values = [np.array([[0.5]]), Pointer("my.Solver", 1)]
    path = written(tmp_path / "a.mat", version, variables, ["my.Solver"], objects, values)
    found = matfile.read(path)["s"]
    assert isinstance(found.a, Opaque) and found.a.kind == "object" and "Solver" in found.a.name
    assert found.a.data.rate.item() == 0.5 and found.b.item() == 2
    assert found.a.data.self.data is found.a.data


@pytest.mark.parametrize("version", VERSIONS)
def test_a_table_that_is_not_understood_leaves_objects_by_name(tmp_path, version):
    cells = [np.zeros((8, 1), np.uint8), [], np.array([[1.0]])]
    (write5 if version == "v5" else write73)(tmp_path / "a.mat", {"s": {"a": Pointer("gpuArray", 1)}}, cells)
    found = matfile.read(tmp_path / "a.mat")["s"]
    assert isinstance(found, Struct) and found.a.name == "gpuArray"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_table_that_says_it_has_more_than_it_holds_leaves_objects_by_name(tmp_path, version):
    table = index(["gpuArray"], [(1, [("any", 0)], True)])
    words = table.view("<u4").copy()
    (place,) = np.flatnonzero((words[:-3] == 1) & (words[1:-2] == 1) & (words[2:-1] == 1) & (words[3:] == 0))
    words[place] = 2**31  # properties of the object, of which one is there
    cells = [words.view(np.uint8).reshape(-1, 1), [], [np.array([[1.0]]), F]]
    (write5 if version == "v5" else write73)(tmp_path / "a.mat", {"s": {"a": Pointer("gpuArray", 1)}}, cells)
    began = perf_counter()
    assert matfile.read(tmp_path / "a.mat")["s"].a.name == "gpuArray"
    assert perf_counter() - began < 5


@pytest.mark.parametrize("version", VERSIONS)
def test_a_string_longer_than_its_characters_stays_by_name(tmp_path, version):
    words = [1, 2, 1, 2, 4, 2**40, *np.frombuffer("conv".encode("utf-16-le"), "<u8").tolist()]
    values = [np.array([words], np.uint64)]
    objects = [(1, [("any", 0)], True)]
    path = written(tmp_path / "a.mat", version, {"a": Pointer("string", 1)}, ["string"], objects, values)
    assert isinstance(matfile.read(path)["a"], Opaque)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_array_of_strings_is_a_list(tmp_path, version):
    words = [1, 2, 1, 2, 4, 3, *np.frombuffer("convabc\0".encode("utf-16-le"), "<u8").tolist()]
    objects, values = [(1, [("any", 0)], True)], [np.array([words], np.uint64)]
    path = written(tmp_path / "a.mat", version, {"a": Pointer("string", 1)}, ["string"], objects, values)
    assert matfile.read(path)["a"] == ["conv", "abc"]


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs ../shared/models")
def test_an_array_of_the_gpu_in_a_file_of_matlabs():
    found = pcn.load(MODELS / "dncnn-sigma25-bnorm.mat").layers[-1]["class"]
    assert found.shape == (40, 40) and found.dtype == np.float32 and np.abs(found).max() < 1
