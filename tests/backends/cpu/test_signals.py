"""Long signals, 1 x W: their ends are computed apart from the middle, which is not copied."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends import cpu
from pyconvnet.backends.cpu import CPU, direct, hardware
from pyconvnet.backends.cpu.convolution import conv
from pyconvnet.backends.cpu.direct import PLAIN, Epilogue
from pyconvnet.backends.reference import Reference
from pyconvnet.geometry import Window
from pyconvnet.records import Struct
from pyconvnet.simplenn import SimpleNN

pytestmark = pytest.mark.skipif(cpu.isa() == "plain", reason="the compiled kernels are tested")


@pytest.fixture
def whole(monkeypatch):
    """A function that gives the same convolution with every signal in one part."""

    def of(*args):
        with monkeypatch.context() as patch:
            patch.setattr(direct, "LONG", 1 << 40)
            direct._plan.cache_clear()
            y = conv(*args)
        direct._plan.cache_clear()
        return y

    return of


def signal(seed):
    """(x, f, b, window) of a random convolution along a signal, or a few, of 256 or more outputs that see no end."""
    random = np.random.default_rng(seed)
    groups, n, h = (int(random.integers(1, 3)) for _ in range(3))
    wide, stride, dilate = (int(random.integers(1, most)) for most in (12, 3, 3))
    pad = 0, 0, *map(int, random.integers(0, 12, 2))
    c, each, w = int(random.integers(1, 20)), int(random.integers(1, 40)), int(random.integers(560, 700))
    x = random.standard_normal((n, h, w, c * groups), np.float32).transpose(1, 2, 3, 0)
    f = random.standard_normal((1, wide, c, each * groups), np.float32)
    x = np.asfortranarray(x) if seed % 4 == 0 else x
    window = Window((1, wide), (1, stride), pad, (1, dilate))
    return x, f, random.standard_normal(each * groups, np.float32), window


@pytest.mark.parametrize("seed", range(40))
def test_random_windows(seed, whole):
    x, f, b, window = signal(seed)
    y = CPU().conv(x, f, b, window)
    exact = [a.astype(np.float64) for a in (x, f, b)]
    expected = Reference().conv(*exact, window)
    assert abs(y - expected).max() <= 2e-6 * abs(expected).max()
    random = np.random.default_rng(seed)
    add = random.standard_normal(y.shape, np.float32)
    scale = random.standard_normal(b.size, np.float32)
    for after in (PLAIN, Epilogue(scale, add, True)):
        np.testing.assert_array_equal(conv(x, f, b, window, after), whole(x, f, b, window, after))
    dzdy = random.standard_normal(y.shape, np.float32)
    right = Reference().conv_backward(exact[0], exact[1], dzdy.astype(np.float64), window)
    for found, der in zip(CPU().conv_backward(x, f, dzdy, window), right):
        assert abs(found - der).max() <= 8e-6 * max(1, abs(der).max())


def test_there_are_such_windows():
    plans = []
    for seed in range(40):
        x, f, _, window = signal(seed)
        shapes = x.shape, f.shape
        plans.append(direct._plan(*shapes, window, x.shape[2] // f.shape[2], hardware.tile(), 2, False)[1])
    assert {len(parts) for parts in plans} == {1, 2, 3}


def test_recorded_runs_read_other_signals_where_they_lie():
    random = np.random.default_rng(0)
    layer = Struct(
        type="conv",
        weights=[random.standard_normal((1, 9, 16, 24), np.float32), np.zeros((24, 1), np.float32)],
        pad=[0, 0, 4, 4],
        stride=1,
    )
    net = pcn.deploy(pcn.vl_simplenn_tidy(SimpleNN(layers=[layer])))
    for _ in range(6):
        x = random.standard_normal((1, 1000, 16, 2), np.float32)
        y = pcn.vl_simplenn(net, x, mode="test")[-1].x
        np.testing.assert_array_equal(y, pcn.vl_nnconv(x, *net.layers[0].weights, pad=[0, 0, 4, 4]))
