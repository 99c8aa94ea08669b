"""Winograd's matrices are exact, and strided convolution by them agrees with float64."""

from fractions import Fraction

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu import winograd as kernels
from pyconvnet.backends.cpu.llvm import winograd
from pyconvnet.backends.reference import conv as plain
from pyconvnet.geometry import Window

VARIANTS = ((2, 3), (4, 3), (2, 5), (3, 2))
# side of the filters, inputs and filters of a group, groups, images, pad
STRIDED = [
    (3, 32, 64, 1, 2, 1),
    (3, 40, 50, 2, 2, 0),
    (4, 37, 33, 1, 2, 2),
    (5, 33, 32, 2, 2, 3),
    (6, 150, 32, 1, 3, 1),
]
# Of the largest value. Measured: 7e-7, 3e-6; 5 and 6 taps are three for even rows and columns.
TOLERANCES = {3: 1e-6, 4: 1e-6, 5: 5e-6, 6: 5e-6}


def test_winograds_matrices_compute_a_correlation_exactly():
    for m, r in VARIANTS:
        at, g, bt = (np.array(a, dtype=object) for a in winograd.matrices(m, r))
        d = np.array([Fraction(i * i - 3 * i + 1) for i in range(m + r - 1)], dtype=object)
        taps = np.array([Fraction(2), Fraction(-1, 3), Fraction(5), Fraction(1, 7), Fraction(-4)][:r], dtype=object)
        y = at @ ((g @ taps) * (bt @ d))
        assert y.tolist() == [sum(d[i + j] * taps[j] for j in range(r)) for i in range(m)]


def test_the_shared_sums_are_the_rows_of_the_matrix():
    names = [f"d{i}" for i in range(6)]
    known = {name: np.eye(6, dtype=int)[i].astype(object) for i, name in enumerate(names)}
    sums, rows = winograd.shared(names)
    for name, terms in sums:
        known[name] = sum(factor * known[value] for value, factor in terms.items())
    found = [sum(factor * known[value] for value, factor in terms.items()).tolist() for terms in rows]
    assert found == winograd.matrices(4, 3)[2] == winograd.matrices(2, 5)[2]


@pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
@pytest.mark.parametrize("precision", ["fast", "high"])
@pytest.mark.parametrize(("side", "c", "k", "groups", "n", "pad"), STRIDED)
def test_convolution_of_stride_2_agrees_with_float64(monkeypatch, precision, side, c, k, groups, n, pad):
    random = np.random.default_rng(side)
    x = random.standard_normal((n, 33, 40, c * groups), dtype=np.float32).transpose(1, 2, 3, 0)
    f = random.standard_normal((side, side, c, k * groups), dtype=np.float32)
    b, scale = random.standard_normal((2, k * groups), dtype=np.float32)
    window = Window((side, side), (2, 2), (pad, pad - 1 if pad else 0, 0, pad))
    exact = plain.conv(x.astype(float), f.astype(float) * scale, b.astype(float), window)
    with pcn.local_precision(precision):
        kind = kernels.variant(x.shape, f.shape, window, precision)
        assert kind is not None and kind.stride == 2
        results = []
        for fused_from in (1, 10**9):
            monkeypatch.setattr(kernels, "FUSED_FROM", fused_from)
            y = kernels.winograd(x, f, b, window, scale).transpose(1, 2, 3, 0)
            assert y.shape == exact.shape
            assert abs(y - exact).max() <= TOLERANCES[side if precision == "fast" else 3] * abs(exact).max()
            results.append(y)
        assert np.array_equal(*results)
        f[0, 0, 0, 0] += 9
        changed = kernels.winograd(x, f, b, window, scale)
        assert abs(changed.transpose(1, 2, 3, 0) - y).max() > 1


@pytest.mark.parametrize(
    "window",
    [
        Window((3, 3), (2, 1), (1, 1, 1, 1)),
        Window((3, 3), (3, 3), (1, 1, 1, 1)),
        Window((2, 2), (2, 2)),
        Window((7, 7), (2, 2)),
        Window((3, 5), (2, 2)),
        Window((3, 3), (2, 2), (1, 1, 1, 1), (2, 2)),
    ],
)
def test_other_strides_and_sizes_are_convolved_directly(window):
    assert kernels.variant((64, 64, 64, 2), (*window.size, 64, 64), window, "fast") is None
