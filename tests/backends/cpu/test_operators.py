"""The compiled pooling, activations and normalizations agree with numpy's in float64 in any shape and memory order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu import CPU
from pyconvnet.backends.cpu.hardware import LEVELS
from pyconvnet.backends.reference import Reference, elementwise, normalization
from pyconvnet.backends.reference import pool as plain_pool
from pyconvnet.geometry import Window

cpu = CPU()

ONE = st.integers(1, 3)


@pytest.fixture(params=LEVELS, scope="module", autouse=True)
def level(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYCONVNET_CPU", request.param)
        yield request.param


@st.composite
def tensors(draw, count=2, least=1):
    """Arrays of the same size, each in a memory order of its own; some values are equal."""
    shape = draw(st.tuples(st.integers(least, 12), st.integers(least, 12), st.integers(1, 40), ONE))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    out = []
    for _ in range(count):
        a = (random.integers(-40, 40, shape) / 8).astype(np.float32)
        order = draw(st.sampled_from("CFKS"))
        if order == "K":
            a = from_nhwc(np.ascontiguousarray(a.transpose(3, 0, 1, 2)))
        elif order == "S":
            a = np.repeat(a, 2, axis=1)[:, ::2]
        else:
            a = np.asarray(a, order=order)
        out.append(a)
    return out


def assert_near(ours, exact, tolerance=3e-6):
    for a, e in zip(ours, exact) if isinstance(ours, tuple) else [(ours, exact)]:
        assert a.dtype == np.float32 and a.shape == e.shape
        assert np.abs(a - e).max() <= tolerance * max(np.abs(e).max(), 1)


def wide(*values):
    return [v.astype(np.float64) if isinstance(v, np.ndarray) else v for v in values]


@settings(deadline=None, max_examples=40)
@given(arrays=tensors(1), data=st.data())
@pytest.mark.parametrize("method", ["max", "avg"])
def test_pooling_agrees_with_float64(method, arrays, data):
    (x,) = arrays
    size = data.draw(st.tuples(*[st.integers(1, 4)] * 2))
    pad = tuple(data.draw(st.integers(0, s - 1)) for s in (size[0], size[0], size[1], size[1]))
    window = Window(size, data.draw(st.tuples(ONE, ONE)), pad)
    assume(min(window.output_size(*x.shape[:2])) >= 1)
    y = plain_pool.pool(*wide(x), window, method)
    assert_near(cpu.pool(x, window, method), y)
    dzdy = np.random.default_rng(0).standard_normal(y.shape, dtype=np.float32)
    assert_near(cpu.pool_backward(x, window, method, dzdy), plain_pool.pool_backward(*wide(x), window, method, dzdy))


@pytest.mark.parametrize("method", ["max", "avg"])
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (6, 4)])
@pytest.mark.parametrize("channels", [3, 16, 20, 37])
@pytest.mark.parametrize("pad", [(0, 0, 0, 0), (1, 0, 0, 1), (1, 1, 1, 1)])
def test_windows_that_lie_side_by_side(method, size, channels, pad):
    random = np.random.default_rng(0)
    x = random.integers(0, 3, (*size, channels, 2)).astype(np.float32)
    window = Window((2, 2), (2, 2), pad)
    y = plain_pool.pool(x.astype(np.float64), window, method)
    dzdy = random.standard_normal(y.shape, dtype=np.float32)
    assert_near(cpu.pool(x, window, method), y)
    dx = plain_pool.pool_backward(x.astype(np.float64), window, method, dzdy.astype(np.float64))
    assert_near(cpu.pool_backward(x, window, method, dzdy), dx)


@pytest.mark.parametrize("size", [(70, 60), (4200, 1), (1, 4200)])
@pytest.mark.parametrize("channels", [3, 20])
def test_averages_over_large_windows(size, channels):
    """Whose sums are much larger than the values."""
    random = np.random.default_rng(0)
    x = random.random((*(n + 3 for n in size), channels, 2), np.float32) + 100
    window = Window(size, (2, 1), (0, 0, size[1] // 2, 0))
    assert_near(cpu.pool(x, window, "avg"), plain_pool.pool(x.astype(np.float64), window, "avg"), 6e-7)


def test_an_average_over_more_pixels_than_single_precision_counts(level):
    if level == "plain":
        pytest.skip("numpy makes a pass for each pixel, which takes a minute")
    x = np.ones((4100, 4100, 1, 1), np.float32)
    assert cpu.pool(x, Window(x.shape[:2]), "avg").item() == 1


def test_numpys_averages_over_large_windows():
    x = np.ones((70, 70, 1, 1), np.float32)
    x[0, 0] = 1 << 24
    y = plain_pool.pool(x, Window(x.shape[:2]), "avg")
    assert y.dtype == np.float32 and y.item() == np.float32(((1 << 24) + 4899) / 4900)


@settings(deadline=None, max_examples=40)
@given(arrays=tensors(), leak=st.sampled_from([0.0, 0.1]))
def test_activations_agree_with_float64(arrays, leak):
    x, dzdy = arrays
    for name, options in (("relu", (leak,)), ("sigmoid", ()), ("softmax", ())):
        exact = getattr(elementwise, name)(*wide(x), *options)
        assert_near(getattr(cpu, name)(x, *options), exact)
        exact = getattr(elementwise, name + "_backward")(*wide(x, dzdy), *options)
        assert_near(getattr(cpu, name + "_backward")(x, dzdy, *options), exact)


@settings(deadline=None, max_examples=40)
@given(arrays=tensors(), seed=st.integers(0, 99))
def test_the_logarithm_of_softmax_agrees_with_float64(arrays, seed):
    x, _ = arrays
    h, w, c, n = x.shape
    at = np.random.default_rng(seed).integers(0, c, (h, w, 1, n))
    for name in ("softmaxlog", "softmaxlog_backward"):
        assert_near(getattr(cpu, name)(x, at), getattr(Reference, name)(cpu, *wide(x), at))


@settings(deadline=None, max_examples=40)
@given(arrays=tensors(), n=st.integers(1, 50), beta=st.sampled_from([0.75, 0.5, 1.0]))
def test_normalizations_across_channels_and_space_agree_with_float64(arrays, n, beta):
    x, dzdy = arrays
    window = Window((3, 2), (1, 1), (1, 1, 0, 1))
    for name, options in (("lrn", (n, 2.0, 0.1, beta)), ("spnorm", (window, 0.1, beta))):
        assert_near(getattr(cpu, name)(x, *options), getattr(normalization, name)(*wide(x), *options))
        exact = getattr(normalization, name + "_backward")(*wide(x, dzdy), *options)
        assert_near(getattr(cpu, name + "_backward")(x, dzdy, *options), exact, 1e-5)


@settings(deadline=None, max_examples=40)
@given(arrays=tensors(least=4), mean=st.sampled_from([0, 100]), given_moments=st.booleans())
def test_batch_normalization_agrees_with_float64(arrays, mean, given_moments):
    x, dzdy = arrays[0] + np.float32(mean), arrays[1]
    random = np.random.default_rng(0)
    g, b = random.standard_normal((2, x.shape[2]), dtype=np.float32)
    moments = np.stack([b + mean, np.abs(g) + 1], axis=1) if given_moments else None
    ours, exact = cpu.bnorm(x, g, b, 1e-4, moments), normalization.bnorm(*wide(x, g, b), 1e-4, *wide(moments))
    assert_near(ours, exact, 2e-5)
    ours = cpu.bnorm_backward(x, g, b, dzdy, 1e-4, moments)
    assert_near(ours, normalization.bnorm_backward(*wide(x, g, b, dzdy), 1e-4, *wide(moments)), 2e-5)


def test_what_is_not_a_number_is_no_maximum_as_in_matconvnet():
    x = np.ones((4, 4, 20, 1), np.float32)
    x[1, 1, 17] = np.nan
    assert (cpu.relu(x, 0.0) == np.where(x == x, x, 0)).all()
    assert (cpu.pool(x, Window((2, 2), (2, 2)), "max") == 1).all()
    assert np.isnan(cpu.softmax(x)[1, 1]).all() and np.isnan(cpu.softmax(x)).sum() == 20


def test_a_padded_pixel_never_wins_the_maximum():
    x = -np.ones((3, 3, 2, 1), np.float32)
    assert (cpu.pool(x, Window((2, 2), (1, 1), (1, 1, 1, 1)), "max") == -1).all()


def test_large_and_infinite_values_do_not_overflow_softmax_and_sigmoid():
    x = np.array([1e30, -1e30, 0, 80, -np.inf], np.float32).reshape(1, 1, 5, 1)
    assert_near(cpu.softmax(x), np.array([1.0, 0, 0, 0, 0]).reshape(1, 1, 5, 1))
    assert_near(cpu.sigmoid(x), np.array([1.0, 0, 0.5, 1, 0]).reshape(1, 1, 5, 1))


def test_each_sigmoid_is_as_exact_as_float32_is():
    x = np.concatenate([np.linspace(-87, 87, 100003), [-np.inf, np.inf, -1e4, 1e4, 0]]).astype(np.float32)
    y = cpu.sigmoid(x.reshape(1, 1, -1, 1)).ravel()
    with np.errstate(over="ignore"):
        exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(y, exact, rtol=6e-7)
    payloads = np.arange(0x7FC00000, 0x7FC00000 + 300, dtype=np.uint32).view(np.float32)
    for some in (payloads, -payloads):
        assert np.isnan(cpu.sigmoid(some.reshape(1, 1, -1, 1))).all()
