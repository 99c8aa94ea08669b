"""The data derivative of strided convolution: which pixels meet which taps, and the sums, against float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu.strided_gradient import shares, strided_gradient
from pyconvnet.backends.reference import conv as plain
from pyconvnet.geometry import Window

ONE = st.integers(1, 4)
PAIR = st.tuples(ONE, ONE)


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 7), st.integers(1, 6), st.integers(1, 6), st.integers(0, 9), st.integers(1, 20))
def test_every_pixel_is_in_the_share_with_the_taps_that_it_meets(taps, stride, dilate, before, size):
    met = {i: {u for u in range(taps) if (i + before - u * dilate) % stride == 0} for i in range(size)}
    found = {}
    for share in shares(taps, stride, dilate, before, size):
        for at in range(share.count):
            i = share.first + at * stride
            assert i not in found
            found[i] = set(range(taps)[share.taps])
            pixels = sorted((i + before - u * dilate) // stride for u in found[i])
            assert pixels == list(range(pixels[0], pixels[-1] + 1, share.dilate))
            assert pixels[0] == share.lowest + at
            assert pixels[-1] <= share.highest
    assert found == {i: some for i, some in met.items() if some}


@pytest.mark.parametrize("level", ["avx512", "avx2"])
@settings(deadline=None, max_examples=60)
@given(size=PAIR, stride=PAIR, dilate=PAIR, pad=st.tuples(*[st.integers(0, 6)] * 4), data=st.data())
def test_the_sums_agree_with_float64(level, size, stride, dilate, pad, data):
    window = Window(size, stride, pad, dilate)
    groups, depth, each, n = (data.draw(st.integers(1, most)) for most in (2, 40, 40, 9))
    least = [max(1, e - p - q) for e, p, q in zip(window.extent, pad[::2], pad[1::2])]
    h, w = (data.draw(st.integers(e, e + 12)) for e in least)
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    f = random.standard_normal((*size, depth, groups * each), dtype=np.float32)
    dzdy = random.standard_normal((*window.output_size(h, w), groups * each, n), dtype=np.float32)
    x = np.zeros((h, w, groups * depth, n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYCONVNET_CPU", level)
        assert hardware.isa() == level
        dx = from_nhwc(strided_gradient(dzdy, f, window, (h, w), groups))
    right = plain.conv_backward(x, f.astype(float), dzdy.astype(float), window)[0]
    terms = plain.conv_backward(x, abs(f).astype(float), abs(dzdy).astype(float), window)[0]
    assert dx.shape == right.shape
    assert abs(dx - right).max() <= 1e-6 * terms.max()
