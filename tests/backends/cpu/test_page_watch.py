"""Pages that nothing wrote to are not read again; every way of writing to them is seen."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import threading
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends.cpu import filter_cache, page_watch
from pyconvnet.backends.cpu.filter_cache import CALM, Watch
from pyconvnet.backends.cpu.page_watch import pages_of

OFTEN = 8 * CALM
needs_pages = pytest.mark.skipif(page_watch._system() is None, reason="the system does not note what is written to")


def array(floats=1 << 18):
    return np.random.default_rng(0).standard_normal(floats, np.float32)


def write_by_system_call(a):
    reader, writer = os.pipe()
    os.write(writer, b"\1" * 8)
    os.readv(reader, [a[300:302]])
    os.close(reader)
    os.close(writer)


def write_in_a_thread(a):
    thread = threading.Thread(target=a.__setitem__, args=(-5000, 9))
    thread.start()
    thread.join()


WRITES = {
    "element": lambda a: a.__setitem__(a.size // 2, 9),
    "first": lambda a: a.__setitem__(0, 9),
    "last": lambda a: a.__setitem__(-1, 9),
    "all": lambda a: np.multiply(a, 2, out=a),
    "a view": lambda a: a[::2].reshape(2, -1)[1].fill(0),
    "other kind": lambda a: a.view(np.uint8).__setitem__(a.nbytes // 3, 255 - a.view(np.uint8)[a.nbytes // 3]),
    "memory": lambda a: ctypes.memset(a.ctypes.data + a.nbytes // 2, 7, 4),
    "system call": write_by_system_call,
    "thread": write_in_a_thread,
}


def calm(watch):
    """Ask often enough that pages are watched."""
    for _ in range(OFTEN):
        assert watch
    return watch


@pytest.fixture
def read(monkeypatch):
    """Floats that each call of the checksum reads."""
    floats, kernel = [], filter_cache._checksum

    def counted(pieces, threads):
        floats.append(int(pieces[:, 1].sum()))
        return kernel(pieces, threads)

    monkeypatch.setattr(filter_cache, "_checksum", counted)
    return floats


@needs_pages
def test_what_stays_is_not_read(read):
    a, b = array(), array(1 << 15)
    watch = calm(Watch([a, b]))
    assert read[: CALM + 1] == [a.size + b.size] * (CALM + 1)
    del read[:]
    assert watch
    assert len(read) == 1 and b.size <= read[0] <= b.size + 2 * mmap.PAGESIZE // 4


@pytest.mark.parametrize("write", WRITES)
def test_whatever_writes_is_seen(write):
    a = array()
    watch, old = Watch([a]), a.copy()
    for _ in range(2):
        calm(watch)
        WRITES[write](a)
        assert not watch and not watch
        a[...] = old


def test_two_that_watch_the_same_memory_both_see_it():
    a = array()
    first, second = calm(Watch([a])), calm(Watch([a[1000:]]))
    a[-9] += 1
    assert not first
    later = calm(Watch([a]))  # protects the pages anew
    assert not second and not first and later
    a[-9] += 1
    assert not later


@needs_pages
def test_memory_that_is_written_to_often_is_left_alone():
    a = array()
    watch = Watch([a])
    waits = []
    for _ in range(3):
        asked = 0
        while not watch.pages:
            assert watch
            asked += 1
        waits.append(asked)
        a[5000] = a[5000]
        assert watch
        assert not watch.pages
    assert waits[1:] == [2 * CALM, 4 * CALM]


@needs_pages
def test_protection_ends_with_the_watch():
    a = array(1 << 22)
    watch = calm(Watch([a]))
    assert protected(a)
    del watch
    gc.collect()
    assert not protected(a)


def protected(a):
    """Whether Linux lists the memory in the middle of an array as protected."""
    place = a.ctypes.data + a.nbytes // 2
    here = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and ":" not in first:
            start, end = (int(each, 16) for each in first.split("-"))
            here = start <= place < end
        elif here and first == "VmFlags:":
            return "uw" in line.split()
    raise AssertionError("no such memory")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_and_child_each_see_their_own_writes():
    a = array()
    watch = calm(Watch([a]))
    child = os.fork()
    if child == 0:
        good = bool(watch)
        a[5000] = 9
        good = good and not watch
        other = Watch([a])
        good = good and all(other for _ in range(CALM + 3))
        a[5000] = 8
        os._exit(0 if good and not other else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert watch
    a[5000] = 9
    assert not watch


@needs_pages
def test_a_process_that_python_did_not_fork_reads(monkeypatch):
    """The pages that it may ask about are its parent's."""
    watch = calm(Watch([array()]))
    (pages,) = watch.pages
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert not pages.untouched()
    assert watch


def test_only_memory_of_numpy_is_taken(tmp_path):
    np.save(tmp_path / "a.npy", array())
    shared = shared_memory.SharedMemory(create=True, size=1 << 20)
    try:
        others = np.load(tmp_path / "a.npy", mmap_mode="c"), np.frombuffer(bytearray(1 << 20), np.float32)
        assert [pages_of(a) for a in others] == [None, None]
        lent = np.frombuffer(shared.buf, np.float32)
        assert pages_of(lent) is None
        assert pages_of(array(1000)) is None
        del lent
    finally:
        shared.close()
        shared.unlink()


def test_without_the_system_all_is_read(monkeypatch, read):
    monkeypatch.setattr(page_watch, "_system", lambda: None)
    a = array()
    watch = calm(Watch([a]))
    assert not watch.pages and read == [a.size] * (1 + OFTEN)
    a[7] += 1
    assert not watch


@needs_pages
def test_a_refusal_of_the_system_is_taken_for_a_write(monkeypatch):
    a = array()
    watch = calm(Watch([a]))
    (pages,) = watch.pages
    page_watch._system().forget(pages.start, pages.size)
    a[5000] += 1
    assert not watch
    monkeypatch.setattr(page_watch._System, "protect", lambda *_: (_ for _ in ()).throw(OSError("no")))
    assert pages_of(array()) is None


def test_a_network_edited_at_any_time_is_never_stale():
    random = np.random.default_rng(0)
    weights = [random.standard_normal((3, 3, 64, 128), np.float32), np.zeros(128, np.float32)]
    net = pcn.SimpleNN(layers=[pcn.Struct(type="conv", weights=weights, stride=1, pad=1)])
    net = pcn.vl_simplenn_tidy(net)
    x = random.standard_normal((12, 12, 64, 1), np.float32)
    f = net.layers[0].weights[0]
    for runs in range(20):
        for _ in range(runs):
            y = pcn.vl_simplenn(net, x, mode="test")[-1].x
        f[1, 1, runs, runs] += 1
        changed = pcn.vl_simplenn(net, x, mode="test")[-1].x
        assert np.abs(changed - pcn.vl_nnconv(x, f.copy(), weights[1], pad=1)).max() < 1e-3
        assert runs == 0 or not np.array_equal(changed, y)
