"""Builders of graphs: the structure that MatConvNet's examples give, and that they run and train."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import models, rng
from pyconvnet.networks.graph import without_losses


def size_of(net, var, **inputs):
    return net.getVarSizes(inputs)[net.getVarIndex(var)]


def field_of(net, var, of="input"):
    return net.getVarReceptiveFields(of)[net.getVarIndex(var)]


@pytest.fixture
def narrow():
    """VGG-VD-16 with a sixteenth of the channels."""
    vgg = models.build("vgg-vd-16", init=False, deployed=True)
    draw, c = np.random.default_rng(0), 3
    for layer in vgg.layers:
        if layer.type == "conv":
            h, w, _, k = layer.weights[0].shape
            k = max(k // 16, 1) if layer.name != "fc8" else 10
            scale = np.sqrt(2 / (h * w * c))
            filters = draw.standard_normal((h, w, c, k), dtype=np.float32) * np.float32(scale)
            layer.weights, c = [filters, np.zeros((k, 1), np.float32)], k
    return vgg


# Moments count as parameters: two numbers for each channel that is normalised.
@pytest.mark.parametrize(
    "name, layers, variables, parameters",
    [
        ("resnet-50", 177, 179, 25_557_032 + 2 * 26_560),
        ("resnet-101", 347, 349, 44_549_160 + 2 * 52_672),
        ("resnet-152", 517, 519, 60_192_808 + 2 * 75_712),
        ("googlenet", 160, 162, 13_378_280),
        ("inception-v3", 312, 314, 22_042_664),
        ("spatial-transformer", 23, 25, 331_378),
        ("fcn-32s", 41, 43, 134_346_581 + 64 * 64 * 21),
        ("fast-rcnn", 41, 46, 134_346_581 + 4097 * 84),
    ],
)
def test_networks_have_their_layers_variables_and_parameters(name, layers, variables, parameters):
    net = models.build(name, init=False)
    assert (len(net.layers), len(net.vars)) == (layers, variables)
    assert sum(p.value.size for p in net.params) == parameters


def test_resnet_has_the_names_and_order_of_the_example():
    net = models.build("resnet-50", init=False)
    assert [layer.name for layer in net.layers[:6]] == [
        "conv1_conv",
        "conv1_bn",
        "conv1_relu",
        "conv1_pool",
        "conv2_1_adapt_conv_conv",
        "conv2_1_adapt_conv_bn",
    ]
    assert net.layers["conv3_1_sum"].inputs == ["conv3_1_adapt_conv_bn", "conv3_1c_bn"]
    assert net.layers["conv3_2_sum"].inputs == ["conv3_1", "conv3_2c_bn"]
    assert net.layers["conv3_1_relu"].outputs == ["conv3_1"]
    assert net.layers["conv5_3b_bn"].params == ["conv5_3b_bn_w", "conv5_3b_bn_b", "conv5_3b_bn_m"]
    assert [layer.name for layer in net.layers[-4:]] == ["prediction", "loss", "top1error", "top5error"]
    assert net.layers["conv3_1b_conv"].block.stride == (2, 2) and net.layers["conv3_1a_conv"].block.stride == (1, 1)
    rates = {name: net.params[name].learningRate for name in ("conv1_f", "conv1_bn_m", "conv2_1a_f")}
    assert rates == {"conv1_f": pytest.approx(1e-4), "conv1_bn_m": 0.3, "conv2_1a_f": 1}
    assert net.meta.inputSize[0] == "input" and net.meta.inputSize[1].tolist() == [[224, 224, 3, 32]]
    assert net.meta.trainOpts.learningRate.shape == (1, 90) and net.meta.trainOpts.numSubBatches == 4


def test_the_first_filters_of_resnet_are_a_hundred_times_smaller():
    net = models.build("resnet-50", seed=0)
    assert net.params["conv1_f"].value.std() == pytest.approx(np.sqrt(2 / (49 * 64)) / 100, rel=0.02)
    assert net.params["conv2_1b_f"].value.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.02)


@pytest.mark.parametrize(
    "name, inputs, var, size",
    [
        ("resnet-50", {"input": (224, 224, 3, 4)}, "conv2_3", (56, 56, 256, 4)),
        ("resnet-152", {"input": (224, 224, 3, 4)}, "conv5_3", (7, 7, 2048, 4)),
        ("inception", {"input": (299, 299, 3, 2)}, "inception5_3", (35, 35, 288, 2)),
        ("inception", {"input": (299, 299, 3, 2)}, "inception6_4", (17, 17, 768, 2)),
        ("inception", {"input": (299, 299, 3, 2)}, "inception7_2", (8, 8, 1280, 2)),
        ("googlenet", {"data": (224, 224, 3, 1)}, "icp3_in", (14, 14, 480, 1)),
        ("googlenet", {"data": (224, 224, 3, 1)}, "cls2_pool", (4, 4, 528, 1)),
        ("googlenet", {"data": (224, 224, 3, 1)}, "cls3_pool", (1, 1, 1024, 1)),
        ("spatial-transformer", {"input": (60, 60, 1, 5)}, "grid", (2, 60, 60, 5)),
        ("spatial-transformer", {"input": (60, 60, 1, 5)}, "pred", (1, 1, 10, 5)),
        ("fcn-32s", {"input": (512, 480, 3, 1)}, "x38", (16, 15, 21, 1)),
        ("fcn-16s", {"input": (512, 480, 3, 1)}, "x41", (32, 30, 21, 1)),
        ("fcn-8s", {"input": (512, 480, 3, 1)}, "x44", (64, 60, 21, 1)),
        *((f"fcn-{s}s", {"input": (512, 480, 3, 1)}, "prediction", (512, 480, 21, 1)) for s in (32, 16, 8)),
        ("fast-rcnn", {"input": (608, 800, 3, 2), "rois": (1, 1, 5, 9)}, "xRP", (7, 7, 512, 9)),
        ("fast-rcnn", {"input": (608, 800, 3, 2), "rois": (1, 1, 5, 9)}, "predbbox", (1, 1, 84, 9)),
    ],
)
def test_variables_have_their_sizes(name, inputs, var, size):
    assert size_of(models.build(name, init=False), var, **inputs) == size


@pytest.mark.parametrize(
    "name, var, size, stride",
    [
        # 11 pixels before the sections; a 3 x 3 window at the stride so far widens it, also where that doubles
        ("resnet-50", "conv5_3", 11 + 8 * 3 + 8 + 16 * 3 + 16 + 32 * 5 + 32 + 64 * 2, 32),
        ("inception", "inception7_2", 1311, 32),
        ("fcn-32s", "x38", 404, 32),
        ("fcn-8s", "x44", 476, 8),
    ],
)
def test_variables_see_the_pixels_that_they_should(name, var, size, stride):
    field = field_of(models.build(name, init=False), var)
    assert (field.size, field.stride) == ((size, size), (stride, stride))


@pytest.mark.parametrize("name, input, size", [("resnet-50", "input", 224), ("googlenet", "data", 224)])
def test_large_networks_run(name, input, size):
    net = models.build(name, seed=0, deployed=True)
    x = np.random.default_rng(0).standard_normal((size, size, 3, 1)).astype(np.float32)
    for layer in net.layers:  # as if it had been trained
        if isinstance(layer.block, pcn.dagnn.BatchNorm):
            net.params[layer.params[2]].value[:, 1] = 1
    y = pcn.predict(net, x)
    assert y.shape == (1, 1, 1000, 1) and y.sum() == pytest.approx(1, rel=1e-5)


def test_googlenet_predicts_by_its_last_classifier():
    deployed = models.build("googlenet", init=False, deployed=True)
    assert without_losses(models.build("googlenet", init=False))[2] == ["cls3_fc"]
    assert without_losses(deployed)[2] == ["prob"] and deployed.getOutputs() == ["cls1_fc2", "cls2_fc2", "prob"]
    assert [layer.outputs[0] for layer in deployed.layers if layer.name in ("conv1", "relu1", "relu_icp1_out0")] == [
        "conv1",
        "conv1x",
        "icp1_out0x",
    ]


def test_a_spatial_transformer_starts_with_the_identity():
    net = models.build("spatial-transformer", seed=0)
    x = np.random.default_rng(1).random((60, 60, 1, 2), dtype=np.float32)
    net.conserveMemory = False
    net.eval({"input": x, "label": np.array([3, 4])}, {"objective": 1})
    np.testing.assert_allclose(net.vars["xST"].value[1:-1, 1:-1], x[1:-1, 1:-1], atol=1e-5)
    assert all(np.isfinite(p.der).all() for p in net.params)
    # the last filters of the part that finds the transformation are zero: no derivative passes them at first
    still = {p.name for p in net.params if not p.der.any()}
    assert still == {"lc1f", "lc1b", "lc2f", "lc2b", "lfcf", "lfcb"}


def batches(images, labels):
    def get(imdb, batch):
        return {"input": images[..., batch], "label": labels[batch]}

    imdb = pcn.Struct(images=pcn.Struct(set=np.ones(images.shape[3]), data=images))
    return imdb, get


def test_a_spatial_transformer_trains(tmp_path):
    draw = np.random.default_rng(2)
    labels = np.repeat([1, 2], 20)
    images = draw.random((60, 60, 1, 40), dtype=np.float32) * 0.2
    images[20:40, 10:25, 0, labels == 1] += 1
    images[20:40, 35:50, 0, labels == 2] += 1
    imdb, get = batches(images, labels)
    net = models.build("stn-cluttered-mnist", seed=0)
    options = {"expDir": str(tmp_path), "batchSize": 10, "val": [], "plotStatistics": False}
    _, stats = pcn.cnn_train_dag(net, imdb, get, numEpochs=3, learningRate=0.002, **options)
    losses = [epoch["objective"] for epoch in stats["train"]]
    assert losses[-1] < 0.5 * losses[0] and stats["train"][-1]["error"] < 0.2


@pytest.mark.parametrize("name", ["fcn-32s", "fcn-16s", "fcn-8s"])
def test_fully_convolutional_networks_learn(narrow, name):
    draw = np.random.default_rng(3)
    net = models.build(name, source=narrow, numClasses=3)
    x = draw.standard_normal((64, 64, 3, 2)).astype(np.float32) * 60
    label = (1 + (x.mean(axis=2, keepdims=True) > 0)).astype(np.float32)
    label[:8] = 0
    net.eval({"input": x, "label": label}, {"objective": 1})
    before = float(net.vars["objective"].value.item())
    # of 64 x 56 pixels, the sum is divided by one more: all classes are equally likely at first
    assert before == pytest.approx(np.log(3) * 3584 / 3585, rel=1e-4)
    assert {p.name for p in net.params if p.learningRate == 0} == {p.name for p in net.params if "deconv" in p.name}
    assert net.params["fc8f"].der.any() and all(np.isfinite(p.der).all() for p in net.params)
    for p in net.params:
        p.value = p.value - np.float32(1e-5 * p.learningRate) * p.der
    net.eval({"input": x, "label": label})
    assert net.vars["objective"].value.item() < before
    deployed = models.build(name, source=narrow, numClasses=3, deployed=True)
    assert pcn.predict(deployed, x).shape == (64, 64, 3, 2)


def test_upsampling_by_bilinear_filters_keeps_a_plane():
    net = models.build("fcn-8s", source=None, init=False)
    f = net.params["deconv8f"].value
    assert f.shape == (16, 16, 1, 21)
    ramp = np.add.outer(np.arange(8.0), 2 * np.arange(8.0)).astype(np.float32)
    y = pcn.vl_nnconvt(np.repeat(ramp[:, :, None, None], 21, axis=2), f, None, upsample=8, crop=4, numGroups=21)
    inner = y[8:-8, 8:-8, 5, 0]
    np.testing.assert_allclose(np.diff(inner, axis=0), 1 / 8, atol=1e-4)
    np.testing.assert_allclose(np.diff(inner, axis=1), 2 / 8, atol=1e-4)
    diagonal = net.params["deconv1f"].value if "deconv1f" in net.params else net.params["deconv2bisf"].value
    assert diagonal.shape == (4, 4, 21, 21) and not diagonal[:, :, 0, 1].any()
    assert diagonal[:, 0, 2, 2].tolist() == [0.0625, 0.1875, 0.1875, 0.0625]


def test_fast_rcnn_classifies_regions_and_regresses_boxes(narrow):
    draw = np.random.default_rng(4)
    net = models.build("fast-rcnn", source=narrow, seed=1)
    assert [p.learningRate for p in net.params[-4:]] == [1, 2, 1, 2] and net.params["predbboxb"].weightDecay == 0
    assert net.meta.classes.name[-1] == "background" and net.meta.normalization.averageImage.shape == (1, 1, 3)
    rois = np.array([[1, 1, 1, 64, 64], [1, 17, 9, 50, 60], [2, 1, 1, 96, 80]], np.float32).T.reshape(1, 1, 5, 3)
    weights = np.zeros((1, 1, 84, 3), np.float32)
    weights[:, :, 8:12, 1] = 1
    given = {
        "input": draw.standard_normal((96, 96, 3, 2)).astype(np.float32) * 60,
        "rois": rois,
        "label": np.array([21, 3, 1]),
        "targets": draw.standard_normal((1, 1, 84, 3)).astype(np.float32),
        "instance_weights": weights,
    }
    net.eval(given, {"losscls": 1, "lossbbox": 1})
    assert all(np.isfinite(p.der).all() and p.der.any() for p in net.params)
    assert {i for i in range(84) if net.params["predbboxb"].der[0, i]} == {8, 9, 10, 11}
    deployed = models.build("fast-rcnn", source=narrow, deployed=True)
    deployed.eval({"input": given["input"], "rois": rois})
    np.testing.assert_allclose(deployed.vars["probcls"].value.sum(axis=2), 1, rtol=1e-5)
    assert deployed.vars["predbbox"].value.shape == (1, 1, 84, 3)
    classes = pcn.predict(deployed, {"input": given["input"], "rois": rois})
    np.testing.assert_array_equal(classes, deployed.vars["probcls"].value)
    np.testing.assert_allclose(pcn.predict(net, given).sum(axis=2), 1, rtol=1e-5)
    assert "predbbox" not in models.build("fast-rcnn", source=narrow, piecewise=False).layers


def test_a_source_without_the_layers_of_vgg_is_refused():
    for name in ("fcn-8s", "fast-rcnn"):
        with pytest.raises(ValueError, match=r"source must have the layers of VGG, 'relu6'"):
            models.build(name, source=models.build("lenet", init=False))
        with pytest.raises(TypeError, match="source must be a SimpleNN, got DagNN"):
            models.build(name, source=pcn.DagNN())


def test_a_source_with_dropout_and_a_loss_is_as_good(narrow):
    vgg = models.build("vgg-vd-16", init=False)
    assert [layer.type for layer in vgg.layers].count("dropout") == 2
    for name in ("fcn-8s", "fast-rcnn"):
        net, other = (models.build(name, source=source, init=False) for source in (vgg, None))
        assert [(e.name, e.inputs, e.outputs) for e in net.layers] == [
            (e.name, e.inputs, e.outputs) for e in other.layers
        ]


def test_a_seed_gives_a_graph_the_same_weights_and_leaves_other_random_numbers_alone():
    rng.seed(7)
    expected = rng.generator().random()
    rng.seed(7)
    a, b, c = (models.build("spatial-transformer", seed=s) for s in (3, 3, 4))
    assert rng.generator().random() == expected
    np.testing.assert_array_equal(a.params["cfcf"].value, b.params["cfcf"].value)
    assert (a.params["cfcf"].value != c.params["cfcf"].value).any()
    vgg = models.build("vgg-vd-16", init=False, deployed=True)
    a, b = (models.build("fast-rcnn", seed=3, source=vgg) for _ in "ab")
    np.testing.assert_array_equal(a.params["predclsf"].value, b.params["predclsf"].value)


def test_blocks_of_their_own_keep_matlabs_class_names_in_a_file(tmp_path, narrow):
    pcn.save(tmp_path / "fcn.mat", models.build("fcn-32s", source=narrow, numClasses=3))
    kinds = {layer.name: layer.type for layer in pcn.load(tmp_path / "fcn.mat").saveobj().layers}
    assert kinds["objective"] == "SegmentationLoss" and kinds["accuracy"] == "SegmentationAccuracy"
    pcn.save(tmp_path / "rcnn.mat", models.build("fast-rcnn", source=narrow))
    kinds = {layer.name: layer.type for layer in pcn.load(tmp_path / "rcnn.mat").saveobj().layers}
    assert kinds["lossbbox"] == "dagnn.LossSmoothL1" and kinds["roipool"] == "dagnn.ROIPooling"
