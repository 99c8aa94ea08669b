"""Small MATLAB programs, programs/NAME.m, print in Python what they print in MATLAB, programs/NAME.txt.

The expected texts were written from MATLAB's documentation, not by running the translation.
"""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tree_sitter_matlab", reason="pip install 'pyconvnet[port]'")
from pyconvnet.port import port

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.m"))


@pytest.fixture(scope="module")
def ported(tmp_path_factory):
    """A folder of all programs, each in a folder of its own, translated."""
    out = tmp_path_factory.mktemp("ported")
    for path in PROGRAMS:
        port(path, out)
    return out


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_a_program_prints_what_matlab_prints(path, ported, capsys):
    runpy.run_path(str(ported / f"{path.stem}.py"), run_name="__main__")
    assert capsys.readouterr().out == path.with_suffix(".txt").read_text(encoding="utf-8")


def test_translations_pass_the_default_rules_of_ruff(ported):
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        pytest.skip("ruff is not installed")
    done = subprocess.run([ruff, "check", "--isolated", "--no-cache", str(ported)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_there_are_at_least_forty_programs():
    assert len(PROGRAMS) >= 40
