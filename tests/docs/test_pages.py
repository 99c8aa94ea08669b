"""What pages say of names and formats is so."""

import re
from importlib import import_module
from importlib.util import find_spec

import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet.formats import registry

PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "auto_gallery" not in path.parts)


def mentioned(text: str) -> set[str]:
    """Names of the library in a text: pcn.vl_nnconv, pyconvnet.formats.register; those of scikit-learn only with it."""
    names = set(re.findall(r"\b(?:pcn|pyconvnet)\.([A-Za-z_][\w.]*\w)", text))
    return {name for name in names if find_spec("sklearn") or name.partition(".")[0] != "sklearn"}


def exists(name: str) -> bool:
    value: object = pcn
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = import_module(f"{getattr(value, '__name__', '?')}.{part}")
            except ImportError:
                return False
    return True


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_names_on_a_page_exist(path):
    text = path.read_text(encoding="utf-8")
    assert not [name for name in sorted(mentioned(text)) if not exists(name)]


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_the_folders_that_a_page_makes_go_with_it(path):
    assert "mkdtemp" not in path.read_text(encoding="utf-8")  # but TemporaryDirectory


def test_names_that_do_not_exist_are_found():
    assert mentioned("see `pcn.vl_nnconv`, `pyconvnet.view.figures()`.") == {"vl_nnconv", "view.figures"}
    assert exists("vl_nnconv") and not exists("view.figures") and not exists("vl_nnconf")


def test_the_table_of_file_formats_is_that_of_the_library():
    text = (ROOT / "docs" / "reference" / "file-formats.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    for known in registry.FORMATS:
        (row,) = [row for row in rows if row[0].startswith(f"`{known.suffixes[0]}`")]
        source = import_module(known.module) if known.module.endswith((".mat", ".caffe", ".onnx")) else None
        assert row[1].startswith("no") == bool(known.only_written), row
        if source is not None:
            assert row[1].startswith("no") != hasattr(source, "read"), row
            assert row[2].startswith("no") != hasattr(source, "write"), row
        extra = re.search(r"pyconvnet\[\w+\]", known.install)
        assert row[4] == (f"`{extra[0]}`" if extra else ""), row
