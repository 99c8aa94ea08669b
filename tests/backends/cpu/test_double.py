"""Convolution in double precision by the kernels: random windows beside numpy's sums, numbers of threads."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends import cpu
from pyconvnet.backends.cpu import CPU
from pyconvnet.backends.reference import Reference
from pyconvnet.geometry import Window

pytestmark = pytest.mark.skipif(cpu.isa() == "plain", reason="the compiled kernels are tested")


def layer(seed):
    """(x, f, b, dzdy, window) of a random convolution, in random orders of memory."""
    random = np.random.default_rng(seed)
    groups, n = int(random.integers(1, 4)), int(random.integers(1, 4))
    size, dilate = (tuple(map(int, random.integers(1, 4, 2))) for _ in range(2))
    stride = (1, 1) if seed % 2 else tuple(map(int, random.integers(1, 4, 2)))
    pad = tuple(map(int, random.integers(0, 4, 4)))
    h, w = ((s - 1) * d + 1 + int(random.integers(0, 20)) for s, d in zip(size, dilate))
    c, each = int(random.integers(1, 40)), int(random.integers(1, 40))
    x = random.standard_normal((n, h, w, c * groups)).transpose(1, 2, 3, 0)
    f, b = random.standard_normal((*size, c, each * groups)), random.standard_normal(each * groups)
    if seed % 3 == 0:
        x, f = np.asfortranarray(x), np.asfortranarray(f)
    window = Window(size, stride, pad, dilate)
    dzdy = random.standard_normal((*window.output_size(h, w), each * groups, n))
    return x, f, b, dzdy, window


@pytest.mark.parametrize("seed", range(60))
def test_random_windows(seed):
    x, f, b, dzdy, window = layer(seed)
    fast, slow = CPU(), Reference()
    found = [fast.conv(x, f, b, window), fast.conv(x, f, None, window), *fast.conv_backward(x, f, dzdy, window)]
    right = [slow.conv(x, f, b, window), slow.conv(x, f, None, window), *slow.conv_backward(x, f, dzdy, window)]
    for y, expected in zip(found, right):
        assert y.dtype == np.float64 and y.shape == expected.shape
        assert abs(y - expected).max() <= 1e-14 * max(1, abs(expected).max())


@pytest.mark.parametrize("seed", range(4))
def test_one_derivative_at_a_time(seed):
    x, f, _, dzdy, window = layer(seed)
    fast = CPU()
    everything = fast.conv_backward(x, f, dzdy, window)
    for at in range(3):
        needs = tuple(i == at for i in range(3))
        some = fast.conv_backward(x, f, dzdy, window, needs)
        assert [d is not None for d in some] == list(needs)
        np.testing.assert_array_equal(some[at], everything[at])


@pytest.mark.parametrize("seed", range(6))
def test_threads_do_not_matter(seed):
    x, f, b, dzdy, window = layer(seed)
    results = []
    for n in (1, 2, 3):
        with pcn.num_threads(n):
            results.append([CPU().conv(x, f, b, window), *CPU().conv_backward(x, f, dzdy, window)])
    for other in results[1:]:
        for y, expected in zip(other, results[0]):
            np.testing.assert_array_equal(y, expected)


def test_numbers_that_are_not_finite_stay_where_they_are():
    x, f = np.ones((6, 7, 20, 2)), np.ones((3, 3, 20, 18))
    x[0, 0, 0, 0], x[5, 6, 19, 1] = np.nan, np.inf
    y = CPU().conv(x, f, None, Window((3, 3)))
    assert np.isnan(y[0, 0, :, 0]).all() and np.isinf(y[3, 4, :, 1]).all()
    assert np.isfinite(y).sum() == y.size - 2 * 18


def test_far_from_what_single_precision_can_hold():
    x, f = np.full((4, 4, 3, 1), 1e150), np.full((2, 2, 3, 17), 1e-200)
    np.testing.assert_allclose(CPU().conv(x, f, None, Window((2, 2))), 12e-50, rtol=1e-14)


def test_filters_biases_and_derivatives_in_single_precision_count_as_they_are():
    x, f, b, dzdy, window = layer(1)
    single = [a.astype(np.float32) for a in (f, b, dzdy)]
    double = [a.astype(np.float64) for a in single]
    np.testing.assert_array_equal(CPU().conv(x, *single[:2], window), CPU().conv(x, *double[:2], window))
    for found, right in zip(*(CPU().conv_backward(x, a[0], a[2], window) for a in (single, double))):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-13)  # of the input it may be BLAS's
