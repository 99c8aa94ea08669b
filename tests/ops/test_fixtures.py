"""Every operator agrees with every case computed by MatConvNet."""

import pytest
from support import FIXTURES, cases, check_case

import pyconvnet

NAMES = sorted(p.stem for p in (FIXTURES / "ops").glob("vl_*.mat"))
ALL = [case for name in NAMES for case in cases(name)]


def test_there_are_cases_of_all_19_operators():
    assert len(NAMES) == 19 and len(ALL) == 374


@pytest.mark.parametrize("case", ALL, ids=str)
def test_the_operator_agrees_with_matconvnet(case):
    check_case(getattr(pyconvnet, case.fn), case)
