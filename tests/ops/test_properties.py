"""What holds of the operators for any size, window, stride and pad: shapes, adjoints, directional derivatives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyconvnet as pcn


def draw(rng, *shape):
    return rng.standard_normal(shape)


@st.composite
def convolutions(draw_):
    """x, f, b and the options of a convolution that fits."""
    pick = lambda low, high: draw_(st.integers(low, high))  # noqa: E731
    rng = np.random.default_rng(pick(0, 2**32 - 1))
    fh, fw, groups, each, depth, n = pick(1, 4), pick(1, 4), pick(1, 3), pick(1, 3), pick(1, 3), pick(1, 3)
    dilate = [pick(1, 2), pick(1, 2)]
    pad = [pick(0, 3) for _ in range(4)]
    eh, ew = dilate[0] * (fh - 1) + 1, dilate[1] * (fw - 1) + 1
    h = max(eh - pad[0] - pad[1], 1) + pick(0, 5)
    w = max(ew - pad[2] - pad[3], 1) + pick(0, 5)
    options = {"stride": [pick(1, 3), pick(1, 3)], "pad": pad, "dilate": dilate}
    x, f = rng.standard_normal((h, w, groups * depth, n)), rng.standard_normal((fh, fw, depth, groups * each))
    return x, f, rng.standard_normal(groups * each), options, rng


@given(convolutions())
@settings(max_examples=40)
def test_a_convolution_has_the_size_of_the_manual_and_is_linear_in_x_f_and_b(case):
    x, f, b, options, rng = case
    y = pcn.vl_nnconv(x, f, b, **options)
    for axis in (0, 1):
        extent = options["dilate"][axis] * (f.shape[axis] - 1) + 1
        room = x.shape[axis] + sum(options["pad"][2 * axis : 2 * axis + 2]) - extent
        assert y.shape[axis] == room // options["stride"][axis] + 1
    assert y.shape[2:] == (f.shape[3], x.shape[3]) and y.dtype == x.dtype
    dzdy = rng.standard_normal(y.shape)
    dx, df, db = pcn.vl_nnconv(x, f, b, dzdy, **options)
    assert dx.shape == x.shape and df.shape == f.shape and db.size == b.size
    # the derivatives are adjoints: <dzdy, conv(x, f)> = <dx, x> = <df, f>, <dzdy, b> = <db, b>
    bare = np.sum(dzdy * pcn.vl_nnconv(x, f, None, **options))
    scale = np.abs(dzdy).sum() * np.abs(x).max() * np.abs(f).sum() + 1
    assert abs(bare - np.sum(dx * x)) < 1e-12 * scale
    assert abs(bare - np.sum(df * f)) < 1e-12 * scale
    assert np.isclose(np.sum(dzdy * b[:, None]), np.sum(db.ravel() * b))


@given(convolutions())
@settings(max_examples=40)
def test_single_precision_agrees_with_double(case):
    x, f, b, options, rng = case
    y = pcn.vl_nnconv(x, f, b, **options)
    single = [a.astype(np.float32) for a in (x, f, b)]
    got = pcn.vl_nnconv(*single, **options)
    assert got.dtype == np.float32
    assert np.abs(got - y).max() < 2e-5 * max(np.abs(y).max(), 1)
    dzdy = rng.standard_normal(y.shape)
    for a, e in zip(
        pcn.vl_nnconv(*single, dzdy.astype(np.float32), **options), pcn.vl_nnconv(x, f, b, dzdy, **options)
    ):
        assert np.abs(a - e).max() < 2e-5 * max(np.abs(e).max(), 1)


@given(convolutions())
@settings(max_examples=40)
def test_a_strided_convolution_is_every_sth_value_of_a_dense_one(case):
    x, f, b, options, _ = case
    dense = pcn.vl_nnconv(x, f, b, **{**options, "stride": 1})
    sv, sh = options["stride"]
    assert np.allclose(pcn.vl_nnconv(x, f, b, **options), dense[::sv, ::sh], atol=1e-12)


@given(convolutions())
@settings(max_examples=40)
def test_groups_are_a_block_diagonal_convolution(case):
    x, f, b, options, _ = case
    groups, depth, each = x.shape[2] // f.shape[2], f.shape[2], f.shape[3] // (x.shape[2] // f.shape[2])
    full = np.zeros((*f.shape[:2], x.shape[2], f.shape[3]))
    for g in range(groups):
        k = slice(g * each, (g + 1) * each)
        full[:, :, g * depth : (g + 1) * depth, k] = f[:, :, :, k]
    assert np.allclose(pcn.vl_nnconv(x, f, b, **options), pcn.vl_nnconv(x, full, b, **options), atol=1e-11)


@given(convolutions())
@settings(max_examples=40)
def test_transposed_convolution_is_the_data_derivative_of_convolution(case):
    x, f, _, options, rng = case
    options = {**options, "dilate": [1, 1]}
    y = pcn.vl_nnconv(x, f, None, **options)
    dzdy = rng.standard_normal(y.shape)
    dx = pcn.vl_nnconv(x, f, None, dzdy, **options)[0]
    whole = pcn.vl_nnconvt(dzdy, f, None, upsample=options["stride"], numGroups=x.shape[2] // f.shape[2])
    top, _, left, _ = options["pad"]
    # pixels at the end that the stride leaves over have no derivative
    page = np.zeros((top + x.shape[0] + 4, left + x.shape[1] + 4, *x.shape[2:]))
    h, w = (min(a, b) for a, b in zip(whole.shape[:2], page.shape[:2]))
    page[:h, :w] = whole[:h, :w]
    assert np.allclose(dx, page[top : top + x.shape[0], left : left + x.shape[1]], atol=1e-11)


OPERATORS = {
    "relu": lambda x, d=None: pcn.vl_nnrelu(x, d, leak=0.1),
    "sigmoid": pcn.vl_nnsigmoid,
    "softmax": pcn.vl_nnsoftmax,
    "max pooling": lambda x, d=None: pcn.vl_nnpool(x, [3, 2], d, stride=[2, 1], pad=[1, 1, 0, 1]),
    "average pooling": lambda x, d=None: pcn.vl_nnpool(x, [3, 2], d, stride=[2, 1], pad=[1, 1, 0, 1], method="avg"),
    "lrn": lambda x, d=None: pcn.vl_nnnormalize(x, [3, 1.5, 0.4, 0.75], d),
    "lp norm": lambda x, d=None: pcn.vl_nnnormalizelp(x, d, p=2, epsilon=1e-2),
    "spatial norm": lambda x, d=None: pcn.vl_nnspnorm(x, [3, 3, 0.5, 0.75], d),
    "offset norm": lambda x, d=None: pcn.vl_nnnoffset(x, [0.5, 0.8], d),
    "crop": lambda x, d=None: pcn.vl_nncrop(x, [1, 0, 2, 1], d),
}


@pytest.mark.parametrize("name", OPERATORS)
@given(st.integers(0, 2**32 - 1), st.integers(4, 7), st.integers(4, 7), st.integers(1, 5), st.integers(1, 3))
@settings(max_examples=12)
def test_the_derivative_is_that_along_a_random_direction(name, seed, h, w, c, n):
    operator, rng = OPERATORS[name], np.random.default_rng(seed)
    x, direction = draw(rng, h, w, c, n) + 0.01, draw(rng, h, w, c, n)
    if name == "lp norm":
        x = np.abs(x) + 0.5
    y = operator(x)
    dzdy = draw(rng, *y.shape)
    step = 1e-6
    expected = np.sum(dzdy * (operator(x + step * direction) - operator(x - step * direction))) / (2 * step)
    # MatConvNet takes powers by a fast formula of limited accuracy in the response normalizations
    tolerance = 2e-3 if name in ("lrn", "spatial norm", "offset norm") else 1e-5
    got = np.sum(operator(x, dzdy) * direction)
    assert abs(got - expected) <= tolerance * (np.abs(dzdy).sum() + abs(expected))


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 5), st.integers(1, 4), st.integers(2, 4))
@settings(max_examples=20)
def test_batch_normalization_centres_scales_and_derives(seed, h, w, c, n):
    rng = np.random.default_rng(seed)
    x, g, b = draw(rng, h, w, c, n), draw(rng, c), draw(rng, c)
    y, moments = pcn.vl_nnbnorm(x, g, b, epsilon=1e-4)
    assert np.allclose(y.mean(axis=(0, 1, 3)), b) and moments.shape == (c, 2)
    assert np.allclose(moments[:, 0], x.mean(axis=(0, 1, 3)))
    assert np.allclose(moments[:, 1], np.sqrt(x.var(axis=(0, 1, 3)) + 1e-4))
    assert np.allclose(pcn.vl_nnbnorm(x, g, b, moments=moments)[0], y)
    dzdy, direction, step = draw(rng, *y.shape), draw(rng, *x.shape), 1e-6
    ends = [pcn.vl_nnbnorm(x + s * direction, g, b, epsilon=1e-4)[0] for s in (step, -step)]
    expected = np.sum(dzdy * (ends[0] - ends[1])) / (2 * step)
    dx, dg, db, _ = pcn.vl_nnbnorm(x, g, b, dzdy, epsilon=1e-4)
    assert np.isclose(np.sum(dx * direction), expected, rtol=1e-5, atol=1e-5)
    assert np.isclose(np.sum(dzdy * y), np.sum(dg.ravel() * g) + np.sum(db.ravel() * b))


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 6), st.integers(1, 4))
@settings(max_examples=20)
@pytest.mark.parametrize("loss", ["log", "softmaxlog", "mhinge", "mshinge"])
def test_losses_derive_and_weigh_instances(loss, seed, side, classes, n):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 1, (side, side, classes, n))
    labels = rng.integers(0, classes + 1, (side, side, 1, n)).astype(float)
    weights = rng.uniform(0, 2, (side, side, 1, n))
    direction, step = draw(rng, *x.shape), 1e-7
    run = lambda v, d=None: pcn.vl_nnloss(v, labels, d, loss=loss, instanceWeights=weights)  # noqa: E731
    expected = (run(x + step * direction) - run(x - step * direction)).item() / (2 * step)
    assert np.isclose(np.sum(run(x, 1.0) * direction), expected, rtol=1e-4, atol=1e-6)
    alone = pcn.vl_nnloss(x, labels, loss=loss, instanceWeights=(labels > 0).astype(float))
    assert np.isclose(alone.item(), pcn.vl_nnloss(x, labels, loss=loss).item())


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=20)
def test_concatenating_and_taking_apart_are_inverses(seed, first, second, dim):
    rng = np.random.default_rng(seed)
    shapes = [[2, 3, 2, 2], [2, 3, 2, 2]]
    shapes[0][dim], shapes[1][dim] = first, second
    parts = [draw(rng, *s) for s in shapes]
    whole = pcn.vl_nnconcat(parts, dim + 1)
    for part, back in zip(parts, pcn.vl_nnconcat(parts, dim + 1, whole)):
        assert np.array_equal(part, back)
