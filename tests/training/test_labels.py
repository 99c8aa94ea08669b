"""Errors against labels, and what is said of labels that cannot be right."""

import warnings

import numpy as np
import pytest

from pyconvnet.records import Struct
from pyconvnet.training import labels


def result(scores):
    return [Struct(x=scores), Struct(x=None)]


def by_sorting(scores, label, k):
    order = np.argsort(-scores, axis=2, kind="stable")[:, :, :k] + 1
    return ((order != label).all(axis=2, keepdims=True) & (label > 0)).sum()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [3, 9])
def test_top_1_and_top_5_equal_sorting(ties, classes):
    rng = np.random.default_rng(classes)
    scores = rng.standard_normal((2, 3, classes, 5)).astype(np.float32)
    if ties:
        scores = np.round(scores)
    label = rng.integers(0, classes + 1, (2, 3, 1, 5))
    expected = [by_sorting(scores, label, 1), by_sorting(scores, label, min(5, classes))]
    assert labels.multiclass(None, label, result(scores)).tolist() == expected


def test_one_label_per_image_in_any_shape():
    scores = np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)
    for shape in ((3,), (1, 3), (3, 1), (1, 1, 1, 3)):
        assert labels.multiclass(None, np.array([1, 2, 1]).reshape(shape), result(scores)).tolist() == [1, 0]


def test_a_second_channel_weights_the_labels():
    scores = np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)
    label = np.stack([[2.0, 1.0, 3.0], [0.5, 0.25, 9.0]]).reshape(1, 1, 2, 3)
    assert labels.multiclass(None, label, result(scores))[0] == 0.75


def test_binary_errors_are_signs_that_differ():
    scores = np.array([2.0, -1.0, 0.5, -3.0]).reshape(1, 1, 1, 4)
    assert labels.binary(None, np.array([1, 1, -1, -1]), result(scores)).tolist() == [2]


images = np.zeros((4, 4, 1, 4), np.float32)


@pytest.mark.parametrize(
    "batch, known, message",
    [
        ([1, 2, 3], None, r"gave 4 images \(4x4x1x4: H x W x C x N\) and 3 labels"),
        (None, None, "gave images without labels"),
        ([1, 2, 3, 4], None, "labels of the batch go up to 4, but the network has 3 classes"),
        ([1, 2, 2, 1], [0, 1, 2, 1], "images.labels run from 0 to 2 for 3 classes: they seem to be 0-based"),
        ([1, 2, 1.5, 1], None, "whole numbers from 1 to 3"),
        ([1, -2, 1, 1], None, "whole numbers from 1 to 3"),
    ],
)
def test_labels_that_cannot_be_right_are_refused(batch, known, message):
    with pytest.raises(ValueError, match=message):
        labels.check("cnn_train", batch and np.array(batch), images, 3, known)


@pytest.mark.parametrize("known", [None, [1, 2, 2, 1]])
@pytest.mark.parametrize(
    "batch", [np.array([0, 1, 2, 2]), np.array([[0.0, 1.0, 1.0, 0.0]]), np.arange(16).reshape(2, 2, 1, 4) % 3]
)
def test_labels_of_a_batch_that_seem_to_be_0_based_are_told(batch, known):
    with pytest.warns(UserWarning, match=r"labels that getBatch gave first are 0.*Labels count from 1: add 1 to them"):
        labels.check_values("cnn_train", batch, 3, known)


@pytest.mark.parametrize(
    "batch, known",
    [
        (np.array([0, 1, 2, 3]), None),
        (np.array([0, 1, 2, 1]), np.array([0, 1, 2, 3])),
        (np.array([0, 1, 1, 0]).reshape(2, 2, 1, 1), None),
        (np.stack([[1.0, 2.0], [0.0, 0.5]]).reshape(1, 1, 2, 2), None),
    ],
)
def test_labels_that_leave_images_out_pass_without_a_word(batch, known):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels.check_values("cnn_train", batch, 3, known)


def test_good_labels_pass_also_with_zeros_to_ignore():
    labels.check("cnn_train", np.array([1, 2, 3, 0]), images, 3, np.array([0, 1, 2, 3]))
    labels.check("cnn_train", np.ones((4, 4, 1, 4)), images, 3)
