"""The letter-reading example in short: a few fonts, two epochs."""

from pathlib import Path

import pytest
from support import ROOT, script

import pyconvnet as pcn

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")


def test_fonts_of_symbols_are_not_taken_for_letters():
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    done = script(ROOT / "examples" / "ocr" / "fonts.py", fonts)
    names = {Path(line).name for line in done.stdout.splitlines()}
    assert "cmr10.ttf" in names and not names & {"cmex10.ttf", "cmsy10.ttf"}, done.stdout + done.stderr


def test_a_short_training_writes_all_that_the_example_promises(tmp_path):
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    options = ["--fonts", "10", "--epochs", "2", "--out", tmp_path, "--save", tmp_path, fonts]
    done = script(ROOT / "examples" / "ocr" / "train.py", *options)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "10 fonts, listed in " in done.stdout
    assert ": 208 letters to train on, 52 of other fonts to validate" in done.stdout
    assert "10 fonts; the network in models/ needs 200 or more" in done.stderr
    assert len((tmp_path / "fonts.txt").read_text().splitlines()) == 10
    assert "total network CPU/GPU memory: 3.6/0 MB" in done.stdout
    for name in ("plain", "jitter"):
        columns, text = (tmp_path / f"sentence-{name}.txt").read_text().splitlines()
        assert len(columns) > 100 and len(text.replace(" ", "")) == 40
        assert (tmp_path / f"sentence-{name}.png").is_file()
        assert (tmp_path / name / "net-train.pdf").is_file()
        stats = pcn.load_checkpoint(tmp_path / name / "net-epoch-2.mat").stats
        assert len(stats.train) == len(stats.val) == 2
    net = pcn.load(tmp_path / "letters.mat")
    assert len(net.layers) == 7 and net.meta.fonts == 10


def test_the_network_that_comes_along_was_trained_with_at_least_200_fonts():
    assert pcn.load(ROOT / "models" / "letters.mat").meta.fonts >= 200
