"""Benchmarks that call the library's inside run: nothing else would notice that they no longer fit it."""

import pytest
from support import ROOT, python

GPU = """
import numpy as np, gpu, networks
import pyconvnet as pcn

chain, (h, w, c) = networks.lenet()
block = networks._Chain(3).conv(3, 4, pad=1)
graph = block.add("sum", block.branch().conv(1, 4, relu=False).layers, []).conv(8, 5, relu=False).layers
for layers, size, classes in ((chain, (h, w, c), 10), (graph, (8, 8, 3), 5)):
    x = pcn.gpuArray(np.random.default_rng(0).standard_normal((*size, 4), dtype=np.float32), "torch:cpu")
    labels = np.arange(4) % classes + 1.0
    y = gpu.ours(layers, x, labels, False, "torch:cpu")()
    assert tuple(y.shape) == (1, 1, classes, 4), y.shape
    step = gpu.ours(layers, x, labels, True, "torch:cpu")
    step(), step()
print("done")
"""


def test_the_benchmark_on_tensors_runs_chains_and_graphs():
    pytest.importorskip("torch")
    done = python(f"sys.path.insert(0, {str(ROOT / 'tests' / 'bench')!r})\n" + GPU)
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr[-2000:]
