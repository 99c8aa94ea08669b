"""The derivative with respect to the input by Winograd's algorithm backwards, against float64."""

from __future__ import annotations

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.arrays import from_nhwc
from pyconvnet.backends import reference
from pyconvnet.backends.cpu import CPU, data_gradient, hardware, winograd_transposed
from pyconvnet.geometry import Window

pytestmark = pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
# Off by 2e-6 of the largest derivative, with "high" by 5e-7, as measured.
# height and width, inputs, filters, images, side of the filters, border
LAYERS = [
    ((12, 12), 20, 50, 100, 5, (0, 0, 0, 0)),
    ((6, 7), 33, 47, 9, 3, (0, 0, 0, 0)),
    ((13, 9), 64, 32, 5, 5, (0, 1, 0, 1)),
    ((10, 6), 25, 130, 4, 3, (1, 0, 0, 0)),
    ((6, 6), 100, 16, 8, 3, (0, 0, 0, 0)),
]


def layer(size, c, k, n, side, pad, order):
    random, window = np.random.default_rng(c), Window((side, side), pad=pad)
    f = np.asarray(random.standard_normal((side, side, c, k), dtype=np.float32), order=order)
    dzdy = random.standard_normal((n, *window.output_size(*size), k), dtype=np.float32)
    return from_nhwc(random.standard_normal((n, *size, c), dtype=np.float32)), f, from_nhwc(dzdy), window


@pytest.fixture
def calls(monkeypatch):
    made, real = [], winograd_transposed.data_gradient
    monkeypatch.setattr(winograd_transposed, "data_gradient", lambda *given: made.append(1) or real(*given))
    return made


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("sizes", LAYERS)
@pytest.mark.parametrize("precision", ["fast", "high"])
def test_it_agrees_with_float64(calls, precision, sizes, order):
    x, f, dzdy, window = layer(*sizes, order)
    exact = reference.Reference().conv_backward(*(a.astype(float) for a in (x, f, dzdy)), window, (True, False, False))
    with pcn.local_precision(precision):
        dx = CPU().conv_backward(x, f, dzdy, window, (True, False, False))[0]
    assert bool(calls) == (precision == "fast" or sizes[4] == 3)
    assert abs(dx - exact[0]).max() < (3e-6 if precision == "fast" else 7e-7) * abs(exact[0]).max()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_images(calls, threads):
    x, f, dzdy, window = layer(*LAYERS[2], "C")
    expected = data_gradient.data_gradient(dzdy, f, window, x.shape[:2], 1)
    with pcn.num_threads(threads):
        found = data_gradient.data_gradient(dzdy, f, window, x.shape[:2], 1)
    assert len(calls) == 2
    assert np.array_equal(found, expected)
