"""Text of several rows and names, in every form that numpy, scipy, h5py and MATLAB give them: one list of names."""

import re

import h5py
import numpy as np
import pytest
import scipy.io

import pyconvnet as pcn
from pyconvnet.compat import matfile
from pyconvnet.imdb import load_imdb, save_imdb
from pyconvnet.view import confusion_text

NAMES = ["ant", "bee", "ibex"]
PADDED = ["ant ", "bee ", "ibex"]
FORMS = {
    "list": NAMES,
    "tuple": tuple(NAMES),
    "array": np.array(NAMES),
    "column": np.array(NAMES)[:, None],
    "row": np.array(NAMES)[None],
    "objects": np.array(NAMES, object),
    "column of objects": np.array(NAMES, object)[:, None],
    "bytes": np.array(NAMES, "S"),
    "h5py": np.array([n.encode() for n in NAMES], object),
    "char matrix of scipy": np.array(PADDED),
    "cell of scipy": np.array([[np.array([n]) for n in NAMES]], object),
    "padded list": PADDED,
}
X = np.zeros((4, 4, 1, 1), np.float32)


def network(classes):
    filters = np.zeros((4, 4, 1, 3), np.float32)
    filters[0, 0, 0] = [1, 2, 3]
    conv = pcn.Struct(type="conv", name="c", weights=[filters, np.float32([[1, 2, 3]])])
    return pcn.SimpleNN(layers=[conv], meta=pcn.Struct(classes=classes))


def best(net):
    return [b.name for b in pcn.best_classes(net, pcn.predict(net, X))]


@pytest.mark.parametrize("inside", [False, True], ids=["classes", "classes.name"])
@pytest.mark.parametrize("form", FORMS)
def test_names_of_classes_are_found_in_memory_and_in_the_file(tmp_path, form, inside):
    net = network(pcn.Struct(name=FORMS[form]) if inside else FORMS[form])
    assert best(net) == ["ibex", "bee", "ant"]
    pcn.save(tmp_path / "a.mat", net)
    found = pcn.load(tmp_path / "a.mat")
    assert best(found) == ["ibex", "bee", "ant"]
    if form != "padded list":
        assert (found.meta.classes.name if inside else found.meta.classes) == NAMES


def test_a_struct_as_scipy_reads_it_holds_names(tmp_path):
    scipy.io.savemat(tmp_path / "s.mat", {"classes": {"description": np.array(NAMES, object), "sets": 2.0}})
    net = network(scipy.io.loadmat(tmp_path / "s.mat")["classes"])
    assert best(net) == ["ibex", "bee", "ant"]
    pcn.save(tmp_path / "a.mat", net)
    found = pcn.load(tmp_path / "a.mat")
    assert found.meta.classes.description == NAMES and found.meta.classes.sets == 2


def test_names_that_are_no_strings_or_of_another_count_give_no_names():
    assert best(network(np.array([1.0, 2.0, 3.0]))) == ["", "", ""]
    assert best(network(NAMES[:2])) == ["", "", ""]
    assert best(network(None)) == ["", "", ""]


@pytest.mark.parametrize("rows", [NAMES, ["a", "b"], ["ä", "öß"], ["one"], ["", "x"]])
@pytest.mark.parametrize("options", [{"do_compression": True}, {}, {"format": "4"}], ids=["v7", "v6", "v4"])
def test_rows_that_scipy_writes_are_a_list_without_blanks_at_their_ends(tmp_path, rows, options):
    if options.get("format") and (not "".join(rows).isascii() or max(map(len, rows)) == 1):
        pytest.skip("scipy writes no version 4 of letters beyond ASCII, and of rows of one letter another text")
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.array(rows)}, **options)
    assert matfile.read(tmp_path / "x.mat")["a"] == (rows if len(rows) > 1 else rows[0])


def test_an_array_of_strings_that_lies_in_a_row_is_read_as_scipy_wrote_it(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.array(NAMES)[None]})
    assert scipy.io.whosmat(tmp_path / "x.mat")[0][1] == (1, 3)  # and 1 x 3 x 4 in the file
    assert matfile.read(tmp_path / "x.mat")["a"] == NAMES


def test_blanks_of_a_single_row_are_kept(tmp_path):
    matfile.write(tmp_path / "x.mat", {"a": " one ", "b": np.str_("two "), "c": np.array("three "), "d": [" f ", "g"]})
    assert matfile.read(tmp_path / "x.mat") == {"a": " one ", "b": "two ", "c": "three ", "d": [" f ", "g"]}


def test_characters_of_two_units_are_whole(tmp_path):
    line = "a\N{GRINNING FACE}b"
    units = np.frombuffer(line.encode("utf-16-le"), "<u2")
    with h5py.File(tmp_path / "h.mat", "w") as file:
        file.create_dataset("a", data=units[:, None]).attrs["MATLAB_class"] = np.bytes_("char")
    assert matfile.read(tmp_path / "h.mat")["a"] == line
    matfile.write(tmp_path / "x.mat", {"a": line})
    assert matfile.read(tmp_path / "x.mat")["a"] == line


def test_char_matrices_and_strings_of_version_73(tmp_path):
    codes = np.array([[ord(c) for c in row] for row in PADDED], np.uint16)
    with h5py.File(tmp_path / "h.mat", "w") as file:
        file.create_dataset("matrix", data=codes.T).attrs["MATLAB_class"] = np.bytes_("char")
        file["listed"] = NAMES
        file["fixed"] = np.array(NAMES, "S")
        file["one"] = "ant"
        file["nothing"] = h5py.Empty("f8")
    found = matfile.read(tmp_path / "h.mat")
    assert found["matrix"] == found["listed"] == found["fixed"] == NAMES
    assert found["one"] == "ant" and found["nothing"].shape == (0, 0)
    net = network(found["matrix"])
    pcn.save(tmp_path / "a.mat", net)
    assert pcn.load(tmp_path / "a.mat").meta.classes == NAMES


def test_names_of_an_imdb(tmp_path):
    images = {"data": np.zeros((2, 2, 1, 4), np.float32), "labels": np.array([1, 2, 1, 2]), "set": np.ones(4)}
    imdb = {"images": images, "meta": {"sets": np.array(["train", "val", "test"]), "classes": np.array(NAMES)}}
    matfile.write(tmp_path / "ours.mat", imdb)
    scipy.io.savemat(tmp_path / "scipys.mat", imdb)
    for name in ("ours", "scipys"):
        meta = load_imdb(tmp_path / f"{name}.mat").meta
        assert meta.sets == ["train", "val", "test"] and meta.classes == NAMES


def test_a_confusion_matrix_takes_a_column_of_names():
    counts = np.eye(3, dtype=int)
    assert confusion_text(counts, np.array(NAMES)[:, None]) == confusion_text(counts, NAMES)


def test_the_best_classes_of_several_images_are_a_list_for_each():
    net = network(NAMES)
    y = np.array([[1, 5, 2], [9, 0, 3]], np.float32).T.reshape(1, 1, 3, 2)
    both = pcn.best_classes(net, y, top=2)
    assert [[(b.number, b.name, b.score) for b in one] for one in both] == [
        [(2, "bee", 5), (3, "ibex", 2)],
        [(1, "ant", 9), (3, "ibex", 3)],
    ]
    for n in range(2):
        assert pcn.best_classes(net, y[..., [n]], top=2) == both[n] == pcn.best_classes(net, y[..., n], top=2)
    wide = np.concatenate([y, 3 * y], axis=1)
    assert [one[0].score for one in pcn.best_classes(net, wide)] == [10, 18]


def test_best_classes_refuses_what_has_no_channels():
    with pytest.raises(ValueError, match=r"best_classes: y must be scores H x W x K x N, got 3"):
        pcn.best_classes(network(NAMES), np.zeros(3))


def test_half_a_character_is_refused_by_its_place_before_a_file_is_made(tmp_path):
    wrong = r"is 'a\\ud800b', which a .mat file cannot hold: '\\ud800' is half of a character; give text of whole"
    named = network(None)
    named.layers[0].name = "a\ud800b"
    graph = pcn.DagNN.fromSimpleNN(named)
    imdb = {"images": {"data": np.zeros((2, 2, 1, 4), np.float32)}, "meta": {"classes": ["ant", "a\ud800b"]}}
    for where, net in {"layers{1}.name": named, "meta.classes{1}": network(["a\ud800b"])}.items():
        with pytest.raises(ValueError, match=re.escape(where) + " " + wrong):
            pcn.save(tmp_path / "a.mat", net)
    with pytest.raises(ValueError, match=r"params\.name is 'a\\ud800bf', which a .mat file"):
        pcn.save(tmp_path / "a.mat", graph)
    with pytest.raises(ValueError, match=r"meta\.classes\{2\} " + wrong):
        save_imdb(tmp_path / "a.mat", imdb)
    assert list(tmp_path.iterdir()) == []
