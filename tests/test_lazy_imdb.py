"""Imdbs whose images stay in the file: read by index as arrays are, by threads and processes, a batch at a time."""

import multiprocessing
import os
import pickle
import sys
import threading

import h5py
import numpy as np
import pytest
import scipy.io

import pyconvnet as pcn
from pyconvnet.imdb import LazyArray, load_imdb, save_imdb

RNG = np.random.default_rng(3)
DATA = RNG.standard_normal((6, 5, 3, 40)).astype(np.float32)
LABELS = np.arange(40) % 4 + 1.0
SETS = np.repeat([1.0, 2], [30, 10])
PACKINGS = {
    "in one piece": {},
    "a chunk of each image": {"chunks": (1, 3, 5, 6)},
    "chunks across images": {"chunks": (7, 2, 3, 4), "compression": 3, "shuffle": True, "fletcher32": True},
}


def written(path, data=DATA, top="images", **packing):
    """A file as MATLAB's save -v7.3 lays it out."""
    with h5py.File(path, "w", userblock_size=512) as f:
        images = f.create_group(top)
        for group in {f[top.split("/")[0]], images}:
            group.attrs["MATLAB_class"] = np.bytes_("struct")
        kinds = {"float32": "single", "float64": "double", "bool": "logical"}
        stored = data.astype("u1") if data.dtype == bool else data
        made = images.create_dataset("data", data=stored.T, **packing)
        made.attrs["MATLAB_class"] = np.bytes_(kinds.get(data.dtype.name, data.dtype.name))
        for name, value in (("labels", LABELS), ("set", SETS)):
            images.create_dataset(name, data=value[:, None]).attrs["MATLAB_class"] = np.bytes_("double")
    return path


@pytest.fixture
def lazy(tmp_path):
    return load_imdb(written(tmp_path / "imdb.mat", **PACKINGS["chunks across images"]), lazy=True)


INDEXES = {
    "any order, repeated, negative": np.s_[:, :, :, [3, 1, 1, -1, 39]],
    "numpy's numbers": np.s_[..., np.array([7, 0], np.uint8)],
    "one": np.s_[..., 5],
    "the last": np.s_[:, :, :, -1],
    "a slice": np.s_[..., 5:20:3],
    "backwards": np.s_[..., ::-1],
    "all": np.s_[:],
    "dots alone": np.s_[...],
    "a mask": np.s_[..., LABELS == 2],
    "none": np.s_[..., []],
    "an empty slice": np.s_[..., 9:3],
    "a window": np.s_[1:3, :, 0, [4, 2]],
    "a row": np.s_[1, :, :, [4, 2]],
    "a matrix of them": np.s_[..., [[1, 2], [3, 1]]],
    "a pixel": np.s_[2, 3, 1, 4],
    "the first dimension": np.s_[2],
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("index", INDEXES)
def test_an_index_gives_what_it_gives_of_an_array(tmp_path, packing, index):
    data = load_imdb(written(tmp_path / "imdb.mat", **PACKINGS[packing]), lazy=True).images.data
    found, expected = data[INDEXES[index]], DATA[INDEXES[index]]
    assert found.dtype == DATA.dtype and found.shape == expected.shape and np.array_equal(found, expected)


def test_it_has_the_shape_and_type_of_the_array_and_matlabs_order(lazy):
    data = lazy.images.data
    assert isinstance(data, LazyArray)
    assert (data.shape, data.ndim, data.dtype, data.size) == (DATA.shape, 4, np.float32, DATA.size)
    assert repr(data) == "LazyArray(6x5x3x40 float32, read from imdb.mat)"
    assert data[..., [3, 1]].flags.f_contiguous and data[..., [3, 1]].flags.writeable
    assert lazy.images.labels.tolist() == LABELS.tolist() and lazy.images.set.tolist() == SETS.tolist()


@pytest.mark.parametrize("dtype", ["u1", "bool", "f8", ">i2"])
@pytest.mark.parametrize("top", ["images", "imdb/images"])
def test_types_of_numbers_are_matlabs(tmp_path, dtype, top):
    values = (DATA * 50).astype(dtype)
    data = load_imdb(written(tmp_path / "a.mat", values, top, chunks=(2, 3, 5, 6)), lazy=True).images.data
    assert data.dtype == values.dtype.newbyteorder("=") and np.array_equal(data[..., 3:9], values[..., 3:9])


def test_grey_images_get_their_dimension_and_a_single_one_is_read(tmp_path):
    data = load_imdb(written(tmp_path / "a.mat", DATA[:, :, 0], chunks=(4, 5, 6)), lazy=True).images.data
    assert data.shape == (6, 5, 1, 40) and np.array_equal(data[..., [3, 1]], DATA[:, :, :1, [3, 1]])
    data = load_imdb(written(tmp_path / "b.mat", DATA[..., 0]), lazy=True).images.data
    assert isinstance(data, np.ndarray) and np.array_equal(data, DATA[..., :1])


def test_images_that_were_never_written_are_what_the_file_fills_in(tmp_path):
    with h5py.File(written(tmp_path / "a.mat"), "r+") as f:
        del f["images/data"]
        made = f["images"].create_dataset("data", (40, 3, 5, 6), "f4", chunks=(1, 3, 5, 6), fillvalue=7)
        made.attrs["MATLAB_class"] = np.bytes_("single")
        made[4] = DATA[..., 4].T
    data = load_imdb(tmp_path / "a.mat", lazy=True).images.data
    assert np.array_equal(data[..., 4], DATA[..., 4]) and (data[..., [3, 5]] == 7).all()


REFUSED = {
    "data - 1": (lambda d: d - 1, TypeError, "subtract would read all of LazyArray"),
    "1 / data": (lambda d: 1 / d, TypeError, "divide would read all of"),
    "np.exp": (np.exp, TypeError, r"exp would read all of .* data\[:, :, :, batch\] gives an array"),
    "np.mean": (np.mean, TypeError, "numpy would read all of"),
    "np.asarray": (np.asarray, TypeError, "numpy would read all of"),
    "for": (lambda d: list(d), TypeError, "not iterable"),
    "beyond": (lambda d: d[..., 40], IndexError, "LazyArray: index 40 is out of bounds for axis 3 with size 40"),
    "a mask of others": (lambda d: d[..., np.ones(39, bool)], IndexError, "LazyArray: boolean index did not match"),
    "too many": (lambda d: d[0, 0, 0, 0, 0], IndexError, "one part for each of 4 dimensions at most"),
    "new": (lambda d: d[None], IndexError, "an index adds no dimensions"),
    "a whole mask": (lambda d: d[np.ones(d.shape, bool)], IndexError, "one part for each of 4 dimensions at most"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_read_everything_or_nothing_is_refused(lazy, name):
    do, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        do(lazy.images.data)


def test_it_cannot_be_written_to(lazy):
    with pytest.raises(TypeError, match="does not support item assignment"):
        lazy.images.data[..., 0] = 1


@pytest.mark.parametrize("content", [{"images": {"data": DATA}}, {"images": {"labels": 1.0}}])
def test_files_of_other_versions_are_refused_with_what_to_do(tmp_path, content):
    scipy.io.savemat(tmp_path / "old.mat", content)
    with pytest.raises(ValueError, match=r"old.mat has no images.data .* version 7.3 .* save_imdb\(path, load_imdb"):
        load_imdb(tmp_path / "old.mat", lazy=True)


# --- one that is larger than what may be in memory --------------------------------------------------------------------


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts files as Linux lists them")
def test_no_file_stays_open(lazy):
    before = open_files()
    lazy.images.data[..., [1, 2]]
    assert open_files() == before
    with h5py.File(lazy.images.data.path, "r+") as f:  # nothing locks it
        assert "images" in f


def test_a_file_that_is_changed_moved_or_cut_is_named(tmp_path):
    path = written(tmp_path / "a.mat")
    data = load_imdb(path, lazy=True).images.data
    os.utime(path, (1, 1))
    with pytest.raises(ValueError, match=r"a\.mat was changed since load_imdb opened it"):
        data[..., 0]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.mat"):
        data[..., 0]


# VmHWM rather than getrusage's ru_maxrss, which counts the memory of the process that forked this one.
LIMITED = """
import sys
import h5py
import numpy as np
import pyconvnet as pcn

path, lazy = sys.argv[1], sys.argv[2] == "lazy"
net = pcn.SimpleNN(layers=[{"type": "conv", "weights": [np.full((64, 64, 3, 2), 1e-4, np.float32), np.zeros(2, "f4")]},
                           {"type": "softmaxloss"}])
net = pcn.vl_simplenn_tidy(net)

def batch(imdb, at):
    return imdb["images"]["data"][:, :, :, at], imdb["images"]["labels"][at]

def train(imdb):
    return pcn.cnn_train(net, imdb, batch, batchSize=16, numEpochs=1, expDir=None, plotStatistics=False, progress=False)

small = {"images": {"data": np.ones((64, 64, 3, 32), "f4"), "labels": np.arange(32) % 2 + 1.0, "set": np.ones(32)}}
train(small)

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

before = peak()
if sys.argv[2] == "write":
    images = (np.random.default_rng(0).random((64, 64, 3), np.float32) for _ in range(1200))
    imdb = {"images": {"data": images, "labels": np.arange(1200) % 2 + 1.0, "set": np.ones(1200)}}
    pcn.imdb.save_imdb(path, imdb)
else:
    train(pcn.imdb.load_imdb(path, lazy=lazy))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_training_never_holds_more_than_a_batch(tmp_path):
    import subprocess

    from support import ROOT

    path, all_images, grown = tmp_path / "imdb.mat", 1200 * 64 * 64 * 3 * 4, {}  # 59 MB, 0.8 MB in a batch
    for how in ("write", "lazy", "whole"):
        command = [sys.executable, "-c", LIMITED, str(path), how]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        grown[how] = int(run.stdout.split()[-1]) * 1024
    assert path.stat().st_size > all_images
    assert grown["write"] < 24 * 2**20, "writing holds a few images at a time"
    assert grown["lazy"] < 16 * 2**20 < all_images < grown["whole"] + 8 * 2**20


# --- who reads --------------------------------------------------------------------------------------------------------


def get_batch(imdb, batch):
    return imdb["images"]["data"][:, :, :, batch], imdb["images"]["labels"][batch]


def small_net():
    weights = [np.random.default_rng(1).standard_normal((6, 5, 3, 4)).astype(np.float32) * 0.1, np.zeros(4, np.float32)]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[{"type": "conv", "weights": weights}, {"type": "softmaxloss"}]))


@pytest.mark.parametrize("prefetch", [False, True])
def test_training_is_that_from_memory(lazy, prefetch):
    whole = load_imdb(lazy.images.data.path)
    nets = []
    for imdb in (lazy, whole):
        options = dict(batchSize=7, numEpochs=2, expDir=None, plotStatistics=False, prefetch=prefetch, progress=False)
        nets.append(pcn.cnn_train(small_net(), imdb, get_batch, **options)[0])
    for a, b in zip(*(net.layers[0].weights for net in nets)):
        assert np.array_equal(a, b)


def test_threads_read_at_once(lazy):
    found = [None] * 8

    def read(i):
        rng = np.random.default_rng(i)
        for _ in range(30):
            at = rng.integers(0, 40, 6)
            assert np.array_equal(lazy.images.data[..., at], DATA[..., at])
        found[i] = True

    threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found)


def total(data):
    return float(data[..., [3, 1, 39]].sum(dtype=float))


@pytest.mark.parametrize("start", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
def test_processes_read_at_once(lazy, start, monkeypatch):
    data = pickle.loads(pickle.dumps(lazy.images.data))
    expected = float(DATA[..., [3, 1, 39]].sum(dtype=float))
    with multiprocessing.get_context(start).Pool(2) as pool:
        assert pool.map(total, [data] * 4) == [expected] * 4


def test_features_are_those_from_memory(lazy):
    net = small_net()
    whole = pcn.features(net, DATA, "layer1", prepared=True)["layer1"]
    assert np.array_equal(pcn.features(net, lazy.images.data, "layer1", batchSize=7, prepared=True)["layer1"], whole)


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("source", ["array", "iterator", "lazy"])
def test_an_imdb_is_written_and_read_back(tmp_path, lazy, compress, source):
    data = {"array": DATA, "iterator": (DATA[..., i] for i in range(40)), "lazy": lazy.images.data}[source]
    images = {"data": data, "labels": LABELS, "set": SETS, "name": [f"{i}.png" for i in range(40)], "id": np.arange(40)}
    meta = {
        "sets": ["train", "val"],
        "classes": ["Ä", "b"],
        "none": None,
        "empty": "",
        "flag": True,
        "z": np.array([1 + 2j]),
        "boxes": pcn.records.StructArray([pcn.Struct(a=1.0, b="x"), pcn.Struct(a=2.0, b="y")]),
        "deep": {"er": {"numbers": (1, 2)}},
    }
    save_imdb(tmp_path / "out.mat", {"images": images, "meta": meta}, compress=compress)
    for back in (load_imdb(tmp_path / "out.mat"), load_imdb(tmp_path / "out.mat", lazy=True)):
        assert np.array_equal(back.images.data[...], DATA) and back.images.data.dtype == np.float32
        assert back.images.labels.tolist() == LABELS.tolist() and back.images.set.tolist() == SETS.tolist()
        assert back.images.name[39] == "39.png" and back.images.id.tolist() == list(range(40))
        assert back.meta.sets == ["train", "val"] and back.meta.classes == ["Ä", "b"]
        assert back.meta.flag.tolist() == [[True]] and back.meta.z.tolist() == [[1 + 2j]] and back.meta.empty == ""
        assert [(v.a.item(), v.b) for v in back.meta.boxes] == [(1.0, "x"), (2.0, "y")]
        assert back.meta.deep.er.numbers.tolist() == [[1, 2]] and np.size(back.meta.none) == 0
    with h5py.File(tmp_path / "out.mat") as f:
        assert f["images/data"].chunks == (1, 3, 5, 6) and f.userblock_size == 512
    with open(tmp_path / "out.mat", "rb") as file:
        head = file.read(128)
    assert head.startswith(b"MATLAB 7.3 MAT-file") and head[124:] == b"\x00\x02IM"


@pytest.mark.parametrize("dtype", ["u1", "bool", "f8"])
def test_types_are_kept_and_grey_images_may_be_flat(tmp_path, dtype):
    flat = [(DATA[:, :, 0, i] * 50).astype(dtype) for i in range(40)]
    save_imdb(tmp_path / "a.mat", {"images": {"data": iter(flat), "labels": LABELS}})
    data = load_imdb(tmp_path / "a.mat", lazy=True).images.data
    assert data.shape == (6, 5, 1, 40) and data.dtype == dtype
    assert np.array_equal(data[:, :, 0, 7], flat[7])


@pytest.mark.parametrize(
    "imdb, error, message",
    [
        ({}, ValueError, "save_imdb: imdb must be a dict with images.data"),
        ({"images": {"data": "a.png"}}, TypeError, "images.data must be an array or an iterable of images, got str"),
        ({"images": {"data": DATA[0, 0]}}, ValueError, "images.data must be H x W x C x N, got 3x40"),
        ({"images": {"data": iter([])}}, ValueError, "images.data: there are no images"),
        ({"images": {"data": iter([DATA])}}, TypeError, "image 1 must be H x W x C numbers, got float32 of 6x5x3x40"),
        (
            {"images": {"data": iter([DATA[..., 0], DATA[:4, ..., 1]])}},
            ValueError,
            "image 2 is float32 of 4x5x3, those before are float32 of 6x5x3",
        ),
        ({"images": {"data": DATA, "labels": LABELS[:9]}}, ValueError, "data has 40 images, there are labels .* of 9"),
        ({"images": {"data": DATA, "change": print}}, TypeError, "images.change is a Python function"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(tmp_path, imdb, error, message):
    with pytest.raises(error, match=message):
        save_imdb(tmp_path / "a.mat", imdb)
    assert not list(tmp_path.iterdir())


def test_a_generator_that_fails_leaves_the_file_that_was_there(tmp_path):
    save_imdb(tmp_path / "a.mat", {"images": {"data": DATA}})

    def broken():
        yield DATA[..., 0]
        raise RuntimeError("the camera is off")

    with pytest.raises(RuntimeError, match="the camera is off"):
        save_imdb(tmp_path / "a.mat", {"images": {"data": broken()}})
    assert np.array_equal(load_imdb(tmp_path / "a.mat").images.data, DATA)
