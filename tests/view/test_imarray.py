"""Tiling images, and what pyconvnet.view offers."""

from types import FunctionType

import numpy as np
import pytest
from support import python

from pyconvnet import view
from pyconvnet.view import vl_imarray, vl_imarraysc


def numbered(h, w, count):
    """Tiles that hold their number, from 1."""
    return np.broadcast_to(np.arange(1, count + 1), (h, w, count)).astype(np.uint8)


def test_tiles_fill_rows_from_the_left_in_a_nearly_square_layout():
    J = vl_imarray(numbered(2, 3, 5))
    assert J.shape == (2 * 2, 3 * 3)
    assert J.dtype == np.uint8
    np.testing.assert_array_equal(J[::2, ::3], [[1, 2, 3], [4, 5, 0]])


def test_spacing_leaves_zeros_between_tiles_only():
    J = vl_imarray(numbered(2, 2, 4), spacing=1)
    np.testing.assert_array_equal(J[:, 0], [1, 1, 0, 3, 3])
    np.testing.assert_array_equal(J[0], [1, 1, 0, 2, 2])


def test_a_given_layout_drops_the_tiles_that_find_no_place():
    np.testing.assert_array_equal(vl_imarray(numbered(1, 1, 5), layout=[1, 3]), [[1, 2, 3]])
    np.testing.assert_array_equal(vl_imarray(numbered(1, 1, 2), layout=(2, 2)), [[1, 2], [0, 0]])


def test_reverse_fills_from_the_bottom():
    np.testing.assert_array_equal(vl_imarray(numbered(1, 1, 4), reverse=True), [[3, 4], [1, 2]])


def test_colour_tiles_may_have_their_channels_third_or_last():
    x = np.random.default_rng(0).random((4, 5, 3, 7))
    J = vl_imarray(x)
    assert J.shape == (3 * 4, 3 * 5, 3)
    np.testing.assert_array_equal(J[4:8, 5:10], x[..., 4])
    np.testing.assert_array_equal(vl_imarray(x.transpose(0, 1, 3, 2)), J)


def test_one_channel_may_be_written_as_a_third_dimension():
    x = np.random.default_rng(0).random((4, 5, 6))
    np.testing.assert_array_equal(vl_imarray(x[:, :, None, :]), vl_imarray(x))


def test_the_responses_to_one_image_are_tiled_as_they_come():
    x = np.random.default_rng(0).random((4, 5, 20, 1))
    np.testing.assert_array_equal(vl_imarraysc(x), vl_imarraysc(x[..., 0]))


def test_a_movie_is_the_list_of_tiles():
    frames = vl_imarray(numbered(2, 3, 4), "Movie", True)
    assert [f.shape for f in frames] == [(2, 3)] * 4
    assert frames[3].max() == 4


def test_every_tile_is_scaled_by_itself_to_0_1():
    x = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32) * np.float32([1, 10, 100, 1000])
    J = vl_imarraysc(x)
    assert J.dtype == np.float32
    for tile in (J[:3, :3], J[:3, 3:], J[3:, :3], J[3:, 3:]):
        assert tile.min() == 0
        assert tile.max() == 1


def test_a_constant_tile_becomes_zero_and_integers_become_single():
    J = vl_imarraysc(np.full((2, 2, 1), 7, np.uint8))
    assert J.dtype == np.float32
    assert np.all(J == 0)


def test_uniform_scales_all_tiles_together():
    x = np.zeros((1, 2, 2))
    x[0, :, 0], x[0, :, 1] = [0, 1], [2, 4]
    np.testing.assert_array_equal(vl_imarraysc(x, uniform=True), [[0, 0.25, 0.5, 1]])


def test_limits_clip_what_lies_outside():
    x = np.array([[-1.0, 0, 5, 20]])
    np.testing.assert_array_equal(vl_imarraysc(x, clim=[0, 10]), [[0, 0, 0.5, 1]])


def test_with_a_colour_map_grey_tiles_become_its_row_numbers():
    x = np.linspace(0, 1, 9)[None]
    np.testing.assert_array_equal(vl_imarraysc(x, cmap=np.zeros((4, 3))), [[1, 1, 2, 2, 3, 3, 4, 4, 4]])


def test_nan_does_not_spoil_the_scale():
    np.testing.assert_array_equal(vl_imarraysc(np.array([[0, np.nan, 2.0]])), [[0, np.nan, 1]])


@pytest.mark.parametrize(
    ("A", "options", "message"),
    [
        (np.zeros((2, 2, 2, 2)), {}, "got 2x2x2x2"),
        (np.zeros((2, 2, 0)), {}, "no pixels"),
        (np.zeros((2, 2)), {"clim": [0, 1], "uniform": True}, "not both"),
        (np.zeros((2, 2)), {"layout": 3}, "layout must be 2 numbers"),
        (np.zeros((2, 2)), {"layout": [0, 3]}, "from 1"),
        (np.zeros((2, 2)), {"spacing": -1}, "spacing"),
        (np.zeros((2, 2)), {"spaces": 1}, "did you mean 'spacing'"),
    ],
)
def test_what_cannot_be_tiled_is_refused(A, options, message):
    with pytest.raises(ValueError, match=message):
        vl_imarraysc(A, **options)


def test_the_package_offers_every_public_function_of_its_modules():
    for name in ("inside", "measures", "plots", "curves"):
        module = getattr(view, name)
        for member, value in vars(module).items():
            mine = isinstance(value, FunctionType) and value.__module__ == module.__name__
            if mine and not member.startswith("_") and member != name:
                assert getattr(view, member) is value
    with pytest.raises(AttributeError, match="no attribute 'filter'"):
        view.filter  # noqa: B018


def test_importing_the_package_loads_no_matplotlib():
    done = python("import pyconvnet.view, pyconvnet.view.plots; print('matplotlib' in sys.modules)")
    assert done.stdout == "False\n", done.stderr
