"""vl_nncrop: images of which there are none, and those that nothing is left of."""

import numpy as np
import pytest

import pyconvnet as pcn


@pytest.mark.parametrize("shape, cut", [((6, 7, 2, 0), (4, 5, 2, 0)), ((6, 7, 0, 3), (4, 5, 0, 3))])
def test_of_no_images_or_channels_there_are_none_cut(shape, cut):
    y = pcn.vl_nncrop(np.zeros(shape, np.float32), 1)
    assert y.shape == cut and y.dtype == np.float32


@pytest.mark.parametrize("none", [None, [], np.zeros((0, 0))])
def test_without_x_its_size_gives_the_derivative(none):
    dzdx = pcn.vl_nncrop(none, 1, np.full((1, 1), 2.0), (3, 3))
    assert dzdx.shape == (3, 3, 1, 1) and dzdx[1, 1].item() == dzdx.sum() == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((None, 1), "without x, dzdy and inputSize .H, W, C, N. are needed"),
        (([], 1, np.ones((1, 1))), "without x, dzdy and inputSize .H, W, C, N. are needed"),
        ((np.zeros((0, 7, 2, 3)), 1), r"crop \[1, 1, 1, 1\] leaves nothing of 0x7"),
        ((np.zeros((0, 0)), 1), r"crop \[1, 1, 1, 1\] leaves nothing of 0x0"),
        ((np.ones((6, 2, 1, 0)), 1), r"crop \[1, 1, 1, 1\] leaves nothing of 6x2"),
    ],
)
def test_what_nothing_is_left_of_is_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^vl_nncrop: {message}$"):
        pcn.vl_nncrop(*arguments)
