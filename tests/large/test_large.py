"""Operators on more than 2^31 elements: the calls that need little memory. `python -m tests.large` runs the others."""

import sys

import pytest
from support import python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory that is given only where it is written")


def test_indexes_do_not_overflow_and_little_memory_is_used():
    found = python(
        "from tests.large.calls import SHORT, peak\n"
        "for name, check in SHORT.items(): print(name, flush=True); check()\n"
        "print(peak())",
    )
    assert found.returncode == 0, found.stdout + found.stderr[-2000:]
    assert int(found.stdout.split()[-1]) < 1 << 30
