"""The network that comes along reads the sentence that comes along, and what else is written in its way."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.models.sentence import LETTERS, SENTENCE, draw_boxes, read_sentence

TEXT = "the rat the cat the dog chased killed ate the malt"


@pytest.fixture(scope="module")
def net():
    return pcn.load(LETTERS)


def test_the_shipped_network_reads_the_shipped_sentence(net):
    reading = read_sentence(net, SENTENCE)
    assert reading.text == TEXT
    assert len(reading.boxes) == len(TEXT.replace(" ", ""))
    assert reading.scores.shape == (26, len(reading.columns))


def test_every_letter_appears_among_the_columns_of_its_box(net):
    reading = read_sentence(net, SENTENCE)
    for left, right, letter in reading.boxes:
        assert letter in reading.columns[left // 4 : right // 4 + 2]


def test_the_shipped_network_is_the_one_of_the_course(net):
    sizes = [layer.weights[0].shape for layer in net.layers if layer.type == "conv"]
    assert [layer.type for layer in net.layers] == ["conv", "pool", "conv", "pool", "conv", "relu", "conv"]
    assert sizes == [(5, 5, 1, 20), (5, 5, 20, 50), (4, 4, 50, 500), (2, 2, 500, 26)]
    assert all(w.dtype == np.float32 for layer in net.layers for w in layer.get("weights") or ())


def test_a_single_column_equals_the_network_on_the_patch_under_it(net):
    image = pcn.images.imread(SENTENCE)
    reading = read_sentence(net, image)
    left = 4 * 30 - 16
    x = pcn.models.preprocess(net, image[:, left : left + 32])
    assert np.allclose(pcn.predict(net, x)[0, 0, :, 0].argmax(), reading.scores[:, 30].argmax())
    softmax = pcn.vl_nnsoftmax(pcn.predict(net, x))[0, 0, :, 0]
    assert np.allclose(softmax, reading.scores[:, 30], atol=1e-4)


def test_other_heights_are_refused(net):
    with pytest.raises(ValueError, match=r"read_sentence: image must be 32 x W pixels.*got 30x100"):
        read_sentence(net, np.zeros((30, 100), np.uint8))


def test_boxes_are_drawn_around_the_letters():
    pytest.importorskip("PIL")
    page = np.asarray(draw_boxes(np.full((32, 60), 255, np.uint8), [(10, 20, "a")], zoom=2))
    assert page.shape == (32 * 2 + 14, 120, 3)
    assert (page[30, 19] != 255).any() and (page[30, 40] != 255).any() and (page[30, 60] == 255).all()
