"""The reference has every public name, and its pages show help texts as they are meant."""

import inspect
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest
from support import ROOT

import pyconvnet

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.md")}
DIRECTIVES = re.findall(
    r"^\.\. auto(function|class|module):: pyconvnet\.(\S+)((?:\n   :.*)*)", "\n".join(PAGES.values()), re.MULTILINE
)
WHOLE = {name: options for kind, name, options in DIRECTIVES if kind == "module" and ":members:" in options}
if not find_spec("sklearn"):  # which pyconvnet.sklearn needs to be imported
    WHOLE.pop("sklearn", None)
SINGLE = [name for kind, name, _ in DIRECTIVES if kind != "module"]
PARTS = "dagnn layers formats models view solver jitter augment imdb images crossvalidation port backends".split()
PARTS += ["compat.matlab"]
INNER = {  # public for other modules of the library
    "formats": {"names_file"},
    "backends": {"registered", "find"},
    "images": {"pillow", "format_of", "single"},
    "port": {"read_folder"},
}


def public(name: str) -> dict[str, object]:
    """The public functions and classes of a module."""
    module = import_module(f"pyconvnet.{name}")
    listed = getattr(module, "__all__", None)
    names = listed or [n for n in vars(module) if not n.startswith("_")]
    found = {n: getattr(module, n) for n in names}
    own = {n: v for n, v in found.items() if listed or getattr(v, "__module__", None) == module.__name__}
    return {n: v for n, v in own.items() if callable(v) and not isinstance(v, ModuleType)}


def is_shown(name: str, value: object) -> bool:
    """Whether a page documents `value` under its last name, by itself or with a module."""
    last = name.rpartition(".")[2]
    if any(one.rpartition(".")[2] == last for one in SINGLE):
        return True
    with_it = [module for module in WHOLE if public(module).get(last) is value]
    return any(not re.search(rf"exclude-members:.*\b{last}\b", WHOLE[module]) for module in with_it)


def test_every_name_of_the_package_is_in_the_reference():
    missing = [name for name in pyconvnet.__all__ if not is_shown(name, getattr(pyconvnet, name))]
    assert not missing


@pytest.mark.parametrize("part", PARTS)
def test_every_name_of_a_part_is_in_the_reference(part):
    names = {name: value for name, value in public(part).items() if name not in INNER.get(part, ())}
    assert names
    missing = [name for name, value in names.items() if not is_shown(name, value)]
    assert not missing


@pytest.mark.parametrize("part", sorted(WHOLE))
def test_what_is_shown_with_its_module_says_what_it_is(part):
    silent = [name for name, value in public(part).items() if not inspect.getdoc(value)]
    assert not silent  # autodoc leaves out what has no help


def test_nothing_is_shown_twice():
    assert len(set(SINGLE)) == len(SINGLE)


@pytest.fixture
def rest(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    yield lambda text: "\n".join(import_module("plain_docstrings").rest(inspect.cleandoc(text).splitlines()))
    sys.modules.pop("plain_docstrings", None)


def test_aligned_columns_become_definitions(rest):
    made = rest(
        """
        stride  1, or (vertical, horizontal)        dilate  1
        pad     0, or (top,
                bottom)
        """
    )
    assert made.strip().splitlines() == [
        "``stride``",
        "   1, or (vertical, horizontal)",
        "``dilate``",
        "   1",
        "``pad``",
        "   0, or (top, bottom)",
    ]


def test_names_longer_than_their_column_stand_above_their_text(rest):
    made = rest("a   first\nb, long\n    second,\n    on two lines\nc   third")
    assert made.strip().splitlines() == [
        "``a``",
        "   first",
        "``b``, ``long``",
        "   second, on two lines",
        "``c``",
        "   third",
    ]


def test_a_layer_is_shown_with_the_types_that_make_it(rest):
    facts = import_module("plain_docstrings")._layer_facts
    assert facts(pyconvnet.dagnn.Loss)[0].startswith(":In a SimpleNN: type ``'softmaxloss'``, ``'loss'``")
    assert not facts(pyconvnet.dagnn.SegmentationLoss)  # it has inherited these types, which make a Loss


def test_calls_have_their_sizes_beneath(rest):
    made = rest("f(x) -> y        x: H x W      y: H\nf(x, dzdy) -> dzdx\n\nRaises TypeError for text.\nSource: a_b.")
    assert [line for line in made.splitlines() if line] == [
        "| ``f(x) -> y``",
        "|     x: H x W;  y: H",
        "| ``f(x, dzdy) -> dzdx``",
        ":Raises: TypeError for text.",
        r":Source: a\_b.",
    ]


def test_formulas_stand_on_lines_of_their_own(rest):
    made = rest("s <- r s + g^2    w <- w - s\n\ny[i] = x[i]\nYH = H - 1, likewise YW")
    assert [line for line in made.splitlines() if line] == [
        r"| s \<- r s + g^2",
        r"| w \<- w - s",
        "| y[i] = x[i]",
        "| YH = H - 1, likewise YW",
    ]


def test_other_columns_stay_as_they_are(rest):
    made = rest("\nkind  a    more  of  it\n      b    c")
    assert made.startswith(".. code-block:: text\n\n   kind  a    more  of  it\n         b    c")


def test_all_help_texts_are_sound_markup(rest):
    docutils = pytest.importorskip("docutils.core")
    import io

    for part in [*PARTS, ""]:
        names = public(part) if part else {name: getattr(pyconvnet, name) for name in pyconvnet.__all__}
        for name, value in names.items():
            said = io.StringIO()
            settings = {"warning_stream": said, "report_level": 2, "syntax_highlight": "none"}
            docutils.publish_doctree(rest(value.__doc__ or ""), settings_overrides=settings)
            assert not said.getvalue(), name


def test_the_help_of_training_has_every_option():
    from pyconvnet.training.options import COMMON, DAGNN, SIMPLENN

    simple, dag = inspect.getdoc(pyconvnet.cnn_train), inspect.getdoc(pyconvnet.cnn_train_dag)
    assert not [
        name for name in {**COMMON, **SIMPLENN} if not re.search(rf"^(\w+, )*{name}\b.*  ", simple, re.MULTILINE)
    ]
    assert not [name for name in DAGNN if not re.search(rf"^{name}  ", dag, re.MULTILINE)]
