"""Training in several processes gives what one gives; what ends one ends all."""

import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

from pyconvnet.threads import num_threads
from pyconvnet.training import distributed

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))
import processes

SCRIPT = Path(__file__).with_name("processes.py")


def start(count, run, folder, address="127.0.0.1", before=lambda rank: [], more=lambda rank: {}):
    """Processes as torchrun starts them, but quicker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"MASTER_ADDR": address, "MASTER_PORT": str(port), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    env |= {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return [
        subprocess.Popen(
            [*before(rank), sys.executable, str(SCRIPT), run, str(folder)],
            env={**os.environ, **env, "RANK": str(rank), **more(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def ended(started):
    """(exit codes, outputs, errors)"""
    try:
        outputs = [process.communicate(timeout=100) for process in started]
    finally:
        for process in started:
            process.kill()
    return [process.returncode for process in started], *zip(*outputs)


def together(count, run, folder, **how):
    codes, outputs, errors = ended(start(count, run, folder, **how))
    assert codes == [0] * count, "\n".join(errors)
    return outputs


def found(folder, name, rank):
    with np.load(Path(folder, f"{name}-{rank}.npz")) as file:
        return file["weights"], file["rows"]


def same(one, other):
    assert one[0].shape == other[0].shape and np.abs(one[0] - other[0]).max() <= 1e-6 * np.abs(other[0]).max()
    assert one[1].shape == other[1].shape and np.allclose(one[1], other[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3])
def test_weights_and_statistics_are_those_of_one_process_in_every_process(tmp_path, count):
    together(count, "equal", tmp_path)
    for name, options in processes.CASES.items():
        one = processes.fit(**{**options, "gpus": ()})
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
    same(processes.fit(numEpochs=4, postEpochFn=processes.slower, expDir=tmp_path / "one"), whole)


def test_folds_are_shared_out_over_processes_and_executors(tmp_path, monkeypatch):
    # sums are split over threads: to the bit, results are the same for the same number of them
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with num_threads(1):
        one = processes.folds()
    together(2, "shared_folds", tmp_path)
    assert {path.name for path in (tmp_path / "folds").glob("fold-?")} == {"fold-1", "fold-2", "fold-3"}
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        others = [processes.folds(executor=executor)]
    for weights, predictions in [*others, *(found(tmp_path, "folds", rank) for rank in (0, 1))]:
        assert np.array_equal(weights, one[0]) and np.array_equal(predictions, one[1])


def test_what_cannot_be_right_ends_all_with_one_reason(tmp_path):
    first, second = (text.splitlines() for text in together(2, "refused", tmp_path))
    assert first[0] == second[0] == "ValueError: cnn_train: the options must be the same in all 2 processes"
    assert first[1] == second[1] == "ValueError: cnn_train: the network must be the same in all 2 processes"
    assert second[2] == "OSError: no such file"
    assert first[2] == "Lost: cnn_train: process 1 of 2 has stopped: OSError: no such file; process 0 of 2 ends, too"
    assert "the objective is not finite in epoch 1, batch 1/3; so it is in another process" in first[3]
    assert "the images that getBatch gave are not finite in epoch 1, batch 1/3" in second[3]
    # what postEpochFn returned in process 0
    assert first[4] == second[4] == "[0.05, 0.1, 0.1]"
    assert first[5] == second[5] == "True"
    same(found(tmp_path, "own group", 1), processes.fit())


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    assert distributed.own_devices([0, 1]) == [0, 1] and distributed.own_devices(()) == ()
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "5")
    monkeypatch.setenv("LOCAL_RANK", "1")  # the second on its machine
    for gpus, own in (([4, 7], [7]), ([0], [1]), (0, [1]), ("gpu", [1]), ("cuda:0", "cuda:0"), ((), ()), (None, None)):
        assert distributed.own_devices(gpus) == own
    with distributed.alone():
        assert distributed.own_devices([4, 7]) == [4, 7]


@pytest.fixture
def two_machines():
    """The names of two network namespaces with a cable between them, and what pulls it."""
    names = [f"pcn{os.getpid()}{side}" for side in "ab"]

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, text=True).returncode == 0

    made = shutil.which("ip") and all([ip("netns", "add", name) for name in names])
    made = made and ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "cable", "netns", names[1])
    for i, name in enumerate(names, 1):
        made = made and ip("-n", name, "addr", "add", f"10.77.0.{i}/24", "dev", "cable")
        made = made and ip("-n", name, "link", "set", "cable", "up") and ip("-n", name, "link", "set", "lo", "up")
    try:
        if not made:
            pytest.skip("network namespaces cannot be made here")
        yield names, lambda: ip("-n", names[1], "link", "set", "cable", "down")
    finally:
        for name in names:
            ip("netns", "del", name)


def test_two_machines_train_as_one_process_and_end_when_the_cable_is_pulled(tmp_path, two_machines):
    names, pull = two_machines
    how = {"address": "10.77.0.1", "before": lambda rank: ["ip", "netns", "exec", names[rank]]}
    running = start(2, "machines", tmp_path, **how, more=lambda rank: {"GLOO_SOCKET_IFNAME": "cable"})
    while not (tmp_path / "machine 0" / "net-epoch-1.mat").exists():
        assert all(process.poll() is None for process in running), ended(running)
        time.sleep(0.2)
    same(found(tmp_path, "machines", 1), processes.fit())
    assert pull()
    pulled = time.monotonic()
    codes, _, errors = ended(running)
    assert time.monotonic() - pulled < 20 and codes == [1, 1]  # SILENCE is 4 s here
    assert "nothing has been heard of process 1 for 4 s; process 0 of 2 ends, too" in errors[0].splitlines()[-1]
    assert "cannot be reached; process 1 of 2 ends, too" in errors[1].splitlines()[-1]
    assert not (tmp_path / "machine 1").exists()


def test_a_plain_script_may_start_processes_by_itself(tmp_path):
    script = tmp_path / "script.py"
    body = f"""
import signal
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import numpy as np
import processes

def fail(imdb, batch):
    if 3 in batch:
        raise OSError("no image 3")
    return processes.get_batch(imdb, batch)

def main():
    before = signal.getsignal(signal.SIGINT)
    net = processes.graph()
    given = dict(batchSize=10, numEpochs=2, learningRate=0.05, plotStatistics=False, expDir=None, verbose=False,
        processes=2, gpus="torch:cpu")
    trained, stats = processes.pcn.cnn_train_dag(net, processes.letters(), processes.get_named, **given)
    assert all(p.value is q.value for p, q in zip(net.params, trained.params))
    assert signal.getsignal(signal.SIGINT) is before
    np.savez(sys.argv[1], weights=np.concatenate([p.value.ravel() for p in net.params]))
    for batch in (fail, lambda imdb, batch: None):
        try:
            processes.fit(getBatch=batch, processes=2)
        except Exception as error:
            print(f"{{type(error).__name__}}: {{error}}")

if __name__ == "__main__":
    main()
"""
    script.write_text(body)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(script), str(tmp_path / "out.npz")]
    done = subprocess.run(command, env={**env, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "OSError: no image 3"
    assert "TypeError: cnn_train: getBatch cannot be handed to new processes" in lines[1]
    with np.load(tmp_path / "out.npz") as file:
        weights = file["weights"]
    one = processes.fit(kind="dagnn")[0]
    assert np.abs(weights - one).max() <= 2e-6 * np.abs(one).max()
