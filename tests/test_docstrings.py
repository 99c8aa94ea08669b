"""Every example of a docstring runs and prints what it says."""

import doctest
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

import pyconvnet
from pyconvnet import backends


def modules() -> list[str]:
    """All modules that have an example."""
    found = []
    for folder, package in (("pyconvnet", ()), ("compat", ("pyconvnet",)), ("models", ("pyconvnet",))):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if ">>>" in path.read_text(encoding="utf-8"):
                found.append(".".join(package + parts).removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("name", modules())
def test_examples_run_and_print_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr(backends, "_registered", dict(backends._registered))  # one registers its own
    monkeypatch.setattr(backends, "_found", {})
    if name == "pyconvnet.sklearn":
        pytest.importorskip("sklearn")
    module = import_module(name)
    # an example may use what its module defines and the two names of every script
    assumed = {"np": np, "pcn": pyconvnet}
    tests = [t for t in doctest.DocTestFinder().find(module, extraglobs=assumed) if t.examples]
    assert tests
    assert sum(len(t.examples) for t in tests) == Path(module.__file__).read_text(encoding="utf-8").count(">>> ")
    report = []
    for test in tests:
        for example in test.examples:
            assert doctest.SKIP not in example.options
        assert doctest.DocTestRunner().run(test, out=report.append).failed == 0, "".join(report)
