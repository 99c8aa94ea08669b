"""vl_nnSubP against the loops of FFDNet's own."""

import numpy as np
import pytest

import pyconvnet as pcn

rng = np.random.default_rng(2)


def looped(x, s):
    """Channels to pixels, as the loops of vl_nnSubP.m do it."""
    h, w, channels, n = x.shape
    y = np.zeros((s * h, s * w, channels // s**2, n), x.dtype)
    for c in range(channels // s**2):
        for i in range(s**2):
            a, b = i % s, i // s
            y[a::s, b::s, c] = x[:, :, c * s**2 + i]
    return y


@pytest.mark.parametrize("s", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_channels_become_pixels_and_pixels_channels(s, dtype, order):
    x = np.array(rng.standard_normal((3, 4, 2 * s**2, 2)), dtype, order=order)
    y = pcn.vl_nnSubP(x, scale=s)
    assert y.dtype == dtype and np.array_equal(y, looped(x, s))
    assert np.array_equal(pcn.vl_nnSubP(y, [], "Scale", 1 / s), x)


@pytest.mark.parametrize("scale", [2, 0.5])
def test_derivatives_go_back_where_the_values_came_from(scale):
    x = rng.standard_normal((4, 6, 8, 2))
    y = pcn.vl_nnSubP(x, scale=scale)
    d = rng.standard_normal(y.shape)
    dx = pcn.vl_nnSubP(x, d, scale=scale)
    assert dx.shape == x.shape and np.isclose((dx * x).sum(), (d * y).sum())
    assert np.array_equal(dx, pcn.vl_nnSubP(d, scale=1 / scale))


def test_a_scale_of_1_changes_nothing_and_a_third_may_be_rounded():
    x = rng.standard_normal((3, 6, 2, 1))
    assert np.array_equal(pcn.vl_nnSubP(x, scale=1), x)
    assert np.array_equal(pcn.vl_nnSubP(x, scale=0.333), pcn.vl_nnSubP(x, scale=1 / 3))


@pytest.mark.parametrize(
    "shape, scale, message",
    [
        ((4, 4, 6, 1), 2, "x has 6 channels; for scale 2 they must be a multiple of 4"),
        ((5, 4, 1, 1), 1 / 2, r"x is 5x4x1x1; for scale 1/2 height and width must be multiples of 2 \(repeat"),
        ((4, 4, 4, 1), -2, "scale must be a whole number or 1 divided by one, such as 2 or 1/2, got -2"),
        ((4, 4, 4, 1), 1.5, "scale must be a whole number or 1 divided by one"),
        ((4, 4, 4, 1), 0, "scale must be a whole number or 1 divided by one"),
        ((4, 4, 4, 1), np.nan, "scale must be a whole number or 1 divided by one"),
    ],
)
def test_what_does_not_fit_is_refused(shape, scale, message):
    with pytest.raises(ValueError, match="vl_nnSubP: " + message):
        pcn.vl_nnSubP(np.zeros(shape), scale=scale)


def test_a_derivative_must_have_the_size_of_the_output():
    with pytest.raises(ValueError, match="vl_nnSubP: dzdy is 4x4x4x1, the output is 8x8x1x1"):
        pcn.vl_nnSubP(np.zeros((4, 4, 4, 1)), np.zeros((4, 4, 4, 1)))
