"""Data expansion copies training images only, with everything that belongs to them."""

import numpy as np
import pytest

from pyconvnet import jitter
from pyconvnet.augment import augment
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


def test_what_is_no_imdb_is_refused(imdb):
    imdb.images.set = np.ones(4)
    with pytest.raises(ValueError, match=r"4 marks in images\.set"):
        augment(imdb, jitter.noise(0.1))
