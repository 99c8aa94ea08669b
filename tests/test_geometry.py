"""Window: what it takes, what it refuses, and its formula."""

import numpy as np
import pytest

from pyconvnet.geometry import Window


def test_matlab_arrays_of_small_integers_are_taken():
    w = Window.parse(np.array([[3, 2]], np.uint8), np.uint8(2), np.array([[0, 1, 0, 1]], np.uint8))
    assert w == Window((3, 2), (2, 2), (0, 1, 0, 1), (1, 1))


@pytest.mark.parametrize(
    "size, stride, pad, dilate, out",
    [(3, 1, 0, 1, (8, 6)), (3, 1, 1, 1, (10, 8)), (3, 2, (0, 1, 0, 1), 1, (5, 4)), (3, 1, 0, 2, (6, 4))],
)
def test_output_size_counts_whole_steps(size, stride, pad, dilate, out):
    assert Window.parse(size, stride, pad, dilate).output_size(10, 8) == out


def test_output_size_equals_counting_the_positions():
    for h in range(3, 12):
        for s in (1, 2, 3):
            win = Window.parse(2, s, (1, 0, 0, 0), 2)
            assert win.output_size(h, h)[0] == len(range(0, h + 1 - 3 + 1, s))


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"pad": [1, 2]}, r"^pad must be 1 or 4 numbers, got 2: \[1, 2\]"),
        ({"stride": 0}, "^stride must be whole numbers from 1 up"),
        ({"stride": 1.5}, "^stride must be whole numbers from 1 up"),
        ({"pad": float("nan")}, "^pad must be whole numbers from 0 up"),
        ({"pad": [-1]}, "^pad must be whole numbers from 0 up"),
    ],
)
def test_what_is_no_window_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        Window.parse(3, **kwargs)


def test_text_is_a_type_error():
    with pytest.raises(TypeError, match=r"^stride must be 1 or 2 numbers"):
        Window.parse(3, "two")
