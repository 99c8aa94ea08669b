"""Recorded steps of training: to the bit the values, derivatives and weights of steps that run layer by layer."""

from __future__ import annotations

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.backends.cpu import hardware
from pyconvnet.engine import recorded_steps

pytestmark = pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is recorded on this CPU")
NEVER = 10**9
UNTIL = recorded_steps.PATIENCE  # steps that run layer by layer


@pytest.fixture(autouse=True)
def always_worth_it(monkeypatch):
    monkeypatch.setattr(recorded_steps, "SLOW", 1e9)
    monkeypatch.setattr(recorded_steps, "COPIED", 1e18)


@pytest.fixture
def played(monkeypatch):
    """For each recorded step that ran, how many layers it has."""
    found = []
    forward = recorded_steps._Step.forward
    monkeypatch.setattr(recorded_steps._Step, "forward", lambda step: found.append(step.depth) or forward(step))
    return found


def lenet():
    return models.build("lenet", seed=0)


def with_dropout():
    """The layers up to the dropout are recorded, a convolution with a rectifier after it is not."""
    net = lenet()
    net.layers.insert(5, pcn.Struct(type="dropout", name="dropout", rate=0.5))
    return pcn.vl_simplenn_tidy(net)


def of_many_kinds():
    """Padding, strides, groups, dilation, average pooling, LRN, sigmoid, filters without biases, in both orders."""
    random = np.random.default_rng(3)

    def conv(*shape, biases=True, order="C", **options):
        f = np.asarray(random.standard_normal(shape) / 9, np.float32, order=order)
        return pcn.Struct(
            type="conv", weights=[f, random.standard_normal(shape[3]).astype(np.float32)] if biases else [f], **options
        )

    layers = [
        conv(3, 3, 1, 24, pad=1),
        pcn.Struct(type="relu", leak=0.1),
        conv(3, 3, 12, 32, pad=1, order="F"),
        pcn.Struct(type="lrn", param=[5, 1, 1e-4, 0.75]),
        pcn.Struct(type="pool", pool=[3, 3], stride=2, pad=[0, 1, 0, 1], method="avg"),
        conv(3, 3, 32, 32, pad=2, dilate=2),
        pcn.Struct(type="sigmoid"),
        conv(3, 3, 32, 40, stride=2, biases=False),
        pcn.Struct(type="relu"),
        pcn.Struct(type="pool", pool=[2, 2], stride=1, method="max"),
        conv(5, 5, 40, 10),
        pcn.Struct(type="softmaxloss"),
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


def weights_of(net):
    return [w for layer in net.layers for w in layer.get("weights") or ()]


def trained(net, steps=8, images=20, size=28, replace=False, **options):
    """What each step gave, and the weights at the end."""
    random, found = np.random.default_rng(1), []
    pcn.rng.seed(0)
    for _ in range(steps):
        x = random.standard_normal((size, size, 1, images), np.float32)
        net.layers[-1]["class"] = random.integers(1, 11, images).astype(np.float32)
        res = pcn.vl_simplenn(net, x, 1, **{"mode": "normal", "conserveMemory": True, **options})
        ders = [d for result in res for d in result.dzdw or ()]
        found.append(
            (
                [None if r.x is None else r.x.tobytes() for r in res],
                [None if r.dzdx is None else r.dzdx.tobytes() for r in res],
                [None if d is None else (d.shape, d.tobytes()) for d in ders],
            )
        )
        for layer, result in zip(net.layers, res):
            for at, d in enumerate(result.dzdw or ()):
                if replace:
                    layer.weights[at] = layer.weights[at] - 0.01 * d
                else:
                    layer.weights[at] -= 0.01 * d
    return found, [w.tobytes() for w in weights_of(net)]


@pytest.mark.parametrize("make, layers", [(lenet, 7), (with_dropout, 5), (of_many_kinds, 11)])
@pytest.mark.parametrize("options", [{}, {"inputDer": False}, {"replace": True}, {"images": 3}])
def test_recorded_steps_give_the_bits_of_their_layers(monkeypatch, played, make, layers, options):
    found = trained(make(), steps=14, **options)
    assert set(played) == {layers} and len(played) >= 14 - 2 * UNTIL
    monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
    assert trained(make(), steps=14, **options) == found


def test_networks_without_a_loss(monkeypatch, played):
    """Their users give the derivative."""

    def run():
        net = of_many_kinds()
        del net.layers[-1]
        random, found = np.random.default_rng(2), []
        for at in range(12):
            x = random.standard_normal((28, 28, 1, 5), np.float32)
            dzdy = random.standard_normal((1, 1, 10, 5), np.float32)
            res = pcn.vl_simplenn(net, x, dzdy, mode="normal", conserveMemory=True, inputDer=at % 4 == 0)
            found += [a if a is None else a.tobytes() for r in res for a in (r.x, r.dzdx, *(r.dzdw or ()))]
            for w, d in zip(weights_of(net), [d for r in res for d in r.dzdw or ()]):
                w -= 0.01 * d
        return found

    found = run()
    assert set(played) == {11} and len(played) >= 12 - 2 * UNTIL
    monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
    assert run() == found


@pytest.mark.parametrize("fails", ["dzdy", "labels"])
def test_after_an_error_the_results_of_all_layers_are_there(monkeypatch, played, fails):
    """A call with skipForward goes on from them."""

    def run():
        net, random, options = of_many_kinds(), np.random.default_rng(2), {"mode": "normal", "conserveMemory": True}
        x, dzdy = (random.random(size, np.float32) for size in ((28, 28, 1, 5), (1, 1, 10, 5)))
        labels = np.ones(5)
        if fails == "dzdy":
            del net.layers[-1]
        else:
            net.layers[-1]["class"], dzdy = labels, 1
        for _ in range(UNTIL + 3):
            res = pcn.vl_simplenn(net, x, dzdy, **options)
        with pytest.raises(ValueError, match=r"dzdy is 1x1x9x5 where|in layer 12 .*softmaxloss"):
            labels += 10
            pcn.vl_simplenn(net, x, dzdy[:, :, 1:] if fails == "dzdy" else 1, res, **options)
        found = [r.x if r.x is None else r.x.tobytes() for r in res]
        if fails == "dzdy":
            found.append(pcn.vl_simplenn(net, x, dzdy, res, skipForward=True, **options)[0].dzdx.tobytes())
        return found

    found = run()
    assert len(played) >= 3 and sum(v is not None for v in found) > 8
    monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
    assert run() == found


def test_after_an_error_the_values_of_a_graph_are_there(monkeypatch, played):
    def run():
        net, random = shared_filters(), np.random.default_rng(2)
        x, dzdy = random.standard_normal((2, 9, 9, 8, 2), np.float32)
        for _ in range(UNTIL + 3):
            net.eval({"x": x}, {"s": dzdy})
        with pytest.raises(ValueError, match="the derivative of 's' is 8x9x8x2 where"):
            net.eval({"x": x}, {"s": dzdy[1:]})
        return [v.value if v.value is None else v.value.tobytes() for v in net.vars]

    found = run()
    assert len(played) >= 3 and sum(v is not None for v in found) > 4
    monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
    assert run() == found


def test_the_result_before_the_loss_is_kept_where_it_is_precious(monkeypatch, played):
    def make():
        net = lenet()
        net.layers[-2].precious = True
        return net

    found = trained(make())
    assert len(played) == 8 - UNTIL and found[0][-1][0][-2] is not None
    monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
    assert trained(make()) == found


@pytest.mark.parametrize("options", [{"conserveMemory": False}, {"backPropDepth": 3}])
def test_what_needs_results_between_layers_runs_layer_by_layer(played, options):
    trained(lenet(), **options)
    net = lenet()
    net.layers[1].precious = True
    trained(net)
    assert not played


def test_sub_batches_add_up_to_the_same(monkeypatch, played):
    def run():
        net, x = lenet(), np.random.default_rng(2).standard_normal((28, 28, 1, 20), np.float32)
        for _ in range(8):
            res = None
            for half in (x[..., :10], x[..., 10:]):
                net.layers[-1]["class"] = np.ones(10, np.float32)
                first = res is None
                res = pcn.vl_simplenn(net, half, 1, res, mode="normal", conserveMemory=True, accumulate=not first)
        return [d.tobytes() for result in res for d in result.dzdw or ()]

    found = run()
    assert played  # for the first half
    monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
    assert run() == found


def test_results_of_an_earlier_call_are_overwritten(played):
    net, x = lenet(), np.ones((28, 28, 1, 4), np.float32)
    net.layers[-1]["class"] = np.ones(4, np.float32)
    whole = pcn.vl_simplenn(net, x, 1, mode="normal")
    for _ in range(UNTIL):
        res = pcn.vl_simplenn(net, x, 1, mode="normal", conserveMemory=True)
    res = pcn.vl_simplenn(net, x, 1, whole, mode="normal", conserveMemory=True)
    assert played and all(r.x is None and r.dzdx is None for r in res[1:-1])


def test_layers_that_change_are_recorded_anew(monkeypatch, played):
    def run():
        net = lenet()
        found = [trained(net)]
        net.layers[1].method = "avg"
        found.append(trained(net))
        net.layers[6].weights = net.layers[6].weights[:1]
        return [*found, trained(net)]

    found = run()
    assert len(played) == 3 * (8 - UNTIL)
    monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
    assert run() == found


def test_long_steps_and_large_batches_are_not_worth_it(monkeypatch, played):
    for bound in ("SLOW", "COPIED"):
        with monkeypatch.context() as patch:
            patch.setattr(recorded_steps, bound, 0)
            trained(lenet())
    assert not played


def test_derivatives_are_the_callers_own(played):
    net, x = lenet(), np.ones((28, 28, 1, 4), np.float32)
    net.layers[-1]["class"] = np.ones(4, np.float32)
    ders = []
    for _ in range(UNTIL + 3):
        res = pcn.vl_simplenn(net, x, 1, mode="normal", conserveMemory=True)
        ders.append([d for r in res for d in r.dzdw or ()])
    kept = [d.tobytes() for d in ders[-2]]
    for d in ders[-1]:
        d *= 0
    res = pcn.vl_simplenn(net, 2 * x, 1, mode="normal", conserveMemory=True)
    assert len(played) == 4 and [d.tobytes() for d in ders[-2]] == kept
    assert not any(np.may_share_memory(a, b) for a, b in zip(ders[-1], ders[-2]))


class TestGraphs:
    """The same for a DagNN."""

    @staticmethod
    def graph():
        net = pcn.DagNN.fromSimpleNN(lenet(), canonicalNames=True)
        net.addLayer("error", pcn.dagnn.Loss(loss="classerror"), ["prediction", "label"], "error")
        return net

    @staticmethod
    def trained(net, steps=8, sub_batches=1, scores="prediction"):
        random, found = np.random.default_rng(1), []
        for _ in range(steps):
            for part in range(sub_batches):
                x = random.standard_normal((28, 28, 1, 6), np.float32)
                labels = random.integers(1, 11, 6).astype(np.float32)
                net.accumulateParamDers = part > 0
                net.eval({"input": x, "label": labels}, {"objective": 1})
                found.append([(v.name, *map(TestGraphs.bytes_of, (v.value, v.der))) for v in net.vars])
                found.append([TestGraphs.bytes_of(p.der) for p in net.params])
            for p in net.params:
                p.value -= 0.01 * p.der
        return found, [p.value.tobytes() for p in net.params]

    @staticmethod
    def bytes_of(a):
        return None if a is None else np.asarray(a).tobytes()

    @pytest.mark.parametrize("change", ["none", "sub-batches", "inputDers", "precious scores", "precious input"])
    def test_recorded_steps_give_the_bits_of_their_layers(self, monkeypatch, played, change):
        def run():
            net = self.graph()
            net.inputDers = change == "inputDers"
            net.vars["prediction"].precious = change == "precious scores"
            net.vars["input"].precious = change == "precious input"
            return self.trained(net, sub_batches=3 if change == "sub-batches" else 1)

        found = run()
        assert played and set(played) == {7}
        monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
        assert run() == found

    def test_graphs_without_a_loss(self, monkeypatch, played):
        def run():
            net, found = pcn.DagNN.fromSimpleNN(lenet(), canonicalNames=True), []
            net.removeLayer(net.layers[-1].name)
            random = np.random.default_rng(2)
            for at in range(12):
                x, dzdy = random.random((28, 28, 1, 5), np.float32), random.random((1, 1, 10, 5), np.float32)
                net.vars["prediction"].precious = at % 2 == 0
                net.eval({"input": x}, {"prediction": dzdy})
                found.append([(v.name, *map(self.bytes_of, (v.value, v.der))) for v in net.vars])
                found.append([self.bytes_of(p.der) for p in net.params])
                for p in net.params:
                    p.value -= 0.01 * p.der
            return found

        found = run()
        assert set(played) == {7}
        monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
        assert run() == found

    def test_what_needs_values_between_layers_runs_layer_by_layer(self, played):
        for change in ("conserveMemory", "precious", "read twice", "wanted"):
            net = self.graph()
            inner = net.layers[1].outputs[0]
            wanted = {"objective": 1}
            if change == "conserveMemory":
                net.conserveMemory = False
            elif change == "precious":
                net.vars[inner].precious = True
            elif change == "read twice":
                net.addLayer("other", pcn.dagnn.ReLU(), inner, "other")
            else:
                wanted[inner] = np.ones((12, 12, 20, 6), np.float32)
            for _ in range(8):
                x, labels = np.ones((28, 28, 1, 6), np.float32), np.ones(6, np.float32)
                net.eval({"input": x, "label": labels}, wanted)
        assert 7 not in played

    def test_forward_and_backward_apart(self, monkeypatch, played):
        def run():
            net, found = self.graph(), []
            for _ in range(8):
                net.forward({"input": np.ones((28, 28, 1, 6), np.float32), "label": np.ones(6, np.float32)})
                net.backward({"objective": 1})
                found.append([p.der.tobytes() for p in net.params])
            return found

        found = run()
        assert not played
        monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
        assert run() == found


def test_cnn_train_ends_at_the_same_weights(monkeypatch, played, tmp_path):
    random = np.random.default_rng(4)
    images = {
        "data": random.standard_normal((28, 28, 1, 90)).astype(np.float32),
        "labels": random.integers(1, 11, 90).astype(np.float32),
        "set": np.where(np.arange(90) < 70, 1, 2),
    }

    def run(folder):
        net, _ = pcn.cnn_train(
            lenet(),
            {"images": images},
            lambda imdb, batch: (imdb["images"]["data"][..., batch], imdb["images"]["labels"][batch]),
            expDir=str(tmp_path / folder),
            numEpochs=3,
            batchSize=10,
            train=np.flatnonzero(images["set"] == 1),
            val=np.flatnonzero(images["set"] == 2),
            plotStatistics=False,
        )
        return [w.tobytes() for w in weights_of(net)]

    found = run("recorded")
    assert played
    monkeypatch.setattr(recorded_steps, "PATIENCE", NEVER)
    assert run("plain") == found


def shared_filters():
    """Three layers with the same filters, after a rectifier, which reads its output on the way back."""
    net = pcn.DagNN()
    net.addLayer("r", pcn.dagnn.ReLU(), "x", "r")
    for before, after in zip("rabc", "abcd"):
        net.addLayer(after, pcn.dagnn.Conv(size=[3, 3, 8, 8], pad=1), before, after, ["f", "g"])
    net.addLayer("s", pcn.dagnn.BatchNorm(numChannels=8), "d", "s", ["m", "n", "o"])
    net.initParams()
    random = np.random.default_rng(0)
    for param in net.params:
        param.value = random.standard_normal(param.value.shape, np.float32)
    return net


def test_a_graph_whose_layers_share_filters(played):
    """The sum of their derivatives depends on the order; and the image, which nobody reads any more, is forgotten."""
    net = shared_filters()
    for seed in range(UNTIL + 4):
        random = np.random.default_rng(seed)
        x, dzdy = random.standard_normal((2, 9, 9, 8, 2), np.float32)
        net.eval({"x": x}, {"s": dzdy})
        other = shared_filters()
        other.eval({"x": x}, {"s": dzdy})
        assert [p.der.tobytes() for p in net.params] == [p.der.tobytes() for p in other.params]
        for what in ("value", "der"):
            assert [getattr(v, what) is None for v in net.vars] == [getattr(v, what) is None for v in other.vars]
    assert set(played) == {5} and len(played) >= 3
