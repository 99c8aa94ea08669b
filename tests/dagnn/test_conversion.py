import warnings

import numpy as np
import pytest

from pyconvnet import cnn_train, cnn_train_dag, dagnn, load, save, vl_simplenn, vl_simplenn_tidy
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


def test_a_chain_has_one_number_for_a_dilation_that_is_the_same_both_ways():
    dag = DagNN()
    dag.addLayer("c1", dagnn.Conv(size=[3, 3, 1, 2], dilate=2), "x0", "x1", ["f1", "b1"])
    dag.addLayer("c2", dagnn.Conv(size=[3, 3, 2, 2], dilate=[1, 2]), "x1", "x2", ["f2", "b2"])
    dag.initParams()
    first, second = dag.toSimpleNN().layers
    assert (first.dilate, list(second.dilate)) == (2, [1, 2])


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
    with pytest.raises(ValueError, match="the graph is not a chain at 'sum'"):
        dag.toSimpleNN()
    dag.setLayerInputs("sum", ["b"])
    with pytest.raises(ValueError, match="Sum has no SimpleNN type"):
        dag.toSimpleNN()


@pytest.mark.parametrize("through_file", [False, True])
def test_a_graph_built_here_goes_to_a_chain_and_back_and_trains(through_file, tmp_path):
    dag = DagNN()
    dag.addLayer("c1", dagnn.Conv(size=[3, 3, 2, 4], pad=1), "x", "a", ["f1", "b1"])
    dag.addLayer("p1", dagnn.Pooling(poolSize=[2, 2], stride=2, opts=["cuDNN", "method", "avg"]), "a", "b")
    dag.addLayer("r1", dagnn.ReLU(opts=["leak", 0.2]), "b", "c")
    dag.addLayer("t1", dagnn.ConvTranspose(size=[2, 2, 3, 4], upsample=2), "c", "d", ["f2", "b2"])
    dag.addLayer("n1", dagnn.BatchNorm(numChannels=3, opts=["NoCuDNN", "epsilon", 0.1]), "d", "e", ["m", "n", "mo"])
    dag.addLayer("loss", dagnn.Loss(), ["e", "label"], "objective")
    dag.initParams()
    x, labels = array(4, 4, 2, 6), RNG.integers(1, 4, (4, 4, 1, 6))
    dag.eval({"x": x, "label": labels}, {"objective": 1})
    objective, der = dag.vars["objective"].value, dag.params["f1"].der

    net = dag.toSimpleNN()
    opts = [record.opts for record in net.layers if "opts" in record]
    assert opts == [["cuDNN"], ["cuDNN", "method", "avg"], ["cuDNN"]]
    assert net.layers[1].method == "avg" and net.layers[2].leak == 0.2 and net.layers[4].epsilon == 0.1
    for _ in range(2):  # tidying is done again and again
        net = vl_simplenn_tidy(net)
    if through_file:
        save(tmp_path / "net.mat", net)
        net = load(tmp_path / "net.mat")
    net.layers[-1]["class"] = labels
    res = vl_simplenn(net, x, 1)
    np.testing.assert_allclose(res[-1].x, objective, rtol=1e-5)
    np.testing.assert_allclose(res[0].dzdw[0], der, rtol=1e-4, atol=1e-6)

    again = DagNN.fromSimpleNN(net)
    again.eval({"x0": x, "label": labels}, {"x6": 1})
    np.testing.assert_allclose(again.vars["x6"].value, objective, rtol=1e-5)
    assert again.layers["p1"].block.effective_options()["method"] == "avg"

    options = {"expDir": None, "batchSize": 3, "numEpochs": 1, "verbose": False, "learningRate": 0.1}
    imdb = {"images": {"set": np.ones(6)}}
    trained, _ = cnn_train(net, imdb, lambda imdb, i: (x[..., i], labels[..., i]), **options)
    wanted, _ = cnn_train_dag(dag, imdb, lambda imdb, i: {"x": x[..., i], "label": labels[..., i]}, **options)
    np.testing.assert_allclose(trained.layers[0].weights[0], wanted.params["f1"].value, rtol=1e-4, atol=1e-6)


class LeakyOfMine(dagnn.ReLU):
    def forward(self, inputs, params):
        return [np.abs(inputs[0])]


class Absolute(dagnn.ReLU):
    simplenn = "absolute"

    def forward(self, inputs, params):
        return [np.abs(inputs[0])]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (LeakyOfMine(), "layer 'k': LeakyOfMine has no SimpleNN type of its own .*, and 'relu' is ReLU"),
        (dagnn.BatchNorm(opts=["moments", np.ones((2, 2))]), "layer 'k': .*'bnorm'.* no field for moments"),
        (dagnn.Loss(opts=["topKK", 3]), "layer 'k': .*'softmaxloss'.* no field for topKK"),
        (dagnn.Sum(), "layer 'k': Sum has no SimpleNN type"),
    ],
)
def test_what_a_chain_cannot_say_is_refused_with_the_layer(block, message):
    dag = DagNN()
    dag.addLayer("k", block, "x", "y", ["m", "n", "o"] if isinstance(block, dagnn.BatchNorm) else [])
    with pytest.raises(ValueError, match=f"DagNN.toSimpleNN: {message}"):
        dag.toSimpleNN()


def test_a_class_of_ones_own_with_a_type_of_its_own_goes_to_a_chain():
    dag = DagNN()
    dag.addLayer("k", Absolute(), "x", "y")
    x = array(2, 2, 1, 1)
    assert np.array_equal(vl_simplenn(dag.toSimpleNN(), x)[1].x, np.abs(x))


def test_distances_keep_what_opts_say_of_them():
    dag = DagNN()
    dag.addLayer("d", dagnn.PDist(opts=["noRoot", True, "instanceWeights", np.array([1.0, 3])]), ["x", "t"], "y")
    x, target = array(2, 2, 3, 2), array(2, 2, 3, 2)
    dag.eval({"x": x, "t": target})
    net = dag.toSimpleNN()
    net.layers[0]["class"] = target
    np.testing.assert_allclose(vl_simplenn(net, x)[1].x, dag.vars["y"].value, rtol=1e-5)


@pytest.mark.parametrize("form", ["SimpleNN", "dict", "file", "path"])
def test_loadobj_converts_a_chain_with_a_warning(form, tmp_path):
    net = simple("softmax")
    save(tmp_path / "net.mat", net)
    given = {
        "SimpleNN": net,
        "dict": {"layers": [dict(r) for r in net.layers], "meta": net.meta},
        "file": load(tmp_path / "net.mat", tidy=False),
        "path": tmp_path / "net.mat",
    }[form]
    with pytest.warns(UserWarning, match="DagNN.loadobj: this is a SimpleNN"):
        dag = DagNN.loadobj(given)
    x = array(6, 6, 2, 3)
    dag.mode = "test"
    dag.eval({"x0": x})
    np.testing.assert_allclose(dag.vars["x6"].value, vl_simplenn(net, x, mode="test")[-1].x, rtol=1e-5, atol=1e-7)


def test_loadobj_of_a_graph_warns_of_nothing():
    dag = DagNN.fromSimpleNN(simple())
    empty = DagNN().saveobj()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(DagNN.loadobj(dag.saveobj()).layers) == 5
        assert len(DagNN.loadobj(empty).layers) == 0
        layers = dag.saveobj().layers
        assert len(DagNN.loadobj({"layers": layers}).layers) == 5


def test_tidy_refuses_the_values_of_a_graph():
    for values in (DagNN.fromSimpleNN(simple()).saveobj(), dict(DagNN.fromSimpleNN(simple()).saveobj())):
        for fn in (vl_simplenn_tidy, DagNN.fromSimpleNN):
            with pytest.raises(TypeError, match=r"vl_simplenn_tidy: net must be a SimpleNN.*DagNN.loadobj restores it"):
                fn(values)


@pytest.mark.parametrize("none", [None, [], np.zeros((0, 0), np.float32)])
def test_biases_without_filters_stay_biases(none):
    x, b = np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2), np.array([[1, 2, 3]], np.float32)
    record = Struct(type="conv", name="c", weights=[none, b])
    net = DagNN.fromSimpleNN(SimpleNN(layers=[record]))
    net.eval({"x0": x})
    assert net.layers["c"].params == ["cf", "cb"]
    assert np.array_equal(net.vars["x1"].value, x + b.reshape(1, 1, 3, 1))
