"""What strangers write into files is shown as text: it runs nowhere, and changes nothing around it."""

import contextlib
import csv
import io
import re
import warnings

import hostile
import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import cli, table
from pyconvnet.text import visible


def hidden(text):
    """What in a text cannot be seen, but for the ends of lines that pyconvnet itself writes."""
    lines = text.replace("\t", " ").split("\n")
    return [line for line in lines if visible(line) != line] + [x for x in lines if x.startswith("new line")]


def said(call, *args, **options):
    """All that a call says: what it returns, prints, warns of, and its error."""
    out, error = io.StringIO(), ""
    with (
        warnings.catch_warnings(record=True) as noted,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
    ):
        warnings.simplefilter("always")
        try:
            result = call(*args, **options)
        except (ValueError, TypeError, KeyError, AttributeError, ImportError) as e:
            result, error = "", str(e)
    return "\n".join([result if isinstance(result, str) else repr(result), out.getvalue(), error, *map(_text, noted)])


def _text(warning):
    return str(warning.message)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("conv1 Größe 畳み込み\u3000層", "conv1 Größe 畳み込み\u3000層"),
        ("a\x1b[31m\n\x00", r"a\x1b[31m\n\x00"),
        ("\u202eexe", r"\u202eexe"),
        ("\ud800", r"\ud800"),
        (r"a\b", r"a\b"),
    ],
)
def test_characters_that_cannot_be_seen_are_written_as_escapes(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize("format", ["ascii", "latex", "csv"])
def test_tables_of_networks_show_every_name_on_its_line(format):
    for text in (
        pcn.vl_simplenn_display(hostile.simplenn(), format=format)[1],
        hostile.dagnn().print(All=True, Format=format) or "",
        said(hostile.dagnn().print, All=True, Format=format),
    ):
        assert not hidden(text)
    assert not hidden(pcn.vl_simplenn_display(hostile.simplenn(), style="classic")[1])


def test_what_is_printed_and_refused_shows_no_escape_of_a_file(tmp_path):
    net, dag, odd = hostile.simplenn(), hostile.dagnn(), hostile.ESCAPES[0]
    x = np.ones((3, 3, 2, 1), np.float32)
    pcn.save(tmp_path / "simple.mat", net)
    pcn.save(tmp_path / "dag.mat", dag)
    unknown = pcn.Struct(layers=[pcn.Struct(type=odd, name=odd)], meta=pcn.Struct())
    missing = hostile.dagnn()
    missing.addLayer("last", pcn.dagnn.Conv(size=(1, 1, 2, 2)), [odd], ["y"], [odd + "w", odd + "b"])
    calls = [
        *[(repr, n) for n in (net, dag, dag.layers[0], dag.vars[0], dag.params[0], net.layers[11], net.meta)],
        (repr, pcn.Struct({odd: 1})),
        (lambda: pcn.Struct({odd: 1}).other,),
        (lambda: str(pcn.best_classes(net, pcn.predict(net, x), 40)),),
        (lambda: "\n".join(map(str, pcn.best_classes(net, pcn.predict(net, x).mean((0, 1), keepdims=True), 40))),),
        (pcn.vl_simplenn, unknown, x),
        (pcn.vl_simplenn, net, x[:, :, :1]),
        (pcn.predict, unknown, x),
        (pcn.predict, missing, x),
        (dag.eval, {"nothing": x}),
        (dag.eval, {"input": x[:, :, :1]}),
        (missing.eval, {"input": x}),
        (lambda: dag.layers["nothing"],),
        (lambda: dag.addLayer(odd, pcn.dagnn.ReLU(), odd, odd),),
        (pcn.features, net, x, ["nothing"]),
        (pcn.features, dag, x, ["nothing"]),
        (pcn.vl_simplenn_diagnose, net),
        (pcn.models.preprocess, net, np.ones((3, 3, 1))),
        *[(pcn.save, tmp_path / f"out{s}", n) for s in (".onnx", ".py", ".safetensors") for n in (net, dag, unknown)],
        (pcn.load, tmp_path / "simple.mat", None),
        (pcn.DagNN.loadobj, pcn.Struct({odd: 1})),
        (pcn.vl_simplenn_tidy, pcn.Struct(layers=[pcn.Struct({odd: 1})])),
        (pcn.DagNN.fromSimpleNN, unknown),
        *[(cli.main, ["show", str(tmp_path / f)]) for f in ("simple.mat", "dag.mat")],
        *[(cli.main, ["show", "--dot", str(tmp_path / f)]) for f in ("simple.mat", "dag.mat")],
        (cli.main, ["show", odd]),
        (cli.main, ["run", str(tmp_path / "simple.mat"), odd]),
    ]
    found = [line for call, *args in calls for line in hidden(said(call, *args))]
    assert not found, "\n".join(map(ascii, found))


def test_a_measure_names_classes_as_text():
    from pyconvnet.training.statistics import stats_table
    from pyconvnet.view import measures, plots

    odd = hostile.ESCAPES
    names = odd[:2]
    stats = {odd[0]: [pcn.Struct({odd[1]: 1.0})]}
    for text in (
        measures.confusion_text(np.eye(2, dtype=int), names),
        stats_table(stats),
        plots.training_text(stats),
    ):
        assert text and not hidden(text)


@pytest.mark.filterwarnings("ignore:constrained_layout")
def test_pictures_take_no_name_for_a_formula(tmp_path):
    pytest.importorskip("matplotlib")
    from pyconvnet.view import inside, plots

    names = hostile.NAMES
    plots.save(plots.confusion(np.eye(len(names), dtype=int), names), tmp_path / "confusion.svg")
    plots.save(plots.training_curves({"$\\frac{$": [pcn.Struct({"$x^{$": 1.0})]}), tmp_path / "curves.png", dpi=50)
    plots.save(inside.diagnosis(hostile.simplenn()), tmp_path / "diagnosis.png", dpi=50)
    assert "<script" not in (tmp_path / "confusion.svg").read_text()


def test_a_spreadsheet_finds_no_formula_in_a_table():
    for text in (
        pcn.vl_simplenn_display(hostile.simplenn(), format="csv")[1],
        said(hostile.dagnn().print, All=True, Format="csv"),
    ):
        for row in csv.reader(io.StringIO(text), skipinitialspace=True):
            assert not [cell for cell in row if re.match(r"[=+@]|-(?![\d.ex+I-]*(nf)?$)", cell)]
        assert "'=cmd|" in text and "a,'=1+cmd" in text and '""' in text
    assert table.render([["a", "-93.5x-93"], ["b", "-Inf"]], "csv") == '"a","-93.5x-93",\n"b","-Inf",\n\n'


def test_latex_finds_no_command_in_a_name():
    text = pcn.vl_simplenn_display(hostile.simplenn(), format="latex")[1]
    assert "\\input" not in text and "^^" not in text
    known = {"begin", "end", "hline", "char", "textbackslash", "textasciicircum", "textasciitilde"}
    assert set(re.findall(r"(?<!\\)\\([a-zA-Z]+)", text)) <= known
    bare = re.sub(r"\\[{}&%#$\\]|\\(begin|end)\{tabular\}(\{c+\})?|\\text\w+\{\}|\\char`_", "", text)
    assert not set(bare) & set("\\{}%#$^~") - set("\\")
    assert set(re.findall(r"\\\w*", bare)) <= {"\\hline"}


def test_graphviz_finds_no_statement_in_a_name():
    names = [*hostile.NAMES[:-1], 'a" [URL="javascript:alert(1)"]; b [label="', "ends with \\", "<b>x</b>"]
    text = hostile.dagnn(names).print(Format="dot") or said(hostile.dagnn(names).print, Format="dot")
    for line in text.strip().splitlines()[1:-1]:
        bare = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        assert re.fullmatch(r'\s*(fontsize=12|"" -> ""|"" \[label="" shape=record style="" [\w= "]+\])?', bare), bare


def test_names_choose_no_folder_that_files_are_written_to(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    net = hostile.simplenn([n for n in hostile.NAMES if len(n) < 100])
    x = np.ones((3, 3, 2, 1), np.float32)
    for name in hostile.PATHS[:-1]:
        pcn.features(net, x, [name], out=inner / "{layer}.npy", prepared=True)
    pcn.features(net, x, hostile.PATHS[:-1], out=inner / "all.h5", prepared=True)
    with pytest.raises(ValueError, match="must differ for every layer"):
        pcn.features(hostile.simplenn(["a/b", "a_b"]), x, ["a/b", "a_b"], out=inner / "{layer}.npy", prepared=True)
    assert list(tmp_path.iterdir()) == [inner]
    assert sum(path.suffix == ".npy" for path in inner.iterdir()) == len(hostile.PATHS) - 1


def test_source_for_pytorch_is_no_more_than_a_network_whatever_its_layers_are_called(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    import ast

    ends = [
        '"""\nraise SystemExit\n"""',
        "x\nimport os",
        "# coding: utf-7",
        "self",
        "torch",
        "load",
        "__class__",
        "{x}",
    ]
    for make in (hostile.simplenn, hostile.dagnn):
        net = make([*hostile.NAMES, *ends])
        path = tmp_path / "net.py"
        pcn.save(path, net)
        kinds = {type(node).__name__ for node in ast.parse(path.read_text(encoding="utf-8")).body}
        assert kinds <= {"Expr", "ImportFrom", "Import", "Assign", "ClassDef", "FunctionDef"}
        called = [n.func for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        assert {ast.unparse(f).partition("(")[0] for f in called if not ast.unparse(f).startswith("self.")} <= {
            "super", "super().__init__", "nn.Conv2d", "nn.Softmax", "Softmax", "Path", "Path(__file__).with_suffix",
            "Net", "net.load_state_dict", "load_file", "net.eval",
        }  # fmt: skip
