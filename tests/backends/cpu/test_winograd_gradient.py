"""The derivatives of filters by Winograd's algorithm, however the work is split, against float64."""

from __future__ import annotations

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.arrays import from_nhwc
from pyconvnet.backends import reference
from pyconvnet.backends.cpu import convolution_gradients, dilated, hardware, winograd_gradient
from pyconvnet.geometry import Window

pytestmark = pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
# inputs and filters of a group, images, groups, side of the filters
LAYERS = [(16, 16, 1, 1, 3), (33, 47, 3, 1, 3), (20, 130, 2, 2, 3), (130, 150, 1, 1, 3), (18, 40, 2, 2, 5)]
# Of the largest derivative. Measured: 3e-6, 7e-6 and 8e-7.
TOLERANCES = {("fast", 3): 5e-6, ("fast", 5): 1e-5, ("high", 3): 2e-6}


def layer(c, k, n, groups, side, dilate=1, order="C", pad=None):
    random = np.random.default_rng(c)
    window = Window((side, side), pad=pad or (dilate * (side // 2),) * 4, dilate=(dilate, dilate))
    x = from_nhwc(random.standard_normal((n, 26, 23, c * groups), dtype=np.float32))
    f = np.asarray(random.standard_normal((side, side, c, k * groups), dtype=np.float32), order=order)
    size = window.output_size(26, 23)
    return x, from_nhwc(random.standard_normal((n, *size, k * groups), dtype=np.float32)), window, f


def derivative(x, dzdy, window, f):
    """df in float64."""
    wide = (a.astype(np.float64) for a in (x, f, dzdy))
    return reference.Reference().conv_backward(*wide, window, (False, True, False))[1]


def off(df, exact):
    """The largest error of df over the largest derivative."""
    return abs(df - exact).max() / abs(exact).max()


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("sizes", LAYERS)
@pytest.mark.parametrize("precision", ["fast", "high"])
def test_filters_derivatives_agree_with_float64_however_threads_share_the_work(monkeypatch, precision, sizes, order):
    given = layer(*sizes, order=order)
    if precision == "high" and sizes[-1] == 5:
        pytest.skip("by plain sums")
    exact, tolerance = derivative(*given), TOLERANCES[precision, sizes[-1]]
    pcn.set_precision(precision)
    try:
        assert winograd_gradient.suits(given[0], given[3], given[2])
        for summed, rounds in ((0, 1 << 10), (0, 1 << 20), (1 << 30, 1 << 10), (1 << 30, 1 << 20)):
            monkeypatch.setattr(winograd_gradient, "SUMMED", summed)
            monkeypatch.setattr(winograd_gradient, "ROUND", rounds)
            monkeypatch.setattr(winograd_gradient, "OWN_ROUND", rounds)
            for threads in (1, 3):
                with pcn.num_threads(threads):
                    df = winograd_gradient.filter_gradient(*given)
                assert df.dtype == np.float32 and df.strides == given[3].strides
                assert off(df, exact) <= tolerance
    finally:
        pcn.set_precision("fast")


@pytest.mark.parametrize("pad", [None, (2, 0, 1, 2)])
def test_dilated_filters_derivatives_agree_with_float64(monkeypatch, pad):
    given = layer(33, 47, 3, 1, 3, 2, pad=pad)
    calls = []
    kept = dilated.filter_gradient
    monkeypatch.setattr(dilated, "filter_gradient", lambda *a: calls.append(1) or kept(*a))
    x, dzdy, window, f = given
    df = convolution_gradients.conv_backward(x, f, dzdy, window, (False, True, False))[1]
    assert calls and off(df, derivative(*given)) <= 6e-6


def test_a_network_is_trained_by_it(monkeypatch):
    calls = []
    kept = winograd_gradient.filter_gradient
    monkeypatch.setattr(winograd_gradient, "filter_gradient", lambda *a: calls.append(1) or kept(*a))
    x, dzdy, _, f = layer(16, 20, 2, 1, 3)
    pcn.vl_nnconv(x, f, None, dzdy, pad=1)
    assert calls


def test_derivatives_that_are_held_are_not_written_over():
    x, dzdy, window, f = layer(33, 47, 3, 1, 3)
    first = winograd_gradient.filter_gradient(x, dzdy, window, f)
    kept = first.copy()
    winograd_gradient.filter_gradient(2 * x, dzdy, window, f)
    assert np.array_equal(first, kept)
