"""PyTorch kernels agree with numpy's plain ones where MatConvNet's cases do not look; layers copy nothing."""

import numpy as np
import pytest
import tensors
from support import assert_close

import pyconvnet as pcn
from pyconvnet import backends
from pyconvnet.backends.reference import Reference
from pyconvnet.geometry import Window

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("no_hidden_copies")
ORACLE = Reference()


def agrees(name, device, *args, tolerance=1e-12):
    """The kernel of both backends gives the same."""
    sent = [tensors.placed(a, device) for a in args]
    ours, theirs = (getattr(b, name)(*a) for b, a in ((backends.of(sent[0]), sent), (ORACLE, args)))
    for a, b in zip(*(v if isinstance(v, tuple) else (v,) for v in (ours, theirs)), strict=True):
        assert_close(pcn.gather(a), b, name, tolerance)


def some(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def with_ties(*shape):
    return np.random.default_rng(1).integers(0, 3, shape).astype(float)


WINDOWS = [
    Window((3, 3), (2, 2), (0, 1, 0, 1)),
    Window((3, 2), (1, 2), (2, 1, 0, 1)),
    Window((1, 3), (1, 1), (0, 0, 2, 2)),
    Window((4, 4), (3, 1), (3, 3, 3, 3)),
    Window((2, 2), (2, 2)),
]


@pytest.mark.parametrize("method", ["max", "avg"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_pooling_has_matlabs_ties_borders_and_averages(device, window, method):
    x = with_ties(7, 8, 3, 2)
    out = (*window.output_size(7, 8), 3, 2)
    agrees("pool", device, x, window, method)
    agrees("pool_backward", device, x, window, method, some(*out))


def test_pooling_of_nan_gives_nan_and_no_derivative_where_numpys_passes_over_it(device):
    x = with_ties(6, 6, 2, 1)
    x[2, 3, 0] = np.nan
    window = Window((2, 2), (2, 2))
    theirs, dzdy = ORACLE.pool(x, window, "max"), some(3, 3, 2, 1)
    assert np.isfinite(theirs).all()
    theirs[1, 1, 0] = np.nan
    ours = pcn.gather(backends.of(tensors.placed(x, device)).pool(tensors.placed(x, device), window, "max"))
    assert_close(ours, theirs, "pool", 0)
    dzdy[1, 1, 0] = 0
    agrees("pool_backward", device, x, window, "max", dzdy)


@pytest.mark.parametrize("size", [(5, 6), (1, 6), (5, 1), (1, 1)])
@pytest.mark.parametrize("each", [1, 3])
def test_bilinear_sampling_is_matconvnets_at_the_borders(device, size, each):
    x = some(*size, 3, 2)
    grid = np.random.default_rng(2).uniform(-1.6, 1.6, (2, 4, 5, 2 * each))
    grid[:, 0, 0], grid[:, 0, 1], grid[:, 1, 0], grid[0, 1, 1] = -1, 1, 0, np.nan
    agrees("bilinear", device, x, grid)
    grid[0, 1, 1] = 0.5
    dzdy = some(4, 5, 3, 2 * each)
    agrees("bilinear_backward", device, x, grid, dzdy)


def test_derivatives_of_sampling_in_a_fixed_order_are_the_same(device):
    from pyconvnet.backends.torch import bilinear
    from pyconvnet.backends.torch.layout import from_nhwc, nchw, nhwc

    x, grid = some(5, 6, 3, 2), np.random.default_rng(2).uniform(-1.6, 1.6, (2, 4, 5, 4))
    dzdy = some(4, 5, 3, 4)
    theirs, _ = ORACLE.bilinear_backward(x, grid, dzdy)
    x, grid, dzdy = (pcn.gpuArray(a, device) for a in (x, grid, dzdy))
    points, within = bilinear._points(x, grid)
    dy = torch.where(within, nchw(from_nhwc(nhwc(dzdy).view(2, -1, 5, 3))), 0)
    assert_close(pcn.gather(bilinear.scattered(x, points, dy)), theirs, tolerance=1e-12)


@pytest.mark.parametrize("method", ["max", "avg"])
def test_regions_are_pooled_as_by_numpy_also_in_parts(device, method, monkeypatch):
    from pyconvnet.backends.torch import roipool

    monkeypatch.setattr(roipool, "_MOST", 200)
    x = with_ties(9, 11, 3, 2)
    rois = np.array([[1, 2, 1, 9, 7], [2, 1, 1, 11, 9], [1, 3, 3, 3, 3], [2, 5, 2, 40, 30], [1, 30, 30, 40, 40.0]]).T
    ours = tensors.placed(x, device)
    options = {"method": method, "subdivisions": (3, 2)}
    y = pcn.vl_nnroipool(x, rois, **options)
    assert_close(pcn.gather(pcn.vl_nnroipool(ours, rois, **options)), y, tolerance=1e-12)
    dzdy = some(*y.shape)
    dx = pcn.vl_nnroipool(ours, rois, tensors.placed(dzdy, device), **options)
    assert_close(pcn.gather(dx), pcn.vl_nnroipool(x, rois, dzdy, **options), tolerance=1e-12)


@pytest.mark.parametrize("n", [1, 2, 4, 5, 14, 20])
def test_lrn_takes_windows_of_any_size(device, n):
    x, dzdy = some(3, 4, 7, 2), some(3, 4, 7, 2, seed=1)
    with pcn.local_precision("high"):
        agrees("lrn", device, x, n, 2.0, 0.5, 0.75)
        agrees("lrn_backward", device, x, dzdy, n, 2.0, 0.5, 0.75)


def test_convolutions_take_uneven_borders_and_any_memory_order(device):
    x, f = np.asfortranarray(some(9, 8, 4, 2)), np.asfortranarray(some(3, 2, 2, 6))
    for pad in [(0, 1, 0, 1), (2, 0, 1, 1), (1, 1, 2, 2)]:
        window = Window((3, 2), (2, 1), pad, (1, 2))
        agrees("conv", device, x, f, some(6), window)
        agrees("conv_backward", device, x, f, some(*window.output_size(9, 8), 6, 2), window)
    for crop in [(0, 0, 0, 0), (1, 1, 0, 1), (2, 0, 1, 1)]:
        f = some(4, 3, 5, 4)
        agrees("convt", device, x, f, some(10), (2, 3), crop, 2)
        out = (2 * 8 + 4 - crop[0] - crop[1], 3 * 7 + 3 - crop[2] - crop[3])
        agrees("convt_backward", device, x, f, some(*out, 10, 2), (2, 3), crop, 2)


def test_a_rectifier_keeps_nan_where_numpys_makes_it_zero(device):
    x = pcn.gpuArray(np.array([np.nan, -np.inf, np.inf, -1.0]), device)
    np.testing.assert_array_equal(pcn.gather(backends.of(x).relu(x, 0.0)), [np.nan, 0, np.inf, 0])
    np.testing.assert_array_equal(ORACLE.relu(pcn.gather(x), 0.0), [0, 0, np.inf, 0])


@pytest.mark.parametrize("name", ["relu_backward", "sigmoid", "softmax", "elu", "swish", "swish_slope"])
def test_nan_and_infinity_come_out_as_numpys(device, name):
    x = np.array([np.nan, -np.inf, np.inf, -0.0, 1.0]).reshape(1, 1, 1, 5)
    more = {"relu_backward": (some(1, 1, 1, 5), 0.0), "elu": (1.0,), "swish": (1.0,)}
    with np.errstate(invalid="ignore"):
        agrees(name, device, x, *more.get(name, (1.0,) if "swish" in name else ()))


def test_a_sign_is_nan_where_a_value_is(device):
    x = pcn.gpuArray(np.array([np.nan, -2.0, 0.0, 3.0], np.float32), device)
    np.testing.assert_array_equal(pcn.gather(backends.of(x).sign(x)), [np.nan, -1, 0, 1])


def test_moments_are_found_anew_when_an_array_changes(device):
    x = pcn.gpuArray(some(4, 4, 3, 2), device)
    backend = backends.of(x)
    first = backend.moments_of(x, 1e-4)
    assert backend.moments_of(x, 1e-4) is first
    assert backend.moments_of(x, 1e-3) is not first
    x *= 2
    np.testing.assert_allclose(pcn.gather(backend.moments_of(x, 0.0))[:, 0], pcn.gather(first)[:, 0] * 2, rtol=1e-12)


def test_a_batch_without_images_gives_one_without_images(device):
    x = pcn.gpuArray(np.zeros((6, 6, 3, 0), np.float32), device)
    f = pcn.gpuArray(np.zeros((3, 3, 3, 4), np.float32), device)
    assert tuple(pcn.vl_nnconv(x, f, None).shape) == (4, 4, 4, 0)
    assert tuple(pcn.vl_nnpool(x, 2).shape) == (5, 5, 3, 0)


LAYERS = [
    {"type": "conv", "weights": [some(3, 3, 3, 8), some(8)], "pad": (0, 1, 0, 1), "stride": 1},
    {"type": "bnorm", "weights": [some(8), some(8), np.abs(some(8, 2))]},
    {"type": "relu"},
    {"type": "pool", "pool": 3, "stride": 2, "pad": (0, 1, 0, 1), "method": "max"},
    {"type": "lrn", "param": [5, 1, 0.1, 0.75]},
    {"type": "pool", "pool": 2, "stride": 2, "method": "avg"},
    {"type": "dropout", "rate": 0.5},
    {"type": "conv", "weights": [some(3, 3, 8, 1), some(1)], "pad": 1, "stride": 1},
    {"type": "sigmoid"},
    {"type": "convt", "weights": [some(2, 2, 5, 1), some(5)], "upsample": 2, "crop": (0, 1, 1, 0)},
    {"type": "spnorm", "param": [2, 2, 0.1, 0.75]},
    {"type": "conv", "weights": [some(5, 5, 5, 6), some(6)], "pad": 0, "stride": 1},
    {"type": "relu", "leak": 0.1},
    {"type": "conv", "weights": [some(1, 1, 6, 4), some(4)], "pad": 0, "stride": 1},
    {"type": "softmaxloss", "class": np.array([1, 2])},
]


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["normal", "test"])
def test_every_layer_hands_on_channels_last(device, real, mode):
    net = pcn.SimpleNN(layers=[pcn.Struct(layer) for layer in LAYERS])
    for layer in net.layers:
        if "weights" in layer:
            layer.weights = [pcn.gpuArray(w.astype(real), device) for w in layer.weights]
    x = pcn.gpuArray(some(16, 16, 3, 2).astype(real), device)
    res = pcn.vl_simplenn(net, x, 1, mode=mode)
    for i, result in enumerate(res):
        for what in ("x", "dzdx"):
            h, w, c, n = result[what].shape
            lies = result[what].permute(3, 2, 0, 1).is_contiguous(memory_format=torch.channels_last)
            assert lies, f"{what} of {i}, {h}x{w}x{c}x{n}"
    ours = [d for result in res for d in result.dzdw]
    for layer, result in zip(net.layers, res):
        for w, d in zip(layer.get("weights") or (), result.dzdw):
            lie = [[step for step, size in zip(a.stride(), a.shape) if size > 1] for a in (d, w)]
            assert lie[0] == lie[1], layer.type
    assert len(ours) == 13
