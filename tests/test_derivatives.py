"""check_derivatives passes the layers there are and names what is off in others; what does not fit is told at once."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.layers import Layer


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((6, 6, 4, 3))


def scaled_square(**wrong):
    """y = g x^2, one number g; `wrong` replaces what forward, dx or dg give."""

    class ScaledSquare(Layer):
        simplenn = "scaledsquare"

        def forward(self, inputs, params):
            y = params[0] * inputs[0] ** 2
            return wrong["y"](y) if "y" in wrong else [y]

        def backward(self, inputs, params, derOutputs):
            (x,), (g,), (d,) = inputs, params, derOutputs
            dx, dg = 2 * g * x * d, np.sum(d * x**2, keepdims=True).reshape(g.shape)
            return [wrong["dx"](dx) if "dx" in wrong else dx], [wrong["dg"](dg) if "dg" in wrong else dg]

        def initParams(self):
            return [np.full((1, 1), 3, np.float32)]

    return ScaledSquare()


BLOCKS = {
    "ReLU": ({}, 1),
    "Sigmoid": ({}, 1),
    "SoftMax": ({}, 1),
    "DropOut": ({}, 1),
    "Conv": ({"size": [3, 3, 4, 5], "pad": 1}, 1),
    "ConvTranspose": ({"size": [3, 3, 5, 4], "upsample": 2}, 1),
    "Pooling": ({"poolSize": [2, 2], "stride": 2}, 1),
    "BatchNorm": ({"numChannels": 4}, 1),
    "LRN": ({}, 1),
    "Sum": ({}, 2),
    "Concat": ({}, 2),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_the_layers_there_are_pass(name, x):
    fields, count = BLOCKS[name]
    report = pcn.check_derivatives(getattr(dagnn, name)(**fields), [x, x[::-1]][:count])
    assert {row.name.split(" ")[0] for row in report} >= {f"inputs[{k}]" for k in range(count)}
    assert all(row.error < 1e-6 and row.derivative is not None for row in report)


def test_labels_have_no_derivative_and_singles_are_checked_in_double(x):
    labels = np.random.default_rng(1).integers(1, 5, (6, 6, 1, 3))
    scores, label = pcn.check_derivatives(dagnn.Loss(), [x.astype(np.float32), labels])
    assert scores.name == "inputs[0]" and scores.error < 1e-6 and scores.derivative != 0
    assert label.name == "inputs[1]" and label.derivative is None


def test_a_layer_of_ones_own_passes_with_its_own_parameters_or_given_ones(x):
    rows = pcn.check_derivatives(scaled_square(), [x])
    assert [row.name for row in rows] == ["inputs[0]", "params[0]"]
    more = pcn.check_derivatives(scaled_square(), [x], [np.full((1, 1), 6.0)])
    assert np.isclose(more[0].derivative, 2 * rows[0].derivative)


@pytest.mark.parametrize(("part", "name", "other"), [("dx", "inputs[0]", "params"), ("dg", "params[0]", "inputs")])
def test_the_derivative_that_is_off_is_named_and_no_other(part, name, other, x):
    with pytest.raises(ValueError, match="check_derivatives: ScaledSquare: the derivative of") as told:
        pcn.check_derivatives(scaled_square(**{part: lambda d: 1.01 * d}), [x])
    assert name in str(told.value) and other not in str(told.value)


def test_a_single_wrong_element_is_found(x):
    def one_off(d):
        d = d.copy()
        d[2, 3, 1, 0] = 0
        return d

    with pytest.raises(ValueError, match=r"inputs\[0\]"):
        pcn.check_derivatives(scaled_square(dx=one_off), [x])


def test_a_backward_that_reads_inputs_where_the_network_gives_outputs_is_found(x):
    class Shifted(Layer):
        backward_uses = "outputs"

        def forward(self, inputs, params):
            return [inputs[0] ** 2]

        def backward(self, inputs, params, derOutputs):
            return [2 * inputs[0] * derOutputs[0]], []

    with pytest.raises(ValueError, match=r"inputs\[0\] \(backward_uses is 'outputs'\)") as told:
        pcn.check_derivatives(Shifted(), [x])
    assert str(told.value).count("the derivative of") == 1


def test_random_numbers_of_the_caller_are_as_before(x):
    pcn.rng.seed(4)
    first = np.random.random(), pcn.rng.generator().random()
    pcn.rng.seed(4)
    pcn.check_derivatives(dagnn.DropOut(), [x])
    assert (np.random.random(), pcn.rng.generator().random()) == first


@pytest.mark.parametrize(
    ("layer", "inputs", "text"),
    [
        (dagnn.ReLU, [np.ones(3)], "layer must be an object of a layer class, got type"),
        (dagnn.ReLU(), np.ones(3), "inputs must be a list, such as"),
    ],
)
def test_what_it_takes_is_said(layer, inputs, text):
    with pytest.raises(TypeError, match=text):
        pcn.check_derivatives(layer, inputs)


MISTAKES = {
    "y itself, not [y]": ({"y": lambda y: y}, TypeError, "forward returns a list of outputs, got ndarray"),
    "two outputs": ({"y": lambda y: [y, y]}, ValueError, "forward returned 2 outputs, the layer has 1"),
    "dzdx too small": ({"dx": lambda d: d[1:]}, ValueError, r"of size 5x6x4x3 for inputs\[0\], which is 6x6x4x3"),
    "dzdx of one image": ({"dx": lambda d: d[..., :1]}, ValueError, r"6x6x4x1 for inputs\[0\], which is 6x6x4x3"),
    "dzdg as x": ({"dg": lambda d: d + np.ones((6, 6))}, ValueError, r"size 6x6 for params\[0\], which is 1x1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_fit_is_told_of_the_layer_that_returns_it_in_a_chain(mistake, x):
    wrong, kind, text = MISTAKES[mistake]
    scaled_square(**wrong)
    middle = {"type": "scaledsquare", "name": "mine", "weights": [np.full((1, 1), 3.0)]}
    net = pcn.SimpleNN(layers=[{"type": "relu"}, middle, {"type": "sigmoid"}, {"type": "relu"}])
    with pytest.raises(kind, match=f"{text}.* in layer 2 'mine'"):
        pcn.vl_simplenn(net, x, x)


@pytest.mark.parametrize("drives", [False, True])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_fit_is_told_of_the_layer_that_returns_it_in_a_graph(mistake, drives, x):
    wrong, kind, text = MISTAKES[mistake]
    block = scaled_square(**wrong)
    if drives:
        cls = type(block)
        cls.forwardAdvanced = lambda self, layer: Layer.forwardAdvanced(self, layer)
        cls.backwardAdvanced = lambda self, layer: Layer.backwardAdvanced(self, layer)
    net = pcn.DagNN()
    net.addLayer("first", dagnn.ReLU(), "x", "a")
    net.addLayer("mine", block, "a", "b", "g")
    net.addLayer("last", dagnn.Sigmoid(), "b", "c")
    net.params["g"].value = np.full((1, 1), 3.0)
    with pytest.raises(kind, match=f"{text}.* in layer 'mine'"):
        net.eval({"x": x}, {"c": x})


@pytest.mark.parametrize("mistake", sorted(MISTAKES.keys() - {"two outputs"}))  # which a layer may have
def test_check_derivatives_tells_the_same(mistake, x):
    wrong, kind, text = MISTAKES[mistake]
    with pytest.raises(kind, match=f"check_derivatives: ScaledSquare: .*{text}"):
        pcn.check_derivatives(scaled_square(**wrong), [x])


def test_a_custom_layer_of_functions_is_held_to_the_same(x):
    def forward(layer, before, after):
        after.x = before.x * 2

    def too_small(layer, before, after):
        before.dzdx = after.dzdx[1:]

    net = pcn.SimpleNN(layers=[{"type": "relu"}, {"type": "custom", "forward": forward, "backward": too_small}])
    with pytest.raises(ValueError, match=r"size 5x6x4x3 for inputs\[0\], which is 6x6x4x3 .* in layer 2"):
        pcn.vl_simplenn(net, x, x)
    net.layers[1]["forward"] = lambda layer, before, after: before.x
    with pytest.raises(TypeError, match="forward of a custom layer returns 'after' or nothing, got ndarray"):
        pcn.vl_simplenn(net, x)


def test_a_loss_of_ones_own_may_leave_out_its_labels(x):
    class Half(Layer):
        simplenn = "half"
        simplenn_inputs = ("class",)

        def forward(self, inputs, params):
            return [np.sum((inputs[0] - inputs[1]) ** 2).reshape(1, 1, 1, 1) / 2]

        def backward(self, inputs, params, derOutputs):
            return [derOutputs[0] * (inputs[0] - inputs[1])], []

    res = pcn.vl_simplenn(pcn.SimpleNN(layers=[{"type": "half", "class": np.zeros_like(x)}]), x, 1)
    assert np.array_equal(res[0].dzdx, x)
