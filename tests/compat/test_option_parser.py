"""vl_argparse: MATLAB's options, structures among them."""

import pytest

from pyconvnet.compat.option_parser import vl_argparse
from pyconvnet.records import Struct


def test_pairs_replace_defaults_in_any_letter_case_and_leave_the_given_structure_alone():
    defaults = Struct(batchSize=100, gpus=[])
    opts, rest = vl_argparse(defaults, ["BATCHSIZE", 5, "gpus", [1]])
    assert opts == {"batchSize": 5, "gpus": [1]}
    assert isinstance(opts, Struct)
    assert rest == []
    assert defaults == {"batchSize": 100, "gpus": []}


def test_unknown_names_come_back_in_their_order():
    opts, rest = vl_argparse({"a": 1}, ("x", 2, "a", 3, "y", [4]))
    assert opts == {"a": 3}
    assert rest == ["x", 2, "y", [4]]


def test_a_structure_stands_for_its_pairs():
    assert vl_argparse({"a": 1, "b": 2}, [{"a": 5}, "b", 6, Struct(c=7)]) == ({"a": 5, "b": 6}, ["c", 7])
    assert vl_argparse({"a": 1}, {"a": 2}) == ({"a": 2}, [])
    assert vl_argparse({"a": 1}, [{}]) == ({"a": 1}, [])


def test_the_last_of_equal_names_wins():
    assert vl_argparse({"a": 1}, ["a", 2, "A", 3])[0] == {"a": 3}


def test_an_exact_name_comes_before_one_in_another_case():
    assert vl_argparse({"a": 1, "A": 2}, ["A", 3])[0] == {"a": 1, "A": 3}


def test_structures_are_merged_and_their_unknown_parts_returned():
    opts, rest = vl_argparse({"train": Struct(rate=1, size=2), "n": 0}, ["train", Struct(rate=5, other=6), "n", 1])
    assert opts == {"train": {"rate": 5, "size": 2}, "n": 1}
    assert rest == ["train", {"other": 6}]


def test_nonrecursive_replaces_structures():
    assert vl_argparse({"train": {"rate": 1}}, ["train", {"other": 6}], "nonrecursive") == ({"train": {"other": 6}}, [])
    assert vl_argparse({"x": 1}, ["x", {"y": 6}], "nonRecursive")[0] == {"x": {"y": 6}}


def test_strict_refuses_unknown_names_at_any_depth():
    with pytest.raises(ValueError, match="'strid'; did you mean 'stride'"):
        vl_argparse({"stride": 1}, ["strid", 2], strict=True)
    with pytest.raises(ValueError, match="unknown option 'y'"):
        vl_argparse({"x": {"z": 1}}, ["x", {"y": 2}], strict=True)


@pytest.mark.parametrize(
    ("opts", "args", "error", "message"),
    [
        ([], [], TypeError, "opts must be a Struct"),
        ({"a": 1}, ["a"], ValueError, "'a' has no value"),
        ({"a": 1}, [3, "a"], TypeError, "argument 1 must be .* got int: 3"),
        ({"a": 1}, ["a", {"b": 2}], TypeError, "'a' got a structure"),
    ],
)
def test_what_is_no_list_of_options_is_refused(opts, args, error, message):
    with pytest.raises(error, match=message):
        vl_argparse(opts, args)


def test_the_only_flag_is_nonrecursive():
    with pytest.raises(ValueError, match="'merge'"):
        vl_argparse({}, [], "merge")


def test_a_structure_without_fields_is_replaced_by_the_one_that_is_given():
    opts, left = vl_argparse({"train": {}, "other": {"a": 1}}, ["train", {"gpus": [1]}, "other", {"b": 2}])
    assert opts == {"train": {"gpus": [1]}, "other": {"a": 1}}
    assert left == ["other", {"b": 2}]
