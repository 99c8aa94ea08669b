"""Networks of every version of Caffe: the same values, names, meta; and what is refused, with the reason."""

import re

import numpy as np
import pytest
from caffe_files import blob, caffemodel, message

import pyconvnet as pcn

RNG = np.random.default_rng(0)
SIZE = (10, 9, 3)
WEIGHTS = {
    "conv1": [RNG.standard_normal((4, 3, 3, 3)), RNG.standard_normal(4)],
    "fc": [RNG.standard_normal((5, 4 * 5 * 5)) * 0.1, RNG.standard_normal(5)],
}
V2 = """
name: "small"  # a comment
layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 1 dim: 3 dim: 10 dim: 9 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 pad: 1 kernel_size: 3 weight_filler { type: "gaussian" std: 1e-2 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "train" type: "Permute" bottom: "pool1" top: "pool1" include { phase: TRAIN } }
layer { name: "drop" type: "Dropout" bottom: "pool1" top: "pool1" dropout_param { dropout_ratio: 0.4 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool1" top: "fc" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
V1 = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 10 input_dim: 9
layers { name: 'conv1' type: CONVOLUTION bottom: 'data' top: 'conv1' blobs_lr: 1 blobs_lr: 2
  weight_decay: 1 weight_decay: 0 convolution_param { num_output: 4 pad: 1 kernel_size: 3 } }
layers { name: 'relu1' type: RELU bottom: 'conv1' top: 'conv1' }
layers { name: 'pool1' type: POOLING bottom: 'conv1' top: 'pool1'
  pooling_param < pool: MAX; kernel_size: 2, stride: 2 > }
layers: { name: 'train' type: ARGMAX bottom: 'pool1' top: 'pool1' include: { phase: TRAIN } }
layers { name: 'drop' type: DROPOUT bottom: 'pool1' top: 'pool1' dropout_param { dropout_ratio: .4 } }
layers { name: 'fc' type: INNER_PRODUCT bottom: 'pool1' top: 'fc' inner_product_param { num_output: 5 } }
layers { name: 'prob' type: SOFTMAX bottom: 'fc' top: 'prob' }
"""
V0 = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 10 input_dim: 9
layers { layer { name: "conv1" type: "conv" num_output: 4 pad: 1 kernelsize: 3 blobs_lr: 1. blobs_lr: 2.
  weight_decay: 1. weight_decay: 0. } bottom: "data" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" pool: MAX kernelsize: 2 stride: 2 } bottom: "conv1" top: "pool1" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.4 } bottom: "pool1" top: "pool1" }
layers { layer { name: "fc" type: "innerproduct" num_output: 5 biasterm: true } bottom: "pool1" top: "fc" }
layers { layer { name: "prob" type: "softmax" } bottom: "fc" top: "prob" }
"""
INPUT = 'input: "data" input_shape { dim: 1 dim: 3 dim: 10 dim: 9 }\n'


def files(folder, text=V2, weights=WEIGHTS, version=2, **options):
    (folder / "net.prototxt").write_text(text)
    (folder / "net.caffemodel").write_bytes(caffemodel(weights, version, **options))
    return folder / "net.prototxt", folder / "net.caffemodel"


def image(*size):
    return RNG.standard_normal(size or (*SIZE, 1)).astype(np.float32)


def by_hand(x):
    """What the small network gives for an image, blue first, step by step."""
    f, b = WEIGHTS["conv1"]
    padded = np.pad(x[:, :, :, 0], ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))
    y = np.maximum(np.einsum("hwcij,kcij->hwk", windows, f) + b, 0)
    y = np.pad(y, ((0, 0), (0, 1), (0, 0)), constant_values=-np.inf)  # the last windows hang over the edge
    y = y.reshape(5, 2, 5, 2, 4).max((1, 3))
    scores = WEIGHTS["fc"][0].reshape(5, -1) @ y.transpose(2, 0, 1).ravel() + WEIGHTS["fc"][1]
    e = np.exp(scores - scores.max())
    return e / e.sum()


@pytest.mark.parametrize("version, text", [(2, V2), (1, V1), (0, V0)])
@pytest.mark.parametrize("options", [{}, {"packed": False}, {"double": True}])
def test_definitions_and_weights_of_every_version_give_the_same_network(tmp_path, version, text, options):
    net = pcn.from_caffe(*files(tmp_path, text, version=version, **options))
    assert isinstance(net, pcn.SimpleNN)
    assert [layer.name for layer in net.layers] == ["conv1", "relu1", "pool1", "drop", "fc", "prob"]
    assert [layer.type for layer in net.layers] == ["conv", "relu", "pool", "dropout", "conv", "softmax"]
    assert list(np.ravel(net.layers[0].learningRate)) == [1, 2] and list(np.ravel(net.layers[0].weightDecay)) == [1, 0]
    x = image()
    assert np.allclose(pcn.predict(net, x[:, :, ::-1]).ravel(), by_hand(x), atol=1e-5)  # red first


def test_without_rgb_images_are_blue_green_red_as_in_caffe(tmp_path):
    x = image()
    y = pcn.predict(pcn.from_caffe(*files(tmp_path), rgb=False), x)
    assert np.allclose(y.ravel(), by_hand(x), atol=1e-5)


@pytest.mark.parametrize(
    "text, weights",
    [
        ('name: "a" type: "BatchNorm" bottom: "data"', {"a": [np.r_[1.0, 2, 3], np.r_[4.0, 5, 6], np.ones(1)]}),
        ('name: "a" type: "Scale" bottom: "data"', {"a": [np.r_[1.0, 2, 3]]}),
        ('name: "a" type: "InnerProduct" bottom: "data" inner_product_param { num_output: 2 }', {
            "a": [RNG.standard_normal((2, 270)), np.zeros(2)]
        }),
        ('name: "a" type: "Deconvolution" bottom: "data" convolution_param { num_output: 2 kernel_size: 2 }', {
            "a": [RNG.standard_normal((3, 2, 2, 2)), np.zeros(2)]
        }),
    ],
)  # fmt: skip
def test_any_layer_that_reads_the_image_has_its_channels_turned_round(tmp_path, text, weights):
    weights = {**weights, "conv": [RNG.standard_normal((2, 3, 3, 3)), np.zeros(2)]}
    follow = 'layer { name: "conv" type: "Convolution" bottom: "a" top: "conv" convolution_param '
    chained = "BatchNorm" in text or "Scale" in text
    text = INPUT + f'layer {{ {text} top: "a" }}' + (follow + "{ num_output: 2 kernel_size: 3 } }") * chained
    rgb, bgr = (pcn.from_caffe(*files(tmp_path, text, weights), rgb=value) for value in (True, False))
    x = image()
    assert np.allclose(pcn.predict(rgb, x[:, :, ::-1]), pcn.predict(bgr, x), atol=1e-5)
    assert not np.allclose(pcn.predict(rgb, x), pcn.predict(bgr, x), atol=1e-2)


def test_layers_in_a_graph_keep_their_names_and_layers_in_place_make_a_variable(tmp_path):
    conv = 'type: "Convolution" convolution_param { num_output: 3 kernel_size: 1 bias_term: false }'
    text = (
        INPUT
        + f"""
    layer {{ name: "a" bottom: "data" top: "a" {conv} }} layer {{ name: "ra" type: "ReLU" bottom: "a" top: "a" }}
    layer {{ name: "b" bottom: "a" top: "b" {conv} }}
    layer {{ name: "s" type: "Eltwise" bottom: "a" bottom: "b" top: "s" }}"""
    )
    weights = {name: [RNG.standard_normal((3, 3, 1, 1))] for name in "ab"}
    net = pcn.from_caffe(*files(tmp_path, text, weights), rgb=False)
    assert [entry.name for entry in net.layers] == ["a", "ra", "b", "s"]
    assert [var.name for var in net.vars] == ["data", "a", "ax", "b", "s"]
    assert [param.name for param in net.params] == ["a_filter", "b_filter"]
    x = image()
    a, b = (weights[name][0][:, :, 0, 0].T for name in "ab")
    rectified = np.maximum(x[:, :, :, 0] @ a, 0)
    assert np.allclose(pcn.predict(net, x)[:, :, :, 0], rectified + rectified @ b, atol=1e-5)
    pcn.save(tmp_path / "net.mat", net)
    assert np.array_equal(pcn.predict(pcn.load(tmp_path / "net.mat"), x), pcn.predict(net, x))


def test_layers_that_name_a_parameter_share_it(tmp_path):
    conv = 'type: "Convolution" param { name: "w" } convolution_param { num_output: 3 kernel_size: 1 bias_term: false }'
    text = (
        INPUT
        + f"""
    layer {{ name: "a" bottom: "data" top: "a" {conv} }} layer {{ name: "b" bottom: "a" top: "b" {conv} }}"""
    )
    f = RNG.standard_normal((3, 3, 1, 1))
    net = pcn.from_caffe(*files(tmp_path, text, {"a": [f], "b": [f]}), rgb=False)
    assert [param.name for param in net.params] == ["w"] and net.params["w"].fanout == 2


def fcn(crops):
    """The strides and pads of FCN-8s (Shelhamer et al., voc-fcn8s), on one channel."""
    number, lines, weights, last = 0, [], {}, "data"

    def add(kind, name, bottoms, options="", shape=None):
        nonlocal last
        bottom = " ".join(f'bottom: "{b}"' for b in bottoms.split())
        lines.append(f'layer {{ name: "{name}" type: "{kind}" {bottom} top: "{name}" {options} }}')
        if shape:
            weights[name] = [np.ones(shape), np.zeros(1)]
        last = name

    def conv(name, bottom, kernel, pad=0):
        options = f"convolution_param {{ num_output: 1 kernel_size: {kernel} pad: {pad} }}"
        add("Convolution", name, bottom, options, (1, 1, kernel, kernel))

    def up(name, bottom, factor):
        options = f"convolution_param {{ num_output: 1 kernel_size: {2 * factor} stride: {factor} }}"
        add("Deconvolution", name, bottom, options, (1, 1, 2 * factor, 2 * factor))

    for block, count in enumerate((2, 2, 3, 3, 3), 1):
        for _ in range(count):
            number += 1
            conv(f"conv{number}", last, 3, 100 if number == 1 else 1)
        add("Pooling", f"pool{block}", last, "pooling_param { kernel_size: 2 stride: 2 }")
    conv("fc6", last, 7)
    up("up2", last, 2)
    add("Crop", "crop4", "pool4 up2", crops[0])
    add("Eltwise", "sum4", "up2 crop4")
    up("up4", last, 2)
    add("Crop", "crop3", "pool3 up4", crops[1])
    add("Eltwise", "sum3", "up4 crop3")
    up("up8", last, 8)
    add("Crop", "score", "up8 data", crops[2])
    return 'input: "data" input_shape { dim: 1 dim: 1 dim: 70 dim: 90 }\n' + "\n".join(lines), weights


def test_a_crop_without_options_is_that_of_the_receptive_fields(tmp_path):
    published = (5, 9, 31)  # the offsets that voc-fcn8s says
    for crops in ([""] * 3, [f"crop_param {{ axis: 2 offset: {n} }}" for n in published]):
        net = pcn.from_caffe(*files(tmp_path, *fcn(crops)))
        offsets = [entry.block.crop for entry in net.layers if entry.name in ("crop4", "crop3", "score")]
        assert offsets == [(n, n) for n in published]
        assert dict(zip([v.name for v in net.vars], net.getVarSizes({"data": (70, 90, 1, 1)})))["score"][:2] == (70, 90)


def test_regions_count_from_one_and_full_connections_read_them(tmp_path):
    text = """input: "data" input_shape { dim: 1 dim: 2 dim: 16 dim: 16 } input: "rois" input_shape { dim: 1 dim: 5 }
    layer { name: "roi" type: "ROIPooling" bottom: "data" bottom: "rois" top: "roi"
      roi_pooling_param { pooled_w: 2 pooled_h: 4 spatial_scale: 0.5 } }
    layer { name: "fc" type: "InnerProduct" bottom: "roi" top: "fc" inner_product_param { num_output: 3 } }"""
    f = RNG.standard_normal((3, 2 * 4 * 2))
    net = pcn.from_caffe(*files(tmp_path, text, {"fc": [f, np.zeros(3)]}))
    x = image(16, 16, 2, 1)
    caffe = np.array([[0, 4, 8, 18, 22]], np.float32)  # image 0, x 2..9, y 4..11 of the image halved
    net.mode = "test"
    net.vars["fc"].precious = True
    net.eval({"data": x, "rois": caffe.T + 1})
    cells = x[4:12, 2:10, :, 0].reshape(4, 2, 2, 4, 2).max((1, 3))
    assert np.allclose(net.vars["fc"].value.ravel(), f @ cells.transpose(2, 0, 1).ravel(), atol=1e-4)


def test_meta_has_the_size_the_average_and_the_classes(tmp_path):
    conv = 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 1 %s } }'
    text = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 227 input_dim: 227 ' + conv % "kernel_size: 9"
    paths = files(tmp_path, text, {"c": [np.ones((1, 3, 9, 9)), np.zeros(1)]})
    average = RNG.random((3, 256, 256)).astype(np.float32)
    (tmp_path / "mean.binaryproto").write_bytes(blob(average, old=True))
    (tmp_path / "synset_words.txt").write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish\n")
    net = pcn.from_caffe(*paths, mean=tmp_path / "mean.binaryproto", classes=tmp_path / "synset_words.txt")
    n = net.meta.normalization
    assert n.imageSize[:3] == [227, 227, 3] and n.border == [29, 29] and not n.keepAspect
    assert np.array_equal(n.averageImage, average[::-1, 14:241, 14:241].transpose(1, 2, 0))
    assert net.meta.classes.description == ["tench, Tinca tinca", "goldfish"]
    assert net.meta.classes.name == ["n01440764", "n01443537"]
    x = pcn.models.preprocess(net, np.full((256, 256, 3), 7, np.uint8))
    assert np.allclose(x[:, :, :, 0], 7 - n.averageImage)
    net = pcn.from_caffe(*paths, mean=(104, 117, 123), inputSize=(300, 300, 3))
    assert net.meta.normalization.averageImage.ravel().tolist() == [123, 117, 104]
    assert "border" not in net.meta.normalization
    with pytest.raises(ValueError, match="from_caffe: inputSize must be 3 numbers, got 2"):
        pcn.from_caffe(*paths, inputSize=(300, 300))
    with pytest.raises(ValueError, match="mean must be a file, or 3 numbers, got 2"):
        pcn.from_caffe(*paths, mean=(1, 2))


def test_a_training_definition_gives_its_crop_its_mean_and_its_loss(tmp_path):
    text = """
    layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
      transform_param { crop_size: 6 mean_value: 104 mean_value: 117 mean_value: 123 } }
    layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
    layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }"""
    net = pcn.from_caffe(*files(tmp_path, text, {"fc": [RNG.standard_normal((2, 108)), np.zeros(2)]}))
    assert [layer.type for layer in net.layers] == ["conv", "softmaxloss"]
    assert net.meta.normalization.averageImage.ravel().tolist() == [123, 117, 104]
    assert pcn.predict(net, image(6, 6, 3, 1)).sum() == pytest.approx(1)


def test_load_finds_the_definition_beside_the_weights(tmp_path):
    definition, weights = files(tmp_path)
    x = image()
    expected = pcn.predict(pcn.from_caffe(definition, weights), x)
    for name in ("net.prototxt", "deploy.prototxt", "my_deploy.prototxt", "other.prototxt"):
        definition = definition.rename(tmp_path / name)
        assert np.array_equal(pcn.predict(pcn.load(weights), x), expected)
    (tmp_path / "solver.prototxt").write_text("")
    with pytest.raises(pcn.CaffeFileError, match=r"net\.caffemodel has .* there are other\.prototxt, solver\.prototxt"):
        pcn.load(weights)


def test_all_layers_that_cannot_be_imported_are_named_in_one_error(tmp_path):
    text = (
        INPUT
        + """
    layer { name: "p" type: "PReLU" bottom: "data" top: "p" }
    layer { name: "s" type: "Pooling" bottom: "data" top: "s" pooling_param { pool: STOCHASTIC kernel_size: 2 } }
    layer { name: "after" type: "InnerProduct" bottom: "p" top: "after" inner_product_param { num_output: 2 } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 kernel_size: 2 } }
    layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 5 } }
    layer { name: "m" type: "Eltwise" bottom: "data" bottom: "data" top: "m" eltwise_param { operation: MAX } }
    layer { name: "sum" type: "Eltwise" bottom: "data" bottom: "p" top: "sum" }
    layer { name: "two" type: "ReLU" bottom: "data" bottom: "data" top: "two" }
    layer { name: "none" type: "Concat" top: "none" }
    layer { name: "lost" type: "ReLU" bottom: "nowhere" top: "lost" }"""
    )
    with pytest.raises(pcn.CaffeFileError) as error:
        pcn.from_caffe(*files(tmp_path, text))
    said = str(error.value)
    assert said.startswith("net.prototxt cannot be read as a network of Caffe: layers that cannot be imported: ")
    for reason in (
        r"imported: 'p' \(PReLU\); 's'",
        r"'s' \(Pooling\): pool: STOCHASTIC",
        r"'c' \(Convolution\): net\.caffemodel has no arrays of weights for it, it needs 2",
        r"'fc' \(InnerProduct\): its weights are 5 x 100, its options and input ask for 5 x 3 x 10 x 9",
        r"'m' \(Eltwise\): operation: MAX",
        r"'two' \(ReLU\): it has 2 bottoms; 'none' \(Concat\): it has 0 bottoms",
        r"'lost' \(ReLU\): its bottom 'nowhere' is neither an input nor",
    ):
        assert re.search(reason, said), reason
    assert "'after'" not in said and "'sum'" not in said  # they read what cannot be imported


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "it is empty"),
        ("<!DOCTYPE html>", "it is a web page"),
        ("layer { name: 'a'", "line 1: the name of a field must stand here, not the end"),
        ("\nlayer }", "line 2: a value must stand before|line 2: a colon or a bracket"),
        ("a: 1 \n @", "line 2: there is no name"),
        ("a: {" * 40, "nested over 32 deep"),
        ("name: 'a'", "it has no layers"),
        ("layer: 3", "layer must be a message"),
        ("layer { name: 3 }", "name must be text, got 3"),
        (
            "input: 'd' input_dim: -1 layer { type: 'ReLU' bottom: 'd' }",
            "whole numbers from 0, got -1",
        ),
        ("input: 'd' layer { name: 'r' type: 'ReLU' bottom: 'd' }", "'r' .* size of its input 'd' is not known"),
        (f"input: 'd' input_dim: {'9' * 5000}", "input_dim must be whole numbers, got inf"),
        ("#" * 10000 + " @", "it has no layers"),
        ("#" * 10000 + "\n @", "line 2: there is no name"),
        ("a: " + "1" * 100000 + "x", "line 1: there is no name"),
    ],
)
def test_a_damaged_definition_is_refused_with_its_line(tmp_path, text, said):
    with pytest.raises(pcn.CaffeFileError, match=rf"^net\.prototxt cannot be read as a network of Caffe: .*({said})"):
        pcn.from_caffe(*files(tmp_path, text))


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "it is empty"),
        (b"name: 'text'", "no field|is damaged|no whole number"),
        (b"\xff" * 20, "no whole number"),
        (message((1, "net")), "no weights"),
        (
            message((100, message((1, "a"), (7, message((7, message((1, b"\x08"))), (5, b"1234")))))),
            "of 8 must hold",
        ),
        (message((100, message((1, "a"), (7, message((5, b"12345")))))), "in the middle of a number"),
        (caffemodel(WEIGHTS)[:-3], "must hold .* bytes"),
    ],
)
def test_damaged_weights_are_refused_with_the_name_of_the_file(tmp_path, content, said):
    definition, weights = files(tmp_path)
    weights.write_bytes(content)
    with pytest.raises(pcn.CaffeFileError, match=rf"^net\.caffemodel cannot be read as a network of Caffe: .*({said})"):
        pcn.from_caffe(definition, weights)


def test_files_that_are_not_there_are_said_so(tmp_path):
    definition, weights = files(tmp_path)
    for paths in ((tmp_path / "gone", weights), (definition, tmp_path / "gone")):
        with pytest.raises(FileNotFoundError):
            pcn.from_caffe(*paths)
