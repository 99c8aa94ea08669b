"""MATLAB's sets and orders, with the values that its manual prints."""

import numpy as np
import pytest

from pyconvnet.compat.matlab import intersect, ismember, setdiff, sortrows, union, unique


def test_unique_sorts_and_keeps_the_direction():
    assert unique([9, 2, 9, 5]).tolist() == [[2, 5, 9]]
    assert unique(np.array([[9], [2], [9]])).tolist() == [[2], [9]]
    assert unique(np.array([[3, 1], [2, 3]])).tolist() == [[1], [2], [3]]
    C, ia, ic = unique([9, 2, 9, 5], nargout=3)
    assert (
        C.tolist() == [[2, 5, 9]]
        and ia.ravel().tolist() == [2, 4, 1]
        and ic.ravel().tolist() == [3, 1, 3, 2]
        and ia.shape == (3, 1)
    )
    assert unique([9, 2, 9, 5], "stable").tolist() == [[9, 2, 5]]
    assert unique([9, 2, 9, 5], "last", nargout=2)[1].ravel().tolist() == [2, 4, 3]
    assert unique(np.array([[2, 1], [1, 5], [2, 1]]), "rows").tolist() == [[1, 5], [2, 1]]
    assert unique(["dog", "cat", "fish", "horse", "dog "]) == ["cat", "dog", "dog ", "fish", "horse"]
    assert unique(["b", "a", "b"], "stable") == ["b", "a"]
    assert unique(np.array([1, 1], np.uint8)).dtype == np.uint8
    assert np.isnan(unique([np.nan, 1, np.nan])).tolist() == [[False, True, True]]
    with pytest.raises(ValueError, match="unique: the option must be one of 'sorted', 'stable'"):
        unique([1], "stabel")


def test_differences_unions_and_common_values():
    C, ia = setdiff([3, 6, 2, 1, 5, 1, 1], [2, 4, 6], nargout=2)
    assert C.tolist() == [[1, 3, 5]] and ia.ravel().tolist() == [4, 1, 5]
    assert setdiff([5, 1, 3, 3], [1], "stable").tolist() == [[5, 3]]
    assert setdiff(["num", "time", "objective"], ["num", "time"]) == ["objective"]
    assert setdiff([1, 2], []).tolist() == [[1, 2]]
    assert setdiff(np.array([[1, 2], [3, 4]]), np.array([[1, 2]]), "rows").tolist() == [[3, 4]]
    C, ia, ib = intersect([7, 1, 7, 7, 4], [7, 0, 4, 4, 0], nargout=3)
    assert C.tolist() == [[4, 7]] and ia.ravel().tolist() == [5, 1] and ib.ravel().tolist() == [3, 1]
    assert union([5, 7, 1], [3, 1, 1]).tolist() == [[1, 3, 5, 7]]
    assert union(["b"], ["a", "b"]) == ["a", "b"]


def test_ismember_says_where_as_well():
    found, where = ismember([5, 3, 4, 2], [2, 4, 4, 4, 6, 8], nargout=2)
    assert found.tolist() == [[False, False, True, True]] and where.tolist() == [[0, 0, 2, 1]]
    assert ismember(3, [1, 3]) is True and ismember("c", ["a", "b"]) is False
    assert ismember(["a", "z"], ["z", "y"]).tolist() == [[False, True]]
    assert ismember(np.array([[1, 2], [3, 4]]), np.array([[3, 4]]), "rows").tolist() == [[False], [True]]
    assert ismember(np.array([[1, 2], [3, 4]]), [4]).tolist() == [[False, False], [False, True]]
    assert ismember("b", ["a", "b"], nargout=2) == (True, 2)
    assert ismember("b", "abc") is True and ismember("xa", "abc").tolist() == [[False, True]]


def test_sortrows_sorts_by_columns():
    A = np.array([[95, 45, 92, 41], [95, 7, 73, 89], [95, 7, 73, 5], [76, 61, 40, 35]])
    assert sortrows(A).tolist() == [A[3].tolist(), A[2].tolist(), A[1].tolist(), A[0].tolist()]
    B, index = sortrows(A, -4, nargout=2)
    assert index.ravel().tolist() == [2, 1, 4, 3] and np.array_equal(B, A[[1, 0, 3, 2]])
    assert sortrows(A, [1, -2], nargout=2)[1].ravel().tolist() == [4, 1, 2, 3]
    assert sortrows(A, 1, "descend", nargout=2)[1].ravel().tolist() == [1, 2, 3, 4]
    assert sortrows(["b", "a"]) == ["a", "b"]
    with pytest.raises(ValueError, match="sortrows: column must be from 1 to 4"):
        sortrows(A, 5)
    with pytest.raises(ValueError, match=r"sortrows: column must be whole numbers, got \['x'\]"):
        sortrows(A, ["x"])
