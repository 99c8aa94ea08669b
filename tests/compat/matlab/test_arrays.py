"""MATLAB's functions on arrays, with the values that its manual prints or its rules give."""

import numpy as np
import pytest

from pyconvnet import Struct
from pyconvnet.compat.matlab import (
    bsxfun,
    cat,
    circshift,
    cumsum,
    flip,
    fliplr,
    flipud,
    horzcat,
    ind2sub,
    kron,
    linspace,
    logspace,
    meshgrid,
    ndgrid,
    permute,
    repmat,
    rot90,
    squeeze,
    sub2ind,
    vertcat,
)
from pyconvnet.records import StructArray

A = np.array([[1.0, 2, 3], [4, 5, 6]])


def same(found, expected):
    expected = np.asarray(expected)
    assert found.shape == expected.shape and np.array_equal(found, expected)


def test_bsxfun_repeats_dimensions_from_the_first_on():
    same(bsxfun("minus", A, [[1], [4]]), [[0, 1, 2], [0, 1, 2]])
    same(bsxfun(np.multiply, A, [1, 0, 2]), [[1, 0, 6], [4, 0, 12]])
    x = np.arange(24.0).reshape(2, 3, 4)
    same(bsxfun("minus", x, x[:, :, 0]), x - x[:, :, :1])  # numpy alone would refuse 2x3x4 - 2x3
    same(bsxfun("mod", [[5, -5, 5]], [[3, 3, 0]]), [[2, 1, 5]])
    assert bsxfun("@plus", 1, 2) == 3 and bsxfun("eq", A, A).dtype == bool
    with pytest.raises(ValueError, match="bsxfun: A is 2x3, B is 1x2; sizes must be equal or 1"):
        bsxfun("plus", A, [1, 2])
    with pytest.raises(ValueError, match="bsxfun: fun must be a function or one of plus"):
        bsxfun("add", A, A)


def test_results_have_the_class_that_matlab_gives():
    bytes_ = np.array([[200, 100, 3]], np.uint8)
    same(bsxfun("plus", bytes_, 100), [[255, 200, 103]])
    same(bsxfun("rdivide", bytes_, 2), [[100, 50, 2]])  # 1.5 is rounded away from 0
    assert bsxfun("plus", bytes_, 1).dtype == np.uint8
    assert bsxfun("times", A.astype(np.float32), A).dtype == np.float32
    assert horzcat(A.astype(np.float32), A).dtype == np.float32
    same(horzcat(bytes_, [300, -4.0]), [[200, 100, 3, 255, 0]])
    same(cumsum(bytes_), [[200, 255, 255]])
    with pytest.raises(TypeError, match="integers must be of one class, got int16, uint8"):
        bsxfun("plus", bytes_, bytes_.astype(np.int16))


def test_arrays_are_put_together_along_a_dimension():
    same(horzcat(A, [[7], [8]]), [[1, 2, 3, 7], [4, 5, 6, 8]])
    same(vertcat(A, [7, 8, 9]), [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert cat(3, A, A, A).shape == (2, 3, 3) and cat(4, A, A).shape == (2, 3, 1, 2)
    same(horzcat([], A, np.zeros((0, 0))), A)
    assert horzcat("net", "-", "epoch") == "net-epoch"
    assert horzcat(["a"], ["b", 1]) == ["a", "b", 1] and cat(2, ["a"], "b") == ["a", "b"]
    assert horzcat("a", 10, "b", [65, 66]) == "a\nbAB"
    structs = horzcat(Struct(a=1), StructArray([Struct(a=2)]))
    assert isinstance(structs, StructArray) and [s.a for s in structs] == [1, 2]
    column = vertcat(["a"], ["b"])
    assert column.shape == (2, 1) and column.ravel().tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="cat: sizes must be equal but for dimension 1, got 2x3, 1x2"):
        vertcat(A, [1, 2])


def test_repmat_lays_copies_side_by_side():
    same(repmat([1, 2], 2), [[1, 2, 1, 2], [1, 2, 1, 2]])
    same(repmat(A, [1, 2]), np.hstack([A, A]))
    assert repmat(10, 3, 2).tolist() == [[10, 10]] * 3 and repmat(A, 1, 1, 4).shape == (2, 3, 4)
    assert repmat("ab", 1, 3) == "ababab" and repmat(["x"], 1, 2) == ["x", "x"]


def test_dimensions_are_counted_from_1():
    x = np.arange(24).reshape(2, 3, 4)
    assert permute(x, [3, 1, 2]).shape == (4, 2, 3) and permute(A, [3, 1, 2]).shape == (1, 2, 3)
    same(permute(x, [3, 2, 1]), x.transpose(2, 1, 0))
    assert squeeze(np.zeros((2, 1, 3))).shape == (2, 3) and squeeze(np.zeros((1, 1, 1, 5))).shape == (5, 1)
    assert squeeze(np.zeros((1, 5))).shape == (1, 5) and squeeze(np.zeros((1, 1, 1))).shape == (1, 1)
    same(cumsum(A), [[1, 2, 3], [5, 7, 9]])
    same(cumsum(A, 2), [[1, 3, 6], [4, 9, 15]])
    same(cumsum([1, 2, 3]), [[1, 3, 6]])
    same(cumsum(A, 2, "reverse"), [[6, 5, 3], [15, 11, 6]])
    with pytest.raises(ValueError, match="permute: order must have each number from 1 to 3"):
        permute(x, [1, 2])


def test_arrays_are_turned_and_shifted():
    same(rot90(A), [[3, 6], [2, 5], [1, 4]])
    same(rot90(A, -1), [[4, 1], [5, 2], [6, 3]])
    same(fliplr(A), [[3, 2, 1], [6, 5, 4]])
    same(flipud(A), [[4, 5, 6], [1, 2, 3]])
    same(flip([1, 2, 3]), [[3, 2, 1]])
    same(circshift([1, 2, 3, 4, 5], 3), [[3, 4, 5, 1, 2]])
    same(circshift(A, 1), [[4, 5, 6], [1, 2, 3]])
    same(circshift(A, 1, 2), [[3, 1, 2], [6, 4, 5]])
    same(circshift(A, [1, -1]), [[5, 6, 4], [2, 3, 1]])


def test_kron_of_the_manual():
    same(kron(np.eye(2), [[1, -1], [-1, 1]]), [[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1]])


def test_subscripts_and_linear_indices_go_column_by_column():
    same(sub2ind([3, 3], [1, 2, 3, 1], [2, 2, 2, 3]), [[4, 5, 6, 7]])
    assert sub2ind([2, 3, 4], 2, 3, 4) == 24 and sub2ind([2, 3, 4], 2, 12) == 24
    assert ind2sub([3, 3], 6) == (3, 2) and ind2sub([2, 3, 4], 24) == (2, 3, 4)
    assert ind2sub([2, 3, 4], 24, nargout=2) == (2, 12)
    rows, columns = ind2sub([3, 3], [3, 4, 5, 6])
    same(rows, [[3, 1, 2, 3]])
    same(columns, [[1, 2, 2, 2]])
    with pytest.raises(ValueError, match="sub2ind: subscript 2 must be whole numbers from 1 to 3, got 4"):
        sub2ind([2, 3], 1, 4)
    with pytest.raises(ValueError, match="ind2sub: index must be whole numbers from 1 to 6, got 0"):
        ind2sub([2, 3], 0)


def test_grids_and_rows_of_numbers():
    X, Y = meshgrid([1, 2, 3], [10, 20])
    same(X, [[1, 2, 3], [1, 2, 3]])
    same(Y, [[10, 10, 10], [20, 20, 20]])
    X, Y = ndgrid([1, 2, 3], [10, 20])
    same(X, [[1, 1], [2, 2], [3, 3]])
    same(Y, [[10, 20]] * 3)
    assert linspace(-5, 5, 7).shape == (1, 7) and linspace(0, 1).shape == (1, 100) and linspace(1, 3, 1)[0, 0] == 3
    assert linspace(0, 1, 11)[0, 3] == 0.3 != np.linspace(0, 1, 11)[3]
    np.testing.assert_allclose(logspace(1, 5, 5), [[10, 100, 1000, 10000, 100000]], rtol=1e-15)
    assert logspace(0, 1).shape == (1, 50) and abs(logspace(0, np.pi, 3)[0, 2] - np.pi) < 1e-15


def test_text_where_a_number_must_stand_is_refused_by_name():
    refused = {
        "linspace: a must be one number, got 'x'": lambda: linspace("x", 1),
        "linspace: b must be one number, got 'x'": lambda: linspace(0, "x"),
        "linspace: n must be one finite number, got 'x'": lambda: linspace(0, 1, "x"),
        "logspace: b must be one number, got 'x'": lambda: logspace(0, "x"),
        "circshift: k must be whole numbers, got 'x'": lambda: circshift(A, "x"),
        "circshift: k must be whole numbers, got 1.5": lambda: circshift(A, 1.5),
        "repmat: sizes must be whole numbers, got 'x'": lambda: repmat(1, 2, "x"),
        "repmat: sizes must be whole numbers, got nan": lambda: repmat(1, np.nan),
        "permute: order must be whole numbers, got 'x'": lambda: permute(A, "x"),
        "rot90: k must be a whole number, got 'x'": lambda: rot90(A, "x"),
        "ind2sub: size must be whole numbers, got 'x'": lambda: ind2sub("x", 1),
    }
    for message, call in refused.items():
        with pytest.raises(ValueError, match=message):
            call()
