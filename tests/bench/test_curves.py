"""The curves of `python -m tests.bench curves` in a short form, and the judgement of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import curves
from curves import Point


def test_a_curve_is_measured_and_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "curves.png"
    curves.main(["LeNet forward", "LeNet step, threads", "--points", "2", "--seconds", "0.01", "--out", str(picture)])
    said = capsys.readouterr().out
    assert "LeNet forward, batch" in said and "LeNet step, threads" in said and "VGG" not in said
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_the_picture_in_a_checkout_is_none_of_its_files():
    root = Path(__file__).parents[2]
    if not (root / ".git").exists() or not shutil.which("git"):
        pytest.skip("what belongs to the checkout is known to git")
    assert subprocess.run(["git", "check-ignore", "-q", curves.PICTURE], cwd=root).returncode == 0


def test_what_grows_faster_than_the_work_is_found():
    proportional = [Point(1, 10.0, 1.0, 5.0), Point(2, 20.0, 2.0, 10.0)]
    assert curves.steep(proportional, "batch") == []
    squared = [Point(1, 10.0, 1.0, 5.0), Point(2, 20.0, 4.0, 10.0)]
    assert curves.steep(squared, "batch") == ["seconds"]
    assert curves.growth(*squared, "seconds") == pytest.approx(2)
