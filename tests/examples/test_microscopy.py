"""The microscopy study in short: few patients, two folds, three epochs."""

import pytest
from support import ROOT, script

import pyconvnet as pcn

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")


def test_a_short_study_writes_all_that_the_example_promises(tmp_path):
    options = ["--out", tmp_path, "--patients", "4", "--each", "6", "--folds", "2", "--epochs", "3"]
    done = script(ROOT / "examples" / "microscopy" / "study.py", *options)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("curves.png", "confusion.png", "filters.png", "class-map.png", "report.html"):
        assert (tmp_path / name).stat().st_size > 1000
    for fold in ("fold-1", "fold-2"):
        stats = pcn.load_checkpoint(tmp_path / fold / "net-epoch-3.mat").stats
        assert [len(stats[name]) for name in ("train", "val", "perimeter")] == [3, 3, 3]
    assert "true \\ predicted" in done.stdout and "class map 64x64 of a 256x256 slide" in done.stdout
