"""Blocks that users bring, and files that hold some."""

import numpy as np
import pytest

from pyconvnet import dagnn
from pyconvnet.dagnn import DagNN
from pyconvnet.records import Struct


def saved(type="dagnn.Power", **block):
    return Struct(
        vars=[
            Struct(name="x", precious=np.array([[0]], np.uint8)),
            Struct(name="y", precious=np.array([[1]], np.uint8)),
        ],
        params=Struct(name="g", value=np.array([[2.0]]), learningRate=np.array([[3]]), weightDecay=np.array([[0.5]])),
        layers=Struct(name="p", type=type, inputs=["x"], outputs=["y"], params=["g"], block=Struct(block)),
        meta=np.zeros((0, 0)),
    )


def define_power():
    class Power(dagnn.ElementWise):
        """y = g x^exponent"""

        exponent = 1.0
        verbose = False
        cache = None
        transient = ("cache",)

        def forward(self, inputs, params):
            return [params[0] * inputs[0] ** self.exponent]

        def backward(self, inputs, params, derOutputs):
            (x,), (g,), (d,) = inputs, params, derOutputs
            dx = d * g * self.exponent * x ** (self.exponent - 1)
            return [dx], [np.sum(d * x**self.exponent).reshape(1, 1)]

        def initParams(self):
            return [np.ones((1, 1))]

    return Power


def test_a_block_of_a_file_is_of_the_class_that_the_user_defined():
    kind = define_power()
    net = DagNN.loadobj(saved(exponent=np.array([[3]], np.uint8), verbose=np.array([[1]], np.uint8)))
    block = net.layers["p"].block
    assert type(block) is kind and block.exponent == 3 and block.verbose is True
    assert net.params["g"].learningRate == 3 and net.params["g"].weightDecay == 0.5
    assert net.vars["y"].precious is True and net.vars["x"].precious is False
    x = np.full((1, 1, 1, 1), 2.0)
    net.eval({"x": x}, {"y": 1})
    assert net.vars["y"].value.item() == 16 and net.vars["x"].der.item() == 24
    assert net.params["g"].der.item() == 8
    assert net.getVarSizes({"x": (4, 5, 6)}) == [(4, 5, 6, 1)] * 2


def test_an_unknown_block_is_kept_says_what_is_missing_and_is_saved_as_it_came():
    s = saved(exponent=np.array([[3]]))
    net = DagNN.loadobj(s)
    assert "Power" in net.print() and repr(net.layers[0].block) == "MissingBlock('dagnn.Power')"
    with pytest.raises(TypeError, match=r"'dagnn.Power' is not defined here \(the file holds exponent\).*layer 'p'"):
        net.eval({"x": np.ones((1, 1, 1, 1))})
    assert np.isnan(net.getVarSizes({"x": (4, 5, 6)})[1][0])
    with pytest.raises(TypeError, match=r"DagNN.getVarSizes: size of 'x' must be numbers"):
        net.getVarSizes({"x": "4x5"})
    out = net.saveobj()
    assert out.layers[0].type == "dagnn.Power" and out.layers[0].block == s.layers.block
    copy = net.copy()
    assert copy.saveobj().layers[0].block == s.layers.block


def test_the_rest_of_a_graph_with_an_unknown_block_runs():
    s = saved()
    s.layers = [s.layers, Struct(name="n", type="dagnn.Sum", inputs=["a", "b"], outputs=["c"], params=[], block=[])]
    net = DagNN.loadobj(s)
    net.eval({"a": np.ones((1, 1, 1, 1)), "b": np.ones((1, 1, 1, 1))})
    assert net.vars["c"].value.item() == 2


def test_a_class_outside_matlabs_package_keeps_its_name():
    define_power()
    net = DagNN.loadobj(saved("Power", exponent=np.array([[3]])))
    assert net.saveobj().layers[0].type == "Power"
    assert "Power" in net.print()
    assert net.copy().saveobj().layers[0].type == "Power"


def test_what_is_saved_loads_again_and_transient_properties_stay_behind():
    kind = define_power()
    net = DagNN()
    net.addLayer("p", kind(exponent=2.0, cache=5), "x", "y", "g")
    net.initParams()
    s = net.saveobj()
    assert s.layers[0].block == {"exponent": 2.0, "verbose": False} and s.layers[0].type == "dagnn.Power"
    again = DagNN.loadobj(s)
    assert again.layers["p"].block.exponent == 2.0 and again.layers["p"].block.cache is None
    assert DagNN.loadobj(net) is net


def test_an_objective_may_be_a_plain_number():
    class Total(dagnn.Loss):
        def forward(self, inputs, params):
            return [float(inputs[0].sum())]

        def backward(self, inputs, params, derOutputs):
            return [np.full_like(inputs[0], derOutputs[0].item())], []

    net = DagNN()
    net.addLayer("t", Total(), "x", "objective")
    net.eval({"x": np.ones((2, 3, 1, 1))}, {"objective": 2})
    assert net.vars["objective"].value == 6 and np.array_equal(net.vars["x"].der, np.full((2, 3, 1, 1), 2.0))


def test_the_derivative_of_a_gain_may_be_a_plain_number_and_of_nothing_an_empty_array():
    class Gain(dagnn.Layer):
        def forward(self, inputs, params):
            return [inputs[0] * params[0] + inputs[1]]

        def backward(self, inputs, params, derOutputs):
            (d,) = derOutputs
            return [d * params[0], np.zeros((1, 0))], [np.sum(d * inputs[0])]

    net = DagNN()
    net.addLayer("g", Gain(), ["x", "offset"], "y", "gain")
    net.params["gain"].value = np.array([[3.0]])
    x = np.ones((2, 2, 1, 1))
    net.eval({"x": x, "offset": x}, {"y": x})
    assert net.params["gain"].der == 4 and net.vars["offset"].der is None


def test_a_property_that_the_class_does_not_have_is_left_out_with_a_warning():
    define_power()
    with pytest.warns(UserWarning, match=r"Power has no property 'exponnt'; it is left out \(layers 'p'\)"):
        DagNN.loadobj(saved(exponnt=np.array([[3]])))


def test_a_property_named_like_a_python_keyword_gets_an_underscore():
    class Ridge(dagnn.ElementWise):
        lambda_ = 1.0

    net = DagNN.loadobj(saved("dagnn.Ridge", **{"lambda": np.array([[10]], np.uint8)}))
    assert net.layers["p"].block.lambda_ == 10
    assert net.saveobj().layers[0].block == {"lambda": 10}


def test_load_and_save_can_be_overridden():
    class Packed(dagnn.Layer):
        table = ()

        def load(self, *args, **fields):
            if args and isinstance(args[0], dict) and "table" in args[0]:
                args = ({"table": tuple(np.ravel(args[0]["table"]) - 1)},)
            super().load(*args, **fields)

        def save(self):
            return Struct(table=np.array([self.table]) + 1)

    net = DagNN.loadobj(saved("dagnn.Packed", table=np.array([[1, 2, 5]])))
    assert net.layers["p"].block.table == (0, 1, 4)
    np.testing.assert_array_equal(net.saveobj().layers[0].block.table, [[1, 2, 5]])


def test_attach_can_set_up_parameters():
    class Frozen(dagnn.Layer):
        def attach(self, net, index):
            super().attach(net, index)
            for name in net.layers[index].params:
                net.params[name].learningRate = 0
                net.params[name].trainMethod = "none"

    net = DagNN()
    net.addLayer("f", Frozen(), "x", "y", ["a", "b"])
    assert [(p.learningRate, p.trainMethod) for p in net.params] == [(0, "none")] * 2


def test_a_filter_knows_its_sizes_and_receptive_fields():
    class Median(dagnn.Filter):
        extent = 3

        def getKernelSize(self):
            return (self.extent, self.extent)

    net = DagNN()
    net.addLayer("m", Median(stride=2, pad=1), "x", "y")
    net.addLayer("n", Median(extent=5), "y", "z")
    assert net.getVarSizes({"x": (9, 11, 2, 1)}) == [(9, 11, 2, 1), (5, 6, 2, 1), (1, 2, 2, 1)]
    fields = net.getVarReceptiveFields("x")
    assert [f.size for f in fields] == [(1, 1), (3, 3), (11, 11)]
    assert [f.stride for f in fields] == [(1, 1), (2, 2), (2, 2)]
    assert [f.offset for f in fields] == [(1, 1), (1, 1), (5, 5)]


def test_receptive_fields_of_branches_are_joined_unless_their_strides_differ():
    class Window(dagnn.Filter):
        extent = 1

        def getKernelSize(self):
            return (self.extent, self.extent)

    net = DagNN()
    net.addLayer("a", Window(extent=3), "x", "a")
    net.addLayer("b", Window(extent=5), "x", "b")
    net.addLayer("s", dagnn.Sum(), ["a", "b"], "s")
    net.addLayer("c", Window(stride=2), "x", "c")
    net.addLayer("t", dagnn.Sum(), ["s", "c"], "t")
    fields = dict(zip((v.name for v in net.vars), net.getVarReceptiveFields("x")))
    assert fields["s"].size == (5, 5) and fields["s"].offset == (3, 3)
    assert np.isnan(fields["t"].size).all()
    assert net.getVarReceptiveFields("a")[net.getVarIndex("b")].size == ()


def test_what_is_no_graph_is_refused():
    with pytest.raises(TypeError, match=r"s must be the Struct of saveobj .*got a struct with weights"):
        DagNN.loadobj(Struct(weights=1))
    with pytest.raises(TypeError, match="got ndarray"):
        DagNN.loadobj(np.ones(3))


def test_a_parameter_that_no_layer_uses_is_left_out_with_a_warning():
    define_power()
    s = saved()
    s.params = [s.params, Struct(name="old", value=np.ones((1, 1)))]
    with pytest.warns(UserWarning, match="parameter 'old' is used by no layer"):
        assert "old" not in DagNN.loadobj(s).params


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        (lambda x: x[0], lambda d: ([d[0]], []), "forward returns a list of outputs, got ndarray"),
        (lambda x: None, lambda d: ([d[0]], []), "forward returns a list of outputs, got NoneType"),
        (lambda x: [x[0]], lambda d: [d[0]], r"backward returns \(derInputs, derParams\), two lists, got list"),
        (lambda x: [x[0]], lambda d: None, r"backward returns \(derInputs, derParams\), two lists, got NoneType"),
    ],
)
def test_what_a_block_returns_in_the_wrong_form_is_refused_in_words(forward, backward, message):
    class Careless(dagnn.ElementWise):
        def forward(self, inputs, params):
            return forward(inputs)

        def backward(self, inputs, params, derOutputs):
            return backward(derOutputs)

    net = dagnn.DagNN()
    net.addLayer("a", Careless(), "x", "y")
    with pytest.raises(TypeError, match=message + r".*in layer 'a' \(Careless\)"):
        net.eval({"x": np.ones((2, 2, 1, 1), np.float32)}, {"y": np.ones((2, 2, 1, 1), np.float32)})
