"""accumarray, histc, histcounts, interp1 and interp2 as MATLAB's manual shows them."""

import numpy as np
import pytest

from pyconvnet.compat.matlab import accumarray, histc, histcounts, interp1, interp2


def test_accumarray_gathers_values_by_their_subscripts():
    subs = np.array([[1], [2], [4], [2], [4]])
    assert accumarray(subs, [101, 102, 103, 104, 105]).tolist() == [[101], [206], [0], [208]]
    assert accumarray([[1], [3], [4], [2], [4], [1]], 1).ravel().tolist() == [2, 1, 1, 2]
    pairs = np.array([[1, 1], [2, 2], [3, 2], [1, 1], [2, 2], [4, 1]])
    assert accumarray(pairs, [1, 2, 3, 4, 5, 6]).tolist() == [[5, 0], [0, 7], [0, 3], [6, 0]]
    assert accumarray(pairs, 1, [4, 4]).shape == (4, 4)
    assert accumarray(subs, [101, 102, 103, 104, 105], [4, 1], np.max, np.nan).ravel().tolist()[1::2] == [104, 105]
    assert np.isnan(accumarray(subs, [1, 2, 3, 4, 5], [4, 1], max, np.nan)[2, 0])
    assert accumarray(subs, [1, 2, 3, 4, 5], None, len).ravel().tolist() == [1, 2, 0, 2]
    labels, predictions = np.array([[1], [2], [2]]), np.array([[1], [1], [2]])
    assert accumarray([labels, predictions], 1, [2, 2]).tolist() == [[1, 0], [1, 1]]
    with pytest.raises(ValueError, match="accumarray: subs must be whole numbers from 1 up"):
        accumarray([[0]], 1)
    with pytest.raises(ValueError, match="accumarray: sz must hold 4, got \\(2, 1\\)"):
        accumarray(subs, 1, [2, 1])
    with pytest.raises(ValueError, match="accumarray: sz must be whole numbers, got 'x'"):
        accumarray(subs, 1, "x")
    with pytest.raises(ValueError, match="accumarray: val must be one number or 2, as many as subs has rows, got 3"):
        accumarray([1, 2], [1, 2, 3])
    with pytest.raises(TypeError, match="accumarray: val must be numbers or logicals, got str"):
        accumarray([1], "x")


def test_histc_counts_from_edge_to_edge():
    n, bins = histc([1, 2, 2, 3, 5, 0.5, 9], [1, 2, 3, 4, 5], nargout=2)
    assert n.tolist() == [[1, 2, 1, 0, 1]] and bins.tolist() == [[1, 2, 2, 3, 5, 0, 0]]
    assert histc(np.array([[1, 5], [2, 5]]), [1, 2, 5]).tolist() == [[1, 0], [1, 0], [0, 2]]
    assert histc(np.array([[1], [1]]), [1, 2]).tolist() == [[2], [0]]


def test_histcounts_has_both_ends_in_its_last_bin():
    n, edges, bins = histcounts([1, 2, 2, 3, 5, 9], [1, 2, 3, 5], nargout=3)
    assert n.tolist() == [[1, 2, 2]] and edges.tolist() == [[1, 2, 3, 5]] and bins.tolist() == [[1, 2, 2, 3, 3, 0]]
    assert histcounts([0, 1, 2, 4], 2, "BinLimits", [0, 4]).tolist() == [[2, 2]]
    assert histcounts([1, 1, 3], "BinMethod", "integers").tolist() == [[2, 0, 1]]
    assert histcounts([1, 1, 3], [0, 2, 4], "Normalization", "probability").round(3).tolist() == [[0.667, 0.333]]
    with pytest.raises(NotImplementedError, match="MATLAB's own choice of edges"):
        histcounts([1, 2], 3)
    with pytest.raises(ValueError, match="unknown option 'BinLimit'; did you mean 'BinLimits'"):
        histcounts([1, 2], [1, 2], "BinLimit", 3)


def test_interp1_goes_between_known_values():
    assert interp1([1, 2, 3], [10, 20, 40], [1.5, 2.5, 3, 4]).tolist()[0][:3] == [15, 30, 40]
    assert np.isnan(interp1([1, 2, 3], [10, 20, 40], 3.5))
    assert interp1([1, 2, 3], [10, 20, 40], 4, "linear", "extrap") == 60
    assert interp1([1, 2, 3], [10, 20, 40], 9, "linear", 0) == 0
    assert interp1([10, 20, 40], 1.5) == 15
    assert interp1([1, 2], [1, 2], 1.5, "nearest") == 2
    assert interp1([1, 2], [5, 6], [1.5, 2], "previous").tolist() == [[5, 6]]
    assert interp1([1, 2], [5, 6], [1, 1.5], "next").tolist() == [[5, 6]]
    assert interp1([3, 1, 2], [40, 10, 20], 2.5) == 30
    x = np.arange(5.0)
    np.testing.assert_allclose(interp1(x, x**3, [0.5, 3.7, 6], "spline"), [[0.125, 50.653, 216]], rtol=1e-12)
    assert interp1(x, x**3, np.array([[0.5], [1.5]]), "pchip").shape == (2, 1)
    assert interp1(x, np.stack([x, 2 * x], 1), [0.5, 1.5]).tolist() == [[0.5, 1], [1.5, 3]]
    with pytest.raises(NotImplementedError, match="interp1: 'cubic'"):
        interp1(x, x, 1, "cubic")
    with pytest.raises(ValueError, match="interp1: x must be 5 different numbers"):
        interp1([1, 2], x, 1)


def test_interp2_goes_between_the_values_of_a_matrix():
    V = np.array([[1.0, 2, 3], [4, 5, 6]])
    assert interp2(V, 1.5, 1.5) == 3
    assert np.isnan(interp2(V, 3.5, 1)) and interp2(V, 3.5, 1, "linear", 0) == 0
    assert interp2(V, [1, 2.5], [2, 1]).tolist() == [[4, 2.5]]
    assert interp2(V, [1, 3], [[1], [2]]).tolist() == [[1, 3], [4, 6]]
    X, Y = np.meshgrid([0, 10, 20], [0, 5])
    assert interp2(X, Y, V, 5, 2.5) == 3 and interp2(X, Y, V, 16, 1, "nearest") == 3
    x = np.arange(6.0)
    V = x[None] ** 3 + x[:, None] ** 2
    assert abs(interp2(x, x, V, 2.5, 3.5, "spline") - (2.5**3 + 3.5**2)) < 1e-9
    assert interp2(x, x, V, 9, 1, "spline", -1) == -1
    with pytest.raises(NotImplementedError, match="interp2: 'spline' outside"):
        interp2(x, x, V, 9, 1, "spline")
    with pytest.raises(NotImplementedError, match="interp2: 'cubic'"):
        interp2(V, 1, 1, "cubic")
