"""NaN, infinities, zeros and denormal numbers come out as MatConvNet's formulas have them, on every instruction level.

The formulas are those of its .m and .cpp files, with MATLAB's maximum, which passes over NaN: docs/numbers.md.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensors

import pyconvnet as pcn
from pyconvnet.backends.cpu.hardware import LEVELS

NAN, INF = np.nan, np.inf
SPECIAL = [NAN, INF, -INF, -0.0, 0.0, 1e-40, -1e-40, 1.0, -2.5, 3e38, -3e38]
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture(params=[*LEVELS, "float64", "torch"])
def run(request, monkeypatch):
    """run(operator, *arrays, **options): its results in numpy, of single or double precision, or by PyTorch."""
    where = request.param
    if where in LEVELS:
        monkeypatch.setenv("PYCONVNET_CPU", where)

    def made(a):
        if not isinstance(a, np.ndarray):
            return a
        a = a.astype(np.float64 if where == "float64" else np.float32)
        return tensors.placed(a, tensors.require("torch:cpu")) if where == "torch" else a

    def call(operator, *args, **options):
        out = operator(*map(made, args), **{k: made(v) for k, v in options.items()})
        return [pcn.gather(o) for o in out] if isinstance(out, (tuple, list)) else pcn.gather(out)

    call.where = where
    return call


def numpy_only(run):
    if run.where == "torch":
        pytest.skip("PyTorch's rectifier and maximum keep NaN: tests/backends/torch/test_kernels.py")


def same(ours, theirs, what="", least=1.2e-38):
    """Equal to 2e-6, NaN and infinities included; zeros of either sign, and what is below `least`, are alike."""
    theirs = np.broadcast_to(np.asarray(theirs, np.float64), np.shape(ours))
    if ours.dtype == np.float32:
        theirs = theirs.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(ours.astype(np.float64), theirs, rtol=2e-6, atol=least, err_msg=what)


def pixels(*values, channels=1):
    """1 x n x channels x 1: a pixel for each value."""
    return np.tile(np.reshape(values, (1, -1, 1, 1)), (1, 1, channels, 1)).astype(np.float64)


def vectors(count, length, seed=0):
    """1 x count x length x 1: channels with special values among others."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((1, count, length, 1))
    for i in range(count):
        x[0, i, random.integers(0, length, 1 + i % 2), 0] = random.choice(SPECIAL, 1 + i % 2)
    return x


def wide(x, run):
    """What the operator is given, in double precision."""
    return x if run.where == "float64" else x.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("leak", [0, 0.1])
@pytest.mark.parametrize("channels", [1, 37])
def test_relu(run, leak, channels):
    x = pixels(*SPECIAL, channels=channels)
    if leak == 0:
        numpy_only(run)
        same(run(pcn.vl_nnrelu, x), np.fmax(wide(x, run), 0))
    else:
        same(run(pcn.vl_nnrelu, x, leak=leak), wide(x, run) * np.where(x > 0, 1, leak))
    for d in SPECIAL:
        dzdy = np.full(x.shape, d)
        same(run(pcn.vl_nnrelu, x, dzdy, leak=leak), wide(dzdy, run) * np.where(x > 0, 1, leak), f"dzdy {d}")


def test_sigmoid(run):
    x = pixels(*SPECIAL, 90, -90, 120, -120, channels=3)
    y = 1 / (1 + np.exp(-wide(x, run)))
    same(run(pcn.vl_nnsigmoid, x), y)
    same(run(pcn.vl_nnsigmoid, x, np.ones(x.shape)), y * (1 - y))


@pytest.mark.parametrize("length", [1, 5, 37])
def test_softmax(run, length):
    x = vectors(60, length)
    e = np.exp(wide(x, run) - np.fmax.reduce(wide(x, run), axis=2, keepdims=True))
    y = e / e.sum(2, keepdims=True)
    same(run(pcn.vl_nnsoftmax, x), y)
    dzdy = np.random.default_rng(1).standard_normal(x.shape)
    dx = run(pcn.vl_nnsoftmax, x, dzdy)
    assert np.array_equal(np.isnan(dx), np.isnan(y))


@pytest.mark.parametrize("method", ["max", "avg"])
@pytest.mark.parametrize("channels", [1, 20])
def test_pooling_passes_over_nan_and_gives_minus_infinity_no_derivative(run, method, channels):
    if method == "max":
        numpy_only(run)
    from tests.differential.windows import pooled

    values = SPECIAL if method == "max" else SPECIAL[:-2]  # of those, an average depends on the order of the sum
    x = np.random.default_rng(0).choice(values, (12, 10, channels, 2))
    x[:4, :4] = NAN
    x[4:8, :4] = -INF
    dzdy = np.random.default_rng(1).standard_normal((6, 5, channels, 2))
    cells = [
        ((i, j, n), (n, slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2)))
        for i, j, n in itertools.product(range(6), range(5), range(2))
    ]
    y, dx = pooled(wide(x, run), cells, wide(dzdy, run), method, np.float32)
    options = {"stride": 2, "method": method}
    same(run(pcn.vl_nnpool, x, 2, **options), y.value)
    same(run(pcn.vl_nnpool, x, 2, dzdy, **options), dx.value)
    if run.where == "torch":
        return  # an average of regions there is a product of matrices, which what is not finite gets into
    rois = np.array([[1.0, 1, 1, 10, 12], [2, 1, 1, 10, 12]]).T
    options = {"subdivisions": (6, 5), "method": method}
    same(run(pcn.vl_nnroipool, x, rois, **options), y.value)
    same(run(pcn.vl_nnroipool, x, rois, dzdy, **options), dx.value)


def matlabs_losses(x, c):
    """The summands of vl_nnloss and their derivatives for labels c, 1 x n x 1 x 1, as its .m file has them."""
    at = np.maximum(c - 1, 0).astype(int)
    xc = np.take_along_axis(x, at, 2)
    top = np.fmax.reduce(x, axis=2, keepdims=True)
    e = np.exp(x - top)
    others = x.copy()
    np.put_along_axis(others, at, -INF, 2)
    rival = np.fmax.reduce(others, axis=2, keepdims=True)
    first = np.argmax(others == rival, axis=2, keepdims=True)

    def placed(values, more=None):
        y = np.zeros(x.shape)
        np.put_along_axis(y, at, values, 2)
        if more is not None:
            np.put_along_axis(y, first, more, 2)
        return y

    soft = e / e.sum(2, keepdims=True)
    inside = (xc - np.take_along_axis(x, first, 2) < 1).astype(float)
    order = np.argsort(np.where(np.isnan(x), -INF, -x), axis=2, kind="stable")[:, :, :2]
    return {
        "classerror": (np.argmax(x == top, axis=2, keepdims=True) != at, np.zeros(x.shape)),
        "topkerror": (1.0 - (order == at).any(2, keepdims=True), np.zeros(x.shape)),
        "log": (np.where(c > 0, -np.log(np.where(c > 0, xc, 1)), 0), placed(-1 / np.fmax(xc, 1e-8))),
        "softmaxlog": (top + np.log(e.sum(2, keepdims=True)) - xc, soft + placed(np.full(c.shape, -1.0))),
        "mhinge": (np.fmax(1 - xc, 0), placed(-(xc < 1).astype(float))),
        "mshinge": (np.fmax(1 - xc + rival, 0), placed(-inside, inside)),
    }


@pytest.mark.parametrize("loss", ["classerror", "topkerror", "log", "softmaxlog", "mhinge", "mshinge"])
def test_losses_of_classes(run, loss):
    x = vectors(80, 4)
    c = (np.arange(80) % 4 + 1.0).reshape(1, 80, 1, 1)
    terms, ders = matlabs_losses(wide(x, run), c)[loss]
    for i in range(80):
        pixel, label = x[:, i : i + 1], c[:, i : i + 1]
        if loss == "mshinge" and np.fmax.reduce(np.delete(pixel[0, 0, :, 0], int(c[0, i, 0, 0]) - 1)) == -INF:
            continue  # without a rival MatConvNet's derivative goes to the first class
        options = {"loss": loss, "topK": 2}
        same(run(pcn.vl_nnloss, pixel, label, **options), terms[:, i : i + 1], f"{pixel.ravel()} {label.ravel()}")
        same(run(pcn.vl_nnloss, pixel, label, 1.0, **options), ders[:, i : i + 1], f"{pixel.ravel()} {label.ravel()}")
    if loss == "softmaxlog":
        same(run(pcn.vl_nnsoftmaxloss, x[:, :1], c[:, :1]), terms[:, :1])


def test_what_is_left_out_weighs_zero_and_nan_stays_nan_but_for_the_logarithm(run):
    x, none = pixels(NAN, channels=3), np.zeros((1, 1, 1, 1))
    assert np.isnan(run(pcn.vl_nnsoftmaxloss, x, none)) and run(pcn.vl_nnloss, x, none, loss="log") == 0
    assert run(pcn.vl_nnloss, pixels(0, channels=3), none, loss="log") == 0  # MatConvNet: 0 times infinity


@pytest.mark.parametrize("c", [1.0, -1.0])
def test_losses_of_two_classes(run, c):
    x = pixels(*SPECIAL, 0.25, 100, -100)
    z = wide(x, run)
    a = -c * z
    b = np.fmax(a, 0)
    p = c * (z - 0.5) + 0.5
    expected = {
        "binaryerror": (np.where(np.isnan(z), 1, np.sign(z) != c), np.zeros(x.shape)),
        "binarylog": (-np.log(p), -1 / (z + (c - 1) / 2)),
        "logistic": (b + np.log(np.exp(-b) + np.exp(a - b)), -c / (1 + np.exp(c * z))),
        "hinge": (np.fmax(1 - c * z, 0), -c * (c * z < 1)),
    }
    for loss, (terms, ders) in expected.items():
        for i in range(x.shape[1]):
            args = x[:, i : i + 1], np.full((1, 1, 1, 1), c)
            same(run(pcn.vl_nnloss, *args, loss=loss), terms[:, i : i + 1], f"{loss} {x[0, i]}")
            same(run(pcn.vl_nnloss, *args, 1.0, loss=loss), ders[:, i : i + 1], f"{loss} {x[0, i]}")


def test_batch_normalization_of_one_value_only_and_of_channels_that_are_not_finite(run):
    x = np.random.default_rng(0).standard_normal((4, 3, 20, 2))
    x[:, :, 0] = 7
    x[1, 1, 3, 0], x[1, 1, 17, 0] = NAN, INF
    odd = np.isin(np.arange(20), (3, 17))
    g, b = np.full(20, 2.0), np.arange(20.0)
    dzdy = np.random.default_rng(1).standard_normal(x.shape)
    y, moments = run(pcn.vl_nnbnorm, x, g, b)
    dx, dg, db, _ = run(pcn.vl_nnbnorm, x, g, b, dzdy)
    for a in (y, dx):
        assert np.isnan(a[:, :, odd]).all() and np.isfinite(a[:, :, ~odd]).all()
    assert np.isnan(dg[odd]).all() and np.isfinite(dg[~odd]).all() and np.isfinite(db).all()
    assert np.isnan(moments[odd, 1]).all() and np.allclose(moments[0], [7, 0.01], rtol=1e-4) and (y[:, :, 0] == 0).all()
    y, _ = run(pcn.vl_nnbnorm, x[:, :, :1], g[:1], b[:1], epsilon=0)
    assert np.isnan(y).all() or run.where == "torch"  # 0 / 0


@pytest.mark.parametrize("precision", ["fast", "high"])
def test_normalization_across_channels_is_nan_where_a_window_holds_nan(run, precision):
    x = np.random.default_rng(0).standard_normal((1, 1, 40, 1))
    plain = x.copy()
    x[0, 0, 20] = NAN
    near = abs(np.arange(40) - 20) <= 2
    dzdy = np.ones(x.shape)
    with pcn.local_precision(precision):
        y, exact = run(pcn.vl_nnnormalize, x, [5, 1, 0.5, 0.75]), run(pcn.vl_nnnormalize, plain, [5, 1, 0.5, 0.75])
        dx = run(pcn.vl_nnnormalize, x, [5, 1, 0.5, 0.75], dzdy)
    assert np.isnan(y[0, 0, near]).all()
    same(y[0, 0, ~near], exact[0, 0, ~near])
    assert np.array_equal(np.isnan(dx[0, 0, :, 0]), abs(np.arange(40) - 20) <= 4)


def test_exact_powers_of_zero_infinity_and_below_zero(run):
    x = np.array([0, 3e38, 1e-15, 2.0]).reshape(1, 4, 1, 1)
    for kappa, alpha, beta in ((0, 1, 0.75), (1, 1, 0.75), (0, 1, -0.5), (-1, 0.5, 0.75), (0, 1, 0)):
        with pcn.local_precision("high"):
            y = run(pcn.vl_nnnormalize, x, [1, kappa, alpha, beta])
        square = wide(x, run) ** 2
        square = square if run.where == "float64" else square.astype(np.float32).astype(float)
        same(y, wide(x, run) * (kappa + alpha * square) ** -beta, f"{kappa} {alpha} {beta}")


def test_spatial_normalization(run):
    x = np.random.default_rng(0).standard_normal((6, 6, 3, 1))
    x[1, 1, 0], x[1, 1, 1], x[4, 4, 2] = NAN, INF, 3e38
    square = (x * x) if run.where == "float64" else (x * x).astype(np.float32).astype(float)
    mean = np.empty(x.shape)
    for i, j in np.ndindex(6, 6):
        mean[i, j] = square[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].mean((0, 1))
    same(run(pcn.vl_nnspnorm, x, [3, 3, 0.5, 0.75]), x * (1 + 0.5 * mean) ** -0.75)


def test_norms_and_distances(run):
    x, target = vectors(60, 3), np.random.default_rng(3).standard_normal((1, 60, 3, 1))
    z, t = wide(x, run), wide(target, run)
    single = (lambda v: v) if run.where == "float64" else (lambda v: v.astype(np.float32).astype(float))
    energy = np.fmax(single((single(z * z)).sum(2, keepdims=True)), 1e-8)
    same(run(pcn.vl_nnnoffset, x, [1, 0.5]), z - energy**0.5, least=1e-6)
    mass = single(single(z * z).sum(2, keepdims=True)) + 1e-2
    same(run(pcn.vl_nnnormalizelp, x), z / np.sqrt(mass))
    d = single(z - t)
    same(run(pcn.vl_nnpdist, x, target, 1), np.abs(d).sum(2, keepdims=True))
    square = single(single(d * d).sum(2, keepdims=True))
    same(run(pcn.vl_nnpdist, x, target, 2), np.sqrt(square))
    dx = run(pcn.vl_nnpdist, x, target, 2, np.ones((1, 60, 1, 1)))[0]
    same(dx, np.fmax(square, 1e-6) ** -0.5 * d)


def test_points_meet_only_pixels_that_they_lie_between(run):
    x = np.random.default_rng(0).standard_normal((4, 4, 2, 1))
    x[0, 0] = NAN
    grid = np.zeros((2, 1, 4, 1))
    grid[:, 0, :, 0] = [[1, 0.9, 2, NAN], [1, 1, 0, 0]]
    y = run(pcn.vl_nnbilinearsampler, x, grid)
    assert np.isfinite(y[0, :2]).all() and (y[0, 2:] == 0).all()
    dzdy = np.ones(y.shape)
    dzdy[0, 2:] = INF  # of points outside
    dx, dgrid = run(pcn.vl_nnbilinearsampler, x, grid, dzdy)
    assert np.isfinite(dx).all() and dx[0, 0].sum() == 0 and np.isfinite(dgrid).all()


@pytest.mark.parametrize(("size", "channels"), [(1, 5), (3, 5), (3, 33), (5, 33)])
def test_a_convolution_spreads_nan_to_the_windows_that_hold_it(run, size, channels):
    random = np.random.default_rng(0)
    x, f = random.standard_normal((24, 24, channels, 1)), random.standard_normal((size, size, channels, 40))
    clean = run(pcn.vl_nnconv, x, f, None)
    x[12, 12, 1, 0] = NAN
    y = run(pcn.vl_nnconv, x, f, None)
    holds = np.zeros(y.shape, bool)
    holds[13 - size : 13, 13 - size : 13] = True
    if channels < 16 or size == 1 or run.where in ("plain", "float64"):
        assert np.array_equal(np.isnan(y), holds)
    else:  # Winograd's tiles are of up to 4 x 4 outputs
        assert np.isnan(y[holds]).all() and np.isnan(y).sum() <= (size + 6) ** 2 * 40
    assert np.array_equal(y[~np.isnan(y)], clean[~np.isnan(y)])


@pytest.mark.parametrize("stride, pad, size", [(2, 1, 3), (2, 0, 3), (3, 2, 5), (4, 0, 2), (1, 0, 7), (1, 3, 7)])
@pytest.mark.parametrize("channels", [5, 33])
@pytest.mark.parametrize("value", [INF, NAN])
def test_the_derivative_of_an_image_sums_only_products_of_taps_with_dzdy(run, stride, pad, size, channels, value):
    if run.where == "torch":
        pytest.skip("PyTorch's kernels may multiply zeros around derivatives as well")
    random = np.random.default_rng(0)
    f, x = random.random((size, size, channels, 4)) + 1, np.zeros((15, 14, channels, 3))
    f[0, -1, 2, 1] = f[-1, 0, channels - 1, 3] = value
    dzdy = random.random((*[(n + 2 * pad - size) // stride + 1 for n in x.shape[:2]], 4, 3)) + 1
    expected = np.zeros((15 + 2 * pad, 14 + 2 * pad, channels, 3))
    for (i, j), (u, v) in itertools.product(np.ndindex(dzdy.shape[:2]), np.ndindex(size, size)):
        expected[i * stride + u, j * stride + v] += wide(f, run)[u, v] @ wide(dzdy, run)[i, j]
    expected = expected[pad : pad + 15, pad : pad + 14]
    assert not np.isfinite(expected).all() and (value is NAN or not np.isnan(expected).any())
    same(run(pcn.vl_nnconv, x, f, None, dzdy, stride=stride, pad=pad)[0], expected)
    if not pad:
        h, w = (stride * (n - 1) + size for n in dzdy.shape[:2])
        same(run(pcn.vl_nnconvt, dzdy, f, None, upsample=stride), expected[:h, :w])


def test_denormal_numbers_are_kept_where_they_are_summed_and_multiplied(run):
    tiny = 1e-310 if run.where == "float64" else 1e-40
    x = np.full((8, 8, 20, 2), tiny)
    kept = wide(x, run)
    eye = np.eye(20).reshape(1, 1, 20, 20)
    moments = np.stack([np.zeros(20), np.ones(20)], 1)
    results = {
        "conv": run(pcn.vl_nnconv, x, eye, None),
        "convt": run(pcn.vl_nnconvt, x, eye, None),
        "relu": run(pcn.vl_nnrelu, x),
        "average": run(pcn.vl_nnpool, x, 1, method="avg"),
        "maximum": run(pcn.vl_nnpool, x, 1),
        "bnorm": run(pcn.vl_nnbnorm, x, np.ones(20), np.zeros(20), moments=moments)[0],
        "dropout": run(pcn.vl_nndropout, x, mask=np.ones(x.shape))[0],
        "sum": run(lambda a, b: pcn.dagnn.Sum().forward([a, b], [])[0], x, np.zeros(x.shape)),
        "filters": run(pcn.vl_nnconv, np.ones(x.shape), eye, None, x)[0],
    }
    for name, y in results.items():
        assert np.array_equal(y.astype(np.float64), kept), name


def test_an_exponential_below_the_normal_numbers_is_that_or_zero(run):
    y = run(pcn.vl_nnsoftmax, np.array([0, -100.0]).reshape(1, 1, 2, 1))
    compiled = run.where in ("avx2", "avx512")
    assert y[0, 0, 1, 0] == 0 if compiled else 0 < y[0, 0, 1, 0] < 4e-44
