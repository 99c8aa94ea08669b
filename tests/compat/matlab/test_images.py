"""MATLAB's images and their element types."""

import numpy as np
import pytest

from pyconvnet.compat.matlab import (
    im2double,
    im2single,
    im2uint8,
    mat2gray,
    padarray,
    rgb2gray,
)


def test_images_scale_by_the_largest_value_of_their_type():
    values = np.array([[0, 51, 255]], np.uint8)
    np.testing.assert_array_equal(im2double(values), [[0, 0.2, 1]])
    assert im2single(values).dtype == np.float32
    np.testing.assert_array_equal(im2double(np.array([[0, 65535]], np.uint16)), [[0, 1]])
    np.testing.assert_array_equal(im2double(np.array([[-32768, 32767]], np.int16)), [[0, 1]])
    np.testing.assert_array_equal(im2single(np.array([[True, False]])), [[1, 0]])
    np.testing.assert_array_equal(im2single(np.array([[7.0]])), [[7]])
    with pytest.raises(TypeError, match="im2single: takes uint8"):
        im2single(np.array([[1]]))


def test_im2uint8_rounds_and_clips():
    np.testing.assert_array_equal(im2uint8(np.array([[-1, 0.5, 0.1, 2, np.nan]])), [[0, 128, 26, 255, 0]])
    np.testing.assert_array_equal(im2uint8(np.array([[0, 128, 129, 65535]], np.uint16)), [[0, 0, 1, 255]])
    np.testing.assert_array_equal(im2uint8(np.array([[True, False]])), [[255, 0]])


def test_mat2gray_maps_the_range_to_0_1():
    np.testing.assert_array_equal(mat2gray(np.array([[2, 4, 6]], np.uint8)), [[0, 0.5, 1]])
    np.testing.assert_array_equal(mat2gray(np.array([[2, 4, 6.0]]), [0, 4]), [[0.5, 1, 1]])
    np.testing.assert_array_equal(mat2gray(np.array([[0.25, 0.25]])), [[0.25, 0.25]])


def test_grey_is_weighed_as_matlab_weighs_it():
    primaries = np.eye(3).reshape(1, 3, 3)
    np.testing.assert_allclose(rgb2gray(primaries)[0], [0.298936, 0.587043, 0.114021], atol=5e-7)
    y = rgb2gray((255 * primaries).astype(np.uint8))
    assert y.dtype == np.uint8
    assert y.tolist() == [[76, 150, 29]]
    with pytest.raises(ValueError, match="got 4x4"):
        rgb2gray(np.zeros((4, 4)))
    with pytest.raises(TypeError, match="got bool"):
        rgb2gray(np.zeros((4, 4, 3), bool))


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
