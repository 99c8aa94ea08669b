"""Convolutions of deployed networks in bfloat16: what is rounded, how far results are off, when it is not used."""

from __future__ import annotations

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends.cpu import CPU, bfloat16, hardware
from pyconvnet.backends.reference.conv import conv
from pyconvnet.geometry import Window
from pyconvnet.records import Struct
from pyconvnet.simplenn import SimpleNN

pytestmark = pytest.mark.skipif(
    hardware.isa() != "avx512" or not hardware._has("avx512bf16"), reason="this CPU does not multiply bfloat16"
)


@pytest.fixture(autouse=True, params=["AVX512-BF16", "AMX"])
def way(request, monkeypatch):
    """Both ways to multiply, the first also where it is not faster."""
    amx = request.param == "AMX"
    if amx and not hardware.has_amx():
        pytest.skip("this CPU has no AMX")
    monkeypatch.setattr(hardware, "has_amx", lambda: amx)
    monkeypatch.setattr(hardware, "has_bfloat16", lambda: not amx)
    return request.param


def lasting(f, order="C"):
    """The same filters in memory that nobody can write to, as `deploy` leaves them."""
    return np.frombuffer(f.tobytes(order), f.dtype).reshape(f.shape, order=order)


def rounded(a):
    """The nearest numbers of 8 bits, those with an even last bit where two are as near."""
    fraction, power = np.frexp(a.astype(np.float64))
    return np.ldexp(np.round(fraction * 256), power - 8)


def arrays(h, w, c, n, fh, fw, k, groups=1, seed=0):
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, h, w, c), np.float32).transpose(1, 2, 3, 0)
    f = random.standard_normal((fh, fw, c // groups, k), np.float32)
    return x, f, random.standard_normal(k).astype(np.float32)


def in_bfloat16(x, f, b, window):
    with pcn.local_precision("bfloat16"):
        return CPU().conv(x, f, b, window)


CASES = {  # h, w, c, n, fh, fw, k, groups; window
    "1 x 1": ((9, 7, 64, 3, 1, 1, 130), Window((1, 1))),
    "few pixels": ((1, 3, 256, 1, 1, 1, 64), Window((1, 1))),
    "stride": ((9, 8, 32, 2, 1, 1, 300), Window((1, 1), (2, 2))),
    "3 x 3, stride 2": ((13, 14, 18, 2, 3, 3, 64), Window((3, 3), (2, 2), (1, 0, 1, 1))),
    "in Winograd's place": ((14, 14, 64, 2, 3, 3, 96), Window((3, 3), (2, 2), (1, 1, 1, 1))),
    "7 x 7": ((16, 15, 16, 2, 7, 7, 20), Window((7, 7), (1, 1), (3, 3, 3, 3))),
    "wide": ((1, 40, 24, 2, 1, 9, 40), Window((1, 9), (1, 1), (0, 0, 4, 4))),
    "groups": ((8, 8, 64, 2, 1, 1, 260, 2), Window((1, 1))),
    "deep": ((4, 4, 1200, 5, 1, 1, 17), Window((1, 1))),
}
ONLY_AMX = {
    "3 x 3": ((14, 14, 64, 2, 3, 3, 96), Window((3, 3), pad=(1, 1, 1, 1))),
    "an image as one line": ((7, 7, 64, 8, 3, 3, 40), Window((3, 3), pad=(1, 1, 1, 1))),
    "runs that overlap": ((5, 57, 48, 1, 3, 3, 64), Window((3, 3), pad=(1, 1, 1, 1))),
    "several rounds": ((40, 60, 128, 2, 3, 3, 40), Window((3, 3), pad=(1, 1, 1, 1))),
    "dilated": ((14, 15, 64, 1, 3, 3, 96), Window((3, 3), pad=(2, 2, 2, 2), dilate=(2, 2))),
    "few numbers": ((9, 7, 16, 3, 3, 3, 1), Window((3, 3))),
    "an odd number of channels": ((9, 7, 65, 3, 1, 1, 130), Window((1, 1))),
    "uneven groups": ((9, 9, 96, 2, 3, 3, 153, 3), Window((3, 3), pad=(1, 1, 1, 1))),
    "many filters": ((30, 30, 32, 2, 1, 1, 1100), Window((1, 1))),
    "fully connected": ((6, 6, 64, 9, 6, 6, 200), Window((6, 6))),
    "fully connected, many images": ((3, 3, 32, 300, 3, 3, 20), Window((3, 3))),
    "colours": ((23, 25, 3, 2, 7, 7, 64), Window((7, 7), (2, 2), (3, 2, 3, 3))),
    "colours, 3 x 3": ((9, 40, 3, 2, 3, 3, 20), Window((3, 3), pad=(1, 1, 1, 1))),
    "colours, wide border": ((4, 3, 5, 1, 2, 4, 20), Window((2, 4), (1, 2), (1, 0, 3, 9), (2, 1))),
}


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("case", [*CASES, *ONLY_AMX])
def test_images_and_filters_are_rounded_and_nothing_else(case, order, way):
    if case in ONLY_AMX and way != "AMX":
        pytest.skip("not computed so")
    sizes, window = CASES.get(case) or ONLY_AMX[case]
    x, f, b = arrays(*sizes)
    exact = conv(rounded(x), rounded(f), b.astype(np.float64), window)
    y = in_bfloat16(x, lasting(f, order), b, window)
    assert y.dtype == np.float32 and abs(y - exact).max() < 2e-6 * abs(exact).max()
    unrounded = conv(x.astype(np.float64), f.astype(np.float64), b.astype(np.float64), window)
    assert 1e-4 < abs(y - unrounded).max() / abs(unrounded).max() < 5e-3


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_gives_the_same_to_rounding(threads):
    x, f, b = arrays(9, 7, 64, 3, 1, 1, 130)
    usual = in_bfloat16(x, lasting(f), b, Window((1, 1)))
    with pcn.num_threads(threads):
        assert abs(in_bfloat16(x, lasting(f), b, Window((1, 1))) - usual).max() < 2e-6 * abs(usual).max()


LEFT = {
    "AVX512-BF16": [
        (9, 7, 65, 3, 1, 1, 130),  # an odd number of channels
        (9, 7, 14, 3, 1, 1, 1300),  # few
        (9, 7, 64, 3, 1, 1, 64),  # few numbers
        (9, 7, 64, 3, 3, 3, 64),  # Winograd's algorithm
    ],
    "AMX": [
        (9, 7, 7, 3, 1, 1, 1300),  # few channels in one tap
        (9, 7, 1, 3, 3, 3, 64),  # or in a row of a filter
        (9, 7, 96, 3, 1, 1, 1300, 2),  # groups of 48 channels
    ],
}


def test_others_are_computed_as_ever(way):
    for sizes in LEFT[way]:
        x, f, b = arrays(*sizes)
        window = Window(sizes[4:6])
        assert in_bfloat16(x, lasting(f), b, window).tobytes() == CPU().conv(x, f, b, window).tobytes()


def test_filters_that_may_change_are_used_as_they_are():
    x, f, b = arrays(9, 7, 64, 3, 1, 1, 130)
    assert in_bfloat16(x, f, b, Window((1, 1))).tobytes() == CPU().conv(x, f, b, Window((1, 1))).tobytes()


def test_filters_in_another_order_are_computed_as_ever():
    x, f, b = arrays(9, 7, 64, 3, 3, 3, 130)
    turned = np.frombuffer(f.transpose(3, 0, 2, 1).tobytes(), np.float32).reshape(130, 3, 64, 3).transpose(1, 3, 2, 0)
    window = Window((3, 3), (3, 3))
    assert in_bfloat16(x, turned, b, window).tobytes() == CPU().conv(x, turned, b, window).tobytes()
    assert in_bfloat16(x, lasting(f), b, window).tobytes() != CPU().conv(x, f, b, window).tobytes()


def test_a_cpu_without_it_computes_as_ever(monkeypatch):
    for way in ("has_bfloat16", "has_amx"):
        monkeypatch.setattr(hardware, way, lambda: False)
    x, f, b = arrays(9, 7, 64, 3, 1, 1, 130)
    y = CPU().conv(x, f, b, Window((1, 1)))
    assert in_bfloat16(x, lasting(f), b, Window((1, 1))).tobytes() == y.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so(value):
    x, f, b = arrays(4, 4, 64, 1, 1, 1, 130)
    x[1, 2, 7, 0] = value
    y = in_bfloat16(x, lasting(f), b, Window((1, 1)))
    there = np.zeros((4, 4), bool)
    there[1, 2] = True
    assert (np.isfinite(y[..., 0]).all(axis=2) == ~there).all()
    np.testing.assert_array_equal(y[1, 2, :, 0], value * np.sign(f[0, 0, 7]))
    x[1, 2, 7, 0], f[0, 0, 9, 100] = 1, value
    y = in_bfloat16(x, lasting(f), b, Window((1, 1)))
    assert not np.isfinite(y[:, :, 100]).any() and np.isfinite(y[:, :, :100]).all()


def test_numbers_halfway_go_to_the_even_one():
    """1 + 2^-8 and 1 + 3 2^-8 lie between two numbers of bfloat16; payloads of NaN make no other number of it."""
    numbers = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 1e-30, 3e38], np.float32)
    f = np.zeros((1, 1, 16, 512), np.float32)
    f[0, 0, 3] = 1
    for number in numbers:
        x = np.full((1, 1, 16, 1), number, np.float32)
        y = in_bfloat16(x, lasting(f), None, Window((1, 1)))
        assert (y == np.float32(rounded(number))).all()
        filters = bfloat16.filters_of_pairs(np.full((1, 1, 2, 1), number, np.float32)).view(np.uint16)
        assert ((filters.astype(np.uint32) << 16).view(np.float32) == np.float32(rounded(number))).all()
    payloads = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00001], np.uint32).view(np.float32)
    filters = bfloat16.filters_of_pairs(np.repeat(payloads, 2).reshape(1, 1, 2, 3)).view(np.uint16)
    assert np.isnan((filters.astype(np.uint32) << 16).view(np.float32)).all()


def residual():
    """Convolutions with normalizations, a sum and rectifiers, which become parts of them."""
    random = np.random.default_rng(1)
    net = pcn.DagNN()

    def put(name, block, inputs, *values):
        params = [f"{name}_{i}" for i in range(len(values))]
        net.addLayer(name, block, inputs, name, params or None)
        for param, value in zip(params, values):
            net.params[param].value = np.asarray(value, np.float32)
        return name

    def layer(name, x, size, c, k, **options):
        f = random.standard_normal((size, size, c, k)) / np.sqrt(size * size * c)
        at = put(name, pcn.dagnn.Conv(size=[size, size, c, k], hasBias=False, **options), x, f)
        moments = np.stack([random.standard_normal(k), random.uniform(0.5, 2, k)], 1)
        at = put(f"{name}n", pcn.dagnn.BatchNorm(numChannels=k), at, random.uniform(0.5, 2, k), np.zeros(k), moments)
        return at

    at = put("r", pcn.dagnn.ReLU(), layer("a", "x", 1, 64, 128))
    at = put("s", pcn.dagnn.ReLU(), layer("b", at, 3, 128, 128, pad=[1, 1, 1, 1]))
    at = put("t", pcn.dagnn.Sum(), [layer("c", at, 1, 128, 256), layer("d", "x", 1, 64, 256)])
    put("y", pcn.dagnn.ReLU(), at)
    net.mode = "test"
    return net


def test_a_deployed_network_recorded_or_not():
    net = pcn.deploy(residual())
    x = np.random.default_rng(0).standard_normal((12, 10, 64, 2), np.float32)
    exact = pcn.predict(net, x)
    with pcn.local_precision("bfloat16"):
        found = [pcn.predict(net, x) for _ in range(5)]
        other = pcn.predict(net, -x)
        assert len({y.tobytes() for y in found}) == 1 and other.tobytes() != found[0].tobytes()
    assert 1e-4 < abs(found[0] - exact).max() / abs(exact).max() < 1e-2
    assert pcn.predict(net, x).tobytes() == exact.tobytes()


def test_a_chain_that_was_not_deployed_is_not_rounded():
    x, f, b = arrays(9, 7, 64, 3, 1, 1, 130)
    net = pcn.vl_simplenn_tidy(SimpleNN(layers=[Struct(type="conv", weights=[f, b])]))
    y = pcn.predict(net, x)
    with pcn.local_precision("bfloat16"):
        assert pcn.predict(net, x).tobytes() == y.tobytes()
        assert pcn.predict(pcn.deploy(net), x).tobytes() != y.tobytes()
