"""pyconvnet convert: what it writes, how it compares the outputs, and what it refuses."""

import re
import sys
import types

import numpy as np
import pytest
from support import run_cli

import pyconvnet as pcn
from pyconvnet.cli import main
from pyconvnet.models.sentence import LETTERS


def test_convert_writes_the_format_of_the_suffix_and_compares_the_outputs(capsys, tmp_path, letter):
    code, out, err = run_cli(capsys, "convert", LETTERS, tmp_path / "new.mat", "--check", letter)
    assert code == 0 and not err and f"{letter}: the outputs differ by 0 at most" in out
    assert [layer.type for layer in pcn.load(tmp_path / "new.mat").layers] == [x.type for x in pcn.load(LETTERS).layers]


def test_convert_writes_source_for_pytorch_which_gives_the_same_output(capsys, tmp_path, letter):
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    code, out, _ = run_cli(capsys, "convert", LETTERS, tmp_path / "letters.py", "--check", letter)
    assert code == 0 and out.startswith(f"{tmp_path / 'letters.py'} is written\n")
    worst, largest = (float(word) for word in re.findall(r"by (\S+) at most, the largest is (\S+)", out)[0])
    assert 0 <= worst < 1e-5 * largest
    assert sorted(p.name for p in tmp_path.glob("letters.*")) == ["letters.py", "letters.safetensors"]


def test_convert_writes_onnx_which_gives_the_same_output_in_onnxruntime(capsys, tmp_path, letter):
    pytest.importorskip("onnxruntime")
    code, out, _ = run_cli(capsys, "convert", LETTERS, tmp_path / "letters.onnx", "--check", letter)
    worst, largest = (float(word) for word in re.findall(r"by (\S+) at most, the largest is (\S+)", out)[0])
    assert code == 0 and 0 <= worst < 1e-5 * largest
    assert run_cli(capsys, "convert", tmp_path / "letters.onnx", tmp_path / "again.mat", "--check", letter)[0] == 0


def test_convert_fails_where_the_outputs_differ(capsys, tmp_path, letter, monkeypatch):
    monkeypatch.setattr(pcn.formats.registry, "run", lambda path, x: np.zeros((1, 1, 26, 1), np.float32))
    code, out, err = run_cli(capsys, "convert", LETTERS, tmp_path / "new.mat", "--check", letter)
    assert code == 1 and "the outputs differ by" in out and "does not give the outputs of" in err


@pytest.mark.parametrize(
    "out, image, message",
    [
        ("new.mat", "nowhere.png", "imread: there is no file"),
        ("new.mat", "small.png", "more than x with its pad"),
        ("new.onnx", "letter.png", "convert --check: this needs the package 'onnxruntime': pip install onnxruntime"),
        ("new.py", "letter.png", "convert --check: .py files need the package 'torch': pip install 'pyconvnet[torch]'"),
        ("new.safetensors", "letter.png", "new.safetensors cannot be run to compare the outputs: it holds weights"),
        ("new.toy", "letter.png", "new.toy cannot be run to compare the outputs: .toy files cannot be read here"),
    ],
)
def test_convert_refuses_a_check_that_cannot_work_before_it_writes(
    capsys, tmp_path, letter, monkeypatch, out, image, message
):
    net = pcn.load(LETTERS)
    if image == "small.png":  # without a size in meta images stay as they are
        net.meta = pcn.Struct()
        pcn.images.imwrite(np.zeros((9, 9), np.uint8), tmp_path / "small.png")
    pcn.save(tmp_path / "net.mat", net)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    if out == "new.py":
        monkeypatch.delitem(sys.modules, "pyconvnet.formats.pytorch.source", raising=False)
        monkeypatch.setitem(sys.modules, "torch", None)
    toy = types.SimpleNamespace(write=lambda path, net: pytest.fail("it is written"))
    monkeypatch.setattr(pcn.formats.registry, "FORMATS", list(pcn.formats.registry.FORMATS))
    pcn.formats.register(toy, ".toy")
    before = sorted(tmp_path.iterdir())
    code, said, err = run_cli(capsys, "convert", tmp_path / "net.mat", tmp_path / out, "--check", tmp_path / image)
    assert (code, said, err.count("\n")) == (1, "", 1) and message in err
    assert sorted(tmp_path.iterdir()) == before


def test_convert_says_what_it_can_write_and_leaves_nothing_behind(capsys, tmp_path):
    code, _, err = run_cli(capsys, "convert", LETTERS, tmp_path / "net.h5")
    assert code == 1 and "no format has the suffix .h5 (known: .mat" in err
    assert ".py (pip install 'pyconvnet[torch]')" in err
    code, _, err = run_cli(capsys, "convert", tmp_path / "net.safetensors", tmp_path / "net.mat")
    assert code == 1 and "No such file" in err
    (tmp_path / "weights.safetensors").write_bytes(b"x" * 9)
    code, _, err = run_cli(capsys, "convert", tmp_path / "weights.safetensors", tmp_path / "net.mat")
    assert code == 1 and "it holds weights without layers" in err
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]


def test_convert_says_what_to_install(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    monkeypatch.delitem(sys.modules, "pyconvnet.formats.pytorch.weights", raising=False)
    monkeypatch.delitem(sys.modules, "pyconvnet.formats.pytorch.source", raising=False)
    code, _, err = run_cli(capsys, "convert", LETTERS, tmp_path / "net.safetensors")
    assert code == 1 and ".safetensors files need the package 'safetensors" in err
    assert "pip install 'pyconvnet[torch]'" in err


def test_convert_does_not_write_over_what_it_reads(tmp_path, capsys):
    path = tmp_path / "net.mat"
    pcn.save(path, pcn.models.build("lenet", seed=0))
    before = path.read_bytes()
    assert main(["convert", str(path), str(path)]) == 1
    assert "OUT must be another file than IN" in capsys.readouterr().err and path.read_bytes() == before
