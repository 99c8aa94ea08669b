"""The threads of a team keep off the processor of the one that leads it."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from support import python

import pyconvnet as pcn
from pyconvnet.backends.cpu import placement
from pyconvnet.threads import parallel_region

pytestmark = pytest.mark.skipif(
    placement._of_system() is None or len(os.sched_getaffinity(0)) < 2 or placement._processor() is None,
    reason="there is but one processor, or the system is not asked to place threads",
)


@pytest.fixture
def processors():
    """Those that this process may use; all threads may use all of them again afterwards."""
    allowed = os.sched_getaffinity(0)
    yield sorted(allowed)
    with parallel_region():
        for member in placement.numbers(2):
            os.sched_setaffinity(member, allowed)
    placement._leader.place = None


def run_kernel():
    with pcn.num_threads(2):
        pcn.vl_nnrelu(np.ones((8, 8, 16, 1), np.float32))


def others():
    """Where the other threads of a team may run, after a kernel."""
    with parallel_region():
        members = placement.numbers(2) - {threading.get_native_id()}
    assert len(members) == 1
    return [os.sched_getaffinity(member) for member in members]


@pytest.mark.parametrize("at", [0, 1])
def test_the_others_may_run_on_any_processor_but_that_of_their_leader(processors, monkeypatch, at):
    monkeypatch.setattr(placement, "_processor", lambda: lambda: processors[at])
    run_kernel()
    assert others() == [set(processors) - {processors[at]}]
    assert os.sched_getaffinity(0) == set(processors)


def test_they_make_room_again_when_it_has_moved(processors, monkeypatch):
    places = iter([*processors[:2], *processors[:2]])
    monkeypatch.setattr(placement, "_processor", lambda: lambda: next(places))
    for at in (0, 1, 0, 1):
        run_kernel()
        assert others() == [set(processors) - {processors[at]}]


def test_a_recorded_run_makes_room_too(processors, monkeypatch):
    net, x = pcn.deploy(pcn.models.build("lenet", seed=0)), np.ones((28, 28, 1, 3), np.float32)
    with pcn.num_threads(2):
        for _ in range(3):
            pcn.predict(net, x)
        for at in (0, 1):
            monkeypatch.setattr(placement, "_processor", lambda at=at: lambda: processors[at])
            pcn.predict(net, x)
            assert others() == [set(processors) - {processors[at]}]


def test_more_threads_than_processors_stay_where_they_are(processors, monkeypatch):
    run_kernel()
    before = others()
    asked = []
    monkeypatch.setattr(placement, "_processor", lambda: lambda: asked.append(1) or processors[0])
    monkeypatch.setattr(os, "sched_setaffinity", None)
    with pcn.num_threads(len(processors) + 1):
        pcn.vl_nnrelu(np.ones((8, 8, 16, 1), np.float32))
    monkeypatch.undo()
    assert asked and others() == before


def test_threads_that_an_environment_variable_places_stay_there():
    code = """
import os, numpy as np, pyconvnet as pcn
from pyconvnet.backends.cpu import placement
from pyconvnet.threads import parallel_region
with pcn.num_threads(2):
    pcn.vl_nnrelu(np.ones((8, 8, 16, 1), np.float32))
with parallel_region():
    members = placement.numbers(2)
print(placement._leader.place, all(os.sched_getaffinity(m) == os.sched_getaffinity(0) for m in members))
"""
    done = python(code, env={**os.environ, "OMP_PROC_BIND": "false"})
    assert done.stdout == "None True\n", done.stderr
