"""A short form of `python -m tests.differential`, on each instruction level, and whether it finds what is wrong."""

import numpy as np
import pytest

from pyconvnet.backends.cpu import CPU
from pyconvnet.backends.cpu.hardware import LEVELS
from tests.differential.__main__ import OPERATORS, main, make, run
from tests.differential.cases import fault


@pytest.mark.parametrize("level", LEVELS)
def test_random_cases_agree_with_loops_in_double_precision(level, monkeypatch, capsys):
    monkeypatch.setenv("PYCONVNET_CPU", level)  # any CPU can run every level: LLVM splits what is too wide for it
    share = 167 * LEVELS.index(level)
    assert run(1, range(share, share + 167)), capsys.readouterr().out


def test_a_case_is_made_again_from_its_number(capsys):
    for number in range(len(OPERATORS)):
        assert make(3, number)[1].text == make(3, number)[1].text != make(4, number)[1].text
    assert main(["--case", "3:7"]) == 0
    assert make(3, 7)[1].text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kernel", "change"),
    [
        ("conv", lambda y: y * (1 + 1e-5)),
        ("pool", lambda y: np.roll(y, 1, 0)),
        ("softmax", lambda y: y + 1e-5),
        ("relu", lambda y: y.astype(np.float16)),
    ],
)
def test_a_kernel_that_is_off_is_found(kernel, change, monkeypatch):
    right = getattr(CPU(), kernel)
    monkeypatch.setattr(CPU, kernel, lambda self, *args: change(right(*args)))
    numbers = [n for n in range(200) if make(0, n)[0] == kernel]
    assert sum(fault(make(0, n)[1])[0] is not None for n in numbers) > len(numbers) / 2
