"""Writes the names of all layer classes for editors and type checkers: `python tools/layer_stubs.py` after a change.

pyconvnet.layers finds its classes when it is imported; what only looks at the source reads `__init__.pyi` instead.
"""

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def stub(package: str) -> str:
    """The text of the package's __init__.pyi."""
    module = import_module(package)
    homes = {name: getattr(module, name).__module__ for name in module.__all__}
    ordered = sorted(homes, key=lambda name: (homes[name], not name.isupper(), name))  # as ruff sorts imports
    imports = [f"from {homes[name]} import {name} as {name}\n" for name in ordered]
    return "# Written by tools/layer_stubs.py.\n" + "".join(imports)


def stubs() -> dict[Path, str]:
    """Each stub's place in the checkout, and its text."""
    packages = ("pyconvnet.layers", "pyconvnet.dagnn")
    return {ROOT / package.replace(".", "/") / "__init__.pyi": stub(package) for package in packages}


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for place, text in stubs().items():
        place.write_text(text, encoding="utf-8")
        print(f"wrote {place.relative_to(ROOT)}")
