"""Image databases: what MATLAB saved, v5 and v7.3, and folders of images."""

import h5py
import numpy as np
import pytest
import scipy.io

import pyconvnet as pcn
from pyconvnet.imdb import imdb_from_folders, load_imdb

RNG = np.random.default_rng(0)
DATA = RNG.standard_normal((6, 5, 3, 4)).astype(np.float32)


@pytest.mark.parametrize("under", [True, False])
@pytest.mark.parametrize("name", ["labels", "label"])
def test_an_imdb_is_read_at_the_top_or_under_its_name(tmp_path, under, name):
    images = {
        "data": DATA,
        name: np.array([[1.0, 2, 1, 2]]),
        "set": np.uint8([[1], [1], [2], [3]]),
        "id": [[1, 2, 3, 4]],
    }
    imdb = {
        "images": images,
        "meta": {"sets": np.array(["train", "val"], object), "classes": np.array(["a", "b"], object)},
    }
    scipy.io.savemat(tmp_path / "imdb.mat", {"imdb": imdb} if under else imdb)
    found = load_imdb(tmp_path / "imdb.mat")
    assert np.array_equal(found.images.data, DATA) and found.images[name].tolist() == [1, 2, 1, 2]
    assert found.images.set.tolist() == [1, 1, 2, 3] and found.meta.classes == ["a", "b"]


def test_grey_images_and_a_single_one_get_four_dimensions(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"images": {"data": DATA[:, :, 0], "labels": [[1.0, 2, 1, 2]]}})
    assert load_imdb(tmp_path / "a.mat").images.data.shape == (6, 5, 1, 4)
    scipy.io.savemat(tmp_path / "b.mat", {"images": {"data": DATA[..., 0], "labels": [[1.0]]}})
    assert load_imdb(tmp_path / "b.mat").images.data.shape == (6, 5, 3, 1)


def test_version_73_is_the_same(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as f:
        images = f.create_group("images")
        images.attrs["MATLAB_class"] = np.bytes_("struct")
        for name, value, kind in (("data", DATA, "single"), ("labels", np.array([[1.0, 2, 1, 2]]), "double")):
            images.create_dataset(name, data=value.T).attrs["MATLAB_class"] = np.bytes_(kind)
    found = load_imdb(tmp_path / "a.mat")
    assert np.array_equal(found.images.data, DATA) and found.images.labels.tolist() == [1, 2, 1, 2]


def test_what_is_no_imdb_says_what_it_is(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": 1, "net": {"layers": 2}})
    with pytest.raises(ValueError, match=r"a\.mat: no imdb: it has no `images` struct; found x, net"):
        load_imdb(tmp_path / "a.mat")


@pytest.fixture
def folders(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    for name, level in (("cat", 40), ("dog", 200)):
        (tmp_path / name).mkdir()
        for i in range(5):
            picture = np.clip(RNG.normal(level, 9, (8 + (i == 4), 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(tmp_path / name / f"{i}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_folders_become_classes_with_a_share_for_validation(folders):
    imdb = imdb_from_folders(folders, imageSize=(8, 8), val=0.4)
    assert imdb.images.data.shape == (8, 8, 3, 10) and imdb.images.data.dtype == np.float32
    assert imdb.meta.classes == ["cat", "dog"] and imdb.images.labels.tolist() == [1] * 5 + [2] * 5
    assert [np.sum((imdb.images.set == 2) & (imdb.images.labels == c)) for c in (1, 2)] == [2, 2]
    assert imdb.images.data[..., :5].mean() < 60 < 180 < imdb.images.data[..., 5:].mean()
    grey = imdb_from_folders(folders, imageSize=(4, 4, 1), subtractMean=True)
    assert grey.images.data.shape == (4, 4, 1, 10)
    assert abs(grey.images.data[..., grey.images.set == 1].mean()) < 1e-3


def test_images_of_other_depths_come_in_0_to_255(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    (tmp_path / "a").mkdir()
    deep = np.array([[0, 257 * 100], [65535, 257 * 7]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "a" / "0.png")
    Image.fromarray(np.array([[True, False], [False, True]])).save(tmp_path / "a" / "1.png")
    data = imdb_from_folders(tmp_path, val=0).images.data
    assert data[:, :, 0, 0].tolist() == [[0, 100], [255, 7]] and data[:, :, 0, 1].tolist() == [[255, 0], [0, 255]]


def test_sizes_that_differ_and_folders_without_images_are_refused(folders, tmp_path_factory):
    with pytest.raises(ValueError, match=r"4\.png is 9x8x3, the first image is 8x8x3; give imageSize"):
        imdb_from_folders(folders)
    with pytest.raises(ValueError, match=r"imageSize must be \(H, W\) or \(H, W, C\), got 8"):
        imdb_from_folders(folders, imageSize=8)
    (folders / "cat" / "9.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"9\.png' cannot be read as an image"):
        imdb_from_folders(folders, imageSize=(8, 8))
    with pytest.raises(ValueError, match="has no folders of images"):
        imdb_from_folders(tmp_path_factory.mktemp("empty"))


def test_a_network_trains_on_folders(folders):
    imdb = imdb_from_folders(folders, imageSize=(8, 8))
    f = (RNG.standard_normal((8, 8, 3, 2)) / 100).astype(np.float32)
    net = pcn.SimpleNN(layers=[{"type": "conv", "weights": [f, np.zeros(2, np.float32)]}, {"type": "softmaxloss"}])

    def batch(imdb, images):
        return imdb.images.data[..., images] / 255 - np.float32(0.5), imdb.images.labels[images]

    _, stats = pcn.cnn_train(net, imdb, batch, expDir=None, numEpochs=15, batchSize=4, learningRate=0.05, verbose=False)
    assert stats.train[-1].top1err == 0
