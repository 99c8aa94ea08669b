"""A convolution and its rectifier run as one where nobody sees what is between; results stay what they were."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvnet import Struct, vl_simplenn, vl_simplenn_tidy
from pyconvnet.simplenn import SimpleNN


def network(**first):
    random = np.random.default_rng(0)

    def conv(h, c, k, **fields):
        f, b = random.standard_normal((h, h, c, k)), random.standard_normal(k)
        return Struct(type="conv", weights=[f.astype(np.float32), b.astype(np.float32)], stride=1, **fields)

    return vl_simplenn_tidy(
        SimpleNN(
            layers=[
                conv(3, 2, 16, pad=1, **first),
                Struct(type="relu"),
                conv(3, 16, 20, pad=1),
                Struct(type="relu"),
                Struct(type="pool", pool=[2, 2], stride=2, pad=0, method="max"),
                conv(8, 20, 700, pad=0),
                Struct(type="relu"),
                conv(1, 700, 5, pad=0),
            ]
        )
    )


def image():
    x = np.random.default_rng(1).standard_normal((16, 16, 2, 3)).astype(np.float32)
    x[3, 4, 0, 1] = -50
    return x


def near(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("mode", ["test", "normal"])
def test_results_are_those_of_layers_that_run_one_by_one(mode):
    net, x = network(), image()
    one_by_one = vl_simplenn(net, x, mode=mode)
    res = vl_simplenn(net, x, mode=mode, conserveMemory=True)
    near(res[-1].x, one_by_one[-1].x)
    assert all(r.x is None for r in res[:-1])


def test_derivatives_are_those_of_layers_that_run_one_by_one():
    net, x = network(), image()
    y = vl_simplenn(net, x, mode="normal")[-1].x
    one_by_one, res = (vl_simplenn(net, x, np.ones_like(y), mode="normal", conserveMemory=c) for c in (False, True))
    near(res[0].dzdx, one_by_one[0].dzdx)
    for a, b in zip(res, one_by_one):
        for da, db in zip(a.dzdw, b.dzdw):
            near(da, db)


@pytest.mark.parametrize("field", ["precious", "rememberOutput"])
def test_an_output_that_shall_be_kept_is_the_convolutions_own(field):
    x = image()
    net = network(**{field: True})
    res = vl_simplenn(net, x, mode="test", conserveMemory=True)
    expected = vl_simplenn(network(), x, mode="test")
    near(res[1].x, expected[1].x)
    assert (res[1].x < 0).any()
    near(res[-1].x, expected[-1].x)


def test_not_a_number_is_seen_as_it_is_without_conserveMemory():
    net, x = network(), image()
    x[0, 0, 0, 0] = np.nan
    plainly, fused = (vl_simplenn(net, x, mode="test", conserveMemory=c)[-1].x for c in (False, True))
    assert np.array_equal(np.isnan(plainly), np.isnan(fused))


def test_filters_edited_in_place_are_seen():
    net, x = network(), image()
    vl_simplenn(net, x, mode="test", conserveMemory=True)
    for i in (0, 2, 5, 7):
        net.layers[i].weights[0][..., 1] = 3
        net.layers[i].weights[1][0] += 1
        fused = vl_simplenn(net, x, mode="test", conserveMemory=True)[-1].x
        near(fused, vl_simplenn(network_like(net), x, mode="test")[-1].x)


def network_like(net):
    """The same layers with copies of the weights, which no cache has seen."""
    layers = [Struct(r) for r in net.layers]
    for r in layers:
        if "weights" in r:
            r.weights = [w.copy() for w in r.weights]
    return SimpleNN(layers=layers)


def test_wrong_sizes_are_refused_with_the_number_of_the_layer():
    net = network()
    net.layers[2].weights[0] = net.layers[2].weights[0][:, :, :7]
    with pytest.raises(ValueError, match=r"7 must divide 16.*in layer 3"):
        vl_simplenn(net, image(), mode="test", conserveMemory=True)
