"""to_onnx: every layer that ONNX can say, and what it says of those it cannot; names, sizes, meta."""

import json
import re

import numpy as np
import pytest
from onnx_support import dims, off, outputs, run, theirs

import pyconvnet as pcn
from pyconvnet.dagnn import DagNN
from pyconvnet.formats.onnx import writes
from pyconvnet.layers import registry

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

rng = np.random.default_rng(3)
D = pcn.dagnn


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def points(*shape):
    """A grid that leaves the image on all sides."""
    return rng.uniform(-1.5, 1.5, shape).astype(np.float32)


REGIONS = np.array([[1, 1, 1, 5, 6], [1, 2, 1, 6, 4], [2, 1, 2, 4, 6]], np.float32).T.reshape(1, 1, 5, 3)
# Block, its inputs, its parameters
LAYERS = {
    "uneven pad, stride, dilate, groups": (
        D.Conv(size=[3, 2, 2, 6], pad=[1, 0, 2, 1], stride=[2, 1], dilate=[1, 2]),
        [normal(8, 9, 4, 2)],
        [normal(3, 2, 2, 6), normal(6, 1)],
    ),
    "no biases": (D.Conv(size=[1, 1, 3, 2], hasBias=False), [normal(4, 4, 3, 2)], [normal(1, 1, 3, 2)]),
    "no filters": (
        D.Conv(size=[1, 1, 0, 0], stride=[2, 3], pad=[1, 0, 2, 1]),
        [normal(6, 7, 3, 2)],
        [np.zeros((0, 0), np.float32), normal(3, 1)],
    ),
    "crop, groups": (
        D.ConvTranspose(size=[3, 4, 2, 4], upsample=[2, 3], crop=[1, 0, 1, 2], numGroups=2),
        [normal(3, 4, 4, 2)],
        [normal(3, 4, 2, 4), normal(4, 1)],
    ),
    "max, uneven pad": (D.Pooling(poolSize=[3, 2], stride=[2, 1], pad=[1, 2, 0, 1]), [normal(7, 6, 2, 2)], []),
    "average of what is inside": (
        D.Pooling(poolSize=[3, 3], stride=2, pad=[0, 2, 1, 2], method="avg"),
        [normal(7, 6, 2, 2)],
        [],
    ),
    "leak": (D.ReLU(leak=0.1), [normal(3, 4, 2, 2)], []),
    "relu": (D.ReLU(), [normal(3, 4, 2, 2)], []),
    "sigmoid": (D.Sigmoid(), [normal(3, 4, 2, 2)], []),
    "softplus": (D.SoftPlus(), [normal(3, 4, 2, 2)], []),
    "tanh": (D.Tanh(), [normal(3, 4, 2, 2)], []),
    "elu": (D.ELU(alpha=0.5), [normal(3, 4, 2, 2)], []),
    "swish": (D.Swish(beta=1.5), [normal(3, 4, 2, 2)], []),
    "swish 1": (D.Swish(), [normal(3, 4, 2, 2)], []),
    "prelu": (D.PReLU(), [normal(3, 4, 2, 2)], [normal(1, 1, 2)]),
    "prelu of pixels": (D.PReLU(), [normal(3, 4, 2, 2)], [normal(3, 4, 2)]),
    "hard sigmoid": (D.HardSigmoid(alpha=0.3), [normal(3, 4, 2, 2)], []),
    "clip": (D.Clip(min=-0.5, max=0.25), [normal(3, 4, 2, 2)], []),
    "clip above": (D.Clip(max=0.25), [normal(3, 4, 2, 2)], []),
    "permute": (D.Permute(order=(3, 1, 2)), [normal(3, 4, 2, 2)], []),
    "reshape": (D.Reshape(size=(2, 6, 2)), [normal(3, 4, 2, 2)], []),
    "sub-pixels": (D.SubP(scale=2), [normal(3, 4, 8, 2)], []),
    "sub-images": (D.SubP(scale=1 / 3), [normal(6, 9, 2, 2)], []),
    "sub-images of one channel": (D.SubP(scale=0.5), [normal(6, 4, 1, 2)], []),
    "noise map": (D.NoiseMap(sigma=0.1), [normal(3, 4, 2, 2)], []),
    "noise map of two channels": (D.NoiseMap(sigma=(0.1, 0.2)), [normal(3, 4, 2, 2)], []),
    "noise map of each pixel": (D.NoiseMap(), [normal(3, 4, 2, 2), normal(3, 4, 2, 2)], []),
    "dropout": (D.DropOut(), [normal(3, 4, 2, 2)], []),
    "softmax": (D.SoftMax(), [normal(3, 4, 5, 2)], []),
    "lrn": (D.LRN(param=(5, 2, 0.3, 0.75)), [normal(3, 4, 7, 2)], []),
    "lrn of even size": (D.LRN(param=(4, 1, 0.3, 0.75)), [normal(3, 4, 7, 2)], []),
    "lrn wider than its input": (D.LRN(param=(10, 1, 0.3, 0.5)), [normal(3, 4, 3, 2)], []),
    "norm offset": (D.NormOffset(param=(0.5, 0.25)), [normal(3, 4, 2, 2)], []),
    "spatial norm": (D.SpatialNorm(param=(3, 2, 0.5, 0.75)), [normal(5, 6, 2, 2)], []),
    "batch normalization": (
        D.BatchNorm(numChannels=3, epsilon=1e-4),
        [normal(4, 5, 3, 2)],
        [normal(3, 1), normal(3, 1), np.array([[0.1, 0.5], [-1, 0.02], [2, 3]], np.float32)],
    ),
    "batch normalization, deviation below epsilon": (
        D.BatchNorm(numChannels=2, epsilon=1e-4),
        [normal(4, 5, 2, 2)],
        [normal(2, 1), normal(2, 1), np.array([[0.1, 0.001], [-1, 2]], np.float32)],
    ),
    "batch normalization without moments": (
        D.BatchNorm(numChannels=3, epsilon=1e-3),
        [normal(4, 5, 3, 2)],
        [normal(3, 1), normal(3, 1)],
    ),
    "concat rows": (D.Concat(dim=1), [normal(2, 3, 4, 2), normal(3, 3, 4, 2)], []),
    "concat columns": (D.Concat(dim=2), [normal(2, 3, 4, 2), normal(2, 1, 4, 2)], []),
    "concat channels": (D.Concat(dim=3), [normal(2, 3, 4, 2), normal(2, 3, 1, 2), normal(2, 3, 2, 2)], []),
    "concat images": (D.Concat(dim=4), [normal(2, 3, 4, 2), normal(2, 3, 4, 3)], []),
    "sum of two": (D.Sum(), [normal(2, 3, 4, 2), normal(2, 3, 4, 2)], []),
    "sum of three": (D.Sum(), [normal(2, 3, 4, 2) for _ in range(3)], []),
    "scale": (D.Scale(size=[1, 1, 4]), [normal(2, 3, 4, 2)], [normal(1, 1, 4), normal(1, 1, 4)]),
    "scale of pixels": (D.Scale(hasBias=False), [normal(2, 3, 4, 2)], [normal(2, 3, 4)]),
    "scale by an input": (D.Scale(hasBias=False), [normal(2, 3, 4, 2), normal(1, 1, 4, 2)], []),
    "crop": (D.Crop(crop=(1, 2)), [normal(6, 7, 2, 2), normal(4, 3, 1, 2)], []),
    "crop of nothing": (D.Crop(), [normal(6, 7, 2, 2), normal(6, 7, 1, 2)], []),
    "crop of less than it says": (D.Crop(crop=(3, 3)), [normal(6, 7, 2, 2), normal(5, 6, 1, 2)], []),
    "affine grid": (D.AffineGridGenerator(Ho=3, Wo=4), [normal(1, 1, 6, 2)], []),
    "affine grid of one point": (D.AffineGridGenerator(Ho=1, Wo=1), [normal(1, 1, 6, 2)], []),
    "scaling grid": (D.UniformScalingGridGenerator(Ho=3, Wo=4), [normal(1, 1, 3, 2)], []),
    "sampler": (D.BilinearSampler(), [normal(5, 6, 3, 2), points(2, 3, 4, 2)], []),
    "regions": (D.ROIPooling(subdivisions=(2, 3), transform=0.5), [normal(6, 7, 2, 2), REGIONS], []),
    "flat regions": (D.ROIPooling(subdivisions=(2, 3), flatten=True), [normal(6, 7, 2, 2), REGIONS], []),
    "distance": (D.PDist(aggregate=False), [normal(3, 4, 2, 2), normal(3, 4, 2, 2)], []),
    "distance 1": (D.PDist(p=1, aggregate=False), [normal(3, 4, 2, 2), normal(3, 4, 2, 2)], []),
    "distance 3 without root, summed": (D.PDist(p=3, noRoot=True), [normal(3, 4, 2, 2), normal(3, 4, 2, 2)], []),
}


def alone(block, inputs, params):
    """A graph of one layer. Its inputs pass a layer first: a PDist of inputs would be a loss."""
    net = DagNN()
    for i in range(len(inputs)):
        net.addLayer(f"before{i}", D.DropOut(), f"x{i}", f"v{i}")
    names = [f"p{i}" for i in range(len(params))]
    net.addLayer("layer", block, [f"v{i}" for i in range(len(inputs))], "y", names)
    for name, value in zip(names, params):
        net.params[name].value = value
    net.mode = "test"
    return net


@pytest.fixture(autouse=True)
def _exact():
    with pcn.local_precision("high"):
        yield


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.filterwarnings("ignore:bnorm")
def test_a_layer_gives_the_same_there_and_comes_back_as_itself(name):
    block, inputs, params = LAYERS[name]
    net = alone(block, inputs, params)
    model = pcn.to_onnx(net, inputSize={f"x{i}": x.shape[:3] for i, x in enumerate(inputs)})
    feeds = {f"x{i}": theirs(x) for i, x in enumerate(inputs)}
    expected = outputs(net, feeds)["y"]
    y = run(model, feeds)["y"]
    assert y.shape == expected.shape and off(y, expected) < 1e-6
    if isinstance(block, D.DropOut):
        return  # nothing is left
    back = pcn.from_onnx(model)
    (z,) = outputs(back, feeds).values()
    assert off(z, expected) < 1e-6
    if isinstance(back, DagNN) and not isinstance(block, (D.Reshape, D.Concat, D.Conv)):
        assert [type(e.block) for e in back.layers] == [type(block)]


def test_every_layer_class_is_written_or_said_to_be_none_of_onnx():
    tried = {type(block).__name__ for block, _, _ in LAYERS.values()}
    own = [c for c in registry.registered() if c.__module__.startswith("pyconvnet.")]
    assert {c.__name__ for c in own if not issubclass(c, D.Loss)} - tried == {"Custom"}


def test_what_cannot_be_written_is_named_all_of_it():
    net = DagNN()

    class Mystery(D.ElementWise):
        def forward(self, inputs, params):
            return [inputs[0] + 1]

    net.addLayer("one", D.ROIPooling(method="avg"), ["x", "rois"], "a")
    net.addLayer("two", Mystery(), "a", "b")
    net.addLayer("three", D.ROIPooling(transform=(1, 2)), ["b", "rois"], "c")
    net.addLayer("four", D.Conv(size=[1, 1, 2, 2]), "c", "d", ["f", "bias"])
    with pytest.raises(ValueError) as error:
        pcn.to_onnx(net)
    assert str(error.value).splitlines() == [
        "to_onnx: 4 layers cannot be written as ONNX:",
        "  one (ROIPooling): method 'avg' has no ONNX operator",
        "  two (Mystery): its class has no ONNX nodes; pyconvnet.formats.onnx.writes enters them",
        "  three (ROIPooling): transform must be one number: MaxRoiPool has no other",
        "  four (Conv): its parameters f, bias have no values: initParams gives them some",
    ]
    chain = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[{"type": "relu"}, {"type": "upsmpl"}, {"type": "relu"}]))
    with pytest.raises(ValueError, match=r"1 layer cannot .*\n  layer2 \(upsmpl\): its type is not known here$"):
        pcn.to_onnx(chain)


def test_a_class_of_ones_own_is_written_once_it_says_how(monkeypatch):
    from pyconvnet.formats.onnx import export_table

    monkeypatch.setattr(export_table, "TABLE", dict(export_table.TABLE))

    class Mish(D.ElementWise):
        simplenn = "mish"

        def forward(self, inputs, params):
            return [inputs[0] * np.tanh(np.logaddexp(0, inputs[0]))]

    class Leaky(D.ReLU):  # computes what its base does
        leak = 0.3

    @writes(Mish)
    def mish(g, layer, inputs, params):
        (x,) = inputs
        return g.add("Mul", x, g.add("Tanh", g.add("Softplus", x)))

    x = normal(3, 4, 2, 2)
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[{"type": "mish"}]))
    assert off(run(pcn.to_onnx(net), {"input": theirs(x)})["layer1"], theirs(pcn.predict(net, x))) < 1e-6
    graph = alone(Leaky(), [x], [])
    assert off(run(pcn.to_onnx(graph), {"x0": theirs(x)})["y"], outputs(graph, {"x0": theirs(x)})["y"]) < 1e-6


def chain(**meta):
    layers = [
        {"type": "conv", "name": "c", "weights": [normal(3, 3, 3, 4), normal(4, 1)]},
        {"type": "relu", "name": "c"},
        {"type": "dropout", "name": "d"},
        {"type": "conv", "name": "fc", "weights": [normal(6, 6, 4, 5) / 50, normal(5, 1)]},  # scores of about 1
        {"type": "softmaxloss", "name": "loss"},
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers, meta=pcn.Struct(meta)))


def test_tensors_have_the_names_of_layers_and_constants_those_of_parameters(tmp_path):
    net = chain()
    model = pcn.to_onnx(net)
    assert [n.name for n in model.graph.node] == ["c", "c_2", "fc", "prediction"]
    assert [list(n.output) for n in model.graph.node] == [["c"], ["c_2"], ["fc"], ["prediction"]]
    assert [t.name for t in model.graph.initializer] == ["cf", "cb", "fcf", "fcb"]
    pcn.save(tmp_path / "net.onnx", net)
    assert (tmp_path / "net.onnx").read_bytes() == model.SerializeToString()
    assert model.producer_name == "pyconvnet" and model.ir_version == 8


def test_a_variable_and_a_parameter_may_share_a_name():
    net = DagNN()
    net.addLayer("conv", D.Conv(size=[1, 1, 2, 3]), "x", "w", ["w", "x"])
    net.params["w"].value, net.params["x"].value = normal(1, 1, 2, 3), normal(3, 1)
    x = theirs(normal(4, 4, 2, 2))
    assert off(run(pcn.to_onnx(net), {"x": x})["w"], outputs(net, {"x": x})["w"]) < 1e-6


def test_batch_height_and_width_are_free_unless_they_are_given():
    net = chain()
    free = pcn.to_onnx(net)
    assert dims(free.graph.input[0]) == ["N", 3, "H", "W"]
    for size in ((8, 8, 3, 1), (10, 9, 3, 4)):
        x = normal(*size)
        assert off(run(free, {"input": theirs(x)})["prediction"], theirs(pcn.predict(net, x))) < 2e-6
    fixed = pcn.to_onnx(chain(), inputSize=(8, 8, 3))
    assert dims(fixed.graph.input[0]) == ["N", 3, 8, 8] and dims(fixed.graph.output[0])[1:] == [5, 1, 1]
    with pytest.raises(ValueError, match=r"inputSize must be \(H, W, C\) in whole numbers from 1 up, got \(8, 8\)"):
        pcn.to_onnx(chain(), inputSize=(8, 8))


def test_layers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"c \(conv\): its input has 4 channels, its filters take 3"):
        pcn.to_onnx(chain(), inputSize=(8, 8, 4))
    with pytest.raises(ValueError, match=r"fc \(conv\): its output would be empty, -3x-3x5x1"):
        pcn.to_onnx(chain(), inputSize=(4, 4, 3))
    with pytest.raises(ValueError, match="to_onnx: the network has no form in opset 13"):
        pcn.to_onnx(alone(D.BatchNorm(numChannels=1), [normal(2, 2, 1, 1)], [normal(1, 1), normal(1, 1)]), opset=13)


def test_a_layer_of_one_size_takes_it_from_meta_or_asks_for_it():
    net = alone(D.Scale(hasBias=False), [normal(2, 3, 4, 2)], [normal(2, 3, 4)])
    with pytest.raises(ValueError, match=r"layer \(Scale\): the size of its input must be known: give inputSize"):
        pcn.to_onnx(net)
    net.meta.inputSize = np.array([2.0, 3, 4])
    assert dims(pcn.to_onnx(net).graph.input[0]) == ["N", 4, 2, 3]


def test_meta_is_in_the_file_as_json_and_comes_back():
    classes = pcn.Struct(name=["cat", "dog"], description=["a cat", "ein Hündchen"])
    average = np.float32([0.1, 123.4, 7]).reshape(1, 1, 3)
    normalization = pcn.Struct(imageSize=np.array([[8.0, 8, 3]]), averageImage=average, keepAspect=True)
    net = chain(classes=classes, normalization=normalization, handle=pcn.Opaque("function_handle", "@(x)x"))
    model = pcn.to_onnx(net)
    found = {p.key: json.loads(p.value) for p in model.metadata_props}
    assert found["classes"]["description"][1] == "ein Hündchen" and "handle" not in found
    assert found["normalization"]["averageImage"] == [[[0.1, 123.4, 7.0]]]
    back = pcn.from_onnx(model).meta
    assert back.classes == classes and back.normalization.keepAspect is True
    assert np.array_equal(np.float32(back.normalization.averageImage), average)


@pytest.mark.parametrize("average", [np.float32(100), np.float32([1, 50, 100]), normal(8, 8, 3)], ids=str)
def test_preprocess_subtracts_the_average_image_as_models_preprocess_does(average):
    meta = {"imageSize": np.array([8.0, 8, 3]), "averageImage": average}
    net = chain(normalization=pcn.Struct(meta))
    net.layers[0].weights[0] /= np.float32(100)
    model = pcn.to_onnx(net, preprocess=True)
    fixed = np.size(average) > 3
    assert dims(model.graph.input[0]) == (["N", 3, 8, 8] if fixed else ["N", 3, "H", "W"])
    images = rng.integers(0, 256, (8, 8, 3, 2)).astype(np.uint8)
    expected = pcn.predict(net, pcn.models.preprocess(net, images))
    y = run(model, {"input": theirs(images.astype(np.float32))})["prediction"]
    assert off(y, theirs(expected)) < 2e-6
    back = pcn.from_onnx(model)
    assert off(theirs(pcn.predict(back, images.astype(np.float32))), y) < 2e-6


@pytest.mark.parametrize("opset", [13, 15, 18, 21])
def test_other_opsets(opset):
    model = pcn.to_onnx(chain(), opset=opset)
    assert [o.version for o in model.opset_import] == [opset]
    x = theirs(normal(8, 8, 3, 2))
    (z,) = outputs(pcn.from_onnx(model), {"input": x}).values()
    assert off(run(model, {"input": x})["prediction"], z) < 2e-6


@pytest.mark.parametrize("opset", [12, 99, 17.0, "17"])
def test_opsets_that_are_none(opset):
    with pytest.raises(ValueError, match=r"to_onnx: opset must be a whole number from 13 to 23, got"):
        pcn.to_onnx(chain(), opset=opset)


def test_without_the_package_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    said = re.escape("needs the package 'onnx': pip install 'pyconvnet[onnx]'")
    for call in (
        lambda: pcn.to_onnx(chain()),
        lambda: pcn.from_onnx("net.onnx"),
        lambda: pcn.compare_onnx(chain(), "net.onnx", normal(8, 8, 3, 1)),
        lambda: pcn.save(tmp_path / "net.onnx", chain()),
    ):
        with pytest.raises(ImportError, match=said):
            call()
    assert not list(tmp_path.iterdir())


def test_a_distance_between_two_branches_is_written():
    net = DagNN()
    for side in "ab":
        net.addLayer(f"conv_{side}", D.Conv(size=[3, 3, 1, 2]), side, f"y_{side}", ["f", "b"])
    net.addLayer("distance", D.PDist(aggregate=False), ["y_a", "y_b"], "d")
    net.addLayer("loss", D.Loss(loss="hinge"), ["d", "label"], "objective")
    net.initParams()
    feeds = {"a": theirs(normal(5, 5, 1, 2)), "b": theirs(normal(5, 5, 1, 2))}
    model = pcn.to_onnx(net)
    assert len(model.graph.initializer) == 2 + sum("constant" in t.name for t in model.graph.initializer)
    given = {n: x.transpose(2, 3, 1, 0) for n, x in feeds.items()}
    assert off(run(model, feeds)["d"], theirs(pcn.predict(net, given))) < 1e-5
