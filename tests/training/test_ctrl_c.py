"""Ctrl-C ends a training after the batch, and the same call goes on to the weights of an unbroken run."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

from pyconvnet import load_checkpoint
from pyconvnet.training import run_metadata

sys.path.insert(0, str(Path(__file__).parent))
import processes

BATCHES = 5  # of an epoch: three to train on, two to validate


pytestmark = pytest.mark.usefixtures("default_sigint")


def press():
    os.kill(os.getpid(), signal.SIGINT)


def at_call(number, do, kind="simplenn"):
    """getBatch that calls `do` when it is called for the so-manyeth time, from 1."""
    calls = []

    def batch(imdb, images):
        calls.append(images)
        if len(calls) == number:
            do()
        return (processes.get_named if kind == "dagnn" else processes.get_batch)(imdb, images)

    return batch


def fit(folder, kind="simplenn", **options):
    return processes.fit(kind, expDir=folder, **{"numEpochs": 4, "bnorm": True, **options})


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
@pytest.mark.parametrize("solver", [None, "adam"])
@pytest.mark.parametrize("prefetch", [False, True])
def test_the_batch_is_finished_and_the_same_call_goes_on_to_the_same_bits(tmp_path, kind, solver, prefetch):
    options = {"kind": kind, "solver": solver, "prefetch": prefetch}
    whole = fit(tmp_path / "whole", **options)
    again = tmp_path / "stopped"
    fn = "cnn_train" if kind == "simplenn" else "cnn_train_dag"
    # what is fetched ahead comes a batch earlier
    batch = at_call(2 * BATCHES + 2, press, kind)
    with pytest.raises(KeyboardInterrupt) as stopped:
        fit(again, getBatch=batch, **options)
    assert str(stopped.value) in [
        f"{fn}: stopped in epoch 3 after batch {n}/3 of train; the same call goes on from {again}/net-epoch-2.mat"
        for n in (1, 2)
    ]
    assert sorted(p.name for p in again.iterdir()) == ["net-epoch-1.mat", "net-epoch-2.mat", "training.json"]
    assert not [t for t in threading.enumerate() if t.name.startswith("getBatch")]
    for one, other in zip(fit(again, **options), whole):
        assert np.array_equal(one, other)


def test_what_finished_epochs_left_is_whole(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, getBatch=at_call(2 * BATCHES - 1, press), plotStatistics=True)
    point = load_checkpoint(tmp_path / "net-epoch-1.mat")
    assert np.isfinite(point.stats.train.objective) and np.isfinite(point.stats.val.objective)
    assert np.sum(run_metadata.read(tmp_path)["confusion"]["val"]) == 17
    assert (tmp_path / "net-train.pdf").read_bytes().rstrip().endswith(b"%%EOF")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("prefetch", [False, True])
def test_a_second_one_ends_at_once_also_where_images_do_not_come(tmp_path, prefetch):
    coming = threading.Event()

    def stuck():
        press()
        time.sleep(0.2)
        press()
        coming.wait(60)

    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt) as stopped:
            fit(tmp_path, getBatch=at_call(BATCHES + 3, stuck), prefetch=prefetch)
    finally:
        coming.set()
    assert time.monotonic() - began < 20 and not str(stopped.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net-epoch-1.mat", "training.json"]


def test_an_epoch_of_which_only_the_checkpoint_is_left_is_finished(tmp_path):
    with pytest.raises(
        KeyboardInterrupt, match=r"stopped after epoch 2; the same call goes on from .*net-epoch-2\.mat"
    ):
        fit(tmp_path, getBatch=at_call(2 * BATCHES, press))
    assert len(load_checkpoint(tmp_path / "net-epoch-2.mat").stats.val) == 2
    with pytest.raises(
        KeyboardInterrupt, match=r"stopped after epoch 3; the same call goes on from .*net-epoch-3\.mat"
    ):
        fit(tmp_path, getBatch=at_call(3, press), val=np.nan)
    with pytest.raises(KeyboardInterrupt, match=r"stopped in epoch 4 after batch 3/3 of train; .*net-epoch-3\.mat"):
        fit(tmp_path, getBatch=at_call(3, press))


def test_while_the_last_checkpoint_is_written_nothing_is_lost(tmp_path):
    calls = []

    def last(net, opts, state):
        calls.append(opts["epoch"])
        if opts["epoch"] == 2:
            press()

    with pytest.raises(
        KeyboardInterrupt, match=r"stopped after epoch 2; the same call goes on from .*net-epoch-2\.mat"
    ):
        fit(tmp_path, numEpochs=2, postEpochFn=last)
    found = fit(tmp_path, numEpochs=2, postEpochFn=last)
    assert calls == [1, 2]
    assert np.array_equal(found[0], fit(None, numEpochs=2)[0])


def test_the_text_says_what_the_next_call_does(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="batch 2/3 of train; nothing of it is kept, as expDir is None"):
        fit(None, getBatch=at_call(2, press))
    with pytest.raises(KeyboardInterrupt, match="has no checkpoint yet, and the same call begins anew"):
        fit(tmp_path, getBatch=at_call(2, press))
    with pytest.raises(KeyboardInterrupt, match=r"the same call with continue_=True goes on from .*net-epoch-1\.mat"):
        fit(tmp_path, getBatch=at_call(BATCHES + 1, press), continue_=False)


def test_trainings_in_threads_leave_it_to_the_main_thread(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(fit(tmp_path)))
    thread.start()
    while thread.is_alive():
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        thread.join(0.01)
    assert np.array_equal(found[0][0], fit(None)[0])


SCRIPT = """
import signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import processes

folder, stuck = Path(sys.argv[2]), sys.argv[3] == "stuck"

def batch(imdb, images):
    if (folder / "net-epoch-2.mat").exists():
        print("third epoch")
        time.sleep(60 if stuck else 0.1)
    return processes.get_batch(imdb, images)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    processes.fit(getBatch=batch, processes=2, numEpochs=40, expDir=folder, verbose=True)
"""


def distributed_run(tmp_path, kind, pauses, send):
    """(last line, exit code, seconds from the last Ctrl-C until the last process has ended) of a run in 2 processes."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.Popen(
        [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path / "run"), kind],
        env={**env, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert any(line == "third epoch\n" for line in run.stdout)
        for pause in pauses:
            time.sleep(pause)
            began = time.monotonic()
            send(run.pid, signal.SIGINT)
        text, _ = run.communicate(timeout=60)  # until no process is left that could write
        return text.splitlines()[-1], run.returncode, time.monotonic() - began
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()


def test_all_processes_of_a_distributed_training_stop_after_the_batch(tmp_path):
    pytest.importorskip("torch")
    # a terminal sends it to all of them
    line, code, _ = distributed_run(tmp_path, "goes on", [0.1], os.killpg)
    assert line.startswith("KeyboardInterrupt: cnn_train: stopped; the same call goes on from ")
    assert line.endswith("net-epoch-2.mat") and code == -signal.SIGINT
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"net-epoch-1.mat", "net-epoch-2.mat", "training.json"}


def test_a_second_one_ends_a_distributed_training_at_once(tmp_path):
    pytest.importorskip("torch")
    # `kill -INT` sends it to the one that started the others
    line, code, seconds = distributed_run(tmp_path, "stuck", [0.2, 1.2], os.kill)
    assert line.startswith("KeyboardInterrupt") and code == -signal.SIGINT and seconds < 20
