"""A derivative that a user gives, a number, a list or any array of numbers, is taken in the network's precision."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn

RNG = np.random.default_rng(0)
FILTERS = RNG.standard_normal((3, 3, 2, 4))
D = RNG.integers(-3, 4, (2, 2, 4, 5))


def chain(real, last=()):
    conv = {"type": "conv", "weights": [FILTERS.astype(real), np.zeros((1, 4), real)]}
    return pcn.vl_simplenn_tidy({"layers": [conv, {"type": "sigmoid"}, *last]})


def by_chain(net, x, d):
    res = pcn.vl_simplenn(net, x, d)
    return [res[0].dzdx, *res[0].dzdw]


def by_graph(net, x, d):
    dag = dagnn.DagNN.fromSimpleNN(net)
    dag.eval({"x0": x, **({"label": net.layers[-1]["class"]} if "class" in net.layers[-1] else {})}, {"x2": d})
    return [dag.vars["x0"].der, *(param.der for param in dag.params)]


@pytest.mark.parametrize("run", [by_chain, by_graph])
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, np.uint8, list])
def test_arrays_and_lists_take_the_precision_of_the_network(run, real, kind):
    net, x = chain(real), RNG.standard_normal((4, 4, 2, 5)).astype(real)
    d = np.abs(D)
    wanted = run(net, x, d.astype(real))
    for a, b in zip(run(net, x, d.tolist() if kind is list else d.astype(kind)), wanted):
        assert a.dtype == real and np.array_equal(a, b)


@pytest.mark.parametrize("run", [by_chain, by_graph])
@pytest.mark.parametrize("one", [2, 2.0, np.float32(2), np.float64(2), np.array([[2]]), [2], [[2.0]], np.full(1, 2.0)])
def test_an_output_of_one_element_takes_any_number(run, one):
    net, x = chain(np.float32), RNG.standard_normal((3, 3, 2, 1)).astype(np.float32)
    net.layers[0].weights = [w[..., :1] for w in net.layers[0].weights]
    for a, b in zip(run(net, x, one), run(net, x, np.full((1, 1, 1, 1), 2, np.float32))):
        assert a.dtype == np.float32 and np.array_equal(a, b)


@pytest.mark.parametrize("run", [by_chain, by_graph])
def test_dimensions_of_1_may_be_missing_at_the_end_or_be_more(run):
    net, x = chain(np.float32), RNG.standard_normal((4, 4, 2, 1)).astype(np.float32)
    d = D[..., :1]
    for given in (d[..., 0], d[..., None]):
        for a, b in zip(run(net, x, given), run(net, x, d)):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("run", [by_chain, by_graph])
@pytest.mark.parametrize(
    ("d", "error", "message"),
    [
        (1, TypeError, "must be an array of its size 2x2x4x5, got int; a number weighs an output of one element"),
        (np.ones(5), ValueError, "is 5 where .* is 2x2x4x5"),
        (np.ones((2, 2, 4, 1)), ValueError, "is 2x2x4x1 where .* is 2x2x4x5"),
        ([[1, 2], [3]], TypeError, "must be numbers, got list"),
        ({"ones"}, TypeError, "must be numbers, got set"),
        (np.ones(D.shape, complex), TypeError, "must be numbers, got ndarray .complex128"),
    ],
)
def test_what_does_not_fit_the_output_is_refused(run, d, error, message):
    net, x = chain(np.float32), RNG.standard_normal((4, 4, 2, 5)).astype(np.float32)
    with pytest.raises(error, match=message):
        run(net, x, d)


def test_operators_mix_no_precisions_still():
    x = np.ones((2, 2, 1, 1), np.float32)
    with pytest.raises(TypeError, match="dzdy is float64"):
        pcn.vl_nnrelu(x, np.ones(x.shape))
