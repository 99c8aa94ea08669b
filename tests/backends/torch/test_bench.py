"""The steps that `python -m tests.bench gpu` times run."""

import importlib

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn

pytest.importorskip("torch")


@pytest.mark.parametrize("step", [False, True], ids=["forward", "step"])
@pytest.mark.parametrize("graph", [False, True], ids=["chain", "graph"])
def test_what_is_timed_runs(monkeypatch, graph, step):
    monkeypatch.syspath_prepend(ROOT / "tests" / "bench")
    gpu = importlib.import_module("gpu")
    f, b = np.ones((3, 3, 2, 2), np.float32) / 9, np.zeros(2, np.float32)
    conv = ("conv", f, b, 1, (1, 1, 1, 1), 1)
    layers = [conv, ("relu",), *([("sum", [conv], [("relu",)])] if graph else []), ("pool", 4, 1, (0, 0, 0, 0), "avg")]
    x = pcn.gpuArray(np.random.default_rng(0).random((4, 4, 2, 3), dtype=np.float32), "torch:cpu")
    run = gpu.ours(layers, x, np.array([1, 2, 1], np.float32), step, "torch:cpu")
    first, second = run(), run()
    assert first is second is None if step else first.equal(second)
