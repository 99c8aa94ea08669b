"""Moments that vl_nnbnorm refuses."""

import numpy as np
import pytest

import pyconvnet as pcn


@pytest.mark.parametrize("shape", [(2, 3), (3, 1), (6,)])
def test_moments_of_another_shape_are_refused(shape):
    x = np.ones((2, 2, 3, 2))
    with pytest.raises(ValueError, match=r"vl_nnbnorm: moments has .* elements .*it must be 3x2"):
        pcn.vl_nnbnorm(x, np.ones(3), np.ones(3), moments=np.ones(shape))


def test_moments_of_one_channel_may_be_a_vector():
    x = np.ones((2, 2, 1, 2))
    y, _ = pcn.vl_nnbnorm(x, np.ones(1), np.ones(1), moments=np.array([1.0, 2.0]))
    assert np.array_equal(y, x)
