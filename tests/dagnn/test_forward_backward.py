"""DagNN.forward and DagNN.backward: one eval in two steps, and two networks that train each other."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((8, 8, 3, 2), dtype=np.float32)


def network(conserve=True):
    """Every kind of need: a rectifier, dropout, a sum of two branches, a loss; two readers of one variable."""
    pcn.rng.seed(1)
    net = pcn.DagNN()
    net.conserveMemory = conserve
    net.addLayer("conv", dagnn.Conv(size=[3, 3, 3, 4], pad=1), "x", "a", ["f", "b"])
    net.addLayer("bn", dagnn.BatchNorm(numChannels=4), "a", "n", ["g", "h", "m"])
    net.addLayer("relu", dagnn.ReLU(), "n", "r")
    net.addLayer("drop", dagnn.DropOut(), "r", "d")
    net.addLayer("skip", dagnn.Conv(size=[1, 1, 4, 4]), "n", "s", ["f2", "b2"])
    net.addLayer("sum", dagnn.Sum(), ["d", "s"], "y")
    net.addLayer("loss", dagnn.Loss(), ["y", "label"], "objective")
    net.initParams()
    return net


def derivatives(net):
    return {p.name: p.der for p in net.params} | {"x": net.vars["x"].der}


@pytest.mark.parametrize("mode", ["normal", "test"])
@pytest.mark.parametrize("conserve", [True, False])
def test_forward_then_backward_is_eval(conserve, mode, x):
    label = np.random.default_rng(1).integers(1, 5, (8, 8, 1, 2))
    both, steps = network(conserve), network(conserve)
    both.mode = steps.mode = mode
    both.params["m"].value = steps.params["m"].value = np.ones((4, 2), np.float32)
    pcn.rng.seed(2)
    both.eval({"x": x, "label": label}, {"objective": 3})
    pcn.rng.seed(2)
    steps.forward({"x": x, "label": label})
    assert steps.vars["objective"].value == both.vars["objective"].value
    assert all(p.der is None for p in steps.params)
    steps.backward(["objective", 3])
    want, found = derivatives(both), derivatives(steps)
    assert want.keys() == found.keys() and all(np.array_equal(want[k], found[k]) for k in want)


def test_a_generator_learns_from_a_discriminator(x):
    generator, discriminator, joint = pcn.DagNN(), pcn.DagNN(), pcn.DagNN()
    for net, read, written in ((generator, "x", "image"), (joint, "x", "image")):
        net.addLayer("g", dagnn.Conv(size=[3, 3, 3, 3], pad=1), read, "g1", ["gf", "gb"])
        net.addLayer("g2", dagnn.Sigmoid(), "g1", written)
    for net in (discriminator, joint):
        net.addLayer("d", dagnn.Conv(size=[8, 8, 3, 1]), "image", "score", ["df", "db"])
        net.addLayer("loss", dagnn.Loss(loss="logistic"), ["score", "label"], "objective")
    pcn.rng.seed(0)
    joint.initParams()
    for net in (generator, discriminator):
        for param in net.params:
            param.value = joint.params[param.name].value
    label = np.ones((1, 1, 1, 2), np.float32)

    joint.eval({"x": x, "label": label}, {"objective": 1})
    generator.forward({"x": x})
    discriminator.eval({"image": generator.vars["image"].value, "label": label}, {"objective": 1})
    generator.backward({"image": discriminator.vars["image"].der})
    for name in ("gf", "gb"):
        assert np.allclose(generator.params[name].der, joint.params[name].der, rtol=1e-5, atol=1e-7)


def test_one_network_run_twice_for_one_step_adds_its_derivatives_up(x):
    """As a discriminator is, with real and generated images; holdOn, as in MATLAB, is not what adds them up."""
    net = network()
    net.removeLayer("drop")
    net.setLayerInputs("sum", ["r", "s"])
    label = np.random.default_rng(1).integers(1, 5, (8, 8, 1, 2))
    parts = []
    for half in (x, 2 * x):
        net.eval({"x": half, "label": label}, {"objective": 1})
        parts.append(net.params["f"].der)
    net.eval({"x": x, "label": label}, {"objective": 1}, "holdOn", True)
    assert net.holdOn is True and np.array_equal(net.params["f"].der, parts[0])
    net.accumulateParamDers = True
    net.eval({"x": 2 * x, "label": label}, {"objective": 1}, holdOn=False)
    assert net.holdOn is False and np.allclose(net.params["f"].der, parts[0] + parts[1], rtol=1e-5)
    net.accumulateParamDers = False
    net.forward({"x": x, "label": label})
    net.backward({"objective": 1})
    assert np.array_equal(net.params["f"].der, parts[0])


def test_one_forward_serves_several_backwards_where_nothing_is_forgotten(x):
    net = network(conserve=False)
    net.mode = "test"
    net.params["m"].value = np.ones((4, 2), np.float32)
    net.forward({"x": x})
    y = net.vars["y"].value
    found = []
    for channel in range(4):
        d = np.zeros_like(y)
        d[:, :, channel] = 1
        net.backward({"y": d})
        found.append(net.vars["x"].der)
    net.backward({"y": np.ones_like(y)})
    assert np.allclose(sum(found), net.vars["x"].der, atol=1e-5) and not np.allclose(found[0], found[1])


def test_a_backward_without_its_forward_says_so(x):
    net = network()
    label = np.ones((8, 8, 1, 2))
    values = {"x": x, "label": label}
    with pytest.raises(ValueError, match=r"DagNN\.backward: there is no forward pass"):
        net.backward({"objective": 1})
    net.eval(values)
    with pytest.raises(ValueError, match="there is no forward pass"):
        net.backward({"objective": 1})
    net.forward(values)
    net.backward({"objective": 1})
    with pytest.raises(ValueError, match=r"call forward.* before each call"):
        net.backward({"objective": 1})
    net.forward(values)
    net.addLayer("more", dagnn.ReLU(), "y", "z")
    with pytest.raises(ValueError, match="there is no forward pass"):
        net.backward({"objective": 1})
    net.forward(values)
    net.reset()
    with pytest.raises(ValueError, match="there is no forward pass"):
        net.backward({"objective": 1})


def test_what_backward_is_given_is_checked(x):
    net = network()
    net.forward({"x": x, "label": np.ones((8, 8, 1, 2))})
    with pytest.raises(ValueError, match=r"DagNN\.backward: derOutputs: .*'objectiv'"):
        net.backward({"objectiv": 1})
    with pytest.raises(ValueError, match=r"DagNN\.backward: derOutputs names no output"):
        net.backward({})
    with pytest.raises(ValueError, match=r"names 'd', which forward did not compute, or has not kept; .*precious"):
        net.backward({"d": np.ones((8, 8, 4, 2), np.float32)})
    with pytest.raises(ValueError, match=r"DagNN\.backward: the derivative of 'objective' is 2x1x1x1 where its value"):
        net.backward({"objective": np.ones((2, 1, 1, 1))})
    net.forward({"x": x, "label": np.ones((8, 8, 1, 2))})
    net.backward({"objective": 1})
    assert net.params["f"].der is not None


def test_an_unknown_option_of_eval_is_refused(x):
    with pytest.raises(ValueError, match="unknown option 'holdo'; did you mean 'holdOn'"):
        network().eval({"x": x}, {"y": np.ones((8, 8, 4, 2), np.float32)}, "holdo", True)
