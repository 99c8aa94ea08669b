"""A short form of `python -m tests.bench soak`, and that it finds what it looks for."""

import sys
from pathlib import Path

import pytest

import pyconvnet as pcn

sys.path.insert(0, str(Path(__file__).parent))
import footprint
import soak
import soak_chores
from soak_jobs import Jobs, chain, graph

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")


def test_threads_and_processes_at_once_give_the_bits_of_one_thread(capsys):
    assert soak.main(["--minutes", "0.1"]) == 0, capsys.readouterr().out


def test_sizes_that_do_not_repeat_leave_caches_within_their_bounds(tmp_path):
    for _ in soak_chores.sizes(tmp_path, 60):
        pass
    soak_chores.check_bounds()


def test_networks_that_are_gone_leave_nothing_in_the_caches(tmp_path):
    pcn.clear_caches()
    assert len(list(soak_chores.loads(tmp_path, 3))) == 3


@pytest.mark.parametrize("chore", ["features", "jpegs", "epochs"])
def test_work_of_one_kind_leaves_nothing_behind(chore, tmp_path):
    pytest.importorskip("PIL")
    said, faults = soak_chores.watched(chore, {"features": 200, "jpegs": 7, "epochs": 1}[chore], tmp_path)
    assert not [fault for fault in faults if "left" in fault], said


def test_what_is_wrong_or_left_is_found(tmp_path):
    pcn.save(tmp_path / "chain.mat", chain())
    pcn.save(tmp_path / "graph.mat", graph())
    jobs = Jobs(chain(), tmp_path, sizes=[(9, 9, 1)])
    want = {name: job() for name, job in jobs.all.items()}
    name = "predict_chain, 9 x 9 x 1, fast"
    assert soak.work(jobs, {**want, name: "other"}, 0, soak.time.monotonic() + 5)[1]
    pcn.set_precision("fast")
    held = footprint.Held([tmp_path])
    with open(tmp_path / "left", "w"):
        left = held.left(patience=0)
    assert left == {"descriptors": [str(tmp_path / "left")], "files": [str(tmp_path / "left")]}
    assert footprint.growth([(t, 100 + t) for t in range(30)], 3) == pytest.approx(18 / 107)
    assert footprint.growth([(t, 100) for t in range(9)], 3) is None
