"""Every way to compute a convolution agrees with numpy's in float64, whatever the shape, memory order and CPU level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyconvnet
from pyconvnet.arrays import from_nhwc
from pyconvnet.backends.cpu import CPU, hardware
from pyconvnet.backends.reference import conv as plain
from pyconvnet.geometry import Window

cpu = CPU()

LEVELS = hardware.LEVELS
ONE = st.integers(1, 3)


@pytest.fixture(params=LEVELS, scope="module")
def level(request):
    with pytest.MonkeyPatch.context() as patch:  # any CPU can run every level: LLVM splits what is too wide for it
        patch.setenv("PYCONVNET_CPU", request.param)
        yield request.param


@pytest.fixture(params=["fast", "high"], scope="module")
def precision(request):
    pyconvnet.set_precision(request.param)
    yield request.param
    pyconvnet.set_precision("fast")


@st.composite
def layers(draw, for_winograd=False):
    """x, f, b, dzdy, window: a convolution that fits."""
    if for_winograd:
        stride = draw(st.integers(1, 2))
        side = draw(st.sampled_from([3, 5] if stride == 1 else [3, 4, 5, 6]))
        window = Window((side, side), (stride, stride), draw(st.tuples(*[st.integers(0, side - 1)] * 4)))
        groups, depth, each = draw(st.integers(1, 2)), draw(st.integers(16, 40)), draw(st.integers(16, 70))
        h, w, n = draw(st.integers(8, 24 * stride)), draw(st.integers(8, 24 * stride)), draw(ONE)
    else:
        pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
        window = Window(draw(pairs), draw(pairs), draw(st.tuples(*[st.integers(0, 3)] * 4)), draw(st.tuples(ONE, ONE)))
        groups, depth, each = draw(ONE), draw(st.integers(1, 20)), draw(st.integers(1, 40))
        h, w, n = draw(st.integers(1, 16)), draw(st.integers(1, 16)), draw(ONE)
        h, w = max(h, window.extent[0]), max(w, window.extent[1])
    random = np.random.default_rng(draw(st.integers(0, 99)))
    order = draw(st.sampled_from("CFK"))

    def array(*shape):
        a = random.standard_normal(shape, dtype=np.float32)
        if order == "K":
            return from_nhwc(random.standard_normal((shape[3], *shape[:3]), dtype=np.float32))
        return np.asarray(a, order=order)

    x = array(h, w, groups * depth, n)
    f = np.asarray(random.standard_normal((*window.size, depth, groups * each), dtype=np.float32), order=order)
    b = random.standard_normal(groups * each, dtype=np.float32)
    return x, f, b, array(*window.output_size(h, w), groups * each, n), window


def assert_near(ours, exact, tolerance):
    assert ours.dtype == np.float32 and ours.shape == exact.shape
    assert np.abs(ours - exact).max() <= tolerance * np.abs(exact).max()


def assert_sums_near(ours, exact, magnitudes):
    """Sums in float32 are wrong by a few rounding errors of the sum of their terms' magnitudes: terms may cancel."""
    assert ours.dtype == np.float32 and ours.shape == exact.shape
    assert np.abs(ours - exact).max() <= 1e-6 * magnitudes.max()


def wide(*arrays):
    return [a.astype(np.float64) for a in arrays]


def sizes(*arrays):
    return [np.abs(a).astype(np.float64) for a in arrays]


@settings(deadline=None, max_examples=40)
@given(layer=layers())
def test_any_convolution_agrees_with_float64(level, layer):
    x, f, b, _, window = layer
    terms = plain.conv(*sizes(x, f, b), window)
    assert_sums_near(cpu.conv(x, f, b, window), plain.conv(*wide(x, f, b), window), terms)
    assert_sums_near(cpu.conv(x, f, None, window), plain.conv(*wide(x, f), None, window), terms)


@settings(deadline=None, max_examples=40)
@given(layer=layers())
def test_the_derivatives_of_any_convolution_agree_with_float64(level, layer):
    x, f, _, dzdy, window = layer
    ours, exact = cpu.conv_backward(x, f, dzdy, window), plain.conv_backward(*wide(x, f, dzdy), window)
    for a, e, terms in zip(ours, exact, plain.conv_backward(*sizes(x, f, dzdy), window)):
        assert_sums_near(a, e, terms)


@settings(deadline=None, max_examples=20)
@given(layer=layers(for_winograd=True))
def test_winograds_algorithm_agrees_with_float64(level, precision, layer):
    x, f, b, dzdy, window = layer
    tolerance = 1.5e-5 if precision == "fast" else 3e-6
    assert_near(cpu.conv(x, f, b, window), plain.conv(*wide(x, f, b), window), tolerance)
    ours, exact = cpu.conv_backward(x, f, dzdy, window), plain.conv_backward(*wide(x, f, dzdy), window)
    for a, e in zip(ours, exact):
        assert_near(a, e, tolerance)


@settings(deadline=None, max_examples=40)
@given(layer=layers())
def test_any_transposed_convolution_agrees_with_float64(level, layer):
    _, f, _, x, window = layer
    groups = x.shape[2] // (f.shape[3] // max(1, x.shape[2] // f.shape[3]))
    up, crop = window.stride, tuple(min(p, e - 1) for p, e in zip(window.pad, np.repeat(f.shape[:2], 2).tolist()))
    b = f[0, 0, :, 0].copy()
    y = plain.convt(*wide(x, f, b), up, crop, groups)
    if min(y.shape) < 1:
        return
    assert_sums_near(cpu.convt(x, f, b, up, crop, groups), y, plain.convt(*sizes(x, f, b), up, crop, groups))
    dzdy = y.astype(np.float32)
    ours = cpu.convt_backward(x, f, dzdy, up, crop, groups)
    exact = plain.convt_backward(*wide(x, f, dzdy), up, crop, groups)
    for a, e, terms in zip(ours, exact, plain.convt_backward(*sizes(x, f, dzdy), up, crop, groups)):
        assert_sums_near(a, e, terms)


@pytest.mark.parametrize("size", [1, 3])
def test_each_number_of_filters(level, size):
    """The tiles of the matrix kernel are whole vectors, or parts of one, two, or one and a half."""
    random = np.random.default_rng(size)
    x, window = random.standard_normal((12, 10, 18, 2), np.float32), Window((size, size))
    for count in range(1, 66):
        f = random.standard_normal((size, size, 18, count), np.float32)
        y, exact = cpu.conv(x, f, None, window), plain.conv(*wide(x, f), None, window)
        assert_near(y, exact, 1e-5)
        dzdy = y.astype(np.float32)
        for ours, derivative in zip(
            cpu.conv_backward(x, f, dzdy, window), plain.conv_backward(*wide(x, f, dzdy), window)
        ):
            assert_near(ours, derivative, 2e-5)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("stride, groups", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_the_derivatives_of_filters_that_threads_share_agree_with_float64(level, stride, groups, order):
    random = np.random.default_rng(stride)
    window = Window((3, 3), (stride, stride), (1, 1, 1, 1))
    f = np.asarray(random.standard_normal((3, 3, 100, 250), dtype=np.float32), order=order)  # more than SUMMED
    x = random.standard_normal((13, 11, 100 * groups, 3), dtype=np.float32)
    dzdy = from_nhwc(random.standard_normal((3, *window.output_size(13, 11), 250), dtype=np.float32))
    (dx, *ours), (exact_dx, *exact) = (
        cpu.conv_backward(x, f, dzdy, window),
        plain.conv_backward(*wide(x, f, dzdy), window),
    )
    assert level == "plain" or ours[0].strides == f.strides
    assert_near(dx, exact_dx, 1e-5 if stride == 1 else 1e-6)  # of stride 1 it is Winograd's
    for a, e, terms in zip(ours, exact, plain.conv_backward(*sizes(x, f, dzdy), window)[1:]):
        assert_sums_near(a, e, terms)


@pytest.mark.parametrize("groups", [1, 2])
def test_many_channels_whose_pixels_lie_pages_apart_agree_with_float64(level, groups):
    random = np.random.default_rng(0)
    x = from_nhwc(random.standard_normal((2, 5, 6, 1024), dtype=np.float32))
    f = random.standard_normal((1, 1, 1024 // groups, 40), dtype=np.float32)
    for _ in range(2):
        y = plain.conv(*wide(x, f), None, Window((1, 1)))
        assert_sums_near(cpu.conv(x, f, None, Window((1, 1))), y, plain.conv(*sizes(x, f), None, Window((1, 1))))
        f *= 2  # the packed filters are kept: they must follow


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize(
    ("size", "count", "n"),
    [
        *[((3, 2, 41), 300, 1), ((3, 2, 43), 293, 5), ((1, 1, 71), 1001, 8), ((1, 1, 73), 1001, 11)],
        *[((2, 3, 50), 256, 16), ((3, 2, 41), 300, 17), ((2, 3, 50), 500, 100), ((1, 1, 71), 1024, 70)],
    ],
)
def test_fully_connected_layers_agree_with_float64(level, order, size, count, n):
    random = np.random.default_rng(0)
    x, b = random.standard_normal((*size, n), dtype=np.float32), random.standard_normal(count, dtype=np.float32)
    f = np.asarray(random.standard_normal((*size, count), dtype=np.float32), order=order)
    window = Window(size[:2])
    y = plain.conv(*wide(x, f, b), window)
    assert_sums_near(cpu.conv(x, f, b, window), y, plain.conv(*sizes(x, f, b), window))
    dzdy = random.standard_normal(y.shape, dtype=np.float32)
    exact, terms = (plain.conv_backward(*arrays, window) for arrays in (wide(x, f, dzdy), sizes(x, f, dzdy)))
    for a, e, t in zip(cpu.conv_backward(x, f, dzdy, window), exact, terms):
        assert_sums_near(a, e, t)


@pytest.mark.parametrize("level", [v for v in LEVELS if v != "plain"], indirect=True)  # there, layers run one by one
@pytest.mark.parametrize("size", [(3, 3, 20), (5, 2, 20), (12, 12, 20)])
@pytest.mark.parametrize("n", [1, 3])
def test_what_follows_a_convolution_may_be_done_with_it(level, size, n):
    """max(scale conv(x, f) + b + add, 0), by Winograd's way, directly, fully connected; filters kept and changed."""
    from pyconvnet.backends.cpu.convolution import conv
    from pyconvnet.backends.cpu.direct import Epilogue

    random = np.random.default_rng(0)
    x = random.standard_normal((12, 12, 20, n), dtype=np.float32)
    f = random.standard_normal((*size, 48), dtype=np.float32)
    b, scale = random.standard_normal((2, 48), dtype=np.float32)
    window = Window(size[:2])
    add = random.standard_normal((*window.output_size(12, 12), 48, n), dtype=np.float32)
    for change in (1, 2):
        scale *= change
        y = plain.conv(*wide(x, f * scale, b), window)
        terms = plain.conv(*sizes(x, f * scale, b), window)
        assert_sums_near(conv(x, f, b, window, Epilogue(scale)), y, terms)
        assert_sums_near(conv(x, f, b, window, Epilogue(scale, add)), y + add, terms + abs(add))
        both = conv(x, f, b, window, Epilogue(scale, add, True))
        assert_sums_near(both, np.maximum(y + add, 0), terms + abs(add))


def test_biases_are_summed_exactly_even_where_they_nearly_cancel(level):
    random = np.random.default_rng(65)
    x, f = (random.standard_normal(s, dtype=np.float32) for s in ((40, 30, 2, 3), (1, 1, 2, 1)))
    dzdy = random.standard_normal((40, 30, 1, 3), dtype=np.float32)
    dzdy -= dzdy.mean()
    db = cpu.conv_backward(x, f, dzdy, Window((1, 1)), (False, False, True))[2]
    assert abs(db[0] - dzdy.sum(dtype=np.float64)) <= 1e-7 * np.abs(dzdy).sum()


def test_both_ways_to_split_winograds_work_give_the_same(monkeypatch):
    from pyconvnet.backends.cpu import winograd

    random = np.random.default_rng(0)
    x = random.standard_normal((30, 26, 20, 2), dtype=np.float32)
    f = random.standard_normal((3, 3, 20, 50), dtype=np.float32)
    window = Window((3, 3), pad=(1, 1, 1, 1))
    results = []
    for fused_from in (0, 10**9):
        monkeypatch.setattr(winograd, "FUSED_FROM", fused_from)
        results.append(winograd.winograd(x, f, None, window))
    assert np.array_equal(*results)


def test_relu_is_fused_and_makes_what_is_not_a_number_zero():
    from pyconvnet.backends.cpu import convolution
    from pyconvnet.backends.cpu.direct import Epilogue

    random = np.random.default_rng(0)
    for size in (1, 3):
        x = random.standard_normal((12, 12, 32, 1), dtype=np.float32)
        x[5, 5, 0, 0] = np.nan
        f = random.standard_normal((size, size, 32, 40), dtype=np.float32)
        window = Window((size, size))
        plainly, fused = (convolution.conv(x, f, None, window, Epilogue(relu=r)) for r in (False, True))
        assert np.isnan(plainly).any() and np.array_equal(np.fmax(plainly, 0), fused)


def test_an_unknown_cpu_level_is_refused(monkeypatch):
    monkeypatch.setenv("PYCONVNET_CPU", "sse9")
    with pytest.raises(ValueError, match="PYCONVNET_CPU must be one of avx512, avx2, plain, got 'sse9'"):
        hardware.isa()


@pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("size", "stride", "count"), [(1, 1, 64), (1, 1, 96), (3, 1, 64), (3, 2, 48), (5, 3, 32), (4, 1, 40)]
)
def test_results_written_past_the_caches_have_the_same_bits(monkeypatch, size, stride, count, groups):
    """Directly and by Winograd's way, with and without what is added, which is read again."""
    from pyconvnet.backends.cpu import layout
    from pyconvnet.backends.cpu.convolution import conv
    from pyconvnet.backends.cpu.direct import Epilogue

    random = np.random.default_rng(0)
    x = random.standard_normal((2, 37, 34, 32 * groups), dtype=np.float32).transpose(1, 2, 3, 0)
    f = random.standard_normal((size, size, 32, count * groups), dtype=np.float32)
    b = random.standard_normal(count * groups, dtype=np.float32)
    window = Window((size, size), (stride, stride), (size // 2,) * 4)
    shape = 2, *window.output_size(37, 34), count * groups
    add = random.standard_normal(shape, dtype=np.float32).transpose(1, 2, 3, 0)
    for after in (Epilogue(), Epilogue(relu=True), Epilogue(add=add, relu=True)):
        results = []
        for streamed in (1, 1 << 40):
            monkeypatch.setattr(layout, "STREAMED", streamed)
            assert layout.streams(layout.empty((64, 16)), 16) is (streamed == 1)
            results.append(conv(x, f, b, window, after).tobytes())
        assert results[0] == results[1]


@pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
@pytest.mark.parametrize("order", "CF")
def test_derivatives_written_past_the_caches_have_the_same_bits(monkeypatch, order):
    from pyconvnet.backends.cpu import layout

    random = np.random.default_rng(0)
    x, dzdy = (random.standard_normal((1, 1, count, 6), dtype=np.float32) for count in (272, 304))
    f = np.asarray(random.standard_normal((1, 1, 272, 304), dtype=np.float32), order=order)
    results = []
    for streamed in (1, 1 << 40):
        monkeypatch.setattr(layout, "STREAMED", streamed)
        df = cpu.conv_backward(x, f, dzdy, Window((1, 1)), (False, True, False))[1]
        assert_near(df, plain.conv_backward(*wide(x, f, dzdy), Window((1, 1)))[1], 1e-6)
        results.append(df.tobytes())
    assert results[0] == results[1]
