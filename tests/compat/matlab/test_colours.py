"""Colours and brightness, with MATLAB's values."""

import colorsys

import numpy as np
import pytest

from pyconvnet.compat.matlab import imadjust, mat2gray, rgb2gray, rgb2hsv, rgb2ycbcr, ycbcr2rgb

PRIMARIES = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]]], np.uint8)
EXPECTED = [[81, 90, 240], [145, 54, 34], [41, 240, 110], [235, 128, 128], [16, 128, 128]]


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


def test_luma_and_differences_of_colour_are_those_of_bt601():
    assert rgb2ycbcr(PRIMARIES).tolist() == [EXPECTED] and rgb2ycbcr(PRIMARIES).dtype == np.uint8
    exact = rgb2ycbcr(PRIMARIES / 255.0)
    np.testing.assert_allclose(exact[0, 0], np.array([16 + 65.481, 128 - 37.797, 240]) / 255, rtol=1e-14)
    np.testing.assert_allclose(rgb2ycbcr([[1, 1, 1]]), [[235 / 255, 128 / 255, 128 / 255]], rtol=1e-14)
    deep = rgb2ycbcr(PRIMARIES.astype(np.uint16) * 257)
    np.testing.assert_array_equal(deep[0, 3], [235 * 257, 128 * 257, 128 * 257])
    single = rgb2ycbcr((PRIMARIES / 255).astype(np.float32))
    assert single.dtype == np.float32 and np.abs(single - exact).max() < 1e-7


def test_ycbcr_goes_back_to_red_green_blue():
    x = np.random.default_rng(0).random((4, 5, 3))
    np.testing.assert_allclose(ycbcr2rgb(rgb2ycbcr(x)), x, atol=1e-13)
    assert ycbcr2rgb(rgb2ycbcr(PRIMARIES)).tolist() == [[[254, 0, 0], [0, 255, 1], [0, 0, 255], [255] * 3, [0] * 3]]
    assert ycbcr2rgb(np.array([[[235, 255, 128]]], np.uint8))[0, 0, 2] == 255  # clipped
    with pytest.raises(ValueError, match=r"rgb2ycbcr: RGB must be of size H x W x 3 or n x 3, got 4x4"):
        rgb2ycbcr(np.zeros((4, 4)))


def test_hue_saturation_and_value_are_those_of_pythons_colorsys():
    x = np.random.default_rng(1).integers(0, 5, (200, 3)) / 4  # with ties and greys
    np.testing.assert_allclose(rgb2hsv(x), [colorsys.rgb_to_hsv(*c) for c in x], atol=1e-15)
    assert rgb2hsv(PRIMARIES).dtype == np.float64 and rgb2hsv(x.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(rgb2hsv(PRIMARIES)[0, :3, 0], [0, 1 / 3, 2 / 3])


def test_brightness_is_spread():
    x = np.array([[0, 51, 102, 255]], np.uint8)
    assert imadjust(x, [0.2, 0.4], []).tolist() == [[0, 0, 255, 255]]
    assert imadjust(x, [], [1, 0]).tolist() == [[255, 204, 153, 0]]
    assert imadjust(x, [0, 1], [0, 1], 2).tolist() == [[0, 10, 41, 255]]
    np.testing.assert_allclose(imadjust(np.array([[0.3, 0.5]]), [0.3, 0.7]), [[0, 0.5]], atol=1e-15)
    ramp = np.arange(50, 150, dtype=np.uint8).reshape(10, 10)
    stretched = imadjust(ramp)  # 1 % of 100 pixels are 50; from 51 to 148
    assert stretched.ravel()[[0, 1, 98, 99]].tolist() == [0, 0, 255, 255] and stretched.dtype == np.uint8
    colour = np.stack([x, x, x], axis=2)
    assert imadjust(colour, [[0, 0.2, 0], [1, 0.4, 1]], [])[0, :, 1].tolist() == [0, 0, 255, 255]
    with pytest.raises(ValueError, match="imadjust: low must be below high"):
        imadjust(x, [0.5, 0.5])
    with pytest.raises(ValueError, match=r"imadjust: \[low, high\] must be in 0\.\.1"):
        imadjust(x, [0, 255])
