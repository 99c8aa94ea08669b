"""Kernels on disk are compiled again when any file that they are made of has changed."""

import gc
import json
import os
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from support import ROOT

from pyconvnet.backends.cpu import kernel_folders
from pyconvnet.backends.cpu.hardware import isa
from pyconvnet.threads import parallel_region

compiled = import_module("pyconvnet.backends.cpu.compiled")  # the package has a function of that name


def test_a_change_of_any_source_file_changes_the_stamp(tmp_path):
    (tmp_path / "inner").mkdir()
    for name in ("kernel.py", "inner/called.py"):
        (tmp_path / name).write_text("1")
    stamp = kernel_folders.source_stamp.__wrapped__
    seen = {stamp(tmp_path)}
    (tmp_path / "inner" / "called.py").write_text("22")
    seen.add(stamp(tmp_path))
    os.utime(tmp_path / "kernel.py", (9e9, 9e9))
    seen.add(stamp(tmp_path))
    assert len(seen) == 3


needs_kernels = pytest.mark.skipif(isa() == "plain", reason="nothing is compiled")


@needs_kernels
@pytest.mark.parametrize("change", ["machine", "source", "sum", "code", "head", "gone"])
def test_only_a_whole_file_of_this_machine_and_these_sources_is_used(monkeypatch, tmp_path, change):
    monkeypatch.setattr(kernel_folders, "_folders", lambda: ([tmp_path], tmp_path))
    kernel_folders.write("k", "machine", "source", ["f"], b"code\nof a kernel")
    assert kernel_folders.read("k", "machine", "source") == (["f"], b"code\nof a kernel")
    (file,) = tmp_path.iterdir()
    head, _, code = file.read_bytes().partition(b"\n")
    if change == "gone":
        file.unlink()
    elif change == "code":
        file.write_bytes(head + b"\n" + code[:-1])
    elif change == "head":
        file.write_bytes(b"[]\n" + code)
    else:
        file.write_bytes(json.dumps({**json.loads(head), change: "another"}).encode() + b"\n" + code)
    assert kernel_folders.read("k", "machine", "source") is None


@needs_kernels
@pytest.mark.parametrize("features", ["+avx2,+fma", "+avx2, +fma", " +avx2 ,+fma\t"])
def test_spaces_between_the_features_of_a_cpu_do_not_matter(features):
    code = (
        "from importlib import import_module\n"
        "from pyconvnet.backends.cpu.hardware import _has\n"
        "machine = import_module('pyconvnet.backends.cpu.compiled')._machine()\n"
        "print(machine.name.split()[-1], _has('avx2'), _has('fma'), _has('avx512bf16'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": features},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["+avx2,+fma", "True", "True", "False"]), done.stderr


def run(fn, *args, threads=1):
    with parallel_region():
        compiled.parallel(fn)(threads, *args)


@needs_kernels
def test_a_disk_that_takes_no_kernel_costs_no_result(monkeypatch, tmp_path):
    def put(t, threads, out):
        out[0] = 5

    gone = tmp_path / "is gone"
    monkeypatch.setattr(kernel_folders, "_folders", lambda: ([gone], gone))
    out = np.zeros(1)
    run(put, out)
    assert out[0] == 5


@needs_kernels
def test_arrays_must_be_contiguous_and_each_element_type_has_its_own_code():
    def double(t, threads, x):
        for i in range(x.size):
            x[i] += x[i]

    kernel = compiled.parallel(double)
    for kind in (np.float32, np.float64, np.int64, np.float32):
        x = np.arange(5).astype(kind)
        with parallel_region():
            kernel(1, x)
        assert x.tolist() == [0, 2, 4, 6, 8]
    with parallel_region(), pytest.raises(TypeError, match="the kernel double was given an array that is not contig"):
        kernel(1, x[::2])


@needs_kernels
def test_functions_of_one_name_are_not_taken_for_one_another():
    def first():
        def put(t, threads, out):
            out[0] = 1

        return put

    def second():
        def put(t, threads, out):
            out[0] = 2

        return put

    for make, value in ((first, 1), (second, 2), (first, 1)):
        out = np.zeros(1)
        run(make(), out)
        assert out[0] == value


@needs_kernels
@pytest.mark.parametrize("on", [True, False])
def test_the_collector_waits_while_a_function_is_written_and_is_as_it_was_before(monkeypatch, on):
    monkeypatch.setattr(kernel_folders, "_places", lambda: [])
    kernel_folders._folders.cache_clear()
    found = []

    def write(module):
        found.append(gc.isenabled())
        raise ArithmeticError

    (gc.enable if on else gc.disable)()
    try:
        with pytest.raises(ArithmeticError):
            compiled.functions("nothing", write)
        assert found == [False] and gc.isenabled() == on
    finally:
        gc.enable()
        kernel_folders._folders.cache_clear()
