"""Filters of deployed networks in half precision: how far results are off, and when they are not used."""

from __future__ import annotations

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends.cpu import CPU, hardware
from pyconvnet.geometry import Window
from pyconvnet.records import Struct
from pyconvnet.simplenn import SimpleNN

pytestmark = pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
SIZE, COUNT = (5, 6, 70), 130


def lasting(f, order):
    """The same filters in memory that nobody can write to, as `deploy` leaves them."""
    return np.frombuffer(f.tobytes(order), f.dtype).reshape(f.shape, order=order)


def layer(n, order, size=1.0):
    random = np.random.default_rng(n)
    x = random.standard_normal((*SIZE, n), dtype=np.float32)
    f = np.float32(size) * random.standard_normal((*SIZE, COUNT), dtype=np.float32)
    return x, lasting(f, order), np.float32(size) * random.standard_normal(COUNT, dtype=np.float32)


def results(x, f, b):
    """(exact, in single, in half precision)"""
    window = Window(SIZE[:2])
    exact = np.einsum("hwcn,hwck->kn", x.astype(np.float64), f.astype(np.float64)) + b[:, None].astype(np.float64)
    single = CPU().conv(x, f, b, window)
    with pcn.local_precision("half"):
        return exact[None, None], single, CPU().conv(x, f, b, window)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("n", [1, 3, 4])
@pytest.mark.parametrize("size", [1.0, 1e-20, 1e20])
def test_filters_that_last_are_rounded_to_half_precision(n, order, size):
    exact, single, half = results(*layer(n, order, size))
    off = abs(half - exact).max() / abs(exact).max()
    assert 1e-5 < off < 5e-4, off
    assert abs(single - exact).max() < 2e-6 * abs(exact).max()


@pytest.mark.parametrize("threads", [1, 3, 16])
def test_any_number_of_threads_gives_the_same_to_rounding(threads):
    x, f, b = layer(2, "C")
    _, _, usual = results(x, f, b)
    with pcn.num_threads(threads):
        _, _, half = results(x, f, b)
    assert abs(half - usual).max() <= 2e-6 * abs(usual).max()


def test_filters_that_may_change_more_images_and_other_layers_are_not_rounded():
    x, f, b = layer(2, "C")
    _, single, half = results(x, f.copy(), b)
    assert np.array_equal(single, half)
    x, f, b = layer(5, "C")
    _, single, half = results(x, f, b)
    assert np.array_equal(single, half)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_filters_that_are_not_finite_are_used_as_they_are(value):
    x, f, b = layer(1, "C")
    f = f.copy()
    f[1, 1, 1, 7] = value
    _, single, half = results(x, lasting(f, "C"), b)
    assert np.array_equal(single, half, equal_nan=True) and np.isfinite(half).sum() == COUNT - 1


def test_filters_of_zeros_give_the_biases():
    x, f, b = layer(1, "C", 0.0)
    _, _, half = results(x, f, b + 1)
    assert (half == 1).all()


def test_a_deployed_network_uses_them_also_where_its_run_is_recorded():
    random = np.random.default_rng(0)
    f, g = (random.standard_normal(s, dtype=np.float32) for s in ((*SIZE, COUNT), (1, 1, COUNT, 600)))
    layers = [Struct(type="conv", name=f"conv{i}", weights=[w, w[0, 0, 0].copy()]) for i, w in enumerate((f, g))]
    net = pcn.vl_simplenn_tidy(SimpleNN(layers=[layers[0], Struct(type="relu", name="relu"), layers[1]]))
    deployed = pcn.deploy(net)
    x = random.standard_normal((*SIZE, 1), dtype=np.float32)

    def run(which):
        return pcn.vl_simplenn(which, x, mode="test", conserveMemory=True)[-1].x.copy()

    single = run(net)
    with pcn.local_precision("half"):
        first, *others = (run(deployed) for _ in range(5))
        assert np.array_equal(run(net), single)  # not deployed
    assert all(np.array_equal(first, y) for y in others)
    assert 1e-5 < abs(first - single).max() / abs(single).max() < 5e-4
    assert abs(run(deployed) - single).max() <= 2e-6 * abs(single).max()
