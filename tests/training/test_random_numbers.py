"""Dropout and jitter draw for each image: what happens to it depends on its place in the epoch only."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import jitter, rng


def letters(count=30):
    random = np.random.default_rng(0)
    data = random.standard_normal((6, 6, 1, count)).astype(np.float32)
    labels = np.arange(count, dtype=np.float32) % 3 + 1
    return {"images": {"data": data, "labels": labels, "set": np.ones(count)}}


def fit(change, **options):
    random = np.random.default_rng(1)
    f, g = (random.standard_normal(size).astype(np.float32) / 5 for size in ((6, 6, 1, 4), (1, 1, 4, 3)))
    layers = [{"type": "conv", "weights": [f, np.zeros(4, np.float32)]}, {"type": "dropout", "rate": 0.5}]
    layers += [{"type": "conv", "weights": [g, np.zeros(3, np.float32)]}, {"type": "softmaxloss"}]

    def batch(imdb, images):
        return change(imdb["images"]["data"][..., images]), imdb["images"]["labels"][images]

    given = {"batchSize": 8, "numEpochs": 2, "learningRate": 0.1, "expDir": None, "verbose": False, **options}
    net, _ = pcn.cnn_train(pcn.SimpleNN(layers=layers), letters(), batch, **given)
    return np.concatenate([np.ravel(w) for layer in net.layers for w in layer.get("weights", [])])


CHANGES = {
    "noise": jitter.noise(0.2),
    "several": jitter.compose(jitter.rotate(20), jitter.mirror(), jitter.warp(1.0)),
    "one after another": lambda images: jitter.noise(0.1)(jitter.translate(1)(images)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_sub_batches_and_prefetching_change_no_mask_and_no_image(name):
    whole = fit(CHANGES[name])
    for options in ({"numSubBatches": 3}, {"prefetch": True}, {"numSubBatches": 2, "prefetch": True}):
        assert np.abs(fit(CHANGES[name], **options) - whole).max() < 1e-6 * np.abs(whole).max()
    assert np.abs(fit(CHANGES[name], randomSeed=1) - whole).max() > 1e-3


def test_an_epoch_has_other_masks_than_the_one_before_and_each_image_its_own():
    x = np.ones((2, 3, 4, 5), np.float32)

    def mask(seed, places):
        with rng.images(seed, places):
            return pcn.vl_nndropout(x[..., : len(places)])[1]

    one = mask((1, 0), [3, 7, 9, 11, 2])
    assert np.array_equal(one, mask((1, 0), [3, 7, 9, 11, 2])) and not np.array_equal(
        one, mask((2, 0), [3, 7, 9, 11, 2])
    )
    assert np.array_equal(mask((1, 0), [9, 2]), one[..., [2, 4]])
    assert not np.array_equal(one[..., 0], one[..., 1])


def test_what_mixes_images_draws_from_the_librarys_generator():
    change = jitter.compose(jitter.context, jitter.mirror())
    images = np.random.default_rng(0).random((12, 10, 1, 4), dtype=np.float32)
    rng.seed(3)
    with rng.images((1,), range(4)):
        one = change(images)
    rng.seed(4)
    with rng.images((1,), range(4)):
        assert not np.array_equal(change(images), one)
