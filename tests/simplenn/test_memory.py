"""Running in test mode takes little more memory than the activations that must be there at once."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from pyconvnet import vl_simplenn, vl_simplenn_tidy
from pyconvnet.backends.cpu import hardware


@pytest.mark.skipif(hardware.isa() == "plain", reason="numpy's matrices of patches are larger")
@pytest.mark.parametrize("side", [96, 160])
def test_no_more_than_twice_the_two_largest_neighbours_beside_the_packed_filters(side):
    from pyconvnet.backends.cpu import filter_cache, layout

    random = np.random.default_rng(0)

    def conv(size, depth, count):
        f = random.standard_normal((size, size, depth, count), dtype=np.float32)
        return {"type": "conv", "weights": [f, np.zeros(count, np.float32)], "pad": size // 2}

    layers = [conv(3, 3, 32), {"type": "relu"}, conv(3, 32, 32), {"type": "relu"}, conv(5, 32, 32), {"type": "relu"}]
    layers += [{"type": "pool", "pool": [2, 2], "stride": 2}, conv(3, 32, 64), {"type": "lrn", "param": [5, 1, 1, 0.5]}]
    layers += [conv(1, 64, 64), {"type": "sigmoid"}, {"type": "pool", "pool": [3, 3], "stride": 2}, conv(3, 64, 64)]
    net = vl_simplenn_tidy({"layers": layers})
    x = random.standard_normal((2, side, side, 3), dtype=np.float32).transpose(1, 2, 3, 0)
    sizes = [r.x.nbytes for r in vl_simplenn(net, x, mode="test")]
    vl_simplenn(net, x, mode="test", conserveMemory=True)  # compiles
    layout.release_scratch()
    filter_cache.clear()
    tracemalloc.start()
    for _ in range(2):
        vl_simplenn(net, x, mode="test", conserveMemory=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    packed = sum(made.nbytes for _, made, _ in filter_cache._entries.values())
    assert peak <= 2 * max(map(sum, pairwise(sizes))) + packed
