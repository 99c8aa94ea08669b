"""CONTRIBUTING.md is true: its examples run, and imports go down the floors of its drawing."""

import ast
import re

import pytest
from support import ROOT, python

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MOVED = ("mat5", "mat73", "matfile", "objects", "tomatlab")  # names that stay where users import them from
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def floors():
    """Room -> floor, from 0 at the top."""
    drawing = re.search(r"<!-- floors -->\n```text\n(.*?)```", TEXT, re.DOTALL)[1]
    rows = [line[:60].split() for line in drawing.splitlines() if line.strip() not in ("", "|")]
    return {room: floor for floor, row in enumerate(rows) for room in row}


def imports_at_the_top():
    """(file, its room, the room it imports) of every import that runs when the file is imported."""
    for folder in ("pyconvnet", "compat", "models"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if folder == "compat" and path.stem in MOVED:
                continue
            room = folder if folder != "pyconvnet" else parts[1]
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pyconvnet":
                    names = [node.module] if "." in node.module else [f"pyconvnet.{a.name}" for a in node.names]
                    yield from ((path.relative_to(ROOT), room, name.split(".")[1]) for name in names)


def test_imports_go_down_the_floors_of_the_drawing():
    floor = floors()
    seen = list(imports_at_the_top())
    up = [f"{path}: {a} -> {b}" for path, a, b in seen if a in floor and b in floor and floor[b] < floor[a]]
    assert not up
    assert len({a for _, a, _ in seen} & set(floor)) > 15  # the drawing is of this house


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_examples_run(code):
    done = python(code)
    assert done.returncode == 0, done.stderr
