"""A short form of `python -m tests.fuzz`, and what the reader promises about files that were made to harm."""

import tempfile

import h5py
import numpy as np
import pytest
from mat73 import HDF5

import pyconvnet as pcn
from pyconvnet.compat import matfile
from tests.fuzz.__main__ import main
from tests.fuzz.trial import VERSIONS, Trials


@pytest.fixture(autouse=True)
def _files_in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("version", VERSIONS)
def test_mutants_load_or_are_refused_in_one_way(version, capsys):
    assert main(["--count", "60", "--version", version, "--seed", "3"]) == 0, capsys.readouterr().out


def test_a_mutant_is_made_again_from_its_number(tmp_path):
    for version in VERSIONS:
        trials = Trials(version, 1)
        first = trials.mutant(5).read_bytes()
        assert trials.mutant(6).read_bytes() != first
        assert trials.mutant(5).read_bytes() == first
    main(["--keep", "v5:5", str(tmp_path / "x.mat"), "--seed", "1"])
    assert (tmp_path / "x.mat").read_bytes() == Trials("v5", 1).mutant(5).read_bytes()


def test_the_command_finds_a_reader_that_fails(monkeypatch, capsys):
    """A fault must be reported: here one that is made, an error of another type."""
    from tests.fuzz import trial

    def fails(path):
        raise KeyError("name")

    monkeypatch.setattr(pcn, "load", fails)
    trials = Trials("v5", 1)
    assert "KeyError" in trials.run(0)["fault"]
    monkeypatch.setattr(pcn, "load", lambda path: 1 / 0)
    assert "ZeroDivisionError" in trials.run(0)["fault"]
    monkeypatch.undo()
    monkeypatch.setattr(trial, "SECONDS", 0.0)
    assert "took" in trials.run(0)["fault"]


@pytest.fixture
def secret(tmp_path):
    """A file beside the one that is read, whose content must not come along."""
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file["secret"] = np.arange(5.0)
        file.create_group("group")["x"] = np.arange(5.0)
    (tmp_path / "outside.bin").write_bytes(np.arange(5.0).tobytes())
    return tmp_path


@pytest.mark.parametrize(
    "make",
    [
        lambda file, folder: file.__setitem__("a", h5py.ExternalLink("outside.h5", "/secret")),
        lambda file, folder: file.create_group("a").__setitem__("b", h5py.ExternalLink("outside.h5", "/group")),
        lambda file, folder: file.create_dataset("a", (5,), "f8", external=[(str(folder / "outside.bin"), 0, 40)]),
        lambda file, folder: file.create_virtual_dataset("a", _virtual(folder)),
    ],
    ids=["link", "link in a group", "data", "virtual data"],
)
def test_other_files_are_not_followed(secret, make):
    with h5py.File(secret / "x.mat", "w") as file:
        make(file, secret)
    with pytest.raises(pcn.MatFileError, match=r"x\.mat cannot be read as a MAT file: .*another file, which is not"):
        matfile.read(secret / "x.mat")


def _virtual(folder):
    layout = h5py.VirtualLayout((5,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "outside.h5"), "secret", (5,))
    return layout


def test_a_cell_that_holds_itself_and_cells_shared_by_many_are_refused(tmp_path):
    with h5py.File(tmp_path / "self.mat", "w") as file:
        cell = file.create_dataset("a", (1, 1), h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
        cell[0, 0] = cell.ref
    with h5py.File(tmp_path / "laughs.mat", "w") as file:
        inner = file.create_dataset("#refs#/x", data=np.zeros((1, 1)))
        for level in range(12):
            data = np.empty((10, 1), h5py.ref_dtype)
            data[:, 0] = inner.ref
            inner = file.create_dataset(f"#refs#/{level}" if level < 11 else "a", data=data)
            inner.attrs["MATLAB_class"] = np.bytes_("cell")
    with h5py.File(tmp_path / "group.mat", "w") as file:
        group = file.create_group("a")
        group["again"] = group
    for name in ("self", "laughs", "group"):
        with pytest.raises(pcn.MatFileError, match=f"{name}.mat .*held by itself, or by too many others"):
            matfile.read(tmp_path / f"{name}.mat")


def test_empty_elements_that_many_cells_share_are_read(tmp_path):
    """MATLAB writes what was never put in a cell once."""
    h = HDF5(tmp_path / "x.mat")
    h.put(h.file, "a", [np.zeros((0, 0))] * 300)
    refs = h.file["a"][()]
    refs[:] = refs[0]
    h.file["a"][...] = refs
    h.file.close()
    assert [v.shape for v in matfile.read(tmp_path / "x.mat")["a"]] == [(0, 0)] * 300
