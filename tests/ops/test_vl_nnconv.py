"""vl_nnconv without filters, MATLAB's []."""

import numpy as np
import pytest

import pyconvnet as pcn

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stride, pad", [(1, 0), (2, 0), ((3, 2), (1, 4, 2, 0)), (1, (5, 0, 0, 7))])
def test_without_filters_it_is_a_convolution_by_the_identity(dtype, stride, pad):
    x, b = (RNG.standard_normal(s).astype(dtype) for s in ((5, 7, 3, 2), (3, 1)))
    same = np.eye(3, dtype=dtype)[None, None]
    y = pcn.vl_nnconv(x, [], b, stride=stride, pad=pad)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, pcn.vl_nnconv(x, same, b, stride=stride, pad=pad), rtol=1e-6)
    dzdy = RNG.standard_normal(y.shape).astype(dtype)
    dzdx, dzdf, dzdb = pcn.vl_nnconv(x, [], b, dzdy, stride=stride, pad=pad)
    wanted = pcn.vl_nnconv(x, same, b, dzdy, stride=stride, pad=pad)
    assert dzdf is None and dzdb.shape == b.shape
    np.testing.assert_allclose(dzdx, wanted[0], rtol=1e-6)
    np.testing.assert_allclose(dzdb, wanted[2], rtol=1e-5)


def test_without_filters_a_channel_stays_by_itself():
    x = np.zeros((2, 2, 2, 1), np.float32)
    x[:, :, 0] = np.inf
    assert np.array_equal(pcn.vl_nnconv(x, None), x)


def test_without_filters_there_is_nothing_to_dilate():
    with pytest.raises(ValueError, match=r"vl_nnconv: without filters there is nothing to dilate, got dilate \[1, 2\]"):
        pcn.vl_nnconv(np.ones((4, 4)), [], dilate=(1, 2))


def test_without_filters_derivatives_may_be_left_out():
    x = np.ones((4, 4, 2, 1), np.float32)
    options = {"noDerData": True, "noDerBiases": True}
    assert pcn.vl_nnconv(x, None, x[0, 0], x, **options) == (None, None, None)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_a_number_of_numpys_is_a_bias_or_a_gain(real):
    x, f = RNG.standard_normal((4, 4, 1, 2)).astype(real), RNG.standard_normal((2, 2, 1, 1)).astype(real)
    one, row = real(0.5), np.full((1, 1), 0.5, real)
    for operator, filters in ((pcn.vl_nnconv, f), (pcn.vl_nnconv, None), (pcn.vl_nnconvt, f)):
        y = operator(x, filters, row)
        assert np.array_equal(operator(x, filters, one), y)
        ders, wanted = operator(x, filters, one, y), operator(x, filters, row, y)
        assert np.array_equal(ders[0], wanted[0]) and ders[2] == wanted[2].item()
    for a, b in zip(pcn.vl_nnbnorm(x, one, real(0), x), pcn.vl_nnbnorm(x, row, 0 * row, x)):
        assert np.array_equal(np.ravel(a), np.ravel(b))
    net = pcn.vl_simplenn_tidy({"layers": [{"type": "conv", "weights": [f, one]}]})
    assert np.array_equal(pcn.vl_simplenn(net, x)[1].x, pcn.vl_nnconv(x, f, row))


def test_a_number_of_another_type_says_which():
    x, f = np.ones((2, 2, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    with pytest.raises(TypeError, match="vl_nnconv: b is float64 where x is float32"):
        pcn.vl_nnconv(x, f, np.float64(0))
    with pytest.raises(TypeError, match="vl_nnconv: b is float where x is float32"):
        pcn.vl_nnconv(x, f, 0.0)
    with pytest.raises(ValueError, match=r"vl_nnconv: b has 1 elements .a number., f has 3 filters"):
        pcn.vl_nnconv(x, np.ones((1, 1, 1, 3), np.float32), np.float32(0))


@pytest.mark.parametrize("mode", ["normal", "test"])
def test_images_without_channels_are_refused_by_name(mode):
    x, f = np.ones((6, 7, 0, 2), np.float32), np.ones((2, 2, 1, 3), np.float32)
    message = "^vl_nnconv: x is 6x7x0x2, without channels; f takes 1, or a multiple of that"
    with pytest.raises(ValueError, match=message):
        pcn.vl_nnconv(x, f)
    net = pcn.vl_simplenn_tidy({"layers": [{"type": "conv", "weights": [f, []]}, {"type": "relu"}]})
    with pytest.raises(ValueError, match=message + r" .groups. \.\.\. in layer 1 'layer1'"):
        pcn.vl_simplenn(net, x, mode=mode, conserveMemory=True)
