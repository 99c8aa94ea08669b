"""Folds: groups stay together, classes are spread evenly, every image is in exactly one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconvnet.crossvalidation import fold_by, fold_of


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), folds=st.integers(2, 6), classes=st.integers(1, 4), stratify=st.booleans())
def test_groups_never_straddle_folds_and_no_fold_is_empty(seed, folds, classes, stratify):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(folds + 5), rng.integers(1, 9, folds + 5))
    labels = rng.integers(1, classes + 1, groups.size)
    fold = fold_of(labels, folds, groups, stratify, seed)
    assert set(fold) == set(range(folds))
    for g in np.unique(groups):
        assert len(set(fold[groups == g])) == 1


def test_classes_are_spread_evenly():
    labels = np.repeat([1, 2, 3], [100, 50, 10])
    fold = fold_of(labels, 5)
    for c, n in ((1, 20), (2, 10), (3, 2)):
        assert [np.sum((fold == k) & (labels == c)) for k in range(5)] == [n] * 5


def test_the_seed_decides():
    labels = np.arange(40) % 4
    assert np.array_equal(fold_of(labels, 4, seed=1), fold_of(labels, 4, seed=1))
    assert not np.array_equal(fold_of(labels, 4, seed=1), fold_of(labels, 4, seed=2))


def test_too_few_groups_are_refused():
    with pytest.raises(ValueError, match=r"folds must be a whole number from 2 to the number of groups \(3\), got 5"):
        fold_of([1] * 9, 5, groups=[0, 0, 0, 1, 1, 1, 2, 2, 2])
    with pytest.raises(ValueError, match="9 labels and 2 groups"):
        fold_of([1] * 9, 2, groups=[0, 1])


def test_splitters_of_scikit_learn_say_the_folds():
    model_selection = pytest.importorskip("sklearn.model_selection")
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 5)
    labels = rng.integers(1, 4, groups.size)
    splitter = model_selection.StratifiedGroupKFold(4, shuffle=True, random_state=1)
    fold = fold_by(splitter, labels, groups)
    for k, (_, outside) in enumerate(splitter.split(np.zeros((60, 1)), labels, groups)):
        np.testing.assert_array_equal(np.flatnonzero(fold == k), outside)
    np.testing.assert_array_equal(fold_by(model_selection.LeaveOneGroupOut(), labels, groups), groups)
    for splitter in (
        model_selection.ShuffleSplit(3, random_state=0),
        model_selection.RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
        model_selection.TimeSeriesSplit(3),
        model_selection.PredefinedSplit([-1, 0, 1] * 20),
    ):
        with pytest.raises(ValueError, match="folds must hold out each image once and train on all others"):
            fold_by(splitter, labels, groups)
