"""Lets pytest run from a checkout without installing, and gives tests the `golden` files."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


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
