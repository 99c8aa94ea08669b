"""Files as they are found: line ends, encodings, errors; what cannot be translated says so where it would run."""

import runpy
import sys

import pytest

pytest.importorskip("tree_sitter_matlab", reason="pip install 'pyconvnet[port]'")
from pyconvnet import cli
from pyconvnet.port import port
from pyconvnet.port.summary import summary


def ported(tmp_path, **files):
    """The folder of such files, translated, and the texts."""
    for name, code in files.items():
        raw = code if isinstance(code, bytes) else code.encode()
        (tmp_path / f"{name}.m").write_bytes(raw)
    folder = port(tmp_path, tmp_path / "out")
    return folder, {name: (tmp_path / "out" / f"{name}.py").read_text(encoding="utf-8") for name in files}


def test_bare_carriage_returns_and_latin_1_are_read(tmp_path):
    _, texts = ported(tmp_path, f=b"function r = f(x)\r% caf\xe9\rr = x + 1;\rend\r")
    assert "    # café\n" in texts["f"]
    assert runpy.run_path(str(tmp_path / "out" / "f.py"))["f"](2) == 3


def test_a_statement_with_an_error_raises_and_the_rest_goes_on(tmp_path):
    folder, _ = ported(tmp_path, f="function r = f(x)\nr = 1;\nif x\n  r = nosuch(3);\nend\nr = r + 1;\n")
    unit = folder.units["f"]
    assert (unit.counts["translated"], unit.counts["untranslated"]) == (3, 1)
    assert [p[0] for p in unit.problems] == [4]
    f = runpy.run_path(str(tmp_path / "out" / "f.py"))["f"]
    assert f(0) == 2
    with pytest.raises(NotImplementedError, match=r"f\.m:4: r = nosuch\(3\);"):
        f(1)


def test_nothing_of_the_files_is_run(tmp_path):
    _, texts = ported(tmp_path, f="system('touch never');\neval('x = 1');\n")
    assert not (tmp_path / "never").exists()
    assert texts["f"].count("raise NotImplementedError") == 2


def test_what_is_found_in_another_file_is_imported(tmp_path, monkeypatch):
    _, texts = ported(
        tmp_path, main="function r = main()\nr = other_one(1);\n", other_one="function y = other_one(x)\ny = x + 1;\n"
    )
    assert "import other_one" in texts["main"]
    monkeypatch.syspath_prepend(str(tmp_path / "out"))
    assert runpy.run_path(str(tmp_path / "out" / "main.py"))["main"]() == 2
    sys.modules.pop("other_one")


def test_the_command_prints_how_much_of_each_file_is_translated(tmp_path, capsys):
    (tmp_path / "a.m").write_text("x = 1;\ny = nosuch(x);\n")
    assert cli.main(["port", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "translated", "uncertain", "untranslated"]
    assert lines[1].split() == ["a.m", "1", "0", "1"]
    assert "  a.m:2: y = nosuch(x);   (the function nosuch is not known)" in lines


def test_a_folder_without_matlab_files_is_refused(tmp_path, capsys):
    assert cli.main(["port", str(tmp_path)]) == 1
    assert "has no .m file" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("x = 1;")
    assert cli.main(["port", str(tmp_path / "notes.txt")]) == 1
    assert "notes.txt is not a .m file" in capsys.readouterr().err


def test_the_folder_that_one_is_in_and_its_files(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "f.m").write_text("x = 1;\n")
    for given in (".", "f.m"):
        port(given)
        (tmp_path / "here-python" / "f.py").unlink()


def test_a_loss_is_displayed_as_a_number(tmp_path, monkeypatch, capsys):
    code = "l = single(reshape(1.25, 1, 1, 1, 1)) ;\ndisp(l)\nl\nr = vl_simplenn(net(), l, [], []) ;\ndisp(r(2).x)\n"
    net = "function n = net()\nn.layers = {struct('type', 'relu')} ;\nn = vl_simplenn_tidy(n) ;\nend\n"
    ported(tmp_path, show=code, net=net)
    monkeypatch.syspath_prepend(str(tmp_path / "out"))
    runpy.run_path(str(tmp_path / "out" / "show.py"))
    assert capsys.readouterr().out.split() == ["1.2500", "l", "=", "1.2500", "1.2500"]


def test_files_and_folders_get_names_that_python_can_import(tmp_path, monkeypatch):
    add = "function r = {}(x)\nr = x + 1;\nend\n"
    (tmp_path / "+pass").mkdir()
    (tmp_path / "+pass" / "f.m").write_text(add.format("f"))
    code = {"1x": "y = lambda(2) + pass.f(3);\n", "x1x": "z = 5;\n", "lambda": add.format("lambda")}
    for name, text in code.items():
        (tmp_path / f"{name}.m").write_text(text)
    folder = port(tmp_path, tmp_path / "out")
    monkeypatch.syspath_prepend(str(tmp_path / "out"))
    made = {u.name: u.target.as_posix() for u in folder.units.values()}
    assert made == {"+pass/f.m": "pass_/f.py", "1x.m": "x1x.py", "lambda.m": "lambda_.py", "x1x.m": "x1x_.py"}
    assert runpy.run_path(str(tmp_path / "out" / "x1x.py"))["y"] == 7
    assert runpy.run_path(str(tmp_path / "out" / "x1x_.py"))["z"] == 5
    assert "named so that Python can import them:\n  +pass/f.m: pass_/f.py\n  1x.m: x1x.py\n" in summary(folder)
