"""predict: losses that are left out, known and unknown, and the precision of the weights."""

import numpy as np
import pytest
import scipy.io

import pyconvnet as pcn
from pyconvnet import models

F = np.arange(2 * 2 * 1 * 3, dtype=np.float32).reshape(2, 2, 1, 3) / 10
X = np.ones((4, 4, 1, 2), np.float32)


def network(*more, kind=np.float32):
    conv = pcn.Struct(type="conv", name="c", weights=[F.astype(kind), np.ones((1, 3), kind)])
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[conv, *more]))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_an_image_is_taken_in_the_precision_of_the_weights(kind):
    y = pcn.predict(network(kind=kind), X)
    assert y.dtype == kind
    np.testing.assert_allclose(y, pcn.vl_nnconv(X, F, np.ones((1, 3), np.float32)), rtol=1e-6)
    graph = pcn.DagNN.fromSimpleNN(network(kind=kind))
    assert pcn.predict(graph, X).dtype == kind and pcn.predict(graph, {graph.getInputs()[0]: X}).dtype == kind


def test_a_loss_of_an_unknown_type_is_left_out_and_said():
    with pytest.warns(UserWarning, match=r"the last layer, 'layer2' \(squareloss\), is left out"):
        y = pcn.predict(network({"type": "squareloss"}), X)
    assert np.array_equal(y, pcn.predict(network(), X))


def test_another_unknown_layer_at_the_end_must_run():
    with pytest.raises(ValueError, match="mystery"):
        pcn.predict(network({"type": "mystery"}), X)


def graph_with_unknown_end(inputs):
    graph = pcn.DagNN.fromSimpleNN(network())
    (x,), (y,) = graph.getInputs(), graph.getOutputs()
    graph.addLayer("end", pcn.dagnn.Scale(hasBias=False), [{"x": x, "y": y}.get(n, n) for n in inputs], "out")
    saved = graph.saveobj()
    saved.layers[-1].type = "WingLoss"
    return pcn.DagNN.loadobj(saved)


def test_a_block_of_an_unknown_class_that_takes_labels_is_left_out_of_a_graph_and_said():
    with pytest.warns(UserWarning, match=r"'end' \(WingLoss\), is left out"):
        y = pcn.predict(graph_with_unknown_end(["y", "label"]), X)
    assert np.array_equal(y, pcn.predict(network(), X))


@pytest.mark.parametrize("inputs", [["y"], ["y", "x"]])
def test_a_block_of_an_unknown_class_that_makes_the_output_must_run(inputs):
    with pytest.raises(TypeError, match="block 'WingLoss' is not defined here"):
        pcn.predict(graph_with_unknown_end(inputs), X)


@pytest.mark.parametrize(
    "labels, expected", [(None, "softmax"), (np.ones((1, 2)), "softmax"), (np.full((3, 3, 3), 0.3), None)]
)
def test_a_log_loss_becomes_softmax_where_its_labels_can_be_classes(labels, expected):
    y = pcn.predict(network({"type": "loss", "class": labels}), X)
    plain = pcn.predict(network(), X)
    assert np.array_equal(y, plain if expected is None else pcn.vl_nnsoftmax(plain))


def test_a_log_loss_of_one_channel_leaves_it_as_it_is():
    net = network({"type": "softmaxloss"})
    net.layers[0].weights = [F[:, :, :, :1], np.ones((1, 1), np.float32)]
    plain = pcn.vl_nnconv(X, *net.layers[0].weights)
    assert np.array_equal(pcn.predict(net, X), plain)
    assert np.array_equal(pcn.predict(pcn.DagNN.fromSimpleNN(net), X), plain)


@pytest.mark.parametrize("labels", [None, np.array([1, 2, 3]), np.ones((1, 1, 1, 5), np.float32)])
def test_a_chain_that_ends_in_a_loss_says_what_to_do_where_labels_do_not_fit_the_images(labels):
    net = network({"type": "softmaxloss"})
    if labels is not None:
        net.layers[-1]["class"] = labels  # as a checkpoint keeps those of the last batch
    x = X[:2, :2]
    with pytest.raises(ValueError, match=r"labels.*net\.layers\[-1\]\.type = 'softmax' .* as pyconvnet\.predict does"):
        pcn.vl_simplenn(net, x, mode="test")
    y = pcn.predict(net, x)
    net.layers[-1].type = "softmax"
    assert np.array_equal(pcn.vl_simplenn(net, x, mode="test")[-1].x, y)


def test_a_distance_between_variables_of_a_graph_is_no_loss_of_it():
    net = pcn.DagNN()
    for side in "ab":
        net.addLayer(f"conv_{side}", pcn.dagnn.Conv(size=[3, 3, 1, 2]), side, f"y_{side}", ["f", "b"])
    net.addLayer("distance", pcn.dagnn.PDist(aggregate=False), ["y_a", "y_b"], "d")
    net.addLayer("loss", pcn.dagnn.Loss(loss="hinge"), ["d", "label"], "objective")
    net.initParams()
    a, b = np.random.default_rng(0).standard_normal((2, 5, 5, 1, 4)).astype(np.float32)
    net.mode = "test"
    net.vars["d"].precious = True
    net.eval({"a": a, "b": b})
    assert np.array_equal(pcn.predict(net, {"a": a, "b": b}), net.vars["d"].value)
    net.addLayer("softmax", pcn.dagnn.SoftMax(), "d", "p")
    for given in ({"a": a}, {"a": a, "b": None}):
        with pytest.raises(ValueError, match=r"predict: 'p' was not computed; inputs without a value: b$"):
            pcn.predict(net, given)


@pytest.mark.parametrize("conserve", [True, False])
@pytest.mark.parametrize("count", [0, 2])
def test_a_graph_that_is_given_nothing_names_its_inputs_and_takes_none_of_an_earlier_call(conserve, count):
    net = models.build("lenet", seed=0, networkType="dagnn")
    net.conserveMemory = conserve
    for _ in range(2):
        assert pcn.predict(net, {"input": np.ones((28, 28, 1, count), np.float32)}).shape == (1, 1, 10, count)
        for given in ({}, {"input": None}, {"image": np.ones((28, 28, 1, 1), np.float32)}):
            with pytest.raises(ValueError, match=r"^predict: '.*' was not computed; inputs without a value: input$"):
                pcn.predict(net, given)


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
@pytest.mark.parametrize("deployed", [True, False])
def test_of_no_images_there_are_no_scores(kind, deployed):
    net = models.build("lenet", seed=0, networkType=kind, deployed=deployed)
    images = np.random.default_rng(0).standard_normal((28, 28, 1, 2)).astype(np.float32)
    expected = pcn.predict(net, images)
    for _ in range(4):
        y = pcn.predict(net, images[..., :0])
        assert y.shape == (1, 1, 10, 0) and y.dtype == np.float32
        assert np.array_equal(pcn.predict(net, images), expected)


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
@pytest.mark.parametrize(
    "shape, message",
    [
        ((0, 28, 1, 2), "vl_nnconv: f spans 5x5 pixels, more than x with its pad, 0x28"),
        ((28, 28, 0, 2), "vl_nnconv: x is 28x28x0x2, without channels"),
        ((0, 0), "vl_nnconv: f spans 5x5 pixels, more than x with its pad, 0x0"),
    ],
)
def test_images_without_pixels_or_channels_are_refused_alike_by_both_kinds(kind, shape, message):
    net = models.build("lenet", seed=0, networkType=kind)
    with pytest.raises(ValueError, match=f"^{message}.* in layer .*'layer1'"):
        pcn.predict(net, np.zeros(shape, np.float32))


def test_of_no_regions_there_are_no_scores():
    net = pcn.DagNN()
    net.addLayer("conv", pcn.dagnn.Conv(size=[1, 1, 3, 2], hasBias=False), "data", "maps", "f")
    net.addLayer("pool", pcn.dagnn.ROIPooling(subdivisions=[2, 2]), ["maps", "rois"], "y")
    net.initParams()
    given = {"data": np.ones((6, 6, 3, 1), np.float32), "rois": np.zeros((5, 0), np.float32)}
    assert pcn.predict(net, given).shape == (2, 2, 2, 0)


def test_two_variables_of_no_images_have_no_distances():
    net = pcn.DagNN()
    for side in "ab":
        net.addLayer(f"conv_{side}", pcn.dagnn.Conv(size=[3, 3, 1, 2]), side, f"y_{side}", ["f", "b"])
    net.addLayer("distance", pcn.dagnn.PDist(aggregate=False), ["y_a", "y_b"], "d")
    net.initParams()
    none = np.zeros((5, 5, 1, 0), np.float32)
    assert pcn.predict(net, {"a": none, "b": none}).shape == (3, 3, 1, 0)


@pytest.mark.parametrize("net", [3, None, "net.mat", {"layer": []}])
def test_a_value_that_is_not_a_network_is_refused_by_name(net):
    image = np.zeros((4, 4, 1), np.float32)
    for name, call in (
        ("predict", lambda: pcn.predict(net, image)),
        ("classify", lambda: pcn.classify(net, image)),
        ("features", lambda: pcn.features(net, [image], layers=["a"])),
    ):
        with pytest.raises(TypeError, match=f"^{name}: net must be a SimpleNN or a DagNN, got {type(net).__name__}$"):
            call()


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
@pytest.mark.parametrize("x", ["photo.jpg", None, 3, [[1, 2], [3]]])
def test_what_is_not_an_image_is_refused_with_what_reads_files(kind, x):
    net = models.build("lenet", seed=0, networkType=kind, deployed=True)
    with pytest.raises(TypeError, match=r"^predict: x must be an array .*; classify and models\.preprocess"):
        pcn.predict(net, x)


def test_a_network_that_scipy_read_is_refused_with_what_to_do(tmp_path):
    net = models.build("lenet", seed=0, deployed=True)
    pcn.save(tmp_path / "net.mat", net)
    x = np.zeros((28, 28, 1, 1), np.float32)
    simple = scipy.io.loadmat(tmp_path / "net.mat", simplify_cells=True)
    whole = scipy.io.loadmat(tmp_path / "net.mat")
    for run in (pcn.vl_simplenn, pcn.predict):
        with pytest.raises(
            TypeError, match="weights of layer 1 must be a list of arrays, got ndarray; vl_simplenn_tidy"
        ):
            run(simple, x)
        with pytest.raises(TypeError, match=r"got dict; pyconvnet\.load reads \.mat files"):
            run(whole, x)
