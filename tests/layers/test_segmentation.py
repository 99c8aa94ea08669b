"""SegmentationLoss, SegmentationAccuracy and LossSmoothL1 against what their formulas say."""

import numpy as np
import pytest

from pyconvnet.dagnn import LossSmoothL1, SegmentationAccuracy, SegmentationLoss
from pyconvnet.ops.vl_nnloss import vl_nnloss

draw = np.random.default_rng(0)


def test_each_image_counts_by_its_labelled_pixels():
    x = draw.standard_normal((3, 4, 5, 2))
    label = draw.integers(0, 6, (3, 4, 1, 2)).astype(float)
    block = SegmentationLoss()
    y = block.forward([x, label], [])[0].item()
    sums = [vl_nnloss(x[..., i : i + 1], label[..., i : i + 1]).item() for i in (0, 1)]
    each = [total / (1 + (label[..., i] > 0).sum()) for i, total in enumerate(sums)]
    assert y == pytest.approx(np.mean(each)) and block.average == pytest.approx(np.mean(each))
    block.forward([x[..., :1], label[..., :1]], [])
    assert block.average == pytest.approx((2 * np.mean(each) + each[0]) / 3) and block.numAveraged == 3


def test_one_label_for_an_image_stands_for_all_of_its_pixels():
    x, block = draw.standard_normal((3, 4, 5, 2)), SegmentationLoss()
    whole = np.broadcast_to(np.array([2.0, 5.0]), (3, 4, 1, 2))
    assert block.forward([x, np.array([2, 5])], [])[0] == pytest.approx(block.forward([x, whole], [])[0])


@pytest.mark.parametrize("shape", [(0,), (0, 0), (2,), (2, 1), (3, 4, 1, 2)])
def test_weights_of_instances_are_those_of_any_loss(shape):
    x, label, given = draw.standard_normal((3, 4, 5, 2)), draw.integers(0, 6, (3, 4, 1, 2)), draw.random(shape)
    y = SegmentationLoss(opts=["instanceWeights", given]).forward([x, label], [])[0].item()
    factors = np.broadcast_to(given.ravel() if given.size == 2 else given if given.size else 1.0, (3, 4, 1, 2))
    factors = factors / (1 + (label > 0).sum((0, 1, 2)))
    assert y == pytest.approx(vl_nnloss(x, label, instanceWeights=factors).item())


def test_accuracies_are_those_of_the_confusion_of_all_batches():
    block = SegmentationAccuracy()
    x = np.zeros((1, 4, 3, 1), np.float32)
    for pixel, best in enumerate((0, 0, 1, 2)):
        x[0, pixel, best] = 1
    # right, wrong, right, left out
    y = block.forward([x, np.array([1, 2, 2, 0]).reshape(1, 4, 1, 1)], [])[0]
    assert block.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert y.dtype == np.float32 and y.ravel() == pytest.approx([2 / 3, 1.5 / 3, (1 / 2 + 1 / 2) / 3])
    block.forward([x, np.array([1, 1, 2, 3]).reshape(1, 4, 1, 1)], [])
    assert block.confusion.sum() == 7 and block.average[0] == pytest.approx(6 / 7)
    block.reset()
    assert block.average.tolist() == [0, 0, 0]


def test_smooth_l1_is_a_parabola_near_zero_and_a_line_beyond():
    block = LossSmoothL1(sigma=2.0)
    x = np.array([0.0, 0.1, -0.2, 0.25, 1.0, -3.0]).reshape(1, 1, 3, 2, order="F")
    w = np.array([1.0, 1, 2, 1, 0.5, 1]).reshape(1, 1, 3, 2, order="F")
    f = np.array([0, 0.5 * 4 * 0.01, 0.5 * 4 * 0.04, 0.125, 1 - 0.125, 3 - 0.125])
    total = (w.ravel(order="F") * f).sum()
    y = block.forward([x, np.zeros_like(x), w], [])[0]
    assert y.shape == (1, 1, 1, 1) and y.item() == pytest.approx(total / 2)
    assert block.average == pytest.approx(total / w.sum())
    dx, *rest = block.backward([x, np.zeros_like(x), w], [], [np.ones((1, 1, 1, 1))])[0]
    slope = np.array([0, 0.4, -0.8, 1, 1, -1]) * w.ravel(order="F") / 2
    np.testing.assert_allclose(dx.ravel(order="F"), slope)
    assert rest == [None, None]


def test_smooth_l1_stays_single_whatever_number_sigma_is():
    x = np.ones((2, 2, 1, 3), np.float32)
    block = LossSmoothL1(sigma=np.float64(3))
    assert block.forward([x, 2 * x, x], [])[0].dtype == np.float32
    assert block.backward([x, 2 * x, x], [], [np.ones((1, 1, 1, 1), np.float32)])[0][0].dtype == np.float32
