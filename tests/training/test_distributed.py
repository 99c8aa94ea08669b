"""Training in several processes gives what one gives; what ends one ends all."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))
import processes

SCRIPT = Path(__file__).with_name("processes.py")


def start(count, run, folder, address="127.0.0.1", before=lambda rank: []):
    """Processes as torchrun starts them, but quicker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"MASTER_ADDR": address, "MASTER_PORT": str(port), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    env |= {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return [
        subprocess.Popen(
            [*before(rank), sys.executable, str(SCRIPT), run, str(folder)],
            env={**os.environ, **env, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def ended(started):
    """(exit codes, outputs, errors)"""
    outputs = [process.communicate(timeout=240) for process in started]
    return [process.returncode for process in started], *zip(*outputs)


def together(count, run, folder, **how):
    codes, outputs, errors = ended(start(count, run, folder, **how))
    assert codes == [0] * count, "\n".join(errors)
    return outputs


def found(folder, name, rank):
    with np.load(Path(folder, f"{name}-{rank}.npz")) as file:
        return file["weights"], file["rows"]


def same(one, other):
    assert one[0].shape == other[0].shape and np.abs(one[0] - other[0]).max() <= 2e-6 * np.abs(other[0]).max()
    assert one[1].shape == other[1].shape and np.allclose(one[1], other[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3])
def test_weights_and_statistics_are_those_of_one_process_in_every_process(tmp_path, count):
    together(count, "equal", tmp_path)
    for name, options in processes.CASES.items():
        one = processes.fit(**options)
        for rank in range(count):
            same(found(tmp_path, name, rank), one)
            assert np.array_equal(found(tmp_path, name, rank)[0], found(tmp_path, name, 0)[0])


def test_a_killed_process_ends_all_and_the_next_start_goes_on_in_any_number_of_processes(tmp_path):
    all_started = start(2, "killed", tmp_path)
    all_started[1].wait(timeout=240)
    died = time.monotonic()
    codes, _, errors = ended(all_started)
    assert time.monotonic() - died < 30
    assert codes[1] == -9 and codes[0] == 1
    assert "cnn_train: one of the other 1 processes has died" in errors[0].splitlines()[-1]
    files = sorted(p.name for p in (tmp_path / "killed").iterdir())
    assert files == ["net-epoch-1.mat", "net-epoch-2.mat", "training.json"]
    shutil.copytree(tmp_path / "killed", tmp_path / "one")
    together(2, "resumed", tmp_path)
    whole, again = found(tmp_path, "whole", 0), found(tmp_path, "resumed", 0)
    assert np.array_equal(again[0], whole[0]) and np.array_equal(again[1], whole[1])
    same(processes.fit(numEpochs=4, expDir=tmp_path / "one"), whole)


def test_what_cannot_be_right_ends_all_with_one_reason(tmp_path):
    first, second = (text.splitlines() for text in together(2, "refused", tmp_path))
    assert first[0] == second[0] == "ValueError: cnn_train: the options must be the same in all 2 processes"
    assert first[1] == second[1] == "ValueError: cnn_train: the network must be the same in all 2 processes"
    assert second[2] == "OSError: no such file"
    assert first[2] == "Lost: cnn_train: process 1 of 2 has stopped: OSError: no such file; process 0 of 2 ends, too"
    assert all("the objective is not finite in epoch 1, batch 1/3" in lines[3] for lines in (first, second))
    assert "the images of the batch are not finite" in second[3] and "in another process" in first[3]
    # what postEpochFn returned in process 0
    assert first[4] == second[4] == "[0.05, 0.1, 0.1]"
    assert first[5] == second[5] == "True"
    same(found(tmp_path, "own group", 1), processes.fit())
