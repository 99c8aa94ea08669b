"""The digits example in short: a small imdb.mat, both kinds of network, what it says without data."""

import os
import runpy

import numpy as np
import pytest
import scipy.io
from support import ROOT, script

import pyconvnet as pcn

TRAIN = ROOT / "examples" / "mnist" / "train.py"


def write_imdb(path, count=240, scale=1.0, **more):
    """Ten kinds of image, each a pattern of its own with noise; the last fourth marked 3."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 10 + 1.0
    patterns = rng.uniform(0, 0.8, (28, 28, 10))
    data = patterns[:, :, labels.astype(int) - 1] + rng.uniform(0, 0.2, (28, 28, count))
    marks = np.where(np.arange(count) < count * 3 // 4, 1.0, 3.0)
    images = {"data": np.float32(scale * data[:, :, None]), "labels": labels[None], "set": marks[None], **more}
    scipy.io.savemat(path, {"images": images})


@pytest.mark.parametrize(
    "options, table, error",
    [(["--network", "simplenn", "--bn"], "bnorm|", "top1err"), (["--network", "dagnn"], "28x28x1x100", "error")],
)
def test_a_short_training_learns_and_shows_the_table_and_the_stats(tmp_path, options, table, error):
    write_imdb(tmp_path / "imdb.mat")
    run = [TRAIN, "--imdb", tmp_path / "imdb.mat", "--epochs", "3", "--out", tmp_path / "out", *options]
    done = script(*run)
    assert done.returncode == 0, done.stderr[-2000:]
    assert table in done.stdout
    stats = pcn.load_checkpoint(tmp_path / "out" / "net-epoch-3.mat").stats
    assert [row["num"] for row in stats.train] == 3 * [180] and [row["num"] for row in stats.val] == 3 * [60]
    assert all(f"val {name}" in done.stdout for name in ("objective", error, "top5err"))
    assert stats.train[2].objective < stats.train[0].objective
    again = script(*run)
    assert again.returncode == 0 and "resuming" in again.stdout
    net = pcn.load(tmp_path / "out" / "net-epoch-3.mat")
    assert list(net.meta.classes.name) == list("0123456789")


def test_images_get_the_scale_of_cnn_mnist_unless_they_have_it(tmp_path):
    prepare = runpy.run_path(str(TRAIN))["prepare"]
    write_imdb(tmp_path / "ones.mat")
    write_imdb(tmp_path / "bytes.mat", scale=255)
    write_imdb(tmp_path / "done.mat", data_mean=np.zeros((28, 28), np.float32))
    ones, full, done = (pcn.imdb.load_imdb(tmp_path / f"{name}.mat") for name in ("ones", "bytes", "done"))
    before = done.images.data.copy()
    for imdb in (ones, full, done):
        prepare(imdb)
    assert np.allclose(ones.images.data, full.images.data, atol=1e-3)
    assert abs(ones.images.data[..., :180].mean(axis=3)).max() < 1e-3 and np.ptp(ones.images.data) > 200
    assert np.array_equal(done.images.data, before)


@pytest.mark.parametrize(
    "images, message",
    [
        (
            {"data": np.zeros((28, 28, 1, 4)), "labels": np.ones((1, 4))},
            "the imdb has no images.set; it has data, labels",
        ),
        (
            {"data": np.zeros((8, 8, 1, 4)), "labels": np.ones((1, 4)), "set": np.ones((1, 4))},
            "images.data of 8 x 8 x 1 x 4, 4 labels",
        ),
        (
            {"data": np.zeros((28, 28, 1, 4)), "labels": np.ones((1, 4)), "set": np.full((1, 4), 3)},
            "no 1 in images.set",
        ),
    ],
)
def test_an_imdb_that_cannot_be_right_is_refused_in_one_line(tmp_path, images, message):
    scipy.io.savemat(tmp_path / "imdb.mat", {"images": images})
    done = script(TRAIN, "--imdb", tmp_path / "imdb.mat", "--out", tmp_path / "out")
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_imdb_and_without_scikit_learn_it_says_what_to_give(tmp_path):
    (tmp_path / "sklearn.py").write_text("raise ImportError('none here')\n")
    done = script(TRAIN, "--out", tmp_path / "out", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1 and "give --imdb PATH" in done.stderr and "Traceback" not in done.stderr


def test_without_imdb_it_enlarges_scikit_learns_digits(tmp_path):
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").touch()
    (tmp_path / "sklearn" / "datasets.py").write_text(
        "from types import SimpleNamespace\nimport numpy as np\n"
        "def load_digits():\n"
        "    target = np.arange(100) % 10\n"
        "    images = np.random.default_rng(0).integers(0, 17, (10, 8, 8))[target].astype(float)\n"
        "    return SimpleNamespace(images=images, target=target)\n"
    )
    options = ["--epochs", "1", "--out", tmp_path / "out"]
    done = script(TRAIN, *options, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr[-2000:]
    stats = pcn.load_checkpoint(tmp_path / "out" / "net-epoch-1.mat").stats
    assert stats.train.num == 80 and stats.val.num == 20
