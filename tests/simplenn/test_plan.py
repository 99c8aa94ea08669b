"""How a SimpleNN runs is planned once, and again whenever its records say something else."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pyconvnet as pcn


def network():
    random = np.random.default_rng(0)
    return pcn.vl_simplenn_tidy(
        pcn.SimpleNN(
            layers=[
                {"type": "conv", "weights": [random.standard_normal((3, 3, 2, 4)), np.zeros((4, 1))], "pad": 1},
                {"type": "relu"},
                {"type": "pool", "pool": np.array([2, 2]), "stride": np.array([1, 1]), "method": "max"},
                {"type": "dropout", "rate": 0.5},
            ]
        )
    )


X = np.random.default_rng(1).standard_normal((6, 6, 2, 3))


def fresh(net):
    """What a network that has never run gives."""
    return pcn.vl_simplenn(pcn.SimpleNN(layers=[dict(r) for r in net.layers]), X, mode="test")[-1].x


CHANGES = {
    "a number": lambda net: net.layers[0].update(pad=0),
    "an array in place": lambda net: net.layers[2].stride.__setitem__(0, 2),
    "a list in place": lambda net: net.layers[0].stride.__setitem__(0, 2),
    "an array into a list": lambda net: net.layers[0].stride.__setitem__(0, np.array(2)),
    "a list that shrinks": lambda net: (net.layers[0].stride.pop(), net.layers[0].stride.__setitem__(0, 2)),
    "a list in a list": lambda net: net.layers[0].opts[1].__setitem__(0, 2),
    "a field that was not there": lambda net: net.layers[0].update(dilate=2),
    "the weights": lambda net: net.layers[0].weights.__setitem__(0, net.layers[0].weights[0][:, :, :, :3]),
    "weights in place": lambda net: net.layers[0].weights[0].__setitem__((0, 0, 0, 0), 9),
    "the type": lambda net: net.layers[1].update(type="sigmoid"),
    "fewer layers": lambda net: net.layers.pop(1),
    "another record": lambda net: net.layers.__setitem__(1, pcn.Struct(type="tanh")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_records_is_seen(change):
    net = network()
    net.layers[0].stride = [1, 1]
    if change == "a list in a list":
        net.layers[0].opts = ["stride", [1, 1]]
    before = pcn.vl_simplenn(net, X, mode="test")[-1].x
    assert np.array_equal(pcn.vl_simplenn(net, X, mode="test")[-1].x, before)
    if change == "the weights":
        net.layers[0].weights[1] = np.zeros((3, 1))
    CHANGES[change](net)
    after = pcn.vl_simplenn(net, X, mode="test")[-1].x
    assert np.array_equal(after, fresh(net))
    assert after.shape != before.shape or not np.array_equal(after, before)


def test_other_values_that_are_equal_make_no_other_plan():
    net = network()
    net.layers[0].stride = [1, 1]
    pcn.vl_simplenn(net, X, mode="test")
    (plan,) = net._plan
    net.layers[0].update(stride=[1, 1], pad=int("1"))
    net.layers[2].stride = net.layers[2].stride.copy()
    pcn.vl_simplenn(net, X, mode="test")
    assert net._plan == [plan]


def test_a_plan_is_kept_between_calls_and_not_copied():
    net = network()
    pcn.vl_simplenn(net, X, mode="test")
    (plan,) = net._plan
    pcn.vl_simplenn(net, X, mode="normal")
    assert net._plan == [plan]
    for other in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other._plan == [] and list(other) == list(net)
        assert np.array_equal(pcn.vl_simplenn(other, X, mode="test")[-1].x, fresh(net))


def test_a_plan_holds_no_arrays_of_a_call():
    net = network()
    res = pcn.vl_simplenn(net, X, np.ones((5, 5, 4, 3)), mode="normal")
    assert res[0].dzdw[0].shape == (3, 3, 2, 4) and res[4].aux is not None
    (plan,) = net._plan
    assert all(slot.result is None for slot in plan.slots)
    assert all(e.layer.aux is None and all(w.der is None for w in e.weights) for e in plan.entries)


def test_threads_share_a_network():
    net = network()
    images = [np.random.default_rng(seed).standard_normal((6, 6, 2, 3)) for seed in range(20)]
    alone = [pcn.vl_simplenn(net, x, mode="test")[-1].x for x in images]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            together = list(pool.map(lambda x: pcn.vl_simplenn(net, x, mode="test")[-1].x, images))
            assert all(np.array_equal(a, b) for a, b in zip(alone, together))


def test_a_network_may_run_within_its_own_layer():
    inner = network()

    def forward(layer, before, after):
        after.x = (
            pcn.vl_simplenn(inner, before.x, mode="test")[-1].x + pcn.vl_simplenn(inner, before.x, mode="test")[-1].x
        )
        return after

    outer = pcn.SimpleNN(layers=[{"type": "custom", "name": "twice", "forward": forward}])
    assert np.array_equal(pcn.vl_simplenn(outer, X, mode="test")[-1].x, 2 * fresh(inner))
    with pytest.raises(ValueError, match=r"in layer 1 .*\(conv\).* in layer 1 'twice' \(custom\)"):
        pcn.vl_simplenn(outer, X[:, :, :1], mode="test")
