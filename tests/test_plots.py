"""Curves, confusion matrix and ROC as pictures: what is drawn is what was given, and no window opens."""

import pickle

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
    for draw in (plots.training_curves, plots.training_text):
        with pytest.raises(ValueError, match=f"{draw.__name__}: stats holds no quantity to draw"):
            draw(STATS, names=[])
        with pytest.raises(ValueError, match=f"{draw.__name__}: names must be among .*top1err.*, got 'top5err'"):
            draw(STATS, names=["objective", "top5err"])
    with pytest.raises(ValueError, match="no finite value"):
        plots.text_curve([np.nan])


@pytest.mark.parametrize("name", ["top1err", np.str_("top1err"), np.array("top1err")])
def test_text_is_one_name(name):
    assert [ax.get_title() for ax in plots.training_curves(STATS, names=name)] == ["top1err"]
    assert plots.training_text(STATS, names=name) == plots.training_text(STATS, names=["top1err"])
    with pytest.raises(ValueError, match=r"training_text: names must be among .*top1err, got 'top5err'"):
        plots.training_text(STATS, names="top5err")
    assert plots.confusion([[3]], name).get_xticklabels()[0].get_text() == "top1err"
    for draw in (plots.confusion, measures.confusion_text):
        with pytest.raises(ValueError, match="class names: got 1 for 2 classes"):
            draw([[8, 2], [1, 9]], "ab")


def test_errors_are_drawn_from_zero_and_epochs_are_whole():
    objective, top1 = plots.training_curves(STATS)
    assert top1.get_ylim()[0] == 0 and top1.get_ylabel() == "share of images"
    assert all(float(t).is_integer() for t in objective.get_xticks())
    assert len(plots.training_curves(STATS, names=["top1err"])) == 1


def test_the_curves_of_all_sets_are_told_in_a_terminal():
    objective, top1 = plots.training_text(STATS, width=20, height=6).split("\n\n")
    assert plots.training_text(STATS, 20, 6, ["top1err", "objective"]) == f"{top1}\n\n{objective}"
    lines = objective.splitlines()
    assert lines[0] == "objective" and lines[-1] == "last epoch: train 1, val 1.5, perimeter 2"
    assert lines[1].split() == ["3", "|+"] and lines[-2].split() == ["*", "train", "o", "val", "+", "perimeter"]
    assert lines[7].split() == ["1", "2"] and lines[6].endswith("*")
    assert "perimeter" not in top1


def test_images_are_drawn_and_saved_as_they_are(tmp_path):
    image = np.array([[0.0, 0.5, 1.0], [-2.0, 0.0, 1.0]])
    ax = plots.picture(image, title="map", scale="fall of the score", signed=True)
    assert ax.images[0].get_clim() == (-2, 2) and ax.get_title() == "map"
    assert [a.get_ylabel() for a in ax.figure.axes if a is not ax] == ["fall of the score"]
    plots.save(np.random.default_rng(0).random((8, 9, 3)), tmp_path / "filters.png")
    assert (tmp_path / "filters.png").stat().st_size > 500
    with pytest.raises(ValueError, match="must be H x W or H x W x 3, got 4x4x2"):
        plots.picture(np.zeros((4, 4, 2)))


def test_a_confusion_matrix_of_many_classes_stays_on_a_page():
    ax = plots.confusion(np.eye(200, dtype=int))
    assert max(ax.figure.get_size_inches()) <= 12 and not ax.texts and len(ax.get_xticks()) <= 60
    assert len(ax.figure.axes) == 2


def test_the_statistics_of_a_checkpoint_are_drawn_as_they_come_from_the_file():
    one = {"train": {"objective": np.array([[2.0]]), "num": np.array([[10]])}}
    assert list(plots.training_curves(one)[0].lines[0].get_ydata()) == [2.0]
    assert "last epoch: train 2" in plots.training_text(one)


def test_a_figure_shows_itself_in_a_notebook():
    ax = plots.picture(np.eye(4))
    assert ax.figure._repr_png_().startswith(b"\x89PNG")
    assert pickle.loads(pickle.dumps(ax.figure)).axes[0].images
