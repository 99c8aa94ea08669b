"""Kernels on disk are compiled again when any file that they are made of has changed."""

import os
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends.cpu.hardware import isa
from pyconvnet.threads import parallel_region

compiled = import_module("pyconvnet.backends.cpu.compiled")  # the package has a function of that name


def test_a_change_of_any_source_file_changes_the_stamp(tmp_path):
    (tmp_path / "inner").mkdir()
    for name in ("kernel.py", "inner/called.py"):
        (tmp_path / name).write_text("1")
    seen = {compiled.stamp.__wrapped__(tmp_path)}
    (tmp_path / "inner" / "called.py").write_text("22")
    seen.add(compiled.stamp.__wrapped__(tmp_path))
    os.utime(tmp_path / "kernel.py", (9e9, 9e9))
    seen.add(compiled.stamp.__wrapped__(tmp_path))
    assert len(seen) == 3


@pytest.mark.skipif(isa() == "plain", reason="nothing is compiled")
def test_kernels_on_disk_carry_the_stamp_of_all_files():
    from pyconvnet.backends.cpu import hardware, warmup

    now = compiled.stamp(Path(compiled.__file__).parent)
    hardware.tile()
    pcn.vl_nnrelu(np.ones((4, 4, 3, 1), np.float32))
    entries = [form.entry for kernel in warmup.kernels() for form in kernel.forms.values()]
    every = [compiled.in_use[0][0], *entries]
    assert entries
    kept = [getattr(kernel._cache, "_cache_file", None) for kernel in every]
    assert kept and all(k is None or k._source_stamp[1] == now for k in kept)


@pytest.mark.skipif(isa() == "plain", reason="nothing is compiled")
def test_a_kernel_that_gets_no_memory_is_an_error_and_the_next_call_is_right():
    @compiled.parallel()
    def fill(t, threads, count, out):
        out[t] = np.zeros(count)[0] + count

    out = np.ones(2)
    with parallel_region(), pytest.raises(MemoryError, match="too little memory for the kernel fill"):
        fill(2, 1 << 60, out)
    with parallel_region():
        fill(2, 3, out)
    assert out.tolist() == [3, 3]
