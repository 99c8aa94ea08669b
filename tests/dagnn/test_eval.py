from threading import Thread

import numpy as np
import pytest

from pyconvnet import dagnn
from pyconvnet.dagnn import DagNN

RNG = np.random.default_rng(4)


class Times(dagnn.Layer):
    """y = f * x, f a number or a parameter."""

    factor = 2.0

    def forward(self, inputs, params):
        return [(params[0] if params else self.factor) * inputs[0]]

    def backward(self, inputs, params, derOutputs):
        (d,) = derOutputs
        return [(params[0] if params else self.factor) * d], [np.sum(d * inputs[0])[None] for _ in params]


class Halves(dagnn.Layer):
    """Two outputs."""

    def forward(self, inputs, params):
        h = inputs[0].shape[0] // 2
        return [inputs[0][:h], inputs[0][h:]]

    def backward(self, inputs, params, derOutputs):
        return [np.concatenate(derOutputs)], []


class NoDerivative(dagnn.Layer):
    def forward(self, inputs, params):
        return [inputs[0].copy()]

    def backward(self, inputs, params, derOutputs):
        return [None], []


def chain(*blocks, params=()):
    net = DagNN()
    for i, block in enumerate(blocks):
        net.addLayer(f"l{i}", block, f"x{i}", f"x{i + 1}", params[i] if i < len(params) else None)
    return net


def array(*shape):
    return RNG.standard_normal(shape)


def ones(*shape):
    return np.ones(shape)


def test_inputs_come_as_a_dict_or_as_matlabs_list():
    net = chain(Times())
    x = array(2, 3, 1, 2)
    net.eval(["x0", x], ["x1", ones(2, 3, 1, 2)])
    first = net.vars["x1"].value, net.vars["x0"].der
    net.eval({"x0": x}, {"x1": ones(2, 3, 1, 2)})
    np.testing.assert_array_equal(first[0], net.vars["x1"].value)
    np.testing.assert_array_equal(first[1], net.vars["x0"].der)


def test_derivatives_of_several_readers_add_up():
    net = DagNN()
    net.addLayer("a", Times(), "x", "y")
    net.addLayer("b", Times(factor=3.0), "y", "z")
    net.addLayer("s", dagnn.Sum(), ["y", "z", "y"], "out")
    x = array(2, 2, 1, 1)
    net.eval({"x": x}, {"out": ones(2, 2, 1, 1)})
    np.testing.assert_allclose(net.vars["out"].value, 10 * x)
    np.testing.assert_allclose(net.vars["x"].der, np.full_like(x, 10))


def test_weighted_objectives_add_up():
    net = DagNN()
    net.addLayer("a", Times(factor=2.0), "x", "o1")
    net.addLayer("b", Times(factor=3.0), "x", "o2")
    x = ones(1, 1, 1, 1)
    net.eval({"x": x}, {"o1": 1, "o2": 0.5})
    assert net.vars["x"].der.item() == 3.5
    net.eval({"x": x}, {"o1": 1, "o2": None})
    assert net.vars["x"].der.item() == 2


def test_a_derivative_given_for_an_inner_variable_adds_to_what_comes_back():
    net = chain(Times(factor=2.0), Times(factor=3.0))
    net.eval({"x0": ones(1, 1, 1, 1)}, {"x2": 1, "x1": 10})
    assert net.vars["x0"].der.item() == 2 * (3 + 10)


def test_shared_parameters_collect_from_all_their_layers():
    net = chain(Times(), Times(), params=["f", "f"])
    net.params["f"].value = np.array([3.0])
    net.eval({"x0": ones(1, 1, 1, 1)}, {"x2": 1})
    assert net.params["f"].der.item() == 6  # d f^2
    net.eval({"x0": ones(1, 1, 1, 1)}, {"x2": 1})
    assert net.params["f"].der.item() == 6
    net.accumulateParamDers = True
    net.eval({"x0": ones(1, 1, 1, 1)}, {"x2": 1})
    assert net.params["f"].der.item() == 12


def test_a_layer_without_derivative_ends_the_backward_pass():
    net = DagNN()
    net.addLayer("a", Times(), "x", "y", "f")
    net.addLayer("n", NoDerivative(), "y", "z")
    net.addLayer("b", Times(), "z", "out", "g")
    net.params["f"].value = net.params["g"].value = np.array([2.0])
    net.eval({"x": ones(1, 1, 1, 1)}, {"out": 1})
    assert net.vars["x"].der is None and net.params["f"].der is None
    assert net.params["g"].der.item() == 2


def test_an_output_without_derivative_counts_as_zero_beside_one_that_has():
    net = DagNN()
    net.addLayer("h", Halves(), "x", ["a", "b"])
    net.addLayer("t", Times(), "b", "out")
    net.eval({"x": ones(4, 1, 1, 1)}, {"out": ones(2, 1, 1, 1)})
    assert net.vars["x"].der.ravel().tolist() == [0, 0, 2, 2]


def test_a_part_of_the_graph_runs_when_some_inputs_are_missing():
    net = DagNN()
    net.addLayer("a", Times(), "x", "y")
    net.addLayer("s", dagnn.Sum(), ["y", "other"], "out")
    net.eval({"x": ones(1, 1, 1, 1)})
    assert net.vars["y"].value.item() == 2  # kept: its reader did not run
    assert net.vars["out"].value is None
    with pytest.raises(ValueError, match="'out', which was not computed; inputs of the network without a value: other"):
        net.eval({"x": ones(1, 1, 1, 1)}, {"out": 1})
    with pytest.raises(ValueError, match="no layer could run; inputs of the network without a value: x"):
        net.eval({"other": ones(1, 1, 1, 1)})


@pytest.mark.parametrize(
    "x, said", [(ones(2, 3, 1, 0), " .given as 2x3x1x0, which counts as none."), ([], ""), (None, "")]
)
def test_an_array_without_elements_counts_as_none_and_is_told(x, said):
    net = chain(Times())
    with pytest.raises(ValueError, match=f"no layer could run; inputs of the network without a value: x0{said}$"):
        net.eval({"x0": x})
    with pytest.raises(ValueError, match=f"no layer could run; inputs of the network without a value: x0{said}$"):
        net.eval({"x0": x}, {"x1": 1})
    with pytest.raises(ValueError, match=r"no layer could run; inputs of the network without a value: x0$"):
        net.eval({})  # of this call nothing is told that was given to another one


def test_a_variable_that_is_given_is_not_computed():
    net = chain(Times(), Times(factor=3.0))
    net.eval({"x1": ones(1, 1, 1, 1)})
    assert net.vars["x2"].value.item() == 3
    net.eval({"x0": ones(1, 1, 1, 1), "x1": 5 * ones(1, 1, 1, 1)}, {"x2": 1})
    assert net.vars["x2"].value.item() == 15
    assert net.vars["x1"].der.item() == 3 and net.vars["x0"].der is None


@pytest.mark.parametrize("conserve", [True, False])
def test_nothing_of_an_earlier_evaluation_is_taken_for_new(conserve):
    net = DagNN()
    net.addLayer("s", dagnn.Sum(), ["x", "label"], "out")
    net.addLayer("t", Times(), "x", "y")
    net.conserveMemory = conserve
    net.eval({"x": ones(1, 1, 1, 1), "label": ones(1, 1, 1, 1)}, {"out": 1, "y": 1})
    net.eval({"x": ones(1, 1, 1, 1)}, {"y": 1})
    assert net.vars["out"].value is None
    assert net.vars["x"].der.item() == 2


def test_a_value_that_the_user_set_stays():
    net = DagNN()
    net.addLayer("s", dagnn.Sum(), ["x", "shift"], "out")
    net.vars["shift"].value = ones(1, 1, 1, 1)
    net.vars["shift"].precious = True
    net.eval({"x": ones(1, 1, 1, 1)})
    net.eval({"x": ones(1, 1, 1, 1)})
    assert net.vars["out"].value.item() == 2


def test_conserving_memory_keeps_results_and_what_is_precious():
    net = chain(Times(), Times(), Times())
    net.vars["x2"].precious = True
    x = ones(1, 1, 1, 1)
    net.eval({"x0": x})
    assert [v.value is None for v in net.vars] == [True, True, False, False]
    net.eval({"x0": x}, {"x3": 1})
    assert [v.value is None for v in net.vars] == [False, True, False, False]
    assert [v.der is None for v in net.vars] == [False, True, False, True]
    assert net.vars["x0"].der.item() == 8
    net.conserveMemory = False
    net.eval({"x0": x}, {"x3": 1})
    assert [v.der.item() for v in net.vars] == [8, 4, 2, 1]
    assert [v.value.item() for v in net.vars] == [1, 2, 4, 8]


def test_times_are_taken_for_each_layer():
    net = chain(Times(), Times())
    net.eval({"x0": ones(1, 1, 1, 1)}, {"x2": 1})
    assert all(e.forwardTime > 0 and e.backwardTime > 0 for e in net.layers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"x": ones(1, 1, 1, 1)},), "inputs: no variable 'x'"),
        (({"x0": ones(1, 1, 1, 1)}, {"x1": 1, "x3": 1}), "derOutputs: no variable 'x3'"),
        ((ones(1, 1, 1, 1),), "inputs must be a dict or a list"),
        ((["x0"],), "names and values in turn, got 1"),
        ((["x0", ones(1, 1, 1, 1), "x0", ones(1, 1, 1, 1)],), "names 'x0' twice"),
        (({"x0": ones(2, 1, 1, 1)}, {"x1": 1}), "must be an array of its size 2x1x1x1, got int"),
        (({"x0": ones(2, 1, 1, 1)}, {"x1": ones(3, 1, 1, 1)}), "is 3x1x1x1 where its value is 2x1x1x1"),
        (({"x0": ones(2, 1, 1, 1)}, {"x1": np.ones((2, 1), complex)}), "must be numbers, got ndarray .complex128"),
    ],
)
def test_what_eval_cannot_take_is_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        chain(Times()).eval(*arguments)


def test_an_error_in_a_layer_says_where():
    net = DagNN()
    net.addLayer("add", dagnn.Sum(), ["x", "y"], "z")
    with pytest.raises(ValueError, match=r"Sum: input 2 .* in layer 'add' \(Sum\), inputs x 2x1x1x1, y 3x1x1x1"):
        net.eval({"x": ones(2, 1, 1, 1), "y": ones(3, 1, 1, 1)})


def test_a_parameter_without_value_is_named():
    net = DagNN()
    net.addLayer("conv", dagnn.Conv(size=[1, 1, 1, 1]), "x", "y", ["f", "b"])
    with pytest.raises((ValueError, TypeError), match="parameters without a value: f, b"):
        net.eval({"x": ones(2, 1, 1, 1)})


def test_a_block_with_the_wrong_number_of_results_is_named():
    class Lost(dagnn.Layer):
        def forward(self, inputs, params):
            return inputs

        def backward(self, inputs, params, derOutputs):
            return [], []

    net = chain(Lost())
    with pytest.raises(
        ValueError, match=r"backward returned 0 and 0 derivatives, the layer has 1 inputs.*'l0' \(Lost\)"
    ):
        net.eval({"x0": ones(1, 1, 1, 1)}, {"x1": 1})


def test_a_block_can_drive_itself():
    class Optional(dagnn.Sum):
        """Adds its second input only where it is there."""

        calls = 0

        def forwardAdvanced(self, layer):
            values = [self.net.vars[i].value for i in layer.inputIndexes]
            if values[1] is None:
                self.net.vars[layer.outputIndexes[0]].value = values[0]
            else:
                super().forwardAdvanced(layer)

        def backwardAdvanced(self, layer):
            self.calls += 1
            super().backwardAdvanced(layer)

    net = DagNN()
    net.addLayer("o", Optional(), ["x", "y"], "z")
    net.eval({"x": ones(1, 1, 1, 1)})
    assert net.vars["z"].value.item() == 1
    net.eval({"x": ones(1, 1, 1, 1), "y": ones(1, 1, 1, 1)}, {"z": 1})
    assert net.vars["z"].value.item() == 2 and net.layers["o"].block.calls == 1
    assert net.vars["x"].der.item() == net.vars["y"].der.item() == 1


def test_a_replaced_block_is_used_at_once():
    net = chain(Times())
    net.eval({"x0": ones(1, 1, 1, 1)})
    net.layers["l0"].block = Times(factor=7.0)
    net.eval({"x0": ones(1, 1, 1, 1)})
    assert net.vars["x1"].value.item() == 7 and net.layers["l0"].block.net is net


def relu_chain(**options):
    net = DagNN()
    net.addLayer("c1", dagnn.Conv(size=[3, 3, 2, 4], pad=1), "input", "x1", ["f1", "b1"])
    net.addLayer("r1", dagnn.ReLU(**options), "x1", "x2")
    net.addLayer("d", dagnn.DropOut(rate=0.5), "x2", "x3")
    net.addLayer("c2", dagnn.Conv(size=[3, 3, 4, 2], pad=1), "x3", "x4", ["f2", "b2"])
    net.addLayer("s", dagnn.Sum(), ["x4", "input"], "out")
    for p in net.params:
        shape = {"f1": (3, 3, 2, 4), "b1": (4, 1), "f2": (3, 3, 4, 2), "b2": (2, 1)}[p.name]
        p.value = array(*shape)
    return net


@pytest.mark.parametrize("options", [{}, {"leak": 0.1}, {"useShortCircuit": False}])
def test_conserving_memory_does_not_change_derivatives(options):
    net = relu_chain(**options)
    net.removeLayer("d")
    net.setLayerInputs("c2", "x2")
    x, d = array(5, 6, 2, 3), array(5, 6, 2, 3)
    results = []
    for conserve in (True, False):
        net.conserveMemory = conserve
        net.eval({"input": x}, {"out": d})
        results.append([net.vars["input"].der, *(p.der for p in net.params)])
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_two_threads_on_two_copies_give_the_numbers_of_one_after_the_other():
    net = relu_chain()
    net.mode = "test"
    xs, d = [array(5, 6, 2, 3) for _ in range(2)], array(5, 6, 2, 3)

    def run(copy, x, out):
        for _ in range(20):
            copy.eval({"input": x}, {"out": d})
            out.append([copy.vars["out"].value, copy.vars["input"].der, *(p.der for p in copy.params)])

    alone, together = ([], []), ([], [])
    for x, out in zip(xs, alone):
        run(net.copy(), x, out)
    threads = [Thread(target=run, args=(net.copy(), x, out)) for x, out in zip(xs, together)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a, b in zip(alone, together):
        assert len(b) == 20
        for first, second in zip(a, b):
            for u, v in zip(first, second):
                np.testing.assert_array_equal(u, v)


def test_two_copies_in_two_threads_give_what_they_give_one_after_the_other():
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(0)
    net = dagnn.DagNN()
    for i in range(6):
        block = dagnn.Conv(size=[3, 3, 16, 16], pad=1) if i % 2 == 0 else dagnn.ReLU()
        net.addLayer(f"l{i}", block, f"x{i}", f"x{i + 1}", [f"f{i}", f"b{i}"] if i % 2 == 0 else [])
    net.initParams()
    copies = [net.copy() for _ in range(2)]
    images = [rng.standard_normal((24, 24, 16, 4)).astype(np.float32) for _ in copies]

    def run(copy, x):
        for _ in range(5):
            copy.eval({"x0": x}, {"x6": np.ones_like(x)})
        return [p.der for p in copy.params]

    alone = [run(copy, x) for copy, x in zip(copies, images)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, copies, images))
    for one, two in zip(alone, together):
        assert all(np.array_equal(a, b) for a, b in zip(one, two))


def test_without_inputDers_the_first_convolution_leaves_out_what_training_has_no_use_for():
    net = DagNN()
    for i, name in enumerate("abc"):
        net.addLayer(name, dagnn.Conv(size=[3, 3, 2, 2], pad=1), f"x{i}", f"x{i + 1}", [f"{name}f", f"{name}b"])
    net.initParams()
    x = np.random.default_rng(0).standard_normal((5, 5, 2, 3), dtype=np.float32)
    net.eval({"x0": x}, {"x3": np.ones_like(x)})
    expected, whole = {p.name: p.der for p in net.params}, net.vars["x0"].der
    net.inputDers = False
    net.eval({"x0": x}, {"x3": np.ones_like(x)})
    assert whole is not None and net.vars["x0"].der is None
    assert all(np.array_equal(net.params[k].der, v) for k, v in expected.items())
    net.vars["x0"].precious = True
    net.eval({"x0": x}, {"x3": np.ones_like(x)})
    assert np.array_equal(net.vars["x0"].der, whole)
