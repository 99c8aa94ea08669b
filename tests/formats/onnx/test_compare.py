"""compare_onnx says which layer departs, and how far."""

import numpy as np
import pytest
from onnx_support import graph
from support import FIXTURES

import pyconvnet as pcn

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

rng = np.random.default_rng(6)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def chain():
    layers = [
        {"type": "conv", "name": "conv1", "weights": [normal(3, 3, 3, 4), normal(4, 1)]},
        {"type": "relu", "name": "relu1"},
        {"type": "dropout", "name": "drop"},
        {"type": "lrn", "name": "norm"},
        {"type": "conv", "name": "fc", "weights": [normal(6, 6, 4, 5), normal(5, 1)]},
        {"type": "softmaxloss", "name": "loss"},
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


def test_a_chain_is_compared_layer_by_layer(tmp_path, capsys):
    net, x = chain(), normal(8, 8, 3, 2)
    pcn.to_onnx(net, tmp_path / "net.onnx")
    rows = pcn.compare_onnx(net, tmp_path / "net.onnx", x)
    assert [r.name for r in rows] == ["conv1", "relu1", "norm", "fc", "prediction"]
    assert [r.type for r in rows] == ["conv", "relu", "lrn", "conv", "softmax"]
    assert rows[0].size == (6, 6, 4, 2) and all(r.difference < 1e-6 for r in rows)
    text = capsys.readouterr().out
    assert text.count("\n") == 7 and text.splitlines()[-1].startswith("worst: ")


def test_the_layer_that_differs_is_the_worst(capsys):
    net, x = chain(), normal(8, 8, 3, 2)
    model = pcn.to_onnx(net)
    net.layers[4].weights[1][0] += 5
    rows = pcn.compare_onnx(net, model, x)
    assert rows[2].difference < 1e-6 and rows[3].difference > 0.01
    assert "worst: " in capsys.readouterr().out.splitlines()[-1]


def test_a_graph_of_several_inputs_is_compared(capsys):
    net = pcn.load(FIXTURES / "dags" / "roi-two-losses.mat")
    given = pcn.compat.matfile.read(FIXTURES / "dags" / "roi-two-losses.ref.mat")["runs"][-1].inputs
    x = dict(zip(given[::2], given[1::2]))
    assert x["rois"].shape == (5, 3)
    rows = pcn.compare_onnx(net, pcn.to_onnx(net), x)
    assert len(rows) >= 6 and all(r.difference < 1e-6 for r in rows)
    with pytest.raises(ValueError, match="x must be a dict with the values of input, rois"):
        pcn.compare_onnx(net, pcn.to_onnx(net), x["input"])


def test_a_file_of_other_names_is_compared_by_what_comes_out(capsys):
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[{"type": "relu", "name": "r"}]))
    (row,) = pcn.compare_onnx(net, graph([("Relu", "x", "y", {})]), normal(6, 8, 3, 2))
    assert row.name == "y" and row.difference == 0
    with pytest.raises(ValueError, match=r"compare_onnx: y is 2x3x6x8 here and 2x3x3x4 in the file"):
        model = graph([("MaxPool", "x", "y", {"kernel_shape": [2, 2], "strides": [2, 2]})])
        pcn.compare_onnx(net, model, normal(6, 8, 3, 2))


def test_without_onnxruntime_one_line_says_what_to_install(monkeypatch):
    model = pcn.to_onnx(chain())
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="needs the package 'onnxruntime': pip install onnxruntime"):
        pcn.compare_onnx(chain(), model, normal(8, 8, 3, 2))
