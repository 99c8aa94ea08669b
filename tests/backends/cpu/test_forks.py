"""Forked processes: what worked in the parent works in them, to the same results, and no pool waits for ever."""

from __future__ import annotations

import os

import pytest
from support import python

from pyconvnet.backends.cpu.hardware import isa

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or isa() == "plain", reason="no fork, or no threads")

START = """
import multiprocessing, os, sys, threading
import numpy as np, pyconvnet as pcn

def network(seed):
    random = np.random.default_rng(seed)
    x = random.standard_normal((24, 20, 17, 2), dtype=np.float32)
    f = random.standard_normal((3, 3, 17, 40), dtype=np.float32)
    b = random.standard_normal(40, dtype=np.float32)
    y = pcn.vl_nnconv(x, f, b, pad=1)
    z = pcn.vl_nnpool(pcn.vl_nnrelu(y), 2, stride=2)
    normal, moments = pcn.vl_nnbnorm(y, b, b)
    return [y, z, normal, moments, *pcn.vl_nnconv(x, f, b, y, pad=1), pcn.vl_nnsoftmax(z)]

def equal(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a, b))

def child(answer):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if answer() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

pcn.set_num_threads(2)
"""


def output(code: str, layer: str = "default") -> str:
    done = python(START + code, timeout=180, env={**os.environ, "NUMBA_THREADING_LAYER": layer})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_a_pool_of_forked_workers_computes_what_its_parent_does_bit_for_bit(layer):
    code = """
want = [network(seed) for seed in range(4)]
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map_async(network, [0, 1, 2, 3] * 3).get(90)
print(all(equal(one, want[i % 4]) for i, one in enumerate(found)), equal(network(0), want[0]))
"""
    assert output(code, layer) == "True True"


def test_predict_in_a_forked_worker():
    code = """
from pyconvnet.models.sentence import LETTERS
net = pcn.load(LETTERS)
x = np.random.default_rng(0).random((32, 64, 1, 2), dtype=np.float32)
want = pcn.predict(net, x)
def work(x):
    return pcn.predict(net, x)
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(np.array_equal(pool.apply_async(work, [x]).get(90), want))
"""
    assert output(code) == "True"


def test_a_fork_while_other_threads_compute_waits_for_them():
    code = """
want, busy = network(0), True
def work():
    while busy:
        network(1)
others = [threading.Thread(target=work) for _ in range(2)]
for thread in others:
    thread.start()
codes = {child(lambda: equal(network(0), want)) for _ in range(20)}
busy = False
for thread in others:
    thread.join()
print(codes)
"""
    assert output(code) == "{0}"


def test_forks_of_forks_threads_of_forks_and_forks_of_threads():
    code = """
from concurrent.futures import ThreadPoolExecutor
want = network(0)
def right():
    return equal(network(0), want)
def with_threads():
    with ThreadPoolExecutor(3) as pool:
        return all(pool.map(lambda _: right(), range(6)))
print(child(lambda: right() and child(right) == 0), child(with_threads))
with ThreadPoolExecutor(1) as pool:
    print(pool.submit(lambda: child(right)).result())
"""
    assert output(code).split() == ["0", "0", "0"]


def test_a_fork_before_any_kernel_ran_keeps_all_threads():
    code = """
from pyconvnet import threads
def fresh():
    network(0)
    return not threads._forked
print(child(fresh))
"""
    assert output(code) == "0"


def test_the_users_own_parallel_functions_run_in_the_child_as_well():
    code = """
import numba
@numba.njit(parallel=True)
def total(x):
    s = 0.0
    for i in numba.prange(len(x)):
        s += x[i]
    return s
network(0)
print(total(np.ones(1000)), child(lambda: total(np.ones(1000)) == 1000))
"""
    assert output(code) == "1000.0 0"


def test_where_numba_cannot_go_on_one_error_says_what_to_do():
    code = """
network(0)
import numba
if numba.threading_layer() == "omp" and sys.modules["numba.np.ufunc.omppool"].openmp_vendor == "GNU":
    del sys.modules["numba.np.ufunc.omppool"].launch_threads
    def refused():
        try:
            network(0)
        except RuntimeError as error:
            return "spawn" in str(error) and "forked" in str(error)
    print(child(refused))
else:
    print("other threads")
"""
    assert output(code) in ("0", "other threads")


def test_a_spawned_worker_has_threads_of_its_own(tmp_path):
    code = """
sys.path.insert(0, sys.argv[1])
from work import network
if __name__ == "__main__":
    want = network(0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(equal(pool.apply_async(network, [0]).get(150), want))
"""
    (tmp_path / "work.py").write_text(START)
    done = python(START + code, tmp_path, timeout=180)
    assert done.stdout.strip() == "True", done.stderr
