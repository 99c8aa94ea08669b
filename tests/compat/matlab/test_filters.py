"""Filters of images, with the values of MATLAB's manual or of their definition."""

import numpy as np
import pytest
import scipy.ndimage
from twister import Twister

import pyconvnet as pcn
from pyconvnet.compat.matlab import conv2, filter2, fspecial, im2double, imfilter, imnoise, medfilt2, rng

MAGIC = np.array(
    [[17.0, 24, 1, 8, 15], [23, 5, 7, 14, 16], [4, 6, 13, 20, 22], [10, 12, 19, 21, 3], [11, 18, 25, 2, 9]]
)


def test_the_gaussian_is_the_one_of_the_manual():
    expected = [[0.0113, 0.0838, 0.0113], [0.0838, 0.6193, 0.0838], [0.0113, 0.0838, 0.0113]]
    np.testing.assert_allclose(fspecial("gaussian"), expected, atol=5.1e-5)
    assert fspecial("gaussian", [5, 7], 2).shape == (5, 7) and abs(fspecial("gaussian", 9, 3).sum() - 1) < 1e-15
    assert fspecial("gaussian", 21, 0.5)[0, 0] == 0  # below eps times the largest


def test_other_filters_are_those_of_the_manual():
    assert fspecial("average", [1, 4]).tolist() == [[0.25] * 4] and fspecial("average").shape == (3, 3)
    laplacian = [[0.1667, 0.6667, 0.1667], [0.6667, -3.3333, 0.6667], [0.1667, 0.6667, 0.1667]]
    np.testing.assert_allclose(fspecial("laplacian"), laplacian, atol=5.1e-5)
    unsharp = [[-0.1667, -0.6667, -0.1667], [-0.6667, 4.3333, -0.6667], [-0.1667, -0.6667, -0.1667]]
    np.testing.assert_allclose(fspecial("unsharp"), unsharp, atol=5.1e-5)
    assert fspecial("sobel").tolist() == [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]
    assert fspecial("prewitt").tolist() == [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]
    log = fspecial("log")
    np.testing.assert_allclose(log[2], [0.0564, 0.7146, -4.9048, 0.7146, 0.0564], atol=5.1e-5)
    assert abs(log.sum()) < 1e-14
    np.testing.assert_allclose(fspecial("motion", 9, 0), np.full((1, 9), 1 / 9), atol=1e-15)
    np.testing.assert_allclose(fspecial("motion", 5, 90), np.full((5, 1), 1 / 5), atol=1e-15)
    slanted = fspecial("motion", 7, 30)
    assert abs(slanted.sum() - 1) < 1e-12 and np.allclose(slanted, np.rot90(slanted, 2)) and slanted[0, -1] > 0
    with pytest.raises(ValueError, match="fspecial: type must be one of 'average'"):
        fspecial("box")
    with pytest.raises(ValueError, match="fspecial: size must be whole numbers, got 'x'"):
        fspecial("average", "x")
    with pytest.raises(ValueError, match="fspecial: angle must be one number, got 'x'"):
        fspecial("motion", 9, "x")


def test_a_disk_has_of_each_pixel_the_part_in_the_circle():
    disk = fspecial("disk", 5)
    assert disk.shape == (11, 11) and abs(disk.sum() - 1) < 1e-14
    np.testing.assert_allclose(disk[0, 3:8], [0.0012, 0.0050, 0.0063, 0.0050, 0.0012], atol=5.1e-5)
    fine = (np.arange(4000) + 0.5) / 4000 * 5 - 2.5
    inside = (fine[:, None] ** 2 + fine[None] ** 2 < 2.2**2).reshape(5, 800, 5, 800).mean(axis=(1, 3))
    np.testing.assert_allclose(fspecial("disk", 2.2), inside / inside.sum(), atol=2e-6)


def test_imfilter_adds_up_what_lies_around():
    h = np.arange(1.0, 7).reshape(2, 3)
    padded = np.pad(MAGIC, ((0, 1), (1, 1)))
    expected = sum(h[i, j] * padded[i : i + 5, j : j + 5] for i in range(2) for j in range(3))
    np.testing.assert_allclose(imfilter(MAGIC, h), expected)
    odd = fspecial("motion", 5, 20)
    np.testing.assert_allclose(imfilter(MAGIC, odd, "conv"), conv2(MAGIC, odd, "same"))
    with pytest.raises(NotImplementedError, match="imfilter: 'conv' must come with h of odd size, got 2x3"):
        imfilter(MAGIC, h, "conv")
    np.testing.assert_allclose(imfilter(MAGIC, h, "conv", "full"), conv2(MAGIC, h))
    assert imfilter(MAGIC, h, "full").shape == (6, 7)
    for border, mode in (("replicate", "nearest"), ("symmetric", "reflect"), ("circular", "wrap"), (0, "constant")):
        expected = scipy.ndimage.correlate(MAGIC, h, mode=mode, origin=(-1, 0))
        np.testing.assert_allclose(imfilter(MAGIC, h, border), expected)
    constant = np.full((4, 4, 3), 7, np.uint8)
    for border in ("replicate", "symmetric", "circular", 7):
        assert (imfilter(constant, fspecial("average", 5), border) == 7).all()
    dark = imfilter(constant, fspecial("average", 3))
    assert dark[0, 0].tolist() == [3] * 3 and dark.dtype == np.uint8  # 28 / 9, rounded
    assert imfilter(constant, np.ones((9, 9)), "replicate").max() == 255  # clipped
    with pytest.raises(ValueError, match="imfilter: the option must be one of 'same', 'full', 'corr', 'conv'"):
        imfilter(MAGIC, h, "sane")


def test_conv2_adds_shifted_copies():
    A, B = np.arange(1.0, 7).reshape(2, 3), np.arange(1.0, 5).reshape(2, 2)
    full = np.zeros((3, 4))
    for i in range(2):
        for j in range(2):
            full[i : i + 2, j : j + 3] += B[i, j] * A
    assert np.array_equal(conv2(A, B), full) and np.array_equal(conv2(A, B, "same"), full[1:, 1:])
    assert np.array_equal(conv2(A, B, "valid"), full[1:2, 1:3])
    u, v = [1, 2], [1, -1, 3]
    assert np.array_equal(conv2(u, v, MAGIC), conv2(MAGIC, np.outer(u, v)))
    assert np.array_equal(conv2(u, v, MAGIC, "same"), conv2(MAGIC, np.outer(u, v), "same"))
    assert conv2(A.astype(np.float32), B).dtype == np.float32
    assert np.array_equal(filter2(B, A), conv2(A, np.rot90(B, 2), "same"))


def test_medians():
    x = np.array([[1, 2, 3], [4, 100, 6], [7, 8, 9]], np.uint8)
    assert medfilt2(x).tolist() == [[0, 2, 0], [2, 6, 3], [0, 6, 0]] and medfilt2(x).dtype == np.uint8
    assert medfilt2(x, [1, 3]).tolist() == [[1, 2, 2], [4, 6, 6], [7, 8, 8]]
    assert medfilt2(x, [3, 3], "symmetric")[0, 0] == 2
    with pytest.raises(NotImplementedError, match="medfilt2: size must be odd, got 2 x 2"):
        medfilt2(x, [2, 2])
    with pytest.raises(ValueError, match="medfilt2: size must be whole numbers, got 'x'"):
        medfilt2(x, "x")


def test_noise_is_drawn_from_matlabs_stream():
    x = np.full((2, 3), 128, np.uint8)
    rng(3)
    noisy = imnoise(x, "gaussian", 0, 0.01)
    scalar = Twister(3)
    drawn = np.array([scalar.randn() for _ in range(6)]).reshape(2, 3, order="F")
    assert np.array_equal(noisy, np.floor(255 * np.clip(128 / 255 + 0.1 * drawn, 0, 1) + 0.5))
    rng(3)
    scalar = Twister(3)
    spots = imnoise(np.full((10, 10), 0.5), "salt & pepper", 0.4)
    drawn = np.array([scalar.rand() for _ in range(100)]).reshape(10, 10, order="F")
    assert np.array_equal(spots, np.where(drawn < 0.2, 0, np.where(drawn < 0.4, 1, 0.5)))
    rng(3)
    speckled = imnoise(im2double(x), "speckle", 0.03)
    first = drawn.ravel(order="F")[:6].reshape(2, 3, order="F")
    np.testing.assert_allclose(speckled, 128 / 255 * (1 + 0.6 * (first - 0.5)), rtol=1e-14)
    assert imnoise(im2double(x), "localvar", np.zeros((2, 3))).tolist() == im2double(x).tolist()
    with pytest.raises(NotImplementedError, match="imnoise: 'poisson'"):
        imnoise(x, "poisson")
    rng("default")
    pcn.rng.seed(0)
