"""Curves, confusion matrix and ROC as pictures: what is drawn is what was given, and no window opens."""

import numpy as np
import pytest

from pyconvnet.records import Struct
from pyconvnet.view import measures, plots

STATS = Struct(
    train=[Struct(num=10, time=1.0, objective=2.0, top1err=0.5), Struct(num=10, time=1.0, objective=1.0, top1err=0.25)],
    val=[Struct(num=5, time=1.0, objective=2.5, top1err=0.6), Struct(num=5, time=1.0, objective=1.5, top1err=0.4)],
    perimeter=[Struct(num=5, time=1.0, objective=3.0), Struct(num=5, time=1.0, objective=2.0)],
)


def test_training_curves_draw_each_set_where_it_was_measured():
    objective, top1 = plots.training_curves(STATS)
    assert (objective.get_title(), top1.get_title()) == ("objective", "top1err")
    drawn = {line.get_label(): list(line.get_ydata()) for line in objective.lines}
    assert drawn == {"train": [2.0, 1.0], "val": [2.5, 1.5], "perimeter": [3.0, 2.0]}
    assert len(top1.lines) == 2


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_pictures_are_saved_by_their_ending(tmp_path, ending):
    path = tmp_path / f"curves.{ending}"
    plots.save(plots.training_curves(STATS), path)
    head = path.read_bytes()[:200]
    assert {"png": b"PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending] in head


def test_the_confusion_matrix_writes_counts_or_shares():
    ax = plots.confusion([[8, 2], [1, 9]], ["a", "b"])
    assert [t.get_text() for t in ax.texts] == ["8", "2", "1", "9"]
    ax = plots.confusion([[8, 2], [1, 9]], ["a", "b"], normalise=True)
    assert [t.get_text() for t in ax.texts] == ["0.80", "0.20", "0.10", "0.90"]
    assert ax.get_title() == "accuracy 0.850"


def test_roc_goes_from_corner_to_corner():
    ax = plots.roc_curve(measures.roc([1, 1, 2, 2], [0.1, 0.6, 0.5, 0.9]))
    x, y = ax.lines[0].get_data()
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert ax.get_legend().get_texts()[0].get_text() == "area 0.750"


def test_a_curve_in_text_falls_from_the_first_line_to_the_last():
    lines = plots.text_curve(np.linspace(5, 1, 40), height=8).splitlines()
    assert len(lines) == 8
    assert lines[0].split("|")[0].strip() == "5" and lines[-1].split("|")[0].strip() == "1"
    assert lines[0].split("|")[1].startswith("*") and lines[-1].endswith("*")


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no quantity"):
        plots.training_curves({"train": []})
    with pytest.raises(ValueError, match="no finite value"):
        plots.text_curve([np.nan])
