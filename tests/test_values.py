"""Values of options: what is read as a number, a flag or a name, and what is refused."""

import numpy as np
import pytest

from pyconvnet.values import choice, flag, number, numbers, whole_number, whole_numbers


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.uint8(2), np.array([[2.0]]), np.array(2), [2]])
def test_one_number_of_any_class_is_a_number(value):
    assert number("n", value) == 2 and type(number("n", value)) is float
    assert whole_number("n", value, 1) == 2 and type(whole_number("n", value, 1)) is int
    assert flag("n", value) is True


@pytest.mark.parametrize("value", ["2", None, [], [1, 2], np.zeros((1, 2)), 2j, {}, [[1, 2], [3]]])
def test_anything_else_is_refused(value):
    with pytest.raises(ValueError, match=r"^f: n must be one number, got "):
        number("f: n", value)
    with pytest.raises(ValueError, match=r"^f: n must be True or False, got "):
        flag("f: n", value)


@pytest.mark.parametrize("value", [0, 1.5, -1, float("nan"), float("inf")])
def test_whole_numbers_have_a_least_one(value):
    with pytest.raises(ValueError, match=rf"^n must be a whole number from 1 up, got {value}$"):
        whole_number("n", value, 1)


def test_a_range_is_said_in_words():
    assert number("rate", 0.25, "one number below 1", lambda v: v < 1) == 0.25
    with pytest.raises(ValueError, match=r"^rate must be one number below 1, got 1\.0$"):
        number("rate", 1.0, "one number below 1", lambda v: v < 1)


def test_several_numbers_are_counted_by_their_names():
    assert numbers("param", np.array([[1, 0.5]]), "[alpha, beta]") == (1.0, 0.5)
    with pytest.raises(ValueError, match=r"^param must be 2 numbers \[alpha, beta\], got \[1\]$"):
        numbers("param", 1, "[alpha, beta]")


def test_names_are_read_in_any_letter_case():
    assert choice("method", "AVG", ("max", "avg")) == "avg"
    for value in ("median", 3):
        with pytest.raises(ValueError, match=rf"^method must be one of 'max', 'avg', got {value!r}$"):
            choice("method", value, ("max", "avg"))


def test_messages_show_some_of_very_many_numbers():
    for many in (np.zeros(1 << 22), [0] * 100_000, "x" * 100_000):
        with pytest.raises((ValueError, TypeError)) as told:
            whole_numbers("pad", many, (1, 4))
        assert str(told.value).startswith("pad must be 1 or 4 numbers, got ") and len(str(told.value)) < 200
