"""docs/porting.md is true: every pair of MATLAB and Python prints the same."""

import re
import runpy
import sys

import pytest
from support import ROOT

pytest.importorskip("tree_sitter_matlab", reason="pip install 'pyconvnet[port]'")
from pyconvnet.port import port

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
