import numpy as np
import pytest

from pyconvnet import dagnn, vl_simplenn
from pyconvnet.dagnn import DagNN
from pyconvnet.records import Struct
from pyconvnet.simplenn import SimpleNN

RNG = np.random.default_rng(2)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def simple(*last):
    layers = [
        Struct(type="conv", name="conv1", weights=[array(3, 3, 2, 4), array(4)], pad=1, stride=1, learningRate=[1, 2]),
        Struct(
            type="bnorm",
            name="bn1",
            weights=[array(4), array(4), np.abs(array(4, 2))],
            learningRate=[1, 1, 0.5],
            weightDecay=[0, 0],
        ),
        Struct(type="relu", name="relu1", leak=0.1),
        Struct(type="pool", name="pool1", method="avg", pool=[2, 2], stride=2, pad=0),
        Struct(type="conv", name="fc", weights=[array(3, 3, 4, 5), []], pad=0, stride=1),
        *(Struct(type=t, name=f"last{i}") for i, t in enumerate(last)),
    ]
    return SimpleNN(Struct(layers=layers, meta=Struct(inputs=Struct(name="data", size=[6, 6, 2]))))


def test_a_simplenn_becomes_a_graph_with_the_same_numbers():
    net = simple("softmax")
    dag = DagNN.fromSimpleNN(net)
    assert [v.name for v in dag.vars] == [f"x{i}" for i in range(7)]
    assert [p.name for p in dag.params] == ["conv1f", "conv1b", "bn1m", "bn1b", "bn1x", "fcf"]
    assert [p.learningRate for p in dag.params] == [1, 2, 1, 1, 0.5, 1]
    assert [p.weightDecay for p in dag.params] == [1, 1, 0, 0, 0, 1]
    assert dag.meta.inputs.name == "x0"
    x = array(6, 6, 2, 3)
    for mode in ("normal", "test"):
        dag.mode = mode
        dag.eval({"x0": x})
        want = vl_simplenn(net, x, mode=mode)[-1].x
        # the graph runs batch normalization in one with the convolution before it, which rounds differently
        np.testing.assert_allclose(dag.vars["x6"].value, want, rtol=1e-5, atol=1e-7)


def test_the_graph_has_parameters_of_its_own():
    net = simple()
    dag = DagNN.fromSimpleNN(net)
    dag.params["conv1f"].value += 1
    assert not np.array_equal(dag.params["conv1f"].value, net.layers[0].weights[0])


@pytest.mark.parametrize(
    ("last", "names"),
    [
        (("softmaxloss",), ["input", "x1", "x2", "x3", "x4", "prediction", "objective", "label"]),
        (("softmax",), ["input", "x1", "x2", "x3", "x4", "prediction", "prob"]),
        (("softmax", "softmaxloss"), ["input", "x1", "x2", "x3", "x4", "prediction", "prob", "objective", "label"]),
    ],
)
def test_canonical_names_are_matconvnets(last, names):
    dag = DagNN.fromSimpleNN(simple(*last), "CanonicalNames", True)
    assert sorted(v.name for v in dag.vars) == sorted(names)
    assert dag.meta.inputs.name == "input"


def test_a_loss_gets_its_labels_as_a_second_input():
    net = simple("softmaxloss")
    dag = DagNN.fromSimpleNN(net, canonicalNames=True)
    x, labels = array(6, 6, 2, 3), np.array([1, 5, 2], np.float32)
    dag.eval({"input": x, "label": labels}, {"objective": 1})
    net.layers[-1]["class"] = labels
    res = vl_simplenn(net, x, np.float32(1))
    np.testing.assert_allclose(np.ravel(dag.vars["objective"].value), np.ravel(res[-1].x), rtol=1e-5)
    np.testing.assert_allclose(dag.params["conv1f"].der, res[0].dzdw[0], rtol=1e-4, atol=1e-5)


def test_a_chain_becomes_a_simplenn_again():
    net = simple("softmaxloss")
    again = DagNN.fromSimpleNN(net).toSimpleNN("x0")
    assert [r.type for r in again.layers] == [r.type for r in net.layers]
    assert [r.name for r in again.layers] == [r.name for r in net.layers]
    x = array(6, 6, 2, 3)
    for n in (net, again):
        n.layers[-1]["class"] = np.array([1, 5, 2], np.float32)
    np.testing.assert_allclose(
        np.ravel(vl_simplenn(again, x, mode="test")[-1].x), np.ravel(vl_simplenn(net, x, mode="test")[-1].x), rtol=1e-5
    )


def test_what_is_precious_stays_so():
    net = simple("softmax")
    net.layers[1].precious = True
    dag = DagNN.fromSimpleNN(net)
    assert [v.name for v in dag.vars if v.precious] == ["x2"]
    assert [bool(r.precious) for r in dag.toSimpleNN().layers] == [False, True, *[False] * (len(net.layers) - 2)]


def test_a_layer_of_an_unknown_type_is_named():
    net = simple()
    net.layers[1].type = "reluu"
    with pytest.raises(ValueError, match=r"DagNN.fromSimpleNN: layer '\w+': unknown layer type 'reluu'; did you mean"):
        DagNN.fromSimpleNN(net)


def test_a_graph_that_is_no_chain_is_refused_with_the_place():
    dag = DagNN()
    dag.addLayer("r1", dagnn.ReLU(), "x", "a")
    dag.addLayer("r2", dagnn.ReLU(), "x", "b")
    with pytest.raises(ValueError, match="variable 'x' is read by layers 'r1', 'r2'"):
        dag.toSimpleNN()
    dag.setLayerInputs("r2", "a")
    dag.addLayer("sum", dagnn.Sum(), ["b", "c"], "d")
    with pytest.raises(ValueError, match="no chain at layer 'sum'"):
        dag.toSimpleNN()
    dag.setLayerInputs("sum", ["b"])
    with pytest.raises(ValueError, match="Sum has no SimpleNN type"):
        dag.toSimpleNN()
