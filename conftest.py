"""Lets pytest run from a checkout without installing: pyconvnet.compat and pyconvnet.models lie beside pyconvnet/."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def _mount(name: str, folder: Path) -> None:
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


import pyconvnet  # noqa: E402, F401  (the parent must be there before its parts)

_mount("pyconvnet.compat", ROOT / "compat")
_mount("pyconvnet.models", ROOT / "models")


def pytest_addoption(parser):
    parser.addoption(
        "--regenerate-golden", action="store_true", help="write tests/golden/* anew from what the code gives today"
    )


@pytest.fixture
def golden(request):
    """golden(name, text): text must equal tests/golden/NAME, our own; MatConvNet's texts are in matlab_fixtures/.

    `pytest --regenerate-golden` writes the files instead; look at the difference before committing it.
    """

    def check(name: str, text: str) -> None:
        path = ROOT / "tests" / "golden" / name
        if request.config.getoption("--regenerate-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"no golden file {name}: pytest --regenerate-golden writes it"
        assert text == path.read_text(encoding="utf-8")

    return check
