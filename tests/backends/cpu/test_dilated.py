"""Dilated convolution as many small ones: random windows beside numpy's loops in double precision."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends import cpu
from pyconvnet.backends.cpu import CPU, dilated
from pyconvnet.backends.reference import Reference
from pyconvnet.geometry import Window

pytestmark = pytest.mark.skipif(cpu.isa() == "plain", reason="the compiled kernels are tested")


def same(found, expected):
    for y, right in zip(found, expected):
        right = np.asarray(right).reshape(y.shape)
        assert y.dtype == np.float32
        assert abs(y - right).max() <= 1e-5 * max(1, abs(right).max())


@pytest.mark.parametrize("precision", ["fast", "high"])
@pytest.mark.parametrize("seed", range(30))
def test_random_windows(seed, precision):
    random = np.random.default_rng(seed)
    c, count, n = (int(random.integers(low, high)) for low, high in ((16, 40), (16, 40), (1, 3)))
    side = int(random.choice([3, 5]))
    dilate = tuple(map(int, random.integers(1, 5, 2)))
    dilate = (2, dilate[1]) if dilate == (1, 1) else dilate
    extent = [(side - 1) * d + 1 for d in dilate]
    pad = tuple(int(random.integers(0, e)) for e in np.repeat(extent, 2))
    h, w = (e + int(random.integers(9, 30)) for e in extent)
    window = Window((side, side), (1, 1), pad, dilate)
    x = random.standard_normal((h, w, c, n), np.float32)
    f, b = random.standard_normal((side, side, c, count), np.float32), random.standard_normal(count, np.float32)
    fast, slow = CPU(), Reference()
    expected = slow.conv(*(a.astype(np.float64) for a in (x, f, b)), window)
    with pcn.local_precision(precision):
        assert dilated.suits(x, f, window) == (side == 3 or precision == "fast")
        same([fast.conv(x, f, b, window)], [expected])
        dzdy = random.standard_normal(expected.shape, np.float32)
        wide = [a.astype(np.float64) for a in (x, f, dzdy)]
        same(fast.conv_backward(x, f, dzdy, window), slow.conv_backward(*wide, window))


def test_groups_and_the_steps_after_it():
    random = np.random.default_rng(0)
    x, f = random.standard_normal((20, 21, 32, 2), np.float32), random.standard_normal((3, 3, 16, 48), np.float32)
    b, scale = random.standard_normal((2, 48), np.float32)
    add, window = random.standard_normal((20, 21, 48, 2), np.float32), Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2))
    assert dilated.suits(x, f, window)
    found = CPU().fused_conv(x, f, b, window, scale, add, True)
    expected = Reference().conv(x.astype(np.float64), f * scale.astype(np.float64), b, window) + add
    same([found], [np.maximum(expected, 0)])


def test_large_images_are_not_copied():
    x, f = np.empty((2000, 2000, 16, 1), np.float32), np.empty((3, 3, 16, 16), np.float32)
    assert not dilated.suits(x, f, Window((3, 3), dilate=(2, 2)))
