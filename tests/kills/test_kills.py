"""A short form of `python -m tests.kills`, and that it finds what it is for."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT

from tests.kills.__main__ import Fault, Kills
from tests.kills.trial import CASES


def test_killed_trainings_end_as_one_that_was_not(tmp_path):
    # in a process of its own, as others are forked from it
    command = [sys.executable, "-m", "tests.kills", "--times", "6", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("6 kills in ") and "every run ended as one that was not killed" in done.stdout
    assert not os.listdir(tmp_path)


def test_drafts_that_stay_errors_and_other_weights_are_faults(tmp_path):
    kills, case = Kills(tmp_path, 2, 1), next(iter(CASES))
    kills._check(case, 0, tmp_path, [])
    kills._check(case, -signal.SIGKILL, tmp_path, [])
    with pytest.raises(Fault, match=r"with the first batch after a start there still are net-epoch-1\.mat0123\.part"):
        kills._check(case, -signal.SIGKILL, tmp_path, ["net-epoch-1.mat0123.part"])
    kills._trained = lambda case, folder, kill: {"weights": np.array([0.0]), "rows": np.array([float(kill)])}
    with pytest.raises(Fault, match="weights or statistics are others than without kills"):
        kills.run()
    with pytest.raises(Fault, match="exit code 1"):
        kills._check(case, 1, tmp_path, [])
    (tmp_path / "training.json0123.part").touch()
    with pytest.raises(Fault, match=r"in the end there still are training\.json0123\.part"):
        kills._check(case, 0, tmp_path, [])
