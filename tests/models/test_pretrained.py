"""Published networks by name: where they are, from where they come, and what is said where they cannot."""

import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.cli import main
from pyconvnet.models.sentence import LETTERS

module = sys.modules[models.pretrained.__module__]


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror with a small network under a published name; the folder for models is empty."""
    folder = tmp_path / "mirror"
    (folder / "beta16").mkdir(parents=True)
    shutil.copy(LETTERS, folder / "imagenet-vgg-f.mat")
    shutil.copy(LETTERS, folder / "beta16" / "imagenet-vgg-f.mat")
    sums = {"imagenet-vgg-f": hashlib.md5(LETTERS.read_bytes()).hexdigest()}
    monkeypatch.setattr(module, "PUBLISHED", {**module.PUBLISHED, **sums})
    monkeypatch.setenv("PYCONVNET_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PYCONVNET_MIRRORS", folder.as_uri())
    return folder


def test_all_published_files_are_known_with_their_sums():
    names = [name for name in models.published_names() if not name.startswith("beta16/")]
    assert len(names) == 27
    for name in names:
        assert len(module.PUBLISHED[name]) == 32 and int(module.PUBLISHED[name], 16)
    assert module.PUBLISHED["imagenet-vgg-verydeep-16"] == "f72d927587ca4c97fbd165ec9cb9997f"
    assert "beta16/imagenet-vgg-verydeep-19" in models.published_names()
    assert not set(names) & set(models.names())


def test_a_network_is_fetched_once_and_loaded(mirror, tmp_path):
    net = models.pretrained("imagenet-vgg-f")
    assert len(net.layers) == len(pcn.load(LETTERS).layers)
    shutil.rmtree(mirror)
    assert models.pretrained("imagenet-vgg-f").layers[0].name == net.layers[0].name
    assert models.fetch("imagenet-vgg-f") == tmp_path / "models" / "imagenet-vgg-f.mat"


def test_mirrors_are_asked_in_turn_and_may_be_folders(mirror, tmp_path):
    path = models.fetch("imagenet-vgg-f", folder=tmp_path / "a", mirrors=[str(tmp_path / "nothing"), str(mirror)])
    assert path == tmp_path / "a" / "imagenet-vgg-f.mat" and path.read_bytes() == LETTERS.read_bytes()
    assert models.fetch("imagenet-vgg-f", folder=tmp_path / "b", mirrors=mirror.as_uri() + "/").exists()


def test_what_was_never_summed_is_fetched_with_a_warning(mirror, tmp_path):
    with pytest.warns(UserWarning, match="no published MD5 of beta16/imagenet-vgg-f"):
        path = models.fetch("beta16/imagenet-vgg-f")
    assert path == tmp_path / "models" / "beta16" / "imagenet-vgg-f.mat"
    assert models.pretrained("beta16/imagenet-vgg-f").layers[0].type == "conv"


def test_where_nothing_comes_one_message_says_which_file_goes_where(mirror, tmp_path):
    with pytest.raises(OSError) as failed:
        models.pretrained("imagenet-vgg-m")
    text = str(failed.value)
    assert "\n" not in text and f"{mirror.as_uri()}/imagenet-vgg-m.mat: " in text
    assert f"put imagenet-vgg-m.mat (MD5 29294d5f62578c96a3533859514235f2) into {tmp_path / 'models'}" in text
    assert not [p for p in (tmp_path / "models").iterdir() if not p.name.startswith(".")]


def test_a_file_of_another_sum_is_not_taken_and_one_put_there_by_hand_is_not_touched(mirror, tmp_path):
    (mirror / "imagenet-vgg-f.mat").write_bytes(b"MATLAB 5.0, but something else")
    with pytest.raises(OSError, match="its MD5 is"):
        models.fetch("imagenet-vgg-f")
    own = tmp_path / "models" / "imagenet-vgg-f.mat"
    own.write_bytes(b"mine")
    with pytest.raises(OSError, match="move it away"):
        models.fetch("imagenet-vgg-f")
    assert own.read_bytes() == b"mine"


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"models.fetch: no published network 'imagenet-vgg-deep-16'; did you mean"):
        models.pretrained("imagenet-vgg-deep-16")


def test_the_folder_is_where_systems_keep_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("PYCONVNET_MODELS", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for system, variables, folder in (
        ("linux", {}, tmp_path / ".cache"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, tmp_path / ".cache"),
        ("linux", {"XDG_CACHE_HOME": str(tmp_path / "x")}, tmp_path / "x"),
        ("darwin", {}, tmp_path / "Library" / "Caches"),
        ("win32", {}, tmp_path / "AppData" / "Local"),
        ("win32", {"LOCALAPPDATA": str(tmp_path / "w")}, tmp_path / "w"),
    ):
        monkeypatch.setattr(module.sys, "platform", system)
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert models.models_folder() == folder / "pyconvnet" / "models"
    monkeypatch.setenv("PYCONVNET_MODELS", "~/nets")
    assert models.models_folder().name == "nets" and "~" not in str(models.models_folder())


def run(capsys, *args):
    code = main([str(a) for a in args])
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.fixture
def letter(tmp_path):
    pytest.importorskip("PIL")
    image = pcn.images.imread(ROOT / "models" / "sentence.png")
    pcn.images.imwrite(np.ascontiguousarray(image[:, 694:726]), tmp_path / "letter.png")
    return tmp_path / "letter.png"


def test_the_command_line_fetches_lists_and_runs_by_name(capsys, mirror, tmp_path, letter):
    code, out, err = run(capsys, "run", "imagenet-vgg-f", letter, "--top", 1)
    assert (code, err) == (0, "") and out.startswith(f"{letter}: m (13), score ")
    code, out, err = run(capsys, "fetch", "imagenet-vgg-f")
    assert (code, out, err) == (0, f"{tmp_path / 'models' / 'imagenet-vgg-f.mat'}\n", "")
    out = run(capsys, "fetch")[1]
    lines = [line.split() for line in out.splitlines()]
    assert ["vgg-face"] in lines and ["imagenet-vgg-f", str(tmp_path / "models" / "imagenet-vgg-f.mat")] in lines
    assert run(capsys, "show", "imagenet-vgg-f")[1] == run(capsys, "show", LETTERS)[1]
    code, out, err = run(capsys, "fetch", "vgg-face", "--mirror", tmp_path / "nothing")
    assert code == 1 and err.count("\n") == 1 and "put vgg-face.mat (MD5 3d6cd504bf9c98af4a561aad059565d1)" in err
    err = run(capsys, "run", "vgg-fase", letter)[2]
    assert err == "pyconvnet: vgg-fase is neither a file nor the name of a network; did you mean vgg-face?\n"
    assert run(capsys, "fetch", "vgg-fase")[2] == (
        "pyconvnet: models.fetch: no published network 'vgg-fase'; did you mean 'vgg-face'?\n"
    )


def test_classify_names_what_run_prints(capsys, letter):
    net = pcn.load(LETTERS)
    best = pcn.classify(net, letter, top=3)
    assert (best[0].number, best[0].name, len(best)) == (13, "m", 3)
    printed = run(capsys, "run", LETTERS, letter, "--top", 3)[1].splitlines()
    assert [line.removeprefix(f"{letter}: ").strip() for line in printed] == [str(b) for b in best]
    both = pcn.classify(net, [letter, letter])
    assert len(both) == 2 and both[0][0] == both[1][0] and both[0][0]["number"] == 13


def test_a_network_that_makes_images_is_not_asked_for_classes():
    layer = {"type": "conv", "weights": [np.ones((1, 1, 1, 1), np.float32), np.zeros(1, np.float32)]}
    with pytest.raises(ValueError, match="classify: the network gives an image, 4x5x1"):
        pcn.classify(pcn.SimpleNN(layers=[layer]), np.zeros((4, 5), np.uint8))
