"""Every block of README.md runs as it stands, in order, in a folder with the files that it names."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shlex
import sys
from importlib import import_module

import numpy as np
import pytest
import scipy.io
from support import ROOT, python

import pyconvnet as pcn
from pyconvnet.cli import main

pytest.importorskip("PIL")

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
TABLE = README.partition("| MATLAB | Python |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()


def draw(*size):
    return np.random.default_rng(0).standard_normal(size, dtype=np.float32) / 10


def chain(classes=4):
    """A trained network as MatConvNet's examples save it: dropout, a loss that keeps labels, meta."""
    layers = [
        {"type": "conv", "name": "conv1", "weights": [draw(5, 5, 3, 8), draw(8)], "stride": 4},
        {"type": "bnorm", "name": "bn1", "weights": [draw(8) + 1, draw(8), np.ones((8, 2), np.float32)]},
        {"type": "relu", "name": "relu1"},
        {"type": "conv", "name": "fc1", "weights": [draw(7, 7, 8, 16), draw(16)]},
        {"type": "dropout", "name": "drop1", "rate": 0.5},
        {"type": "conv", "name": "fc2", "weights": [draw(1, 1, 16, classes), draw(classes)]},
        {"type": "softmaxloss", "name": "loss", "class": np.ones((1, 7), np.float32)},
    ]
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))
    net.meta.normalization = pcn.Struct(imageSize=np.array([32.0, 32, 3]), averageImage=np.full((1, 1, 3), 120.0))
    net.meta.classes = pcn.Struct(description=["tabby", "bell pepper", "ice bear", "lighthouse"])
    return net


def graph():
    """Something from input to fc1 with a loss after it; and a number, objective, from y."""
    net = pcn.DagNN()
    net.addLayer("fc1", pcn.dagnn.Conv(size=[32, 32, 3, 4]), "input", "h", ["hf", "hb"])
    net.addLayer("relu", pcn.dagnn.ReLU(), "h", "r")
    net.addLayer("loss", pcn.dagnn.Loss(), ["r", "label"], "loss")
    net.addLayer("number", pcn.dagnn.Conv(size=[1, 1, 20, 1]), "y", "objective", ["nf", "nb"])
    net.initParams()
    return net


def digits():
    """Images of three sets of which the README's example, as MatConvNet's, trains on 1 and validates on 3."""
    rng = np.random.default_rng(0)
    labels = np.arange(24.0) % 10 + 1
    data = (rng.standard_normal((28, 28, 1, 24)) + labels).astype(np.float32)
    return pcn.Struct(images=pcn.Struct(data=data, labels=labels, set=np.where(np.arange(24) < 16, 1.0, 3.0)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the files that the README names."""
    monkeypatch.chdir(tmp_path)
    pcn.save("net.mat", chain())
    pcn.save("dag.mat", graph())
    pcn.save("dncnn.mat", pcn.SimpleNN(layers=[{"type": "conv", "weights": [draw(3, 3, 1, 1), draw(1)], "pad": 1}]))
    scipy.io.savemat("imdb.mat", {"images": dict(digits().images)})
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    pcn.images.imwrite(photo, "photo.jpg")
    pcn.images.imwrite(photo[:, :, 0], "noisy.png")
    (tmp_path / "photos").mkdir()
    pcn.images.imwrite(photo, "photos/one.jpg")
    published = chain()
    published.layers[2].name = "relu7"
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("PYCONVNET_MODELS", str(tmp_path / "models"))
    file = tmp_path / "models" / "imagenet-vgg-verydeep-16.mat"  # it is there, and so not fetched
    pcn.save(file, published)
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    monkeypatch.setitem(import_module("pyconvnet.models.pretrained").PUBLISHED, file.stem, md5)
    return tmp_path


def available(text):
    """Whether the packages are installed that a part of the README needs."""
    needed = {"onnx": ("onnx", "onnxruntime"), "torch": ("torch",)}
    named = {name for word, names in needed.items() if word in text for name in names}
    return all(importlib.util.find_spec(name) for name in named)


def test_every_block_runs(folder, capsys):
    space: dict = {"paths": ["photo.jpg"]}
    installs = 0
    for language, text in BLOCKS:
        if language == "python" and available(text):
            exec(compile(text, "README.md", "exec"), space)
        elif language == "bash":
            for line in text.splitlines():
                if line.startswith("python3 -m venv"):  # that would install another pyconvnet
                    installs += 1
                    continue
                words = shlex.split(line, comments=True)
                if not available(" ".join(words)):
                    continue
                assert words[0] == "pyconvnet" and main(words[1:]) == 0, line
    said = capsys.readouterr()
    assert installs == 2 and "Error" not in said.err
    assert "bell pepper" in said.out or "tabby" in said.out
    assert len(space["stats"]["val"]) == 20 and 0 <= space["stats"]["val"][-1]["top1err"] <= 1
    assert space["res"][-1].x.shape == (1, 1, 4, 1) and np.isclose(space["res"][-1].x.sum(), 1)
    assert space["features"].shape == (1, 1, 4, 1)  # of the graph
    assert np.load("relu7.npy").shape == (1, 7, 7, 8)
    assert {path.name for path in folder.iterdir()} >= {"copy.mat", "deployed.mat", "clean.png", "data"}
    assert (folder / "data" / "mnist" / "report.html").is_file()


def test_features_of_a_named_layer_are_its_output(folder):
    space: dict = {"pcn": pcn, "net": chain(), "x": draw(32, 32, 3, 2)}
    block = next(text for language, text in BLOCKS if language == "python" and "names.index" in text)
    exec(block.partition("dag = ")[0], space)
    net = chain()
    net.layers[-1].type = "softmax"
    assert np.allclose(space["features"], pcn.vl_simplenn(net, space["x"], mode="test")[4].x, rtol=1e-4, atol=1e-5)
    exec("dag = " + block.partition("dag = ")[2], space)
    f, b = (space["dag"].params[name].value for name in ("hf", "hb"))
    assert np.allclose(space["features"], pcn.vl_nnconv(space["x"], f, b), atol=1e-5)


def test_what_the_demonstration_prints_is_what_the_readme_shows(capsys):
    shown = next(text for language, text in BLOCKS if not language and "layer|" in text)
    start, end = shown.split("...\n")
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(start) and printed.endswith(end)


def test_the_python_column_of_the_table_runs(folder, capsys):
    space = {
        "pcn": pcn,
        "x": draw(32, 32, 3, 2),
        "f": draw(3, 3, 3, 4),
        "b": draw(4),
        "dy": draw(30, 30, 4, 2),
        "labels": np.array([1, 2]),
        "im": draw(5, 5, 1, 1),
        "imdb": digits(),
        "batch": np.arange(4),
        "size": (16, 16),
        "getBatch": lambda imdb, batch: (imdb.images.data[:, :, :, batch], imdb.images.labels[batch]),
    }
    assert len(TABLE) >= 19
    for row in TABLE:
        line = row.partition(" | ")[2]
        if "cnn_train" in line:
            space["net"] = pcn.models.build("lenet", seed=0)
            line = line.replace("numEpochs=20", "numEpochs=1")
        for code in re.findall(r"`([^`]+)`", line):
            try:
                exec(code, space)
            except Exception as error:
                raise AssertionError(f"README.md: {code}") from error
    assert space["y"].shape == (31, 31, 3, 2) and space["dx"].shape == (32, 32, 3, 2)
    assert space["im"].shape == (28, 28, 1, 4) and len(space["stats"]["train"]) == 1


def test_the_files_and_folders_that_the_readme_names_are_there():
    links = re.findall(r"\]\(([^)]+)\)", README) + [name for name in re.findall(r"^\| `([\w/.]+)`", README, re.M)]
    assert len(links) > 10
    assert all((ROOT / name).exists() for name in links if "(" not in name), links


def test_modules_of_compat_are_attributes():
    done = python("import pyconvnet; print(pyconvnet.compat.matlab.imresize.__name__)")
    assert done.stdout == "imresize\n", done.stderr
    with pytest.raises(AttributeError, match=r"'pyconvnet\.compat' has no attribute 'matlb'"):
        _ = sys.modules["pyconvnet.compat"].matlb
