"""Threads: the user's limit holds, results repeat bit for bit, and calls from several Python threads are safe."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import python

import pyconvnet
from pyconvnet import threads


@pytest.fixture(autouse=True)
def limit_restored():
    before = threads._process_limit
    yield
    threads._process_limit = before
    threads._limit_blas(before or threads._cores())


def network(seed):
    """A few layers forward and backward, all results."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((24, 20, 17, 2), dtype=np.float32)
    f = random.standard_normal((3, 3, 17, 40), dtype=np.float32)
    b = random.standard_normal(40, dtype=np.float32)
    y = pyconvnet.vl_nnconv(x, f, b, pad=1)
    z = pyconvnet.vl_nnpool(pyconvnet.vl_nnrelu(y), 2, stride=2)
    dy = pyconvnet.vl_nnpool(y, 2, z, stride=2)
    normal, moments = pyconvnet.vl_nnbnorm(dy, b, b)
    return [y, z, dy, normal, moments, *pyconvnet.vl_nnconv(x, f, b, dy, pad=1), pyconvnet.vl_nnsoftmax(z)]


def equal(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a, b))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_repeat_bit_for_bit_with_the_same_number_of_threads(count):
    with pyconvnet.num_threads(count):
        first = network(0)
        assert all(equal(first, network(0)) for _ in range(5))


def test_results_depend_on_the_number_of_threads_by_rounding_only():
    with pyconvnet.num_threads(1):
        one = network(0)
    for count in (2, 3, 7):
        with pyconvnet.num_threads(count):
            for a, b in zip(one, network(0)):
                assert np.abs(a - b).max() <= 1e-5 * np.abs(a).max()


def test_calls_from_several_python_threads_give_what_one_gives():
    expected = [network(seed) for seed in range(4)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(network, list(range(4)) * 8))
    assert all(equal(results[i], expected[i % 4]) for i in range(32))


def test_the_limit_is_set_for_everybody_and_in_a_block_for_one_thread():
    pyconvnet.set_num_threads(1)
    assert threads.get_num_threads() == 1
    with pyconvnet.num_threads(3):
        assert threads.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(threads.get_num_threads).result() == 1
    assert threads.get_num_threads() == 1


def test_numpys_blas_gets_the_same_limit():
    if threads._openblas() is None:
        pytest.skip("this numpy has no OpenBLAS of its own")
    get, _ = threads._openblas()
    before = get()
    with pyconvnet.num_threads(1):
        assert get() == 1
    assert get() == before


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_number_of_threads_that_is_none_is_refused(n, error):
    with pytest.raises(error, match="set_num_threads: n must be"):
        pyconvnet.set_num_threads(n)
    with pytest.raises(error, match="num_threads: n must be"), pyconvnet.num_threads(n):
        pass


def test_without_a_folder_for_kernels_everything_works():
    """As for a package installed by root and a user without a home."""
    code = """
from pyconvnet.backends.cpu import kernel_folders
kernel_folders._places = lambda: []
import numpy as np, pyconvnet
x = np.ones((4, 4, 3, 1), np.float32)
print(pyconvnet.vl_nnrelu(x).sum(), kernel_folders.folder())
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "48.0 None"


@pytest.mark.parametrize("mine", [None, "7"])
def test_how_long_threads_wait_is_set_for_openmp_alone(mine):
    code = """
import os
import numpy as np, pyconvnet
print(os.environ.get("GOMP_SPINCOUNT"))
with pyconvnet.num_threads(2):
    pyconvnet.vl_nnrelu(np.ones((64, 64, 16, 8), np.float32))
print(os.environ.get("GOMP_SPINCOUNT"))
"""
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"} | (
        {"GOMP_SPINCOUNT": mine} if mine else {}
    )
    done = python(code, env=environment)
    assert done.stdout.split() == [str(mine)] * 2, done.stderr
