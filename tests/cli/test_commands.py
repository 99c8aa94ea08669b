"""The command line: what it prints, what it writes, and how it fails."""

import signal
import sys
import types

import numpy as np
import pytest
from support import ROOT, python, run_cli

import pyconvnet as pcn
from pyconvnet.cli import main
from pyconvnet.models.sentence import LETTERS

TEXTS = ROOT / "matlab_fixtures" / "display"


@pytest.fixture
def doubling(tmp_path):
    """A network that doubles each grey value."""
    net = pcn.SimpleNN(
        layers=[{"type": "conv", "weights": [np.full((1, 1, 1, 1), 2, np.float32), np.zeros(1, np.float32)]}]
    )
    pcn.save(tmp_path / "doubling.mat", net)
    return tmp_path / "doubling.mat"


@pytest.mark.parametrize(
    "options, text",
    [
        (["vgg-vd-16"], "vgg-vd-16.txt"),
        (["vgg-vd-16", "--classic"], "vgg-vd-16-classic.txt"),
        (["vgg-vd-16", "--format", "latex"], "vgg-vd-16-latex.txt"),
        (["vgg-vd-16", "--format", "csv"], "vgg-vd-16-csv.txt"),
        (["vgg-vd-16", "--columns", "7"], "vgg-vd-16-cols7.txt"),
        (["alexnet", "--bn"], "alexnet-bn.txt"),
        (["alexnet", "--input", "256", "320", "3", "2"], "alexnet-in256x320.txt"),
    ],
)
def test_show_prints_matconvnets_tables_by_name(capsys, options, text):
    assert run_cli(capsys, "show", *options) == (0, (TEXTS / text).read_text(), "")


def test_show_prints_the_classic_table_of_a_file(capsys):
    assert run_cli(capsys, "show", TEXTS / "ocr-classic.mat", "--classic")[1] == (TEXTS / "ocr-classic.txt").read_text()


def test_show_prints_a_graph(capsys, tmp_path):
    graph = pcn.DagNN.fromSimpleNN(pcn.load(LETTERS), canonicalNames=True)
    pcn.save(tmp_path / "dag.mat", graph)
    code, out, _ = run_cli(capsys, "show", tmp_path / "dag.mat", "--input", 32, 32, 1)
    assert code == 0 and "dagnn" not in out
    assert "layer7" in out and "1x1x26" in out
    code, out, _ = run_cli(capsys, "show", tmp_path / "dag.mat", "--dot")
    assert code == 0 and out.startswith("digraph") and out.count("digraph") == 1
    code, _, err = run_cli(capsys, "show", tmp_path / "dag.mat", "--classic")
    assert code == 1 and "is a DagNN" in err


def test_show_prints_a_standard_graph_with_the_sizes_of_its_own_input(capsys):
    code, out, err = run_cli(capsys, "show", "resnet-50")
    assert (code, err) == (0, "") and "224x224x3x32" in out and "7x7x2048x32" in out
    assert "7x7x2048x32" not in run_cli(capsys, "show", "resnet-50", "--input", 224, 224, 3)[1]


def test_show_draws_a_graph_where_graphviz_is_there(capsys, tmp_path, monkeypatch):
    class Source:
        def __init__(self, text):
            self.text = text

        def pipe(self, format, encoding):
            return f"<{format}>{self.text[:7]}"

    fake = types.SimpleNamespace(Source=Source, ExecutableNotFound=RuntimeError)
    monkeypatch.setitem(sys.modules, "graphviz", fake)
    assert run_cli(capsys, "show", "lenet", "--svg", tmp_path / "a.svg")[0] == 0
    assert (tmp_path / "a.svg").read_text() == "<svg>digraph"
    monkeypatch.setitem(sys.modules, "graphviz", None)
    code, _, err = run_cli(capsys, "show", "lenet", "--svg", tmp_path / "b.svg")
    assert code == 1 and "pip install graphviz" in err and not (tmp_path / "b.svg").exists()


def test_run_names_the_best_classes(capsys, letter):
    code, out, err = run_cli(capsys, "run", LETTERS, letter, "--top", 3)
    lines = out.splitlines()
    assert (code, err, len(lines)) == (0, "", 3)
    assert lines[0].startswith(f"{letter}: m (13), score ")


def test_run_writes_the_output_as_numbers_and_as_an_image(capsys, doubling, letter, tmp_path):
    image = pcn.images.imread(letter)
    assert run_cli(capsys, "run", doubling, letter, "--save", tmp_path / "y.npy")[0] == 0
    assert np.array_equal(np.load(tmp_path / "y.npy")[:, :, 0, 0], 2 * image.astype(np.float32))
    assert run_cli(capsys, "run", doubling, letter, "--save", tmp_path / "y.png")[0] == 0
    assert np.array_equal(pcn.images.imread(tmp_path / "y.png"), np.minimum(2 * image.astype(int), 255))
    assert run_cli(capsys, "run", doubling, letter, "--unit", "--residual", "--save", tmp_path / "z.npy")[0] == 0
    assert np.allclose(np.load(tmp_path / "z.npy")[:, :, 0, 0], -image.astype(np.float32) / 255)


@pytest.mark.parametrize("several", [False, True])
def test_what_takes_an_image_refuses_the_scores_of_a_classifier(capsys, letter, tmp_path, several):
    images = [letter, tmp_path / "other.png"] if several else [letter]
    images[-1].write_bytes(letter.read_bytes())
    before = sorted(tmp_path.iterdir())
    for args, message in [
        (
            ["--residual"],
            "networks whose output has the size of the image, 32x32x1; that of this one is",
        ),
        (
            ["--save", tmp_path / "y.png"],
            "y.png takes networks whose output is an image, more than a pixel",
        ),
        (["--save", tmp_path / "y.png", "--csv", tmp_path / "y.csv"], "y.png takes networks whose output is an image"),
    ]:
        code, out, err = run_cli(capsys, "run", LETTERS, *images, *args)
        lines = [line for line in err.splitlines() if "--csv" not in args or "y.csv is not written" not in line]
        assert (code, out, len(lines)) == (1, "", len(images))
        assert all(message in line and "1x1x26" in line for line in lines)
        assert sorted(tmp_path.iterdir()) == before
    assert run_cli(capsys, "run", LETTERS, *images, "--save", tmp_path / "y.npy")[::2] == (0, "")


def test_one_number_is_not_subtracted_from_every_pixel(capsys, letter, tmp_path):
    filters = np.full((32, 32, 1, 1), 1 / 1024, np.float32)
    pcn.save(tmp_path / "mean.mat", pcn.SimpleNN(layers=[{"type": "conv", "weights": [filters, None]}]))
    code, out, err = run_cli(capsys, "run", tmp_path / "mean.mat", letter, "--residual")
    assert (code, out, err.count("\n")) == (1, "", 1) and "32x32x1; that of this one is 1x1x1" in err


def test_a_map_of_classes_is_written_as_an_image(capsys, letter, tmp_path):
    filters = np.array([1, -1], np.float32).reshape(1, 1, 1, 2)
    biases = np.array([-128, 128], np.float32)
    pcn.save(tmp_path / "dark.mat", pcn.SimpleNN(layers=[{"type": "conv", "weights": [filters, biases]}]))
    assert run_cli(capsys, "run", tmp_path / "dark.mat", letter, "--save", tmp_path / "y.png")[0] == 0
    assert np.array_equal(pcn.images.imread(tmp_path / "y.png"), np.where(pcn.images.imread(letter) < 128, 2, 1))


def test_of_several_images_each_has_an_output_of_its_own_and_one_that_fails_does_not_stop_the_rest(
    capsys, doubling, letter, tmp_path
):
    missing = tmp_path / "missing.png"
    other = tmp_path / "other.png"
    other.write_bytes(letter.read_bytes())
    code, out, err = run_cli(capsys, "run", doubling, letter, missing, other, "--save", tmp_path / "y.npy")
    assert code == 1 and "missing.png" in err and err.count("\n") == 1
    assert (tmp_path / "y-letter.npy").is_file() and (tmp_path / "y-other.npy").is_file()
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize("presses, done", [(1, 2), (2, 1)])
def test_ctrl_c_ends_a_run_after_the_image_and_a_second_one_at_once(
    capsys, monkeypatch, doubling, letter, tmp_path, presses, done
):
    answers = []

    def answer(*args):
        answers.append(args)
        if len(answers) == 2:
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)
        yield "an answer"

    monkeypatch.setattr("pyconvnet.cli.outputs.lines", answer)
    images = [tmp_path / f"{i}.png" for i in range(4)]
    for image in images:
        image.write_bytes(letter.read_bytes())
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, out, err = run_cli(capsys, "run", doubling, *images, "--save", tmp_path / "y.npy")
    finally:
        assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
    assert code == 130 and out == done * "an answer\n"
    assert err.splitlines()[1:] == [
        "finishing this image; Ctrl-C again stops at once",
        f"pyconvnet: stopped, {done} of 4 images are done",
    ]
    assert sorted(tmp_path.glob("y*")) == [tmp_path / f"y-{i}.npy" for i in range(done)]
    assert all(np.load(path).shape == (32, 32, 1, 1) for path in tmp_path.glob("y*"))


def test_a_bar_over_many_images_stays_below_the_lines(capsys, monkeypatch, doubling, letter, tmp_path):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    code, out, err = run_cli(capsys, "run", doubling, letter, letter, tmp_path / "missing.png", letter)
    assert code == 1 and [line.split(":")[0] for line in out.splitlines()] == [str(letter)] * 3
    assert "4/4" in err and "\rpyconvnet: imread: there is no file" in err
    code, out, err = run_cli(capsys, "run", doubling, letter, letter, letter)
    assert (code, len(out.splitlines()), err) == (0, 3, "")


def test_run_draws_what_came_out(capsys, letter, tmp_path):
    pytest.importorskip("matplotlib")
    assert run_cli(capsys, "run", LETTERS, letter, "--plot", tmp_path / "p.png")[0] == 0
    assert pcn.images.imread(tmp_path / "p.png").shape[2] == 3


def test_run_draws_an_image_of_16_bits_as_bright_as_one_of_8(capsys, doubling, tmp_path):
    pytest.importorskip("matplotlib")
    grey = np.full((20, 20), 64, np.uint8)
    grey[:5] = 96
    for name, A in (("8", grey), ("16", grey.astype(np.uint16) * 257)):
        pcn.images.imwrite(A, tmp_path / f"{name}.png")
        args = (doubling, tmp_path / f"{name}.png", "--plot", tmp_path / f"plot{name}.png")
        assert run_cli(capsys, "run", *args)[0] == 0
    eight, sixteen = (pcn.images.imread(tmp_path / f"plot{name}.png") for name in ("8", "16"))
    np.testing.assert_array_equal(sixteen, eight)
    height, width = eight.shape[:2]
    left, right = eight[height // 2, width // 4, 0], eight[height // 2, width * 3 // 4, 0]
    assert (left, right) == (64, 128)


def test_run_on_a_larger_image_gives_a_map(capsys):
    code, out, _ = run_cli(capsys, "run", LETTERS, ROOT / "models" / "sentence.png", "--full-size", "--top", 1)
    assert code == 0
    assert "1x185x26 scores; their mean over positions:" in out


def test_demo_reads_the_sentence(capsys):
    code, out, _ = run_cli(capsys, "demo")
    assert code == 0
    assert "total network CPU/GPU memory: 1.8/0 MB" in out
    assert out.endswith("the rat the cat the dog chased killed ate the malt\n")


@pytest.mark.parametrize(
    "args, message",
    [
        (["show", "vgg-vd16"], "neither a file nor a standard network; did you mean vgg-vd-16? known: lenet,"),
        (["show", "nowhere.mat"], "pyconvnet: nowhere.mat: No such file or directory"),
        (["show", str(ROOT)], f"{ROOT}: Is a directory"),
        (["show", "lenet", "--input", "5"], "--input must be H W C or H W C N, got 5"),
        (["run", LETTERS, "nowhere.png"], "nowhere.png"),
        (["report", "nowhere"], "got nowhere, which is not a folder"),
    ],
)
def test_failures_are_one_line_and_exit_code_1(capsys, args, message):
    code, out, err = run_cli(capsys, *args)
    assert (code, out) == (1, "")
    assert err.startswith("pyconvnet: ") and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["fly"],
        ["show"],
        ["show", "lenet", "--format", "html"],
        ["run", "a.mat", "b.png", "--top", "0"],
        ["run", "net.mat"],
    ],
)
def test_wrong_usage_is_exit_code_2(args, capsys):
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    assert "usage: pyconvnet" in capsys.readouterr().err


def test_the_module_runs_as_the_command_does_and_says_its_version():
    done = python("import runpy; sys.argv[1:] = ['--version']; runpy.run_module('pyconvnet', run_name='__main__')")
    assert (done.returncode, done.stdout) == (0, f"pyconvnet {pcn.__version__}\n")


@pytest.mark.parametrize("net", ["vgg-vd-16", "ocr"])
def test_a_reader_that_goes_away_is_no_error(net):
    code = "import os; from pyconvnet.cli import main; r, w = os.pipe(); os.close(r); os.dup2(w, 1)\n"
    done = python(code + f"sys.exit(main(['show', {net!r}]))")
    assert (done.returncode, done.stderr) == (0, "")


def test_standard_networks_go_by_the_names_of_show_everywhere(capsys, tmp_path, letter):
    code, out, err = run_cli(capsys, "convert", "lenet", tmp_path / "net.mat")
    assert (code, out) == (0, f"{tmp_path / 'net.mat'} is written\n")
    assert err == "pyconvnet: the weights of lenet are random; `pyconvnet fetch` lists trained networks\n"
    assert len(pcn.load(tmp_path / "net.mat").layers) == 8
    code, out, err = run_cli(capsys, "run", "lenet", letter)
    assert code == 0 and len(out.splitlines()) == 5 and "the weights of lenet are random" in err
    code, _, err = run_cli(capsys, "convert", "vgg-vd16", tmp_path / "net.mat")
    assert code == 1 and "vgg-vd16 is neither a file nor the name of a network; did you mean vgg-vd-16?" in err


@pytest.mark.parametrize(
    "args, message",
    [
        (["run", "{net}", "{image}", "--save", "{folder}/y.foo"], "cannot write '{folder}/y.foo': unknown file ext"),
        (["run", "{net}", "{image}", "--save", "{folder}/no/y.npy"], "{folder}/no/y.npy: its folder does not exist"),
        (["run", "{net}", "{image}", "--plot", "{folder}/y.foo"], "view.save: {folder}/y.foo must end in "),
        (["run", "{net}", "{image}", "--plot", "{folder}/no/y.png"], "{folder}/no/y.png: its folder does not exist"),
        (["convert", "{net}", "{folder}/net.foo"], "no format has the suffix .foo"),
        (["convert", "{net}", "{folder}/no/net.mat"], "{folder}/no/net.mat: its folder does not exist"),
    ],
)
def test_targets_are_checked_before_anything_is_read(capsys, monkeypatch, tmp_path, letter, args, message):
    def fails(*_, **__):
        raise AssertionError("it was read")

    monkeypatch.setattr(pcn.formats, "load", fails)
    places = {"net": LETTERS, "image": letter, "folder": tmp_path}
    code, out, err = run_cli(capsys, *(a.format(**places) for a in args))
    assert (code, out) == (1, "") and message.format(**places) in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [letter]
