"""The letters and the network that chapters of the course are made with."""

import runpy

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def small():
    return pcn.Struct(runpy.run_path(str(ROOT / "examples" / "course" / "small_letters.py")))


def test_letters_are_scaled_by_those_that_are_trained_on(small):
    images = small.imdb(train=small.DEJAVU[:2], val=small.OTHERS[:3]).images
    assert images.data.shape == (16, 16, 1, 26 * 5) and images.data.dtype == np.float32
    seen = images.data[..., images.set == 1]
    assert abs(seen.mean()) < 1e-3 and abs(seen.std() - 1) < 1e-3
    assert images.labels[images.set == 2].tolist() == [*range(1, 27)] * 3
    # every letter of every font is another picture
    assert len(np.unique(images.data.reshape(-1, 130), axis=1).T) == 130


def test_the_network_reads_its_letters_after_a_short_training(small):
    imdb = small.imdb(train=small.DEJAVU[:3], val=small.OTHERS[:1])
    net, stats = small.train(small.network(seed=0), imdb, numEpochs=20)
    objective = small.curve(stats, "train")
    assert objective[0] > 3 and objective[-1] < 0.5
    scores = pcn.predict(net, imdb.images.data[..., imdb.images.set == 1])[0, 0]
    assert np.mean(scores.argmax(axis=0) + 1 == imdb.images.labels[imdb.images.set == 1]) > 0.9


def test_a_change_is_made_to_training_images_only(small):
    imdb = small.imdb(train=small.DEJAVU[:1], val=small.OTHERS[:1])
    seen = []

    def change(images):
        seen.append(images)
        return images

    small.train(small.network(seed=0), imdb, change, numEpochs=1, batchSize=26)
    ((shown),) = seen
    training = imdb.images.data[..., imdb.images.set == 1]
    assert np.array_equal(np.sort(shown, axis=None), np.sort(training, axis=None))
