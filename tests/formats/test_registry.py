"""Formats: found by first bytes or suffix, refused where none is known, and added by one file and one line."""

import json
import re
import types
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from support import python

import pyconvnet as pcn
from pyconvnet import formats
from pyconvnet.cli import main
from pyconvnet.formats import registry

# A format is one file: a chain as JSON.
TOY = """
import json
import numpy as np

def read(path):
    def array(values):
        return np.array(values["array"], values["type"], order="F") if "array" in values else values
    with open(path, encoding="utf-8") as file:
        return json.load(file, object_hook=array)

def write(path, net):
    def plain(value):
        return {"array": value.tolist(), "type": value.dtype.str}
    text = json.dumps(net, default=plain)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
"""
W = np.arange(12, dtype=np.float32).reshape(2, 2, 1, 3)


def chain():
    layers = [{"type": "conv", "weights": [W, np.ones((1, 3), np.float32)]}, {"type": "relu"}]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers, meta=pcn.Struct(about="toy")))


@pytest.fixture(autouse=True)
def table(monkeypatch):
    """MAT files alone are known, and formats that a test registers are gone after it."""
    monkeypatch.setattr(registry, "FORMATS", [f for f in registry.FORMATS if f.suffixes == (".mat",)])


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The module of a format, which is not imported yet."""
    (tmp_path / "toy_format_of_this_test.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    return "toy_format_of_this_test"


def answers(net):
    return pcn.vl_simplenn(net, np.ones((4, 4, 1, 2), np.float32), mode="test")[-1].x


def test_a_format_is_one_file_and_one_line(tmp_path, toy, capsys):
    formats.register(toy, ".toy")
    net = chain()
    pcn.save(tmp_path / "a.TOY", net)
    assert set(json.loads((tmp_path / "a.TOY").read_text())) == {"layers", "meta"}
    found = pcn.load(tmp_path / "a.TOY")
    assert type(found) is pcn.SimpleNN and found.meta.about == "toy"
    assert found.layers[0].weights[0].dtype == np.float32 and np.array_equal(found.layers[0].weights[0], W)
    assert np.array_equal(answers(found), answers(net))
    with pytest.warns(UserWarning, match="this is a SimpleNN"):
        graph = pcn.DagNN.loadobj(tmp_path / "a.TOY")
    assert np.array_equal(graph.params[0].value, W)
    assert main(["show", str(tmp_path / "a.TOY")]) == 0 and "relu" in capsys.readouterr().out
    assert main(["show", str(tmp_path / "gone.toy")]) == 1 and "No such file" in capsys.readouterr().err


def test_plain_values_are_tidied_or_left_whatever_the_format(tmp_path, toy):
    formats.register(toy, ".toy")
    (tmp_path / "a.toy").write_text('{"layers": [{"type": "relu"}]}')
    assert pcn.load(tmp_path / "a.toy").layers[0] == chain().layers[1] | {"name": "layer1"}
    assert pcn.load(tmp_path / "a.toy", tidy=False).layers == [{"type": "relu"}]
    (tmp_path / "b.toy").write_text('{"layers": [{"name": "nameless"}]}')
    with pytest.raises(ValueError, match=r"b\.toy: .*layers\{1\} must be a record with a type"):
        pcn.load(tmp_path / "b.toy")


@pytest.mark.parametrize("make", [chain, lambda: pcn.DagNN.fromSimpleNN(chain())])
def test_a_reader_may_give_a_network_itself(tmp_path, make):
    net = make()
    formats.register(types.SimpleNamespace(read=lambda path: net), ".made")
    (tmp_path / "a.made").write_text("")
    assert pcn.load(tmp_path / "a.made") is net and pcn.load(tmp_path / "a.made", tidy=False) is net


def test_a_format_is_imported_when_it_is_used(tmp_path, toy):
    formats.register("no_module_of_this_name", ".other")
    formats.register(toy, ".toy")
    pcn.save(tmp_path / "a.mat", chain())
    pcn.load(tmp_path / "a.mat")
    code = "import pyconvnet.formats; print(*(m for m in sys.modules if 'formats.mat' in m or 'scipy' in m))"
    assert python(code, check=True).stdout.split() == []


def test_options_that_a_format_does_not_take_are_refused(tmp_path, toy):
    formats.register(toy, ".toy")
    pcn.save(tmp_path / "a.toy", chain())
    with pytest.raises(ValueError, match=r"load: \.toy files have no variable="):
        pcn.load(tmp_path / "a.toy", variable="net")
    with pytest.raises(ValueError, match=r"save: \.toy files have no stats="):
        pcn.save(tmp_path / "b.toy", chain(), stats=pcn.Struct())
    with pytest.raises(ValueError, match=r"load_checkpoint: \.toy files cannot be read as checkpoints"):
        pcn.load_checkpoint(tmp_path / "a.toy")
    formats.register(types.SimpleNamespace(read=len), ".input")
    with pytest.raises(ValueError, match=r"save: \.input files cannot be written here"):
        pcn.save(tmp_path / "c.input", chain())
    assert not list(tmp_path.glob("[bc].*"))


def test_a_format_may_hold_checkpoints(tmp_path):
    kept = {}

    def write(path, net, state=None, stats=None):
        kept.update(net=net, state=state, stats=stats)
        Path(path).write_text("kept")

    formats.register(types.SimpleNamespace(write=write, read_checkpoint=lambda path: kept), ".kept")
    net = chain()
    pcn.save(tmp_path / "a.kept", net, state=pcn.Struct(rate=1))
    point = pcn.load_checkpoint(tmp_path / "a.kept")
    assert point.net is net and point.state.rate == 1 and point.stats is None


@pytest.mark.parametrize("name", ["net.tflite", "net.mta", "net.mat.gz", "net.pth", "net-v1.0.json"])
def test_saving_with_an_unknown_suffix_is_refused_and_nothing_is_written(tmp_path, name):
    said = rf"save: {re.escape(name)} is not written: no format has the suffix {Path(name).suffix} \(known: \.mat\)"
    for net in (chain(), pcn.DagNN.fromSimpleNN(chain())):
        with pytest.raises(ValueError, match=said):
            pcn.save(tmp_path / name, net)
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(ValueError, match=said):
        pcn.save(tmp_path / name, chain())
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(name, b"old")]


@pytest.mark.parametrize("name", ["net", "net.MAT", "net.Mat", "net.", "net-v1.0", "net.mat.1", "lr.0.5-b.3e", ".mat"])
def test_names_without_a_suffix_and_mat_in_any_letters_are_mat_files(tmp_path, name):
    (tmp_path / "folder.v2x").mkdir()
    path = tmp_path / "folder.v2x" / name
    pcn.save(str(path), chain())
    assert path.read_bytes()[:6] == b"MATLAB"
    assert np.array_equal(pcn.load(str(path)).layers[0].weights[0], W)


@pytest.mark.parametrize("path", [None, 0, b"net.mat"])
def test_what_is_no_path_is_refused_at_once(path):
    for name in ("load", "load_checkpoint", "save"):
        with pytest.raises(TypeError, match=f"^{name}: path must be the path of a file, got {type(path).__name__}$"):
            pcn.save(path, chain()) if name == "save" else getattr(pcn, name)(path)


@pytest.mark.parametrize("version", ["4", "4 big", "5", "7", "7.3", "HDF5"])
@pytest.mark.parametrize("name", ["net.toy", "net.tflite", "download", "net.mat.old"])
def test_a_mat_file_is_one_under_any_name(tmp_path, toy, version, name):
    formats.register(toy, ".toy")
    path = tmp_path / name
    if version == "4 big":
        head = b"".join(n.to_bytes(4, "big") for n in (1000, 1, 2, 0, 2))
        path.write_bytes(head + b"x\0" + np.array([1.5, 2], ">f8").tobytes())
    elif version == "4":
        scipy.io.savemat(path, {"x": np.array([[1.5, 2.0]])}, format="4", appendmat=False)
    elif version in "57":
        scipy.io.savemat(path, {"x": np.array([[1.5, 2.0]])}, do_compression=version == "7", appendmat=False)
    else:
        with h5py.File(path, "w", userblock_size=512 if version == "7.3" else 0) as file:
            file["x"] = np.array([[1.5], [2.0]])
    with pytest.raises(
        ValueError, match=re.escape(f"{name} holds no MatConvNet network") + ".*it holds x: 1x2 float64"
    ):
        pcn.load(path)


@pytest.mark.parametrize(
    "content, said",
    [
        (b"\x08\x07\x12\x07pytorch" * 20, r"neither its first bytes nor \.tflite are those of a known format"),
        (b"\0" * 200, "neither its first bytes"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"PK\3\4" + bytes(99), "it is a ZIP archive"),
        (b"", "it is empty"),
    ],
)
def test_a_file_of_no_known_format_is_refused_with_what_there_is(tmp_path, content, said):
    (tmp_path / "net.tflite").write_bytes(content)
    for read in (pcn.load, pcn.load_checkpoint, pcn.DagNN.loadobj):
        with pytest.raises(ValueError, match=rf"net\.tflite cannot be read: {said}.*\(known: \.mat\)"):
            read(tmp_path / "net.tflite")
    with pytest.raises(FileNotFoundError):
        pcn.load(tmp_path / "gone.tflite")
    (tmp_path / "net.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"net\.mat cannot be read as a MAT file"):
        pcn.load(tmp_path / "net.mat")


def test_a_format_that_misses_a_package_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "needy_format_of_this_test.py").write_text("import package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    formats.register("needy_format_of_this_test", (".needy", ".ndy"), install="pip install needy[all]")
    with pytest.raises(ImportError, match=r"save: \.needy .*'package_that_is_not_there': pip install needy\[all\]"):
        pcn.save(tmp_path / "a.ndy", chain())
    with pytest.raises(ValueError, match=r"known: \.mat, \.needy/\.ndy \(pip install needy\[all\]\)"):
        pcn.save(tmp_path / "a.tflite", chain())
    assert not list(tmp_path.glob("a.*"))


def test_first_bytes_go_before_the_suffix_which_picks_among_formats_that_share_them(tmp_path):
    def made(about):
        return types.SimpleNamespace(read=lambda path: pcn.SimpleNN(meta=pcn.Struct(about=about)))

    formats.register(made("one"), ".one", magic=b"NET*\n")
    formats.register(made("two"), [".two", ".second"], magic=re.compile(rb"NET.\n"))
    formats.register(made("three"), ".three")
    for name, expected in {"a.one": "one", "a.TWO": "two", "a.second": "two", "a.three": "one", "a.x": "one"}.items():
        (tmp_path / name).write_bytes(b"NET*\nand more")
        assert pcn.load(tmp_path / name).meta.about == expected
    (tmp_path / "a.three").write_bytes(b"another")
    assert pcn.load(tmp_path / "a.three").meta.about == "three"
    (tmp_path / "b").write_bytes(b"NETx\n")
    assert pcn.load(tmp_path / "b").meta.about == "two"


def test_a_known_suffix_is_registered_again_only_to_replace_it(tmp_path, toy):
    formats.register(toy, ".toy")
    with pytest.raises(ValueError, match=r"register: \.toy is known \(\.toy\); replace=True replaces it"):
        formats.register("another", ".TOY")
    with pytest.raises(ValueError, match=r"\.mat is known"):
        formats.register("another", ".mat")
    net = chain()
    formats.register(types.SimpleNamespace(read=lambda path: net, write=None), ".toy", replace=True)
    (tmp_path / "a.toy").write_text("")
    assert pcn.load(tmp_path / "a.toy") is net
    for suffix in ("toy2", "", ".", "a.b", ".1", []):
        with pytest.raises(ValueError, match="register: suffixes must be a dot and a word each"):
            formats.register(toy, suffix)


def test_loadobj_of_a_path_gives_a_graph_of_the_class_that_is_asked(tmp_path):
    class Own(pcn.DagNN):
        pass

    graph = pcn.DagNN.fromSimpleNN(chain())
    pcn.save(tmp_path / "a.mat", graph)
    own = Own.loadobj(tmp_path / "a.mat")
    assert type(own) is Own and np.array_equal(own.params[0].value, W)
    values = graph.saveobj()
    del values.layers[0]["name"]
    values.layers[0]["type"] = "dagnn.Conv"
    pcn.compat.matfile.write(tmp_path / "b.mat", {"net": {**values, "layers": [dict(v) for v in values.layers]}})
    with pytest.raises(ValueError, match=r"b\.mat: .*layers\(1\) must be a record with a name and a type"):
        Own.loadobj(tmp_path / "b.mat")
