"""Networks as ONNX files give in onnxruntime what they give here, to 1e-5 of the largest value."""

import numpy as np
import pytest
from onnx_support import dims, four, off, outputs, run, theirs
from support import FIXTURES, ROOT

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.compat import matfile

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NETS = ["all-layers", "pdist", "mini-vgg", "lenet", "lenet-bn", "lenet-cifar", "old-format"]
GRAPHS = ["fcn-skip", "inception", "resnet-block", "roi-two-losses", "shared-weights", "stn"]
SHARED = ROOT.parent / "shared"
MODELS = SHARED / "models"
TRAINED = [
    "dncnn-color-sigma25",
    "dncnn-dagnn",
    "dncnn-sigma25",
    "dncnn-sigma25-bnorm",
    "dncnn3",
    "old-format-cnn",
    "cones/split-detector",
    "zoo/cifar10-lenet",
    "zoo/dcfnet",
    "zoo/mnist-dagnn/trained",
    "zoo/plates-epoch-50",
    "zoo/player-stage1",
    "zoo/scnn-vgg-style",
    "zoo/text-regression-function-handles",
]


@pytest.fixture(autouse=True)
def _exact():
    with pcn.local_precision("high"):
        yield


def back_again(model, feeds, expected, tmp_path):
    """The model read in, saved as a `.mat` file, and written again gives the same, to the rounding of sums."""
    net = pcn.from_onnx(model)
    found = outputs(net, feeds)
    assert found.keys() == expected.keys()
    assert all(off(found[name], y) < 1e-5 for name, y in expected.items())
    pcn.save(tmp_path / "net.mat", net)
    again = pcn.load(tmp_path / "net.mat")
    assert all(np.array_equal(found[name], y) for name, y in outputs(again, feeds).items())
    second = run(pcn.to_onnx(again), feeds)
    assert all(off(second[name], y) < 1e-5 for name, y in expected.items())


@pytest.mark.parametrize("name", NETS)
def test_chains_of_matconvnet(name, tmp_path):
    net = pcn.load(FIXTURES / "nets" / f"{name}.mat")
    x = four(matfile.read(FIXTURES / "nets" / f"{name}.ref.mat")["runs"][0].x)
    size = x.shape[:3] if name == "all-layers" else None  # its first convolution has groups: 4 channels, filters of 2
    model = pcn.to_onnx(net, inputSize=size)
    assert dims(model.graph.input[0]) == (["N", 4, 9, 10] if size else ["N", x.shape[2], "H", "W"])
    assert [n.name for n in model.graph.node if "/" not in n.name] == [n for n in names(net) if n in named(model)]
    found = run(model, {"input": theirs(x)})
    (y,) = found.values()
    assert off(y, theirs(pcn.predict(net, x))) < 1e-5
    if name != "pdist":  # of which nothing is left but its input
        back_again(model, {"input": theirs(x)}, found, tmp_path)


def names(net):
    return [layer.name for layer in net.layers] + ["prediction"]


def named(model):
    return {n.name for n in model.graph.node}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_of_matconvnet(name, tmp_path):
    net = pcn.load(FIXTURES / "dags" / f"{name}.mat")
    given = matfile.read(FIXTURES / "dags" / f"{name}.ref.mat")["runs"][-1].inputs
    given = dict(zip(given[::2], given[1::2]))
    model = pcn.to_onnx(net)
    feeds = {}
    for v in model.graph.input:
        x = given[v.name]
        feeds[v.name] = theirs(four(x.reshape(1, 1, 5, -1) if v.name == "rois" else x))
    found = run(model, feeds)
    net.mode, net.conserveMemory = "test", False
    net.eval(given)
    for out, y in found.items():
        value = pcn.vl_nnsoftmax(scores(net)) if out == "prob" and "prob" not in net.vars else net.vars[out].value
        assert off(y, theirs(value)) < 1e-5, out
    back_again(model, feeds, found, tmp_path)


def scores(net):
    """What a softmaxlog loss reads."""
    return next(net.vars[e.inputs[0]].value for e in net.layers if getattr(e.block, "prediction", None) == "softmax")


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs ../shared/models")
@pytest.mark.filterwarnings("ignore:predict. the last layer")
@pytest.mark.parametrize("name", TRAINED)
def test_networks_that_others_trained(name, tmp_path):
    """In every layer: some of them are so sure of their classes that any scores give 0 and 1."""
    net = pcn.load(MODELS / f"{name}.mat")
    model = pcn.to_onnx(net, tmp_path / "net.onnx")
    shape = image_size(net, dims(model.graph.input[0])[1])
    # for which scores stay small: probabilities differ by the rounding of scores
    low, high = (0, 1) if "dncnn" in name or "mnist" in name else (-100, 100)
    x = np.random.default_rng(0).uniform(low, high, (*shape, 2)).astype(np.float32)
    rows = pcn.compare_onnx(net, tmp_path / "net.onnx", x)
    assert len(rows) >= len(model.graph.node) / 2 and max(row.difference for row in rows) < 1e-5


def image_size(net, channels):
    size = net.meta.get("normalization", {}).get("imageSize", net.meta.get("inputSize"))
    return (40, 40, channels) if size is None else (*(int(s) for s in np.ravel(size)[:2]), channels)


@pytest.mark.parametrize("name", ["lenet", "lenet-cifar", "nin", "ocr"])
def test_standard_networks(name):
    net = models.build(name, seed=0)
    assert [n.op_type for n in pcn.to_onnx(net).graph.node][-1] == "Softmax"
    net.layers.pop()  # whose probabilities are all alike before training, as scores are not
    check(net)


def check(net, size=None):
    model = pcn.to_onnx(net)
    size = size or image_size(net, dims(model.graph.input[0])[1])
    x = np.random.default_rng(0).uniform(-100, 100, (*size, 2)).astype(np.float32)
    (y,) = run(model, {"input": theirs(x)}).values()
    assert off(y, theirs(pcn.predict(net, x))) < 1e-5 and y.std() > 0.05 * np.abs(y).max()


@pytest.mark.parametrize("normalized", [False, True], ids=["", "batch normalization"])
@pytest.mark.parametrize("name", ["alexnet", "vgg-f", "vgg-m", "vgg-m-1024", "vgg-s", "vgg-vd-16", "vgg-vd-19"])
def test_the_large_ones_up_to_their_first_fully_connected_layer(name, normalized):
    """After that they are as others are, and take half a gigabyte."""
    net = models.build(name, init=False, batchNormalization=normalized)
    net.layers = net.layers[: next(i for i, layer in enumerate(net.layers) if layer.name == "fc6")]
    rng = np.random.default_rng(0)
    for layer in net.layers:
        if layer.get("weights"):
            layer.weights = [rng.normal(0, np.sqrt(2 / max(w[..., 0].size, 1)), w.shape) for w in layer.weights]
        if layer.type == "bnorm":  # as training leaves them
            k = len(layer.weights[2])
            layer.weights[0] = rng.uniform(0.5, 2, (k, 1))
            layer.weights[2] = np.stack([rng.normal(0, 0.1, k), rng.uniform(0.5, 2, k)], 1)
        layer.weights = [w.astype(np.float32) for w in layer.get("weights", [])]
    check(net, (96, 80, 3))


def test_a_graph_whose_meta_names_its_input_is_written_and_becomes_a_module():
    """MatConvNet's examples of graphs have meta.inputSize = {'input', [60 60 1 32]}."""
    net = models.build("spatial-transformer", seed=0, deployed=True)
    net.meta.inputSize = ["input", np.array([[60.0, 60, 1, 32]])]
    net.removeLayer(net.layers[-1].name)  # the scores, which a softmax would make alike
    x = np.random.default_rng(0).standard_normal((2, 1, 60, 60), dtype=np.float32)
    expected = outputs(net, {"input": x})
    model = pcn.to_onnx(net)
    (name,) = expected
    assert off(run(model, {"input": x})[name], expected[name]) < 1e-5
    torch = pytest.importorskip("torch")
    assert off(pcn.to_torch(net).eval()(torch.from_numpy(x)).detach().numpy(), expected[name]) < 1e-5
