"""merge_bnorm and deploy: the same results in test mode, with less work, from weights that nothing can change."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.records import Struct

RNG = np.random.default_rng(5)


def numbers(*shape, dtype="f4"):
    return RNG.standard_normal(shape).astype(dtype)


def moments(count):
    return np.stack([RNG.standard_normal(count), RNG.uniform(0.5, 2, count)], axis=1).astype("f4")


def chain(order="C"):
    """conv (grouped, without biases) - bnorm - relu - convt (grouped) - bnorm - dropout - conv - softmaxloss."""
    f1, f2, f3 = (np.asarray(numbers(*s), order=order) for s in ((3, 3, 2, 6), (2, 2, 4, 6), (1, 1, 8, 5)))
    return pcn.SimpleNN(
        layers=[
            Struct(type="conv", name="c1", weights=[f1, np.zeros(0, "f4")], pad=1),
            Struct(type="bnorm", name="b1", weights=[numbers(6, 1), numbers(6, 1), moments(6)]),
            Struct(type="relu", name="r1"),
            Struct(type="convt", name="c2", weights=[f2, numbers(8, 1)], upsample=2, numGroups=2),
            Struct(type="bnorm", name="b2", weights=[numbers(8, 1), numbers(8, 1), moments(8)]),
            Struct(type="dropout", name="d", rate=0.5),
            Struct(type="conv", name="c3", weights=[f3, numbers(5, 1)]),
            Struct(type="softmaxloss", name="loss"),
        ]
    )


def kinds(net):
    return [type(e.block).__name__ for e in net.layers] if hasattr(net, "vars") else [r["type"] for r in net["layers"]]


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("change", [pcn.merge_bnorm, pcn.deploy])
def test_results_are_those_of_before_and_the_network_stays_as_it_was(change, graph, order):
    net = chain(order)
    net = dagnn.DagNN.fromSimpleNN(net) if graph else net
    x, before = numbers(6, 5, 4, 3), kinds(net)
    y = pcn.predict(net, x)
    new = change(net)
    assert abs(pcn.predict(new, x) - y).max() <= 2e-6
    assert kinds(net) == before
    assert (pcn.predict(net, x) == y).all()
    gone = {"bnorm", "BatchNorm"} if change is pcn.merge_bnorm else {"bnorm", "BatchNorm", "dropout", "DropOut", "Loss"}
    assert not gone & set(kinds(new))
    assert len(kinds(new)) == len(before) - (2 if change is pcn.merge_bnorm else 3)


def test_double_precision_is_merged_in_double():
    f, x = numbers(3, 3, 4, 6, dtype="f8"), numbers(7, 7, 4, 2, dtype="f8")
    weights = [numbers(6, 1, dtype="f8"), numbers(6, 1, dtype="f8"), moments(6).astype("f8")]
    net = pcn.SimpleNN(
        layers=[Struct(type="conv", weights=[f, numbers(6, dtype="f8")]), Struct(type="bnorm", weights=weights)]
    )
    merged = pcn.merge_bnorm(net)
    assert [w.dtype for w in merged["layers"][0]["weights"]] == [np.float64] * 2
    assert abs(pcn.predict(merged, x) - pcn.predict(net, x)).max() <= 1e-13


def test_a_merged_layer_keeps_its_name_and_what_is_asked_of_its_output():
    weights = [numbers(1, 1), numbers(1, 1), moments(1)]
    conv = Struct(type="conv", name="c", weights=[numbers(3, 3, 2), numbers(1)])  # one filter: MATLAB drops the last 1
    net = pcn.SimpleNN(layers=[conv, Struct(type="bnorm", name="b", weights=weights, precious=True)])
    merged, x = pcn.merge_bnorm(net), numbers(5, 5, 2, 1)
    assert [(r["name"], bool(r["precious"])) for r in merged["layers"]] == [("c", True)]
    assert abs(pcn.predict(merged, x) - pcn.predict(net, x)).max() <= 1e-5


def test_a_normalization_stays_where_merging_would_change_the_network():
    zero = [numbers(6, 1), numbers(6, 1), np.zeros((6, 2), "f4")]
    trained = [numbers(6, 1), numbers(6, 1), moments(6)]
    conv = Struct(type="conv", weights=[numbers(1, 1, 6, 6), numbers(6, 1)])
    for layers in (
        [conv, Struct(type="bnorm", weights=zero)],
        [conv, Struct(type="relu"), Struct(type="bnorm", weights=trained)],
        [Struct({**conv, "precious": True}), Struct(type="bnorm", weights=trained)],
    ):
        assert kinds(pcn.merge_bnorm(pcn.SimpleNN(layers=layers))) == [r["type"] for r in layers]

    net = dagnn.DagNN()  # the convolution's output is read twice
    net.addLayer("c", dagnn.Conv(size=[1, 1, 6, 6]), "x", "y", ["f", "b"])
    net.addLayer("n", dagnn.BatchNorm(numChannels=6), "y", "z", ["g", "o", "m"])
    net.addLayer("s", dagnn.Sum(), ["y", "z"], "t")
    net.initParams()
    net.params["m"].value = moments(6)
    assert kinds(pcn.merge_bnorm(net)) == ["Conv", "BatchNorm", "Sum"]

    net = dagnn.DagNN()  # two convolutions share the filters
    for i in "12":
        net.addLayer("c" + i, dagnn.Conv(size=[1, 1, 6, 6]), "x" + i, "y" + i, ["f", "b"])
        net.addLayer("n" + i, dagnn.BatchNorm(numChannels=6), "y" + i, "z" + i, [p + i for p in "gom"])
    net.initParams()
    for i in "12":
        net.params["m" + i].value = moments(6)
    assert kinds(pcn.merge_bnorm(net)) == ["Conv", "BatchNorm"] * 2


def test_weights_of_a_deployed_network_cannot_be_written_to():
    net = pcn.deploy(chain())
    filters = net["layers"][0]["weights"][0]
    with pytest.raises(ValueError, match="read-only"):
        filters[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        filters.flags.writeable = True


def test_filters_of_a_deployed_network_are_not_read_for_changes_and_others_are(monkeypatch):
    from pyconvnet.backends.cpu import filter_cache, hardware

    if hardware.isa() == "plain":
        pytest.skip("numpy keeps no filters")
    read = []
    checksum = filter_cache._checksum
    monkeypatch.setattr(filter_cache, "_checksum", lambda *args: read.append(1) or checksum(*args))
    layers = [Struct(type="conv", name="c", weights=[numbers(3, 3, 64, 64), numbers(64, 1)])]
    net, x = pcn.SimpleNN(layers=layers), numbers(12, 12, 64, 1)
    deployed = pcn.deploy(net)
    y = pcn.predict(deployed, x)
    assert not read
    assert (pcn.predict(net, x) == y).all() and read
    assert (pcn.predict(deployed, x) == y).all()
    net["layers"][0]["weights"][0][...] *= 2  # the network that was deployed does not change the one for use
    assert (pcn.predict(deployed, x) == y).all()
    assert abs(pcn.predict(net, x) - pcn.predict(deployed, x)).max() > 0.1
    other = pcn.deploy(net)  # nor does memory that is used again give old filters
    del deployed
    assert (pcn.predict(other, x) == pcn.predict(net, x)).all()


@pytest.mark.parametrize("change", [pcn.merge_bnorm, pcn.deploy])
def test_what_is_not_a_network_is_refused(change):
    with pytest.raises(TypeError, match=f"{change.__name__}: net must be"):
        change([1, 2])
