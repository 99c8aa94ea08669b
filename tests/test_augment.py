"""Data expansion copies training images only, with everything that belongs to them."""

import numpy as np
import pytest

from pyconvnet import jitter
from pyconvnet.augment import augment
from pyconvnet.imdb import load_imdb
from pyconvnet.records import Struct


@pytest.fixture
def imdb():
    data = np.random.default_rng(0).random((6, 6, 1, 5), dtype=np.float32)
    marks = np.array([[1, 2, 1, 3, 1]])
    labels = np.array([[1, 2, 3, 4, 5]])
    images = Struct(data=data, set=marks, labels=labels, name=list("abcde"), data_mean=np.zeros((6, 6)))
    return Struct(images=images, meta=Struct(classes=["x"]))


def test_each_training_image_gets_its_copies_and_their_labels(imdb):
    out = augment(imdb, jitter.noise(0.1), copies=2)
    images = out.images
    assert images.data.shape == (6, 6, 1, 11) and images.data.dtype == np.float32
    assert images.source.tolist() == [0, 1, 2, 3, 4, 0, 2, 4, 0, 2, 4]
    assert images.labels.tolist() == [[1, 2, 3, 4, 5, 1, 3, 5, 1, 3, 5]]
    assert images.set.shape == (1, 11) and np.all(images.set[0, 5:] == 1)
    assert "".join(images.name) == "abcdeaceace"
    assert images.data_mean.shape == (6, 6) and out.meta == imdb.meta
    assert np.array_equal(images.data[..., :5], imdb.images.data)
    assert 0.05 < np.std(images.data[..., 5:] - imdb.images.data[..., [0, 2, 4, 0, 2, 4]]) < 0.15


def test_the_seed_decides(imdb):
    one, two, three = (augment(imdb, jitter.noise(0.1), seed=s).images.data for s in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, three)


def test_other_sets_are_copied_when_asked_for(imdb):
    images = augment(imdb, jitter.noise(0.1), copies=1, sets=(1, 2)).images
    assert images.source[5:].tolist() == [0, 1, 2, 4] and images.set[0, 5:].tolist() == [1, 2, 1, 1]


def test_what_is_written_is_read_back_by_load_imdb(imdb, tmp_path):
    imdb.images.patient = np.array([7, 7, 8, 8, 9])
    path = tmp_path / "more.mat"
    out = augment(imdb, jitter.compose(jitter.rotate(10), jitter.scale(0.9, 1.1)), copies=2, path=path)
    back = load_imdb(path).images
    assert np.array_equal(back.data, out.images.data) and back.data.dtype == np.float32
    assert np.array_equal(back.labels, out.images.labels.ravel()) and np.array_equal(back.set, out.images.set.ravel())
    assert back.patient.ravel().tolist() == [7, 7, 8, 8, 9, 7, 8, 9, 7, 8, 9]
    assert np.array_equal(back.source.ravel(), out.images.source) and list(back.name) == list("abcdeaceace")


def test_a_write_that_fails_leaves_the_file_there_was(imdb, tmp_path):
    path = tmp_path / "more.mat"
    path.write_bytes(b"earlier")
    imdb.meta["odd"] = object()
    with pytest.raises((TypeError, ValueError)):
        augment(imdb, jitter.noise(0.1), path=path)
    assert [p.name for p in tmp_path.iterdir()] == ["more.mat"] and path.read_bytes() == b"earlier"


def test_a_mean_image_as_wide_as_there_are_images_is_not_repeated():
    images = Struct(data=np.zeros((5, 5, 1, 5), np.float32), set=np.ones(5), data_mean=np.zeros((5, 5)))
    assert augment(Struct(images=images), jitter.noise(0.1), copies=1).images.data_mean.shape == (5, 5)


def test_noise_on_bytes_is_rounded_and_clipped():
    data = np.full((40, 40, 1, 1), 3, np.uint8)
    noisy = jitter.noise(4)(data, np.random.default_rng(0))
    assert noisy.dtype == np.uint8 and noisy.max() < 30 and 0.1 < np.mean(noisy == 0) < 0.4


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda i: i.pop("set"), r"must be a dict with images\.data .* and images\.set"),
        (lambda i: i.update(set=np.full(5, 2)), r"no image is in sets 1; images\.set has \[2\]"),
    ],
)
def test_an_imdb_without_images_to_copy_is_refused(imdb, change, message):
    change(imdb.images)
    with pytest.raises(ValueError, match=message):
        augment(imdb, jitter.noise(0.1))


def test_what_is_no_imdb_is_refused(imdb):
    imdb.images.set = np.ones(4)
    with pytest.raises(ValueError, match=r"4 marks in images\.set"):
        augment(imdb, jitter.noise(0.1))
