"""A short form of `python -m tests.faults`: stand-ins for full disks and missing permissions, which need no rights."""

import os
import tempfile
from pathlib import Path

import pytest

from pyconvnet import atomic
from tests.faults.__main__ import checks_of
from tests.faults.disks import STAND_INS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="of POSIX limits and permissions")
CHECKS = [(what, check) for fault in STAND_INS for what, check in checks_of(fault, (0.9,))]


@pytest.fixture
def folder():
    """Below folders that everyone may enter."""
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        inner = Path(base) / "here"
        inner.mkdir()
        yield inner


@pytest.mark.parametrize("check", [check for _, check in CHECKS], ids=[what for what, _ in CHECKS])
def test_one_line_names_the_file_and_the_reason_and_the_last_good_file_stays(check, folder):
    check(folder)


def test_the_checks_find_a_writer_that_leaves_half_a_file(folder, monkeypatch):
    def careless(path, content):
        with open(path, "wb") as file:
            content(file) if callable(content) else file.write(content)

    monkeypatch.setattr(atomic, "write", careless)
    found = 0
    for what, check in CHECKS:
        if what.startswith("SimpleNN, a full disk"):
            with pytest.raises((AssertionError, ValueError)):
                check(folder)
            found += 1
    assert found == 1
