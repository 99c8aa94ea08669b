"""MATLAB's images and their element types."""

import numpy as np
import pytest

from pyconvnet.compat.matlab import (
    im2double,
    im2single,
    im2uint8,
    imcrop,
    imrotate,
    padarray,
)


def test_images_scale_by_the_largest_value_of_their_type():
    values = np.array([[0, 51, 255]], np.uint8)
    np.testing.assert_array_equal(im2double(values), [[0, 0.2, 1]])
    assert im2single(values).dtype == np.float32
    np.testing.assert_array_equal(im2double(np.array([[0, 65535]], np.uint16)), [[0, 1]])
    np.testing.assert_array_equal(im2double(np.array([[-32768, 32767]], np.int16)), [[0, 1]])
    np.testing.assert_array_equal(im2single(np.array([[True, False]])), [[1, 0]])
    np.testing.assert_array_equal(im2single(np.array([[7.0]])), [[7]])
    with pytest.raises(TypeError, match="im2single: image must be uint8"):
        im2single(np.array([[1]]))


def test_im2uint8_rounds_and_clips():
    np.testing.assert_array_equal(im2uint8(np.array([[-1, 0.5, 0.1, 2, np.nan]])), [[0, 128, 26, 255, 0]])
    np.testing.assert_array_equal(im2uint8(np.array([[0, 128, 129, 65535]], np.uint16)), [[0, 0, 1, 255]])
    np.testing.assert_array_equal(im2uint8(np.array([[True, False]])), [[255, 0]])


def test_padding_mirrors_replicates_or_fills():
    A = np.array([[1, 2], [3, 4]], np.uint8)
    np.testing.assert_array_equal(padarray(A, [0, 2], "symmetric"), [[2, 1, 1, 2, 2, 1], [4, 3, 3, 4, 4, 3]])
    np.testing.assert_array_equal(padarray(A, [0, 2], "replicate", "post"), [[1, 2, 2, 2], [3, 4, 4, 4]])
    np.testing.assert_array_equal(padarray(A, 1, 9, "pre"), [[9, 9], [1, 2], [3, 4]])
    assert padarray(A, [0, 0, 1]).shape == (2, 2, 3)
    assert padarray(A, [1, 1]).dtype == np.uint8
    with pytest.raises(ValueError, match="'mirror'"):
        padarray(A, 1, "mirror")
    with pytest.raises(ValueError, match="direction"):
        padarray(A, 1, 0, "left")


def test_a_rectangle_is_cropped_with_both_of_its_ends():
    x = np.arange(1, 37).reshape(6, 6)
    assert imcrop(x, [2, 3, 2, 1]).tolist() == [[14, 15, 16], [20, 21, 22]]
    assert imcrop(np.zeros((300, 300, 3)), [60, 40, 100, 90]).shape == (91, 101, 3)
    assert imcrop(x, [0.5, 0.5, 6, 6]).shape == (6, 6) and imcrop(x, [5, 5, 10, 10]).tolist() == [[29, 30], [35, 36]]
    with pytest.raises(ValueError, match="imcrop: rect must overlap the image of size 6 x 6"):
        imcrop(x, [10, 1, 2, 2])


def test_quarter_turns_are_exact():
    x = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(imrotate(x, 90), np.rot90(x)) and np.array_equal(imrotate(x, -180, "bilinear"), x[::-1, ::-1])
    assert np.array_equal(imrotate(x, 0), x) and np.array_equal(imrotate(x, 360, "nearest", "crop"), x)
    assert imrotate(x, 90, "crop").shape == (2, 3)


def test_other_turns_sample_about_the_centre():
    y, x = np.mgrid[-20:21, -20:21]
    plane = 3.0 * x - 2.0 * y + 200
    for method, near in (("nearest", 3.0), ("bilinear", 1e-9), ("bicubic", 1e-9)):
        turned = imrotate(plane, 30, method, "crop")
        c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
        expected = 3 * (c * x - s * y) - 2 * (s * x + c * y) + 200  # a turn against the clock, y downwards
        inside = x**2 + y**2 < 17**2
        assert turned.shape == plane.shape and np.abs(turned - expected)[inside].max() <= near
    loose = imrotate(plane, 30, "bilinear")
    assert loose.shape == (57, 57)  # 2 ceil(20 (cos 30 + sin 30) / 2) * 2 + 1
    assert np.array_equal(loose[8:-8, 8:-8][10:-10, 10:-10], imrotate(plane, 30, "bilinear", "crop")[10:-10, 10:-10])
    assert loose[0, 0] == 0 and imrotate(plane.astype(np.uint8), 45).dtype == np.uint8
    with pytest.raises(ValueError, match="imrotate: method must be one of 'nearest'"):
        imrotate(plane, 1, "cubic")


def test_what_is_not_a_number_is_refused_by_name():
    with pytest.raises(ValueError, match="imrotate: angle must be one finite number, got 'x'"):
        imrotate(np.eye(3), "x")
    with pytest.raises(ValueError, match="padarray: padsize must be whole numbers, got 'x'"):
        padarray(np.eye(3), "x")
    with pytest.raises(TypeError, match=r"im2uint8: image must be uint8, .*, got complex128"):
        im2uint8(np.eye(3, dtype=complex))
