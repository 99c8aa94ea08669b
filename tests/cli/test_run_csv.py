"""`run --csv`: a table with a row for each image and rank, over files and folders of them."""

import csv
import os
import signal

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet.cli import main, run
from pyconvnet.models.sentence import LETTERS

pytest.importorskip("PIL")


@pytest.fixture
def folder(tmp_path):
    """A folder with four letters of the sentence, two of them in folders of it, and a file that is not an image."""
    sentence = pcn.images.imread(ROOT / "models" / "sentence.png")
    folder = tmp_path / "photos"
    for name, column in (("b.png", 694), ("a.PNG", 60), ("c/d.png", 330), ("c/e/f.png", 500), (".hidden.png", 694)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pcn.images.imwrite(sentence[:, column : column + 32], folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def linear(tmp_path, outputs, *, size=32, **meta):
    """The file of a network whose outputs are multiples 1, 2, ... of the mean of a grey image."""
    f = np.ones((size, size, 1, outputs), np.float32) / size**2 * np.arange(1, outputs + 1, dtype=np.float32)
    conv = {"type": "conv", "weights": [f, np.zeros(outputs, np.float32)]}
    pcn.save(tmp_path / "linear.mat", pcn.SimpleNN(layers=[conv], meta=meta))
    return tmp_path / "linear.mat"


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def said(capsys, *args):
    code = main([str(a) for a in args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_row_for_each_image_and_rank_has_what_classify_says(capsys, folder, tmp_path):
    out = tmp_path / "out.csv"
    assert said(capsys, "run", LETTERS, folder, "--csv", out, "--top", 3) == (0, "", "")
    rows = table(out)
    assert list(rows[0]) == ["image", "rank", "class", "name", "score"]
    assert [(r["image"], r["rank"]) for r in rows] == [
        (str(folder / name), str(rank)) for name in ("a.PNG", "b.png") for rank in (1, 2, 3)
    ]
    net = pcn.load(LETTERS)
    expected = [best for name in ("a.PNG", "b.png") for best in pcn.classify(net, folder / name, top=3)]
    assert [(r["class"], r["name"]) for r in rows] == [(str(b.number), b.name) for b in expected]
    assert rows[3]["name"] == "m"
    np.testing.assert_allclose([float(r["score"]) for r in rows], [b.score for b in expected], rtol=1e-5)


def test_pandas_reads_it(capsys, folder, tmp_path):
    pandas = pytest.importorskip("pandas")
    said(capsys, "run", LETTERS, folder, "--csv", tmp_path / "out.csv")
    frame = pandas.read_csv(tmp_path / "out.csv")
    assert [frame[name].dtype.kind for name in ("rank", "class", "score")] == list("iif")
    best = frame[frame["rank"] == 1].set_index("image")
    assert best.loc[str(folder / "b.png"), "name"] == "m"


def test_folders_of_folders_are_read_when_asked_for(capsys, folder, tmp_path):
    (folder / "c" / "back").symlink_to(folder, target_is_directory=True)
    out = tmp_path / "out.csv"
    assert said(capsys, "run", LETTERS, folder, "--csv", out, "--top", 1, "--recursive")[0] == 0
    assert [r["image"] for r in table(out)] == [str(folder / n) for n in ("a.PNG", "b.png", "c/d.png", "c/e/f.png")]
    code, _, err = said(capsys, "run", LETTERS, tmp_path / "empty", folder, "--csv", out)
    assert code == 1 and "empty" in err and len({r["image"] for r in table(out)}) == 2
    (tmp_path / "empty").mkdir()
    code, _, err = said(capsys, "run", LETTERS, tmp_path / "empty")
    assert code == 1 and err.endswith("empty: no image is in this folder (--recursive: in its folders)\n")


def test_images_that_cannot_be_read_are_named_and_the_others_are_kept(capsys, folder, tmp_path):
    (folder / "aa.png").write_bytes(b"no image")
    code, out, err = said(capsys, "run", LETTERS, folder, tmp_path / "gone.png", "--csv", tmp_path / "out.csv")
    assert (code, out) == (1, "") and len(err.splitlines()) == 2
    assert "aa.png" in err.splitlines()[0] and "gone.png" in err.splitlines()[1]
    assert {r["image"] for r in table(tmp_path / "out.csv")} == {str(folder / "a.PNG"), str(folder / "b.png")}


def test_where_no_image_can_be_run_the_table_of_before_stays(capsys, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("of before")
    for images in (["gone.png"], ["gone.png", "lost.png"]):
        code, _, err = said(capsys, "run", LETTERS, *images, "--csv", out)
        assert code == 1 and err.splitlines()[-1].startswith("pyconvnet: ")
        assert out.read_text() == "of before"
    assert "out.csv is not written: no image could be run" in err
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_network_without_classes_gives_all_of_its_values(capsys, folder, tmp_path):
    net, out = linear(tmp_path, 12), tmp_path / "out.csv"
    assert said(capsys, "run", net, folder / "b.png", "--csv", out)[0] == 0
    mean = float(pcn.images.imread(folder / "b.png").mean())
    rows = table(out)
    assert list(rows[0]) == ["image", "output", "value"]
    assert [int(r["output"]) for r in rows] == list(range(1, 13))
    np.testing.assert_allclose([float(r["value"]) for r in rows], mean * np.arange(1, 13), rtol=1e-5)
    _, text, _ = said(capsys, "run", net, folder / "b.png")
    assert text.startswith(f"{folder / 'b.png'}: {mean:.4g} ") and text.endswith(" ... (12 values)\n")
    _, text, _ = said(capsys, "run", linear(tmp_path, 1), folder / "b.png")
    assert text == f"{folder / 'b.png'}: {mean:.4g}\n"


def test_names_of_classes_make_classes_of_values(capsys, folder, tmp_path):
    net = linear(tmp_path, 2, classes=pcn.Struct(name=["dark", "=bright,\x1b[2J"]))
    assert said(capsys, "run", net, folder / "b.png", "--csv", tmp_path / "out.csv")[0] == 0
    rows = table(tmp_path / "out.csv")
    assert [(r["class"], r["name"]) for r in rows] == [("2", "'=bright,\\x1b[2J"), ("1", "dark")]


def test_a_network_that_makes_images_gives_a_row_for_each_channel(capsys, folder, tmp_path):
    net, out = linear(tmp_path, 3, size=1), tmp_path / "out.csv"
    assert said(capsys, "run", net, folder / "b.png", "--csv", out)[0] == 0
    image = pcn.images.imread(folder / "b.png").astype(float)
    rows = table(out)
    assert list(rows[0]) == ["image", "channel", "height", "width", "minimum", "maximum", "mean"]
    for k, row in enumerate(rows, 1):
        assert (row["channel"], row["height"], row["width"]) == (str(k), "32", "32")
        found = [float(row[name]) for name in ("minimum", "maximum", "mean")]
        np.testing.assert_allclose(found, [k * image.min(), k * image.max(), k * image.mean()], rtol=1e-5)


def test_a_map_of_scores_counts_by_its_mean(capsys, tmp_path):
    sentence = ROOT / "models" / "sentence.png"
    code, _, _ = said(capsys, "run", LETTERS, sentence, "--full-size", "--csv", tmp_path / "out.csv", "--top", 26)
    net = pcn.load(LETTERS)
    mean = pcn.predict(net, pcn.models.preprocess(net, sentence, resize=False)).mean(axis=(0, 1, 3))
    rows = table(tmp_path / "out.csv")
    assert code == 0 and mean.size == 26
    np.testing.assert_allclose([float(r["score"]) for r in rows], -np.sort(-mean), rtol=1e-4, atol=1e-7)
    assert [int(r["class"]) for r in rows[:5]] == (np.argsort(-mean)[:5] + 1).tolist()


def test_images_of_a_size_run_together_and_a_failing_one_runs_alone(capsys, folder, tmp_path, monkeypatch):
    net, sizes = linear(tmp_path, 2), []
    predict = pcn.predict

    def counting(net, x):
        sizes.append(x.shape[3])
        return predict(net, x)

    monkeypatch.setattr(pcn, "predict", counting)
    pcn.images.imwrite(np.zeros((32, 40), np.uint8), folder / "bb.png")
    pcn.images.imwrite(np.zeros((8, 8), np.uint8), folder / "z.png")
    pcn.images.imwrite(np.ones((8, 8), np.uint8), folder / "zz.png")
    code, _, err = said(capsys, "run", net, folder, "--csv", tmp_path / "out.csv")
    assert sizes == [2, 1, 2, 1, 1] and code == 1
    assert [line.split(": ")[1] for line in err.splitlines()] == [str(folder / "z.png"), str(folder / "zz.png")]
    assert len({r["image"] for r in table(tmp_path / "out.csv")}) == 3
    sizes.clear()
    monkeypatch.setattr(run, "_PIXELS", 32 * 32)
    assert said(capsys, "run", net, folder / "a.PNG", folder / "b.png", "--csv", tmp_path / "out.csv")[0] == 0
    assert sizes == [1, 1]


def test_after_ctrl_c_the_table_has_the_images_that_are_done(capsys, folder, tmp_path, monkeypatch):
    add = run.Table.add

    def interrupted(table, net, image, y):
        add(table, net, image, y)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(run.Table, "add", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, _, err = said(capsys, "run", LETTERS, folder, "--csv", tmp_path / "out.csv", "--top", 2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert err.splitlines()[-1] == f"pyconvnet: stopped, 1 of 2 images are done; {tmp_path / 'out.csv'} has 2 rows"
    assert len(table(tmp_path / "out.csv")) == 2


def test_images_of_one_name_are_not_saved_over_each_other(capsys, folder, tmp_path):
    twin = tmp_path / "b.png"
    twin.write_bytes((folder / "b.png").read_bytes())
    code, _, err = said(capsys, "run", LETTERS, folder, twin, "--save", tmp_path / "y.npy")
    assert code == 1 and "several images are named b" in err and not list(tmp_path.glob("y*"))
    assert said(capsys, "run", LETTERS, folder, twin, "--csv", tmp_path / "out.csv")[0] == 0
