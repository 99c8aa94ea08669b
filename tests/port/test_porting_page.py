"""docs/porting.md is true: every pair of MATLAB and Python prints the same."""

import re
import runpy
import sys

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn

pytest.importorskip("tree_sitter_matlab", reason="pip install 'pyconvnet[port]'")
from pyconvnet.port import port
from pyconvnet.port import runtime as rt

TEXT = (ROOT / "docs" / "porting.md").read_text(encoding="utf-8")
PAIRS = re.findall(r"\n## ([^\n]+)\n(.*?)(?=\n## |\Z)", TEXT, re.DOTALL)


@pytest.mark.parametrize("title, section", PAIRS, ids=[title for title, _ in PAIRS])
def test_a_pair_prints_the_same(title, section, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(matlab|python)\n(.*?)```", section, re.DOTALL)
    (tmp_path / "m").mkdir()
    main = "program"
    for language, code in blocks:
        if language == "matlab":
            named = re.match(r"% file: (\w+)\.m\n", code)
            head = re.match(r"function (\w+)\(\)", code)
            name = named[1] if named else head[1] if head else "program"
            main = main if named else name
            (tmp_path / "m" / f"{name}.m").write_text(code, encoding="utf-8")
    folder = port(tmp_path / "m", tmp_path / "python")
    assert not [u.problems for u in folder.units.values() if u.problems]
    monkeypatch.syspath_prepend(str(tmp_path / "python"))
    known = set(sys.modules)
    names = runpy.run_path(str(tmp_path / "python" / f"{main}.py"), run_name="__main__")
    if main in names:
        names[main]()
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    matlab_prints = capsys.readouterr().out
    exec(compile(next(code for language, code in blocks if language == "python"), title, "exec"), {"__name__": "page"})
    assert capsys.readouterr().out == matlab_prints != ""


def test_the_page_has_pairs():
    assert len(PAIRS) >= 13


def test_what_the_page_says_of_networks_with_handles(tmp_path):
    def through(layer, before, after):
        after.x = before.x
        return after

    def back(layer, before, after):
        before.dzdx = after.dzdx
        return before

    said = re.escape(re.search(r"`([^`]*is a Python function[^`]*)`", TEXT)[1])
    conv = {"type": "conv", "weights": [np.ones((1, 1, 1, 2)), np.zeros((1, 2))]}
    layers = [{"type": "custom", "forward": through, "backward": back}, conv, {"type": "softmaxloss"}]
    net = pcn.vl_simplenn_tidy({"layers": layers})
    for save in (lambda: pcn.save(tmp_path / "a.mat", net), lambda: rt.save(str(tmp_path / "a.mat"), "net", net)):
        with pytest.raises(TypeError, match=f"{said}$"):
            save()
    assert not any(tmp_path.iterdir())

    def train(net, count, folder="exp"):
        options = {"expDir": tmp_path / folder, "plotStatistics": False, "verbose": False, "numEpochs": count}
        imdb = {"images": {"set": np.ones(4)}}
        return pcn.cnn_train(net, imdb, lambda imdb, batch: (np.ones((1, 1, 1, 4)), np.array([1, 2, 1, 2])), **options)

    train(net, 1)
    saved = pcn.load_checkpoint(tmp_path / "exp" / "net-epoch-1.mat").net
    assert (saved.layers[0].forward, saved.layers[0].backward) == ("through", "back")
    assert train(net, 2)[0].layers[0].forward is through
    net.meta.prepare = through
    with pytest.raises(TypeError, match=r"meta\.prepare is a Python function"):
        train(net, 1, "another")


# A MATLAB cell of the table at the page's top, and a program around it that says of what kind its names are.
AROUND = {
    "x(i, end)": "function y = f(x, i)\ny = x(i, end);\nend\n",
    "x(i) = v": "function x = f(x, i, v)\nx(i) = v;\nend\n",
    "x(i) = []": "function x = f(x, i)\nx(i) = [];\nend\n",
    "s.a(2).b{3} = v": "function s = f(s, v)\ns.a(2).b{3} = v;\nend\n",
    "c{i}": "function f(d, k)\nc = {1, 2};\nfor i = 1:2\ndisp(c{i});\nend\ndisp(c{end});\ndisp(d{k});\nend\n",
    "b = a; b(1) = 0": "function b = f(a)\nb = a;\nb(1) = 0;\ndisp(a);\nend\n",
    "x .* y": "function f(x, y)\np = 2; q = 3;\ndisp(p .* q);\ndisp(x .* y);\nend\n",
}
ROWS = [line.strip("|").split(" | ") for line in TEXT.partition("## ")[0].splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip() for row in ROWS])
def test_the_table_shows_what_the_translation_writes(row, tmp_path):
    matlab = re.findall(r"`([^`]+)`", row[0])
    (tmp_path / "f.m").write_text(AROUND[matlab[0]], encoding="utf-8")
    port(tmp_path, tmp_path / "out")
    written = (tmp_path / "out" / "f.py").read_text(encoding="utf-8")
    names = {"inside(c)[i]": "inside(d)[k]", "x * y": "p * q"}  # the table has one name for both kinds
    for code in re.findall(r"`([^`]+)`", row[1]):
        assert names.get(code, code) in written, written
