"""warmup reaches every kernel; without a cache that can be written, everything works and only takes time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import python

from pyconvnet.backends.cpu import hardware
from pyconvnet.backends.cpu import warmup as warmup_module
from pyconvnet.backends.cpu.warmup import warmup

RELU = "import numpy as np, pyconvnet\nprint(pyconvnet.vl_nnrelu(np.ones((4, 4, 3, 1), np.float32)).sum())\n"


@pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
def test_every_kernel_is_ready_afterwards(tmp_path):
    code = """
from pyconvnet.backends.cpu import compiled, hardware
from pyconvnet.backends.cpu.warmup import kernels, warmup
count = warmup(progress=True)
assert count == len(kernels()) + 1 > 20, count
without = 0 if hardware.has_bfloat16() or hardware.has_amx() else 2
assert compiled.compiled_now == compiled.MOST - without, compiled.compiled_now
print([k.__name__ for k in kernels() if not k.forms])
"""
    done = python(code, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)})  # where nothing has been compiled yet
    assert done.stdout.strip() == "[]"
    assert done.stderr.endswith("\n")


@pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
@pytest.mark.parametrize("tqdm, end", [(True, "100%"), (False, "warmup: 2/2\n")])
def test_progress_is_a_bar_of_tqdm_or_lines_without_it(monkeypatch, capsys, tqdm, end):
    done = []
    monkeypatch.setattr(warmup_module, "_calls", lambda: [lambda: done.append(1), lambda: done.append(2)])
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    warmup(progress=True)
    shown = capsys.readouterr().err
    assert done == [1, 2]
    assert end in shown and shown.startswith("warmup: 1/2\n") == (not tqdm)


def test_nothing_is_compiled_where_numpy_does_the_work(monkeypatch):
    monkeypatch.setenv("PYCONVNET_CPU", "plain")
    assert warmup() == 0


def test_a_cache_folder_that_is_missing_or_read_only_only_costs_time(tmp_path):
    sealed = tmp_path / "sealed"
    sealed.write_text("a file, in which no folder can be made")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(sealed / "cache")}
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", RELU], env=environment, cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "48.0"


@pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
def test_one_line_says_that_kernels_are_compiled_and_none_that_they_are_loaded(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYCONVNET_QUIET": ""}
    first, second = (python(RELU, env=environment) for _ in range(2))
    assert first.stdout == second.stdout == "48.0\n"
    assert first.stderr.count("\n") == 1
    assert first.stderr.startswith("pyconvnet: compiling kernels for this CPU, once, takes ")
    assert second.stderr == ""


@pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is compiled on this CPU")
def test_the_line_says_that_every_process_compiles_and_can_be_hidden():
    nowhere = "from pyconvnet.backends.cpu import kernel_folders\nkernel_folders._places = lambda: []\n"
    told, hidden = (python(nowhere + RELU, env={**os.environ, "PYCONVNET_QUIET": quiet}) for quiet in "01")
    assert told.stdout == hidden.stdout == "48.0\n"
    assert told.stderr.count("\n") == 1 and "by every process" in told.stderr and "NUMBA_CACHE_DIR" in told.stderr
    assert hidden.stderr == ""
