"""imresize against MATLAB: pairs of images, published numbers, and its conventions."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconvnet.compat.imresize import as_class
from pyconvnet.compat.matlab import imresize

PAIRS = Path(__file__).parents[2].parent / "shared" / "images" / "imresize"
BACK = [1.0938, 0.7969, 0.2031, -0.0703]
METHODS = ["bicubic", "bilinear", "triangle", "nearest", "box", "lanczos2", "lanczos3"]


@pytest.mark.skipif(not PAIRS.exists(), reason="the test images are not here")
@pytest.mark.parametrize("name", ["bird", "head"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrinking_equals_what_matlab_made_of_the_image(name, factor):
    from PIL import Image

    large, small = (np.asarray(Image.open(PAIRS / f"{name}_{kind}_x{factor}.png")) for kind in ("HR", "LRBI"))
    assert np.array_equal(imresize(large, 1 / factor), small)


def test_enlarging_gives_the_numbers_matlab_prints():
    # MATLAB Answers 1628: imresize(A, size(A) * 2, 'bicubic')
    A = np.array([[3, 1, 2, 6], [1, 5, 2, 7], [1, 3, 6, 2], [4, 1, 9, 2.0]])
    theirs = [
        [3.3109, 2.6187, 1.1206, 0.7166, 1.4067, 2.8883, 5.1615, 6.2060],
        [2.6454, 2.4435, 2.0052, 1.7138, 1.5692, 2.8062, 5.4248, 6.6307],
        [1.2008, 2.0609, 3.9181, 3.8763, 1.9355, 2.6382, 5.9844, 7.5302],
        [0.4985, 1.6796, 4.2357, 4.6921, 3.0489, 3.2618, 5.3307, 6.2876],
        [0.5384, 1.2996, 2.9579, 4.1612, 4.9094, 4.6769, 3.4639, 2.9028],
        [1.5500, 1.6768, 1.9697, 3.5367, 6.3776, 6.1378, 2.8173, 1.2798],
        [3.5334, 2.8110, 1.2710, 2.8185, 7.4537, 7.6444, 3.3907, 1.4186],
        [4.4466, 3.3344, 0.9529, 2.4891, 7.9430, 8.3334, 3.6605, 1.4930],
    ]
    np.testing.assert_allclose(imresize(A, [8, 8], "bicubic"), theirs, atol=5.1e-5)


@pytest.mark.parametrize(
    ("row", "size", "method", "theirs"),
    [
        ([1, 4, 7, 4, 3, 6], 9, "nearest", [1, 4, 4, 7, 4, 4, 3, 6, 6]),
        ([0, 1, 2], 5, "bilinear", [0, 0.4, 1, 1.6, 2]),
        ([0, 0, 1, 1, 0], 10, "bilinear", [0, 0, 0, 0.25, 0.75, 1, 1, 0.75, 0.25, 0]),
        (
            [0, 0, 1, 1, 0],
            10,
            "bicubic",
            [0, -0.0234, -0.0703, 0.2031, 0.7969, 1.0938, 1.0938, 0.7969, 0.2031, -0.0703],
        ),
    ],
)
def test_rows_come_out_as_matlab_users_report_them(row, size, method, theirs):
    np.testing.assert_allclose(imresize(np.array([row], float), [1, size], method)[0], theirs, atol=5.1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [0.3, 1, 2.7])
def test_a_constant_image_stays_constant(method, scale):
    for edges in ("replicate", "symmetric"):
        y = imresize(np.full((9, 14, 3), 77, np.uint8), scale, method, edges=edges)
        assert y.shape == (int(np.ceil(scale * 9)), int(np.ceil(scale * 14)), 3)
        assert np.all(y == 77)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 30), st.integers(1, 30), st.sampled_from(METHODS))
def test_every_size_can_be_had_by_every_method(h, w, rows, cols, method):
    x = np.random.default_rng(h * w).random((h, w, 2))
    y = imresize(x, [rows, cols], method)
    assert y.shape == (rows, cols, 2)
    np.testing.assert_allclose(y[..., 1], imresize(x[..., 1], [rows, cols], method), atol=1e-12)


@pytest.mark.parametrize("method", ["bicubic", "bilinear", "nearest", "box", "lanczos3"])
def test_the_same_size_gives_the_same_image(method):
    x = np.random.default_rng(0).random((7, 5))
    np.testing.assert_allclose(imresize(x, 1, method), x, atol=1e-12)


def test_halving_by_box_averages_two_by_two_pixels():
    x = np.random.default_rng(0).random((8, 6))
    np.testing.assert_allclose(imresize(x, 0.5, "box"), x.reshape(4, 2, 3, 2).mean(axis=(1, 3)))


def test_without_antialiasing_shrinking_samples_the_image():
    x = np.arange(24.0).reshape(4, 6)
    np.testing.assert_allclose(imresize(x, 1 / 3, "bilinear", antialiasing=False)[0], x[1, 1::3])


def test_mirrored_edges_differ_from_replicated_ones_near_the_edge_only():
    x = np.random.default_rng(0).random((40, 40))
    a, b = imresize(x, 0.5), imresize(x, 0.5, edges="symmetric")
    assert np.abs(a - b)[0].max() > 1e-4
    np.testing.assert_array_equal(a[2:-2, 2:-2], b[2:-2, 2:-2])
    padded = np.pad(x, 20, mode="symmetric")
    np.testing.assert_allclose(imresize(padded, 0.5)[10:-10, 10:-10], b, atol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", "bool"])
def test_the_element_type_is_kept_and_trailing_dimensions_too(dtype):
    x = (np.random.default_rng(0).random((6, 5, 2, 3)) * 1.99).astype(dtype)
    y = imresize(x, [4, 9])
    assert y.dtype == x.dtype
    assert y.shape == (4, 9, 2, 3)


def test_integers_round_half_up_and_clip():
    assert imresize(np.array([[0, 1]], np.uint8), [1, 1], "box").item() == 1
    assert imresize(np.array([[-1, 0]], np.int16), [1, 1], "box").item() == -1
    edge = np.repeat(np.array([[0, 0, 255, 255]], np.uint8), 4, axis=0)
    y = imresize(edge, 3)
    assert y.min() == 0
    assert y.max() == 255
    assert imresize(edge.astype(float), 3).max() > 255


def test_the_smaller_scale_goes_first():
    # Integers show the order, being rounded after each pass.
    x = np.random.default_rng(0).integers(0, 4, (40, 4)).astype(np.uint8)
    columns_first = imresize(imresize(x, [40, 1], "box"), [20, 1], "box")
    rows_first = imresize(imresize(x, [20, 4], "box"), [20, 1], "box")
    assert not np.array_equal(columns_first, rows_first)
    np.testing.assert_array_equal(imresize(x, [20, 1], "box"), columns_first)


def test_one_of_rows_and_columns_follows_from_the_other():
    assert imresize(np.zeros((10, 7)), [5, np.nan]).shape == (5, 4)
    assert imresize(np.zeros((10, 7)), [np.nan, 14]).shape == (20, 14)
    assert imresize(np.zeros((10, 7)), outputSize=(3, 3)).shape == (3, 3)


def test_matlabs_name_value_pairs_are_taken():
    x = np.random.default_rng(0).random((9, 9))
    np.testing.assert_array_equal(
        imresize(x, 0.5, "bilinear", "Antialiasing", False), imresize(x, 0.5, "bilinear", antialiasing=False)
    )
    np.testing.assert_array_equal(imresize(x, 0.5, "Method", "box"), imresize(x, 0.5, "box"))
    np.testing.assert_array_equal(imresize(x, "OutputSize", [4, 5], "method", "box"), imresize(x, [4, 5], "box"))
    np.testing.assert_array_equal(imresize(x, "scale", 0.5), imresize(x, 0.5))


def test_two_scales_under_their_name_scale_rows_and_columns():
    x = np.random.default_rng(0).random((9, 8))
    y = imresize(x, "Scale", [0.5, 2], "Method", "box")
    assert y.shape == (5, 16)
    np.testing.assert_allclose(y[:4, ::2], x[:8].reshape(4, 2, 8).mean(axis=1))


def test_a_kernel_of_ones_own_is_taken():
    x = np.random.default_rng(0).random((9, 9))
    hat = (lambda t: np.maximum(1 - np.abs(t), 0), 2)
    np.testing.assert_array_equal(imresize(x, 2, hat), imresize(x, 2, "bilinear"))


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((np.zeros((4, 4)), 0), {}, "scale must be positive, or .rows, cols. .*, got 0"),
        ((np.zeros((4, 4)), [np.nan, np.nan]), {}, "at most one NaN"),
        ((np.zeros((4, 4)), [2, 2, 2]), {}, r"\[rows, cols\]"),
        ((np.zeros((4, 4)),), {}, "a scale or an output size"),
        ((np.zeros((4, 4)), 2, "cubical"), {}, "method must be one of bicubic, .*, got 'cubical'"),
        ((np.zeros((4, 4)), 2), {"edges": "zero"}, "edges must be"),
        ((np.zeros((0, 4)), 2), {}, r"got size \(0, 4\)"),
        ((np.zeros((4, 4)), 2, "box", "Antialias", True), {}, "did you mean 'antialiasing'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(args, options, message):
    with pytest.raises(ValueError, match=message):
        imresize(*args, **options)


def test_integers_of_64_bits_stay_within_their_range():
    values = np.array([1e30, -1e30, 2.5, np.nan, np.inf])
    assert as_class(values, np.dtype(np.int64)).tolist() == [2**63 - 1, -(2**63), 3, 0, 2**63 - 1]
    assert as_class(values, np.dtype(np.uint64)).tolist() == [2**64 - 1, 0, 3, 0, 2**64 - 1]


def test_complex_images_are_refused():
    with pytest.raises(TypeError, match="complex128"):
        imresize(np.zeros((3, 3), complex), 2)
