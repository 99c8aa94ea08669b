"""A filter for each channel: random windows beside numpy's loops in double precision."""

import numpy as np
import pytest

from pyconvnet.backends import cpu
from pyconvnet.backends.cpu import CPU
from pyconvnet.backends.reference import Reference
from pyconvnet.geometry import Window

pytestmark = pytest.mark.skipif(cpu.isa() == "plain", reason="the compiled kernels are tested")


def same(found, expected):
    for y, right in zip(found, expected):
        right = np.asarray(right).reshape(y.shape)
        assert y.dtype == np.float32
        assert abs(y - right).max() <= 4e-6 * max(1, abs(right).max())


@pytest.mark.parametrize("seed", range(60))
def test_random_windows(seed):
    random = np.random.default_rng(seed)
    c, n = int(random.integers(16, 60)), int(random.integers(1, 4))
    size, stride, dilate = (tuple(map(int, random.integers(1, end, 2))) for end in (5, 4, 3))
    extent = [(k - 1) * d + 1 for k, d in zip(size, dilate)]
    pad = tuple(int(random.integers(0, e)) for e in np.repeat(extent, 2))
    h, w = (e + int(random.integers(0, 9)) for e in extent)
    window = Window(size, stride, pad, dilate)
    x = random.standard_normal((h, w, c, n), np.float32)
    f, b = random.standard_normal((*size, 1, c), np.float32), random.standard_normal(c, np.float32)
    f = np.asfortranarray(f) if seed % 2 else f
    fast, slow = CPU(), Reference()
    wide = [a.astype(np.float64) for a in (x, f, b)]
    expected = slow.conv(*wide, window)
    same([fast.conv(x, f, b, window)], [expected])
    dzdy = random.standard_normal(expected.shape, np.float32)
    same(fast.conv_backward(x, f, dzdy, window), slow.conv_backward(*wide[:2], dzdy.astype(np.float64), window))
    if all(k >= s and (n - 1) * s + k > 2 for k, s, n in zip(size, stride, (h, w))):
        crop = tuple(min(1, k - 1) for k in np.repeat(size, 2).tolist())
        expected = slow.convt(*wide, stride, crop, c)
        same([fast.convt(x, f, b, stride, crop, c)], [expected])
        dzdy = random.standard_normal(expected.shape, np.float32)
        found = fast.convt_backward(x, f, dzdy, stride, crop, c)
        same(found, slow.convt_backward(*wide[:2], dzdy.astype(np.float64), stride, crop, c))


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("seed", range(12))
def test_derivatives_that_are_not_finite_meet_the_zeros_of_the_pad(seed, value):
    """Zero times infinity is NaN, as in numpy's loops."""
    random = np.random.default_rng(seed)
    size, stride, dilate = (tuple(map(int, random.integers(1, end, 2))) for end in (5, 3, 3))
    extent = [(k - 1) * d + 1 for k, d in zip(size, dilate)]
    pad = tuple(int(random.integers(0, e)) for e in np.repeat(extent, 2))
    window = Window(size, stride, pad, dilate)
    x = random.random((extent[0] + 4, extent[1] + 3, 21, 2), np.float32) + 1
    f = random.random((*size, 1, 21), np.float32)
    dzdy = random.random((*window.output_size(*x.shape[:2]), 21, 2), np.float32)
    for channel, (i, j) in enumerate([(0, 0), (0, -1), (-1, 0), (-1, -1), (dzdy.shape[0] // 2, 0)]):
        dzdy[i, j, 4 * channel, channel % 2] = value
    with np.errstate(invalid="ignore"):
        expected = Reference().conv_backward(*(a.astype(np.float64) for a in (x, f, dzdy)), window)[1]
    found = CPU().conv_backward(x, f, dzdy, window)[1]
    assert not np.isfinite(expected).all()
    np.testing.assert_allclose(found, np.asarray(expected).reshape(found.shape), rtol=4e-6)


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("seed", range(12))
def test_filters_that_are_not_finite_meet_the_zeros_of_the_pad(seed, value):
    random = np.random.default_rng(seed)
    size, stride, dilate = (tuple(map(int, random.integers(1, end, 2))) for end in (5, 3, 3))
    pad = tuple(int(random.integers(0, (k - 1) * d + 1)) for k, d in zip(np.repeat(size, 2), np.repeat(dilate, 2)))
    window = Window(size, stride, pad, dilate)
    x, f = random.random((13, 12, 21, 2), np.float32) + 1, random.random((*size, 1, 21), np.float32)
    f[0, 0, 0, 3] = f[-1, -1, 0, 17] = value
    with np.errstate(invalid="ignore"):
        expected = Reference().conv(x.astype(np.float64), f.astype(np.float64), None, window)
    assert not np.isfinite(expected).all()
    np.testing.assert_allclose(CPU().conv(x, f, None, window), expected, rtol=4e-6)


def test_the_steps_after_it():
    random = np.random.default_rng(0)
    x, f = random.standard_normal((9, 8, 20, 2), np.float32), random.standard_normal((3, 3, 1, 20), np.float32)
    b, scale = random.standard_normal((2, 20), np.float32)
    add, window = random.standard_normal((9, 8, 20, 2), np.float32), Window((3, 3), (1, 1), (1, 1, 1, 1))
    found = CPU().fused_conv(x, f, b, window, scale, add, True)
    expected = Reference().conv(x.astype(np.float64), f * scale.astype(np.float64), b, window) + add
    same([found], [np.maximum(expected, 0)])
