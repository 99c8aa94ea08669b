"""What backward reads of the forward pass: declared by the class that computes, kept by the network, handed over."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.dagnn import DagNN

X = np.random.default_rng(0).standard_normal((8, 8, 1, 12)).astype(np.float32)


def conv(net, name, size, x, y, pad=0):
    net.addLayer(name, dagnn.Conv(size=size, pad=pad), x, y, [f"{name}f", f"{name}b"])


def unet():
    net = DagNN()
    conv(net, "c1", [3, 3, 1, 4], "input", "a", 1)
    net.addLayer("r1", dagnn.ReLU(), "a", "s")
    net.addLayer("p", dagnn.Pooling(poolSize=[2, 2], stride=2), "s", "q")
    conv(net, "c2", [3, 3, 4, 4], "q", "w", 1)
    net.addLayer("r2", dagnn.ReLU(), "w", "e")
    net.addLayer("up", dagnn.ConvTranspose(size=[2, 2, 4, 4], upsample=2, hasBias=False), "e", "u", ["f3"])
    net.addLayer("cat", dagnn.Concat(), ["u", "s"], "k")
    conv(net, "c4", [1, 1, 8, 2], "k", "pred")
    return net


def densenet():
    net = DagNN()
    conv(net, "c1", [3, 3, 1, 4], "input", "a", 1)
    conv(net, "c2", [3, 3, 4, 4], "a", "b", 1)
    net.addLayer("cat", dagnn.Concat(), ["a", "b"], "k")
    conv(net, "c4", [1, 1, 8, 2], "k", "pred")
    return net


def inception():
    net = DagNN()
    for k in (1, 3):
        conv(net, f"c{k}", [k, k, 1, 3], "input", f"a{k}", k // 2)
        net.addLayer(f"r{k}", dagnn.ReLU(), f"a{k}", f"y{k}")
    net.addLayer("p", dagnn.Pooling(poolSize=[3, 3], pad=1), "input", "pp")
    net.addLayer("cat", dagnn.Concat(), ["y1", "y3", "pp"], "k")
    conv(net, "c4", [1, 1, 7, 2], "k", "pred")
    return net


@pytest.mark.parametrize("make", [unet, densenet, inception], ids=lambda make: make.__name__)
def test_graphs_that_join_variables_train_alike_with_and_without_conserving_memory(make):
    trained = []
    for conserve in (True, False):
        net = make()
        net.addLayer("l", dagnn.Loss(), ["pred", "label"], "objective")
        random = np.random.default_rng(1)
        for layer in net.layers:
            for name, value in zip(layer.params, layer.block.initParams()):
                net.params[name].value = random.standard_normal(value.shape).astype(np.float32) / 3
        net, _ = pcn.cnn_train_dag(
            net,
            {"images": {"set": np.ones(12)}},
            lambda imdb, batch: {"input": X[..., batch], "label": (X[..., batch] > 0) + 1},
            expDir=None,
            batchSize=4,
            numEpochs=2,
            learningRate=0.001,
            verbose=False,
            conserveMemory=conserve,
        )
        trained.append([p.value for p in net.params])
    assert all(np.array_equal(a, b) for a, b in zip(*trained))


def soft(base_class):
    """A subclass that computes y = ln(1 + e^x), whatever its base does; its backward reads its inputs."""

    class Soft(base_class):
        simplenn = "soft-of-this-test"

        def forward(self, inputs, params):
            return [np.log1p(np.exp(inputs[0]))]

        def backward(self, inputs, params, derOutputs):
            return [derOutputs[0] / (1 + np.exp(-inputs[0]))], []

    return Soft


BASES = [n for n in ("Layer", "ElementWise", "ReLU", "Sigmoid", "DropOut", "Pooling", "Sum", "Concat", "Crop", "Loss")]


@pytest.mark.parametrize("name", BASES)
def test_a_subclass_that_computes_differently_is_given_its_inputs(name):
    kind = soft(getattr(dagnn, name))
    net, x = DagNN(), np.random.default_rng(0).standard_normal((4, 4, 2, 2))
    net.addLayer("pre", dagnn.Scale(size=[1, 1, 2], hasBias=False), "q", "x", ["g"])
    net.addLayer("s", kind(), "x", "y")
    net.addLayer("post", dagnn.Scale(size=[1, 1, 2], hasBias=False), "y", "z", ["h"])
    net.params["g"].value = net.params["h"].value = np.ones((1, 1, 2))
    net.eval({"q": x}, {"z": np.ones_like(x)})
    np.testing.assert_allclose(net.vars["q"].der, 1 / (1 + np.exp(-x)), rtol=1e-12)


def test_in_a_simplenn_too():
    soft(dagnn.ReLU)
    w, x = np.eye(2).reshape(1, 1, 2, 2), np.random.default_rng(0).standard_normal((4, 4, 2, 2))
    layer = {"type": "conv", "weights": [w, np.zeros((1, 2))]}
    net = pcn.vl_simplenn_tidy({"layers": [layer, {"type": "soft-of-this-test"}, layer]})
    res = pcn.vl_simplenn(net, x, np.ones_like(x), mode="normal", conserveMemory=True)
    np.testing.assert_allclose(res[0].dzdx, 1 / (1 + np.exp(-x)), rtol=1e-12)


def test_a_subclass_that_overrides_forward_alone_keeps_its_inputs():
    class Shifted(dagnn.ReLU):
        def forward(self, inputs, params):
            return [super().forward(inputs, params)[0] + 1]

    assert dagnn.ReLU().backward_uses == "outputs" and Shifted().backward_uses == "inputs"


def test_a_class_may_say_which_of_its_inputs_backward_reads():
    class Gate(dagnn.ElementWise):
        backward_uses = (1,)
        seen = None
        transient = ("seen",)

        def forward(self, inputs, params):
            return [inputs[0] * np.sign(inputs[1])]

        def backward(self, inputs, params, derOutputs):
            self.seen = [v is not None for v in inputs]
            return [derOutputs[0] * np.sign(inputs[1]), None], []

    for conserve in (True, False):
        net = DagNN()
        net.addLayer("a", dagnn.Sum(), ["x", "x"], "u")
        net.addLayer("gate", Gate(), ["u", "s"], "y")
        net.conserveMemory = conserve
        net.eval({"x": np.ones((1, 1, 1, 2)), "s": np.full((1, 1, 1, 2), -3.0)}, {"y": np.ones((1, 1, 1, 2))})
        assert net.vars["x"].der.ravel().tolist() == [-2, -2]
        assert net.layers["gate"].block.seen == [False, True]
        assert (net.vars["u"].value is None) == conserve


def test_both_keeps_the_outputs_while_backward_runs():
    class Damped(dagnn.ElementWise):
        backward_uses = "both"

        def forward(self, inputs, params):
            return [inputs[0] * np.exp(-inputs[0])]

        def backward(self, inputs, params, derOutputs):
            return [derOutputs[0] * (np.exp(-inputs[0]) - self.net.vars["y"].value)], []

    net, x = DagNN(), np.linspace(-1, 1, 8).reshape(1, 1, 2, 4)
    net.addLayer("a", dagnn.Sum(), ["q", "q"], "x")
    net.addLayer("s", Damped(), "x", "y")
    net.addLayer("b", dagnn.Sum(), ["y", "y"], "z")
    net.eval({"q": x}, {"z": np.ones_like(x)})
    np.testing.assert_allclose(net.vars["q"].der, 4 * np.exp(-2 * x) * (1 - 2 * x), rtol=1e-12)


def test_what_backward_uses_may_be_is_said_where_it_is_something_else():
    class Odd(dagnn.ElementWise):
        backward_uses = "input"

        def forward(self, inputs, params):
            return inputs

    net = DagNN()
    net.addLayer("odd", Odd(), "x", "y")
    with pytest.raises(ValueError, match=r"Odd.backward_uses must be 'inputs', .* got 'input'"):
        net.eval({"x": np.ones((1, 1, 1, 1))})


def test_concat_needs_the_sizes_of_this_evaluation_only():
    net, x = DagNN(), np.arange(12.0).reshape(1, 2, 3, 2)
    net.addLayer("r", dagnn.ReLU(), "x", "v")
    net.addLayer("cat", dagnn.Concat(), ["v", "x"], "y")
    for width in (2, 1):
        part = x[:, :width]
        net.eval({"x": part}, {"y": np.ones((1, width, 6, 2))})
        assert np.array_equal(net.vars["x"].der, 1 + (part > 0))


@pytest.mark.parametrize("size", [[1, 1, 1], [1, 1, 4], [6, 6, 4]], ids=str)
def test_scale_by_a_variable_is_initialised_with_the_parameters_that_it_has(size):
    net = DagNN()
    conv(net, "c", [1, 1, 2, 4], "input", "x")
    net.addLayer("s", dagnn.Sigmoid(), "x", "gate")
    net.addLayer("scale", dagnn.Scale(hasBias=False, size=size), ["x", "gate"], "y")
    net.addLayer("shifted", dagnn.Scale(hasBias=True, size=size), ["y", "gate"], "z", ["h"])
    net.addLayer("alone", dagnn.Scale(hasBias=True, size=size), "z", "out", ["g2", "h2"])
    net.initParams()
    full = (*size, 1)
    assert net.params["h"].value.shape == full and not net.params["h"].value.any()
    assert net.params["g2"].value.shape == full and net.params["g2"].value.any() and not net.params["h2"].value.any()
    net.eval({"input": np.ones((6, 6, 2, 3), np.float32)})
    assert net.vars["out"].value.shape == (6, 6, 4, 3)
