"""Test mode takes at most one and a half times the two largest neighbours among its values, and the packed filters."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.backends import cpu

pytestmark = pytest.mark.skipif(cpu.isa() == "plain", reason="numpy's convolution has copies of its own")


def denoiser():
    random = np.random.default_rng(0)
    layers = []
    for channels, count in ((1, 64), (64, 64), (64, 64), (64, 1)):
        filters = random.standard_normal((3, 3, channels, count), np.float32) / 24
        layers.append(pcn.Struct(type="conv", weights=[filters, np.zeros(count, np.float32)], pad=[1, 1, 1, 1]))
        layers.append(pcn.Struct(type="relu"))
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


@pytest.mark.parametrize("name, size", [("denoiser", (200, 256, 1, 1)), ("lenet", (28, 28, 1, 100))])
def test_memory_of_a_prediction(name, size):
    from pyconvnet.backends.cpu import filter_cache

    net = denoiser() if name == "denoiser" else pcn.SimpleNN(layers=models.build(name, seed=0).layers[:-1])
    x = np.random.default_rng(1).standard_normal(size, np.float32)
    sizes = [r.x.nbytes for r in pcn.vl_simplenn(net, x, mode="test")]
    two = max(a + b for a, b in pairwise(sizes))
    pcn.vl_simplenn(net, x, mode="test", conserveMemory=True)
    pcn.clear_caches()
    tracemalloc.start()
    try:
        pcn.vl_simplenn(net, x, mode="test", conserveMemory=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    filters = sum(made.nbytes for _, made, *_ in filter_cache._entries.values())
    assert two < peak <= 1.5 * two + filters
