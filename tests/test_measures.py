"""Confusion matrix, precision and recall, ROC."""

import numpy as np
import pytest

from pyconvnet.view import measures


def test_rows_are_true_classes_and_columns_predicted_ones():
    c = measures.confusion_matrix([1, 1, 2, 3, 0], [1, 2, 2, 3, 3])
    assert c.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_scores_count_by_their_largest():
    scores = np.zeros((1, 1, 3, 4), np.float32)
    scores[0, 0, [0, 1, 1, 2], range(4)] = 1
    assert np.array_equal(
        measures.confusion_matrix([1, 1, 2, 3], scores), measures.confusion_matrix([1, 1, 2, 3], [1, 2, 2, 3])
    )


def test_precision_and_recall_by_hand():
    m = measures.precision_recall([[8, 2], [1, 9]])
    assert m.precision == pytest.approx([8 / 9, 9 / 11]) and m.recall == pytest.approx([0.8, 0.9])
    assert m.accuracy == 0.85 and m.support.tolist() == [10, 10]
    assert m.f1[0] == pytest.approx(2 * 8 / (10 + 9))


def test_a_class_that_is_never_predicted_has_no_precision():
    m = measures.precision_recall([[3, 0], [1, 0]])
    assert np.isnan(m.precision[1]) and m.recall[1] == 0
    assert measures.normalised([[2, 2], [0, 0]]).tolist() == [[0.5, 0.5], [0, 0]]


def test_area_under_roc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(1, 3, 200), np.round(rng.standard_normal(200), 1)
    labels[:2] = 1, 2
    a, b = scores[labels == 2], scores[labels == 1]
    pairs = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
    r = measures.roc(labels, scores)
    assert r.auc == pytest.approx(pairs)
    assert r.fpr[0] == r.tpr[0] == 0 and r.fpr[-1] == r.tpr[-1] == 1
    assert np.all(np.diff(r.fpr) >= 0) and np.all(np.diff(r.tpr) >= 0)


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="3 labels and 2 predictions"):
        measures.confusion_matrix([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="class 3 of 2"):
        measures.confusion_matrix([1, 3], [1, 2], classes=2)
    with pytest.raises(ValueError, match="labels must be of both kinds; of 2, 2 are of class 2"):
        measures.roc([2, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="got 1 for 2 classes"):
        measures.confusion_text([[1, 0], [0, 1]], ["a"])


def test_text_names_the_classes():
    text = measures.confusion_text([[8, 2], [1, 9]], ["gland", "stroma"])
    assert text.splitlines()[1].split() == ["gland", "8", "2", "0.800", "0.889", "0.842"]
    assert text.splitlines()[-1] == "accuracy 0.850 of 20"
