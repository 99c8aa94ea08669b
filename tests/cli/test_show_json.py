"""`show --json`: the numbers of the table, for programs."""

import json

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet.cli import main
from pyconvnet.display import as_dict
from pyconvnet.models.sentence import LETTERS


def shown(capsys, *args):
    assert main(["show", *map(str, args), "--json"]) == 0

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(capsys.readouterr().out, parse_constant=refuse)


def test_a_chain_has_the_numbers_of_its_table(capsys):
    found = shown(capsys, "vgg-vd-16")
    info, _ = pcn.vl_simplenn_display(pcn.models.build("vgg-vd-16", init=False))
    layers = found["layers"]
    assert found["network"] == "SimpleNN" and found["inputs"] == [{"name": "x0", "size": [224, 224, 3, 32]}]
    for name in ("support", "stride", "pad"):
        np.testing.assert_array_equal(np.transpose([layer[name] for layer in layers]), info[name])
    np.testing.assert_array_equal(np.transpose([layer["outputSize"] for layer in layers]), info.dataSize[:, 1:])
    for name in ("Size", "Offset", "Stride"):
        fields = [layer["receptiveFields"][0][name.lower()] for layer in layers]
        np.testing.assert_array_equal(np.transpose(fields), info[f"receptiveField{name}"])
    assert layers[0]["parameterSizes"] == [[3, 3, 3, 64], [64, 1]] and layers[0]["parameters"] == 1792
    assert layers[0]["outputBytes"] == 4 * 224 * 224 * 64 * 32
    # the parameters of VGG's configuration D: Simonyan and Zisserman 2014, table 2 rounds them to 138 million
    assert found["totals"]["parameters"] == 138357544 and found["totals"]["parameterBytes"] == 4 * 138357544
    assert found["meta"] == {"inputSize": [224, 224, 3, 32], "imageSize": [224, 224, 3], "classes": None}


def test_a_chain_and_its_graph_have_the_same_numbers():
    net = pcn.load(LETTERS)
    chain, graph = as_dict(net), as_dict(pcn.DagNN.fromSimpleNN(net), {"x0": (32, 32, 1, 1)})
    assert (chain["network"], graph["network"]) == ("SimpleNN", "DagNN")
    assert chain["inputs"] == [{"name": "x0", "size": [32, 32, 1, 1]}] and chain["inputs"] == graph["inputs"]
    assert chain["meta"] == graph["meta"] and chain["meta"]["classes"] == 26
    assert chain["totals"] == graph["totals"]
    for a, b in zip(chain["layers"], graph["layers"], strict=True):
        assert a.pop("type").capitalize() == {"Pooling": "Pool", "ReLU": "Relu"}.get(t := b.pop("type"), t)
        assert a == b


def test_a_graph_takes_the_sizes_of_its_meta_or_the_given_one(capsys, tmp_path):
    found = shown(capsys, "resnet-50")
    assert found["inputs"] == [{"name": "input", "size": [224, 224, 3, 32]}, {"name": "label", "size": None}]
    conv1 = found["layers"][0]
    assert (conv1["type"], conv1["stride"], conv1["pad"], conv1["outputs"]) == ("Conv", [2, 2], [3] * 4, ["conv1_conv"])
    assert conv1["outputSize"] == [112, 112, 64, 32]
    assert conv1["receptiveFields"] == [{"input": "input", "size": [7, 7], "offset": [1, 1], "stride": [2, 2]}]
    assert found["meta"]["inputSize"] == {"input": [224, 224, 3, 32]}
    assert shown(capsys, "resnet-50", "--input", 256, 320, 3)["layers"][0]["outputSize"] == [128, 160, 64, 1]
    graph = pcn.DagNN.fromSimpleNN(pcn.load(LETTERS))
    graph.meta.normalization = pcn.Struct(imageSize=np.array([32.0, 32, 1]))
    pcn.save(tmp_path / "dag.mat", graph)
    assert shown(capsys, tmp_path / "dag.mat")["layers"][-1]["outputSize"] == [1, 1, 26, 1]


def test_what_is_not_known_is_null(capsys, tmp_path):
    conv = {"type": "conv", "name": "\x1b[2J", "weights": [np.ones((3, 3, 1, 2), np.float32), []]}
    pcn.save(tmp_path / "net.mat", pcn.SimpleNN(layers=[conv, {"type": "mine"}]))
    found = shown(capsys, tmp_path / "net.mat")
    assert found["inputs"][0]["size"] == [None, None, None, 1]
    assert found["layers"][0]["outputSize"] == [None, None, 2, 1] and found["layers"][0]["outputBytes"] is None
    assert found["totals"]["dataBytes"] is None and found["totals"]["parameters"] == 18
    assert found["meta"] == {"inputSize": None, "imageSize": None, "classes": None}


def test_parameters_that_layers_share_count_once():
    net = pcn.DagNN()
    for side in ("left", "right"):
        net.addLayer(side, pcn.dagnn.Conv(size=[3, 3, 1, 4], hasBias=False), side, f"{side}-out", ["f"])
    net.addLayer("sum", pcn.dagnn.Sum(), ["left-out", "right-out"], "y")
    net.initParams()
    found = as_dict(net, {"left": (8, 8, 1, 1), "right": (8, 8, 1, 1)})
    assert [layer["parameters"] for layer in found["layers"]] == [36, 36, 0] and found["totals"]["parameters"] == 36
    assert [field["input"] for field in found["layers"][2]["receptiveFields"]] == ["left", "right"]


@pytest.mark.parametrize("options", [("--dot",), ("--format", "csv")])
def test_one_form_at_a_time(options):
    with pytest.raises(SystemExit, match="2"):
        main(["show", "lenet", "--json", *options])


MODELS = sorted((ROOT.parent / "shared" / "models").glob("*.mat"))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_published_networks_are_shown(capsys, path):
    found = shown(capsys, path)
    assert found["layers"] and found["totals"]["parameters"] > 1000
