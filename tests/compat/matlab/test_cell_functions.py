"""Cells and structs, with MATLAB's results."""

import numpy as np
import pytest

from pyconvnet import Struct
from pyconvnet.compat.matlab import arrayfun, cell2mat, cellfun, fieldnames, num2cell, rmfield, structfun
from pyconvnet.records import StructArray


def test_num2cell_and_cell2mat_are_each_others_inverse():
    assert num2cell([1, 2, 3]) == [1, 2, 3] and num2cell("ab") == ["a", "b"]
    c = num2cell(np.array([[1, 2], [3, 4]], np.uint8))
    assert c.shape == (2, 2) and c[1, 0] == 3 and isinstance(c[1, 0], np.uint8)
    assert cell2mat(c).tolist() == [[1, 2], [3, 4]] and cell2mat(c).dtype == np.uint8
    assert cell2mat([np.array([[1], [2]]), np.array([[3], [4]])]).tolist() == [[1, 3], [2, 4]]
    assert cell2mat([[[[1]], [[2, 3]]], [[[4]], [[5, 6]]]]).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cell2mat(["ab", "cd"]) == "abcd" and cell2mat([]).shape == (0, 0) and cell2mat([7]).tolist() == [[7]]


def test_cellfun_gives_an_array_or_a_cell():
    assert cellfun(np.mean, [[1, 2, 3], [4, 6]]).tolist() == [[2, 5]]
    assert cellfun("isempty", [[], "", None, 0, np.zeros((0, 3))]).tolist() == [[True, True, True, False, True]]
    assert cellfun("length", ["a", np.zeros((2, 5)), []]).tolist() == [[1, 5, 0]]
    assert cellfun("numel", [np.zeros((2, 5))]).tolist() == [[10]]
    assert cellfun(lambda s: s[:2], ["Monday", "Tuesday"], "UniformOutput", False) == ["Mo", "Tu"]
    assert cellfun(str.upper, ["a"], UniformOutput=False) == ["A"]
    assert cellfun(lambda a, b: a + b, [1, 2], [10, 20]).tolist() == [[11, 22]]
    low, high = cellfun(lambda v: (min(v), max(v)), [[1, 2], [3, 0]], nargout=2)
    assert low.tolist() == [[1, 0]] and high.tolist() == [[2, 3]]
    assert cellfun(lambda v: 1 / v, [1, 0], "ErrorHandler", lambda e, v: -e.index).tolist() == [[1, -2]]
    column = np.array([["a"], ["bc"]], object)
    assert cellfun(len, column).tolist() == [[1], [2]]


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: cellfun(len, [1], [1, 2]), ValueError, "cellfun: all must be of one size, got 1x1, 1x2"),
        (lambda: cellfun(str.upper, ["a"]), ValueError, "cellfun: result 1 must be one number, got str"),
        (lambda: cellfun("legnth", ["a"]), ValueError, "cellfun: fun must be a function or one of isempty"),
        (lambda: cellfun(len, np.ones(3)), TypeError, "cellfun: cell 1 must be a cell"),
        (lambda: rmfield({"rate": 1}, "rates"), ValueError, "rmfield: there is no field 'rates'; did you mean 'rate'?"),
        (lambda: fieldnames(3), TypeError, "fieldnames: s must be a struct"),
        (lambda: structfun(len, [1]), TypeError, "structfun: S must be one struct"),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_arrayfun_goes_over_elements_and_structs():
    assert arrayfun(lambda v: v**2, np.array([[1, 2], [3, 4]])).tolist() == [[1, 4], [9, 16]]
    seen = []
    arrayfun(lambda v: seen.append(v) or 0, np.array([[1, 2], [3, 4]]))
    assert seen == [1, 3, 2, 4]
    layers = StructArray([Struct(name="a", size=1), Struct(name="bc", size=2)])
    assert arrayfun(lambda s: s.size, layers).tolist() == [[1, 2]]
    assert arrayfun(lambda s: s.name, layers, "UniformOutput", 0) == ["a", "bc"]
    assert arrayfun(lambda v: [v], 3, UniformOutput=False) == [[3]]


def test_fields_of_structs():
    s = Struct(a=1, b=[1, 2], c="xyz")
    assert fieldnames(s) == ["a", "b", "c"] and fieldnames(StructArray([], ["x"])) == ["x"]
    assert rmfield(s, "a") == Struct(b=[1, 2], c="xyz") and rmfield(s, ["a", "c"]) == Struct(b=[1, 2])
    assert s.a == 1 and isinstance(rmfield(s, "a"), Struct)
    assert rmfield(StructArray([s, s]), "b") == [Struct(a=1, c="xyz")] * 2
    assert structfun(np.size, s).tolist() == [[1], [2], [1]]
    assert structfun(lambda v: v, s, "UniformOutput", False) == s
