"""One process at a time trains in an expDir, and clears what killed ones left there."""

import os
import signal
import socket
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet import atomic, locks
from pyconvnet.training.expdir import LOCK, claimed
from tests.faults.checks import fit

HOLD = """
import os, sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from pyconvnet.training.expdir import claimed
with claimed("cnn_train", Path(sys.argv[1])):
    if sys.argv[3] == "fork" and os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    elif sys.argv[3] != "fork":
        print("held", flush=True)
    time.sleep(60)
"""
posix = pytest.mark.skipif(os.name == "nt", reason="of POSIX processes")


def holder(folder, how="plain"):
    """(process that trains in the folder, what it printed)."""
    command = [sys.executable, "-c", HOLD, str(folder), str(ROOT), how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_another_process_in_the_same_folder_is_refused_by_name_and_taken_over_when_it_was_killed(tmp_path):
    process, _ = holder(tmp_path)
    try:
        with pytest.raises(RuntimeError) as refused:
            fit(False, tmp_path, 1)
        assert names(tmp_path) == [LOCK]
    finally:
        process.kill()
        process.wait()
    said = str(refused.value)
    assert said.startswith(f"cnn_train: {tmp_path} is in use by process {process.pid} on {socket.gethostname()} since")
    assert said.endswith("(-c): wait for its end, or give another expDir") and "\n" not in said
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(False, tmp_path, 1)
    assert names(tmp_path) == ["net-epoch-1.mat", "training.json"]


@posix
def test_a_child_of_a_killed_process_does_not_keep_the_folder(tmp_path):
    process, child = holder(tmp_path, "fork")
    process.kill()
    process.wait()
    try:
        fit(False, tmp_path, 1)
        os.kill(int(child), 0)  # it lives
    finally:
        os.kill(int(child), signal.SIGKILL)


@posix
def test_a_forked_child_that_leaves_the_block_takes_nothing_away(tmp_path):
    with claimed("cnn_train", tmp_path):
        child = os.fork()
        if child == 0:
            try:
                handle, _ = locks.take(tmp_path / LOCK)
                os._exit(0 if handle is None else 3)
            finally:
                os._exit(4)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert names(tmp_path) == [LOCK]


def test_threads_of_one_process_are_told_apart(tmp_path):
    said = []

    def second():
        try:
            fit(False, tmp_path, 1)
        except RuntimeError as error:
            said.append(str(error))

    def after(*_):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    fit(True, tmp_path, 1, after)
    assert len(said) == 1 and f"process {os.getpid()} on " in said[0]


def test_folds_are_trained_by_one_process_at_a_time(tmp_path):
    imdb = pcn.Struct(images=pcn.Struct(data=np.zeros((8, 8, 1, 6), np.float32), labels=np.arange(6) % 2 + 1))
    with claimed("cross_validate", tmp_path), pytest.raises(RuntimeError, match=r"cross_validate: .* is in use by"):
        pcn.cross_validate(lambda: None, imdb, lambda *_: None, folds=2, expDir=tmp_path)
    assert names(tmp_path) == []


def test_the_lock_goes_when_training_fails_and_nobody_needs_it_without_an_exp_dir(tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("of the user's own")

    with pytest.raises(RuntimeError, match="user's own"):
        fit(False, tmp_path, 1, fails)
    assert names(tmp_path) == ["net-epoch-1.mat", "training.json"]
    monkeypatch.setattr(locks, "take", fails)
    fit(False, None, 1)


def test_reading_needs_no_lock(tmp_path):
    fit(False, tmp_path, 1)
    with claimed("cnn_train", tmp_path):
        assert len(pcn.load(tmp_path / "net-epoch-1.mat").layers) == 5


def test_another_machine_is_named_with_what_to_delete(tmp_path):
    """The locks of NFS are seen on all machines; one that has let go of its lock was ended before it could clear up."""
    with claimed("cnn_train", tmp_path):
        (tmp_path / LOCK).write_text("process 12 on another since 2026-01-01 00:00:00 (train.py)\n")
        with pytest.raises(RuntimeError, match=rf"is in use by process 12 on another .* delete .*{LOCK}"):
            fit(False, tmp_path, 1)
    (tmp_path / LOCK).write_text("process 12 on another since 2026-01-01 00:00:00 (train.py)\n")
    with pytest.warns(UserWarning, match="was in use by process 12 on another .* training goes on here"):
        fit(False, tmp_path, 1)


def test_where_a_file_system_has_no_locks_the_name_in_the_file_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "lock", lambda handle: None)
    with claimed("cnn_train", tmp_path), pytest.raises(RuntimeError, match=f"process {os.getpid()} .* delete .*{LOCK}"):
        fit(False, tmp_path, 1)
    (tmp_path / LOCK).write_text("process 12 on another since then\n")
    with pytest.raises(RuntimeError, match=f"process 12 on another .* delete .*{LOCK}"):
        fit(False, tmp_path, 1)
    assert not locks._held
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / LOCK).write_text(f"process {ended.pid} on {socket.gethostname()} since then\n")
    if os.name != "nt":
        fit(False, tmp_path, 1)


@posix
def test_what_is_in_the_lock_is_only_shown_and_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "own").write_text("precious")
    folder = tmp_path / "exp"
    folder.mkdir()
    (folder / LOCK).symlink_to(tmp_path / "own")
    with pytest.raises(OSError, match=LOCK):
        fit(False, folder, 1)
    assert (tmp_path / "own").read_text() == "precious"
    (folder / LOCK).unlink()
    with claimed("cnn_train", folder):
        (folder / LOCK).write_bytes(b"\x1b[2J\xff\nprocess 0" * 100)
        with pytest.raises(RuntimeError) as refused:
            fit(False, folder, 1)
    assert "\x1b" not in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 500


@posix
def test_drafts_of_killed_processes_go_and_those_being_written_stay(tmp_path):
    for name in ("net-epoch-3.mat", "net-train.pdf", "net-diagnostics.pdf", "training.json", "report.html"):
        (tmp_path / f"{name}0123abcd.part").write_bytes(b"half")
    (tmp_path / "of the user.part").write_bytes(b"")
    (tmp_path / "linked01234567.part").symlink_to(tmp_path / "of the user.part")
    during = []

    def slow(draft):
        draft.write(b"a page")
        with claimed("cnn_train", tmp_path):
            during.extend(names(tmp_path))

    atomic.write(tmp_path / "report.html", slow)
    assert (tmp_path / "report.html").read_bytes() == b"a page"
    parts = [name for name in during if name.endswith(".part")]
    assert len(parts) == 3 and parts[0].startswith("linked") and parts[1] == "of the user.part"
    assert parts[2].startswith("report.html")


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "exp").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match=r"it is a file, and must be a folder: .*exp"):
        fit(False, tmp_path / "exp", 1)
