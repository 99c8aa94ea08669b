import copy
import math
import pickle
import warnings

import numpy as np
import pytest

from pyconvnet import dagnn
from pyconvnet.dagnn import DagNN


class Multiplied(dagnn.Layer):
    factor = 2.0

    def forward(self, inputs, params):
        return [self.factor * inputs[0]]

    def backward(self, inputs, params, derOutputs):
        return [self.factor * derOutputs[0]], []


@pytest.fixture
def dag():
    """x -a-> y -b-> z, y + z -s-> out"""
    net = DagNN()
    net.addLayer("a", Multiplied(), "x", "y")
    net.addLayer("b", Multiplied(factor=3.0), "y", "z")
    net.addLayer("s", dagnn.Sum(), ["y", "z"], "out")
    return net


def wiring(net):
    return [(e.name, e.inputs, e.outputs, e.params, e.inputIndexes, e.outputIndexes) for e in net.layers]


def test_parts_are_found_by_name_position_and_list(dag):
    assert dag.vars["y"] is dag.vars[1] is dag.getVar("y") is dag.vars[-3]
    assert dag.layers["s"].block is dag.layers[2].block
    assert [v.name for v in dag.vars[["z", "x"]]] == ["z", "x"]
    assert [e.name for e in dag.layers[1:]] == ["b", "s"]
    assert "y" in dag.vars and "q" not in dag.vars


def test_positions_are_given_by_name_and_nan_where_there_is_none(dag):
    assert dag.getVarIndex("z") == 2
    assert dag.getLayerIndex(["s", "a"]) == [2, 0]
    assert math.isnan(dag.getVarIndex("q")) and math.isnan(dag.getParamIndex("f"))


def test_an_unknown_name_is_refused_with_the_nearest(dag):
    dag.renameVar("out", "objective")
    with pytest.raises(ValueError, match="no variable 'objectve'; did you mean 'objective'"):
        dag.vars["objectve"]
    with pytest.raises(KeyError, match="no layer 'conv'"):
        dag.getLayer("conv")
    with pytest.raises(IndexError, match="there are 4"):
        dag.vars[4]


def test_inputs_outputs_fanin_and_fanout_follow_from_the_layers(dag):
    assert dag.getInputs() == ["x"] and dag.getOutputs() == ["out"]
    assert [(v.name, v.fanin, v.fanout) for v in dag.vars] == [("x", 0, 1), ("y", 1, 2), ("z", 1, 1), ("out", 1, 0)]


def test_layers_run_in_the_order_of_their_data_not_of_their_addition():
    net = DagNN()
    net.addLayer("last", Multiplied(), "b", "c")
    net.addLayer("first", Multiplied(), "x", "a")
    net.addLayer("second", Multiplied(), "a", "b")
    assert net.getLayerExecutionOrder() == [1, 2, 0]


def test_removing_a_layer_drops_what_nothing_uses_any_more(dag):
    dag.removeLayer("s")
    assert [v.name for v in dag.vars] == ["x", "y", "z"]
    assert dag.getOutputs() == ["z"]
    with pytest.raises(ValueError, match="no layer 's'"):
        dag.removeLayer("s")


def test_positions_in_blocks_follow_removals(dag):
    dag.removeLayer("a")
    assert [e.block.layerIndex for e in dag.layers] == [0, 1]
    assert dag.layers["s"].inputIndexes == [dag.getVarIndex("y"), dag.getVarIndex("z")]


def test_renaming_reaches_every_layer(dag):
    dag.renameVar("y", "mid")
    dag.renameLayer("a", "front")
    assert dag.layers["front"].outputs == ["mid"] and dag.layers["s"].inputs == ["mid", "z"]


def test_renaming_to_a_name_that_is_taken_is_refused(dag):
    before = wiring(dag)
    with pytest.raises(ValueError, match="variable 'y' cannot be renamed to 'z': that name is taken"):
        dag.renameVar("y", "z")
    with pytest.raises(ValueError, match="layer 'a' cannot be renamed to 'b'"):
        dag.renameLayer("a", "b")
    assert wiring(dag) == before


def test_a_variable_renamed_to_one_that_is_read_becomes_it(dag):
    """As cnn_imagenet_deploy.m takes layers out: what read the layer's output reads its input."""
    layer = dag.layers["b"]
    dag.removeLayer("b")
    dag.renameVar(layer.outputs[0], layer.inputs[0], "quiet", True)
    assert dag.layers["s"].inputs == ["y", "y"] and dag.getInputs() == ["x"]
    assert [(v.name, v.fanin, v.fanout) for v in dag.vars] == [("x", 0, 1), ("y", 1, 2), ("out", 1, 0)]
    with pytest.raises(ValueError, match=r"cycle: 'a' -\(y\)-> 's'"):
        dag.renameVar("x", "out")
    assert dag.getInputs() == ["x"]


def test_renaming_what_is_not_there_is_refused_unless_quiet(dag):
    for rename in (dag.renameVar, dag.renameLayer, dag.renameParam):
        with pytest.raises(ValueError, match=r"no (variable|layer|parameter) 'q'"):
            rename("q", "r")
        rename("q", "r", "quiet", True)
        rename("q", "r", quiet=True)
        with pytest.raises(ValueError, match=f"DagNN.{rename.__name__}: unknown option 'quit'"):
            rename("q", "r", "quit", True)


def test_many_layers_are_added_before_one_rebuild():
    net = DagNN()
    net.addLayer("b", Multiplied(), "y", "z", [], "skipRebuild", True)
    net.addLayer("a", Multiplied(), "x", "y", skipRebuild=True)
    assert net.getLayerExecutionOrder() == []
    net.rebuild()
    assert net.getLayerExecutionOrder() == [1, 0]


def test_names_set_by_hand_count_after_a_rebuild(dag):
    dag.layers["b"].inputs = "x"
    dag.layers["s"].inputs = ("z",)
    dag.layers["b"].params = None
    dag.rebuild()
    assert dag.layers["b"].inputs == ["x"] and dag.layers["s"].inputs == ["z"] and dag.layers["b"].params == []
    assert dag.getInputs() == ["x"] and dag.getOutputs() == ["y", "out"]


def test_reconnecting_changes_inputs_outputs_and_params(dag):
    dag.setLayerInputs("b", "x")
    dag.setLayerOutputs("b", ["w"])
    dag.setLayerInputs("s", ["y", "w"])
    dag.setLayerParams("s", ["g"])
    assert [v.name for v in dag.vars] == ["x", "y", "out", "w"]
    assert dag.params["g"].fanout == 1
    for nothing in (None, [], {}, ""):
        dag.setLayerParams("s", "g")
        dag.setLayerParams("s", nothing)
        assert len(dag.params) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.addLayer("a", Multiplied(), "x", "q"), "there is a layer 'a' already"),
        (lambda d: d.addLayer("c", Multiplied(), "out", "x"), r"'a' -\(y\)-> .*'c' -\(x\)-> 'a'"),
        (
            lambda d: d.addLayer("c", Multiplied(), "x", "z"),
            "'z' is an output of layer 'b' and cannot be one of layer 'c'",
        ),
        (lambda d: d.setLayerInputs("a", "out"), "cycle: 'a'"),
        (lambda d: d.setLayerOutputs("a", "x"), r"cycle: 'a' -\(x\)-> 'a'"),
        (lambda d: d.addLayer("c", Multiplied, "x", "w"), "must be a dagnn.Layer"),
        (lambda d: d.addLayer("c", Multiplied(), [3], "w"), "inputs must be names"),
        (lambda d: d.addLayer("c", Multiplied(), 3, "w"), "inputs must be a name or a list of them, got int: 3"),
        (lambda d: d.addLayer("c", Multiplied(), {"x", "y"}, "w"), "inputs must be a name or a list of them, got set"),
    ],
    ids=["layer name", "cycle", "variable", "inputs", "self", "class", "names", "number", "set"],
)
def test_a_refused_change_names_its_cause_and_leaves_the_graph_alone(dag, change, message):
    before = wiring(dag)
    with pytest.raises((ValueError, TypeError), match=message):
        change(dag)
    assert wiring(dag) == before
    assert [v.name for v in dag.vars] == ["x", "y", "z", "out"]
    dag.eval({"x": np.ones((1, 1, 1, 1))})
    assert dag.vars["out"].value.item() == 8


def test_a_block_of_another_graph_is_copied(dag):
    other = DagNN()
    other.addLayer("a", dag.layers["a"].block, "x", "y")
    other.layers["a"].block.factor = 5.0
    assert dag.layers["a"].block.factor == 2.0
    assert dag.layers["a"].block.net is dag and other.layers["a"].block.net is other


@pytest.mark.parametrize("duplicate", [DagNN.copy, copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_a_copy_shares_nothing(duplicate):
    net = DagNN()
    net.addLayer("scale", dagnn.Scale(size=[1, 1, 2], hasBias=False), "x", "y", "g")
    net.initParams()
    net.mode = "test"
    net.vars["x"].precious = True
    net.meta.classes = ["a", "b"]
    other = duplicate(net)
    value = net.params["g"].value.copy()
    other.params["g"].value += 1
    other.meta.classes.append("c")
    other.renameVar("y", "z")
    np.testing.assert_array_equal(net.params["g"].value, value)
    assert net.meta.classes == ["a", "b"] and net.layers[0].outputs == ["y"]
    assert other.mode == "test" and other.vars["x"].precious
    assert other.layers[0].block.net is other


def test_mode_takes_normal_train_and_test(dag):
    dag.mode = "test"
    assert dag.mode == "test" and dag.layers["a"].block.mode == "test"
    dag.mode = "train"
    assert dag.mode == "normal"
    with pytest.raises(ValueError, match="must be 'normal'"):
        dag.mode = "testing"


def test_a_mistyped_property_is_refused(dag):
    with pytest.raises(AttributeError):
        dag.conserveMemroy = False
    with pytest.raises(AttributeError):
        dag.vars["x"].presious = True


def test_moving_forgets_values(dag):
    dag.conserveMemory = False
    dag.eval({"x": np.ones((1, 1, 1, 1))})
    dag.move("cpu")
    assert all(v.value is None for v in dag.vars) and dag.device == "cpu"
    with pytest.raises(ValueError, match=r"DagNN\.move: the device must be 'cpu', 'gpu', .* got 'moon'"):
        dag.move("moon")


def test_parameters_are_initialized_by_their_layers():
    net = DagNN()
    net.addLayer("conv", dagnn.Conv(size=[3, 3, 2, 4]), "x", "y", ["f", "b"])
    net.initParams()
    assert net.params["f"].value.shape == (3, 3, 2, 4) and net.params["b"].value.size == 4
    net.setLayerParams("conv", ["f"])
    with pytest.raises(ValueError, match=r"layer 'conv' \(Conv\) makes 2 parameters, it was added with 1"):
        net.initParams()


def test_batch_normalization_moments_are_averaged_in_training():
    net = DagNN()
    net.addLayer("bn", dagnn.BatchNorm(numChannels=4), "x", "y", ["m", "b", "moments"])
    assert [p.trainMethod for p in net.params] == ["gradient", "gradient", "average"]
    assert net.params["moments"].learningRate == 0.1


def test_setting_the_layers_removes_those_that_are_left_out(dag):
    dag.addLayer("c", dagnn.Conv(size=[1, 1, 1, 1]), "out", "last", ["f", "b"])
    blocks = {e.name: e.block for e in dag.layers}
    dag.layers = dag.layers[:-2]
    assert [e.name for e in dag.layers] == ["a", "b"] and [v.name for v in dag.vars] == ["x", "y", "z"]
    assert len(dag.params) == 0 and dag.layers["b"].block.net is dag
    assert blocks["s"].net is blocks["c"].net is None
    dag.eval({"x": np.ones((1, 1, 1, 1), np.float32)})
    assert dag.vars["z"].value.item() == 6
    dag.layers = [dag.layers["b"], dag.layers["a"]]  # another order is one in which they are listed, not run
    dag.eval({"x": np.full((1, 1, 1, 1), 2, np.float32)})
    assert [e.name for e in dag.layers] == ["b", "a"] and dag.vars["z"].value.item() == 12
    assert dag.layers["a"].block.layerIndex == 1
    dag.layers = []
    assert len(dag.layers) == len(dag.vars) == 0


def test_what_cannot_be_kept_is_refused_and_the_graph_stays(dag):
    before = wiring(dag)
    other = dag.copy()
    for wrong in (other.layers[:1], ["a"], None, "ab", [Multiplied()], {"a": 1}):
        with pytest.raises(TypeError, match=r"net\.layers = net\.layers\[:-2\].*; removeLayer removes by name"):
            dag.layers = wrong
    with pytest.raises(ValueError, match="two layers are called 'a'"):
        dag.layers = [*dag.layers, dag.layers["a"]]
    assert wiring(dag) == before
    for table, change in (("vars", "renameVar"), ("params", "renameParam")):
        with pytest.raises(AttributeError, match=rf"DagNN\.{table} cannot be set: .*removeLayer.*{change}"):
            setattr(dag, table, [])


def test_a_graph_is_copied_and_pickled_with_its_tables(dag):
    for other in (copy.deepcopy(dag), pickle.loads(pickle.dumps(dag))):
        assert wiring(other) == wiring(dag)
        other.layers = other.layers[:1]
        assert len(dag.layers) == 3 and len(other.layers) == 1


def test_a_layer_takes_a_name(dag):
    for wrong in ("", None, 3):
        with pytest.raises(TypeError, match=r"DagNN\.addLayer: name must be a string that is not empty"):
            dag.addLayer(wrong, Multiplied(), "x", "q")


def convolution(value=None):
    net = DagNN()
    net.addLayer("conv", dagnn.Conv(size=[1, 1, 1, 1], hasBias=False), "x", "y", ["f"])
    net.addLayer("twice", dagnn.Conv(size=[1, 1, 1, 1], hasBias=False), "y", "z", ["f"])
    if value is not None:
        net.params["f"].value = np.full((1, 1, 1, 1), value, np.float32)
    return net


def added(net, other, prefix, params=""):
    for e in other.layers:
        net.addLayer(
            prefix + e.name,
            e.block,
            [prefix + v for v in e.inputs],
            [prefix + v for v in e.outputs],
            [params + p for p in e.params],
        )


SHARING = (
    r"layer '2(conv|twice)' is one of another graph, and this one has parameters of the names 'f' already.*renameParam"
)


@pytest.mark.parametrize("values", [(1, 2), (None, None), (1, None)])
def test_graphs_put_into_one_share_parameters_of_one_name_and_say_so(values):
    one, two = map(convolution, values)
    with pytest.warns(UserWarning, match=SHARING) as warned:
        added(one, two, "2")
    assert len(warned) == 2 and warned[0].filename == __file__ and one.params["f"].fanout == 4
    net = DagNN()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        added(net, convolution(values[0]), "1")
    with pytest.warns(UserWarning, match=SHARING) as warned:
        added(net, two, "2")
    assert len(warned) == 2 and "layer '2twice'" in str(warned[1].message)


def test_graphs_put_into_one_without_clash_or_with_equal_values_are_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, two = convolution(1), convolution(2)
        added(one, two, "2", params="2")
        assert [p.name for p in one.params] == ["f", "2f"]
        two.renameParam("f", "g")
        added(one, two, "3")
        twin = convolution(1)
        added(twin, twin.copy(), "2")  # a siamese network
        twin.addLayer("4", twin.layers["conv"].block, "x", "w", "f")  # the layer of this graph once more
        twin.addLayer("5", dagnn.Conv(size=[1, 1, 1, 1], hasBias=False), "x", "v", "f")
        assert twin.params["f"].fanout == 6
