"""Weights that numpy itself moves to other memory, which it then gives back: no recording reads the old one."""

from __future__ import annotations

import numpy as np
import pytest
from support import python

from pyconvnet.backends import cpu
from pyconvnet.backends.cpu.unmoved import Unmoved


def array():
    return np.arange(360, dtype=np.float32).reshape(6, 5, 4, 3).copy()


@pytest.mark.filterwarnings("ignore:Setting the (strides|shape):DeprecationWarning")
@pytest.mark.parametrize(
    "move",
    [
        lambda a: a.__setstate__(array().__reduce__()[2]),
        lambda a: a.resize((1 << 15, 5, 4, 3), refcheck=False),
        lambda a: a.resize((5, 5, 4, 3), refcheck=False),
        lambda a: setattr(a, "strides", a.strides[::-1]),
        lambda a: setattr(a, "shape", (30, 12)),
        lambda a: setattr(a, "shape", (5, 6, 4, 3)),
    ],
    ids=["setstate", "larger", "smaller", "strides", "fewer dimensions", "shape"],
)
def test_what_moves_an_array_is_seen(move):
    first, a, last = array(), array(), array()[::-1]
    unmoved = Unmoved([first, a, last])
    assert unmoved
    first[...] = 3
    a[2, 1] *= 2
    assert unmoved
    move(a)
    assert not unmoved


def test_arrays_of_any_kind():
    frozen = np.frombuffer(bytes(16), np.float32)
    kinds = [np.array(3.0), np.zeros((0, 4)), frozen, np.asfortranarray(array()), array()[1:, ::2]]
    unmoved = Unmoved(kinds)
    assert unmoved and Unmoved([])
    frozen.__setstate__(frozen.__reduce__()[2])
    assert not unmoved


@pytest.mark.skipif(cpu.isa() == "plain", reason="compiled kernels are what is recorded")
@pytest.mark.parametrize("deployed", [True, False])
def test_a_recording_reads_no_memory_that_numpy_gave_back(deployed):
    code = f"""
import numpy as np, pyconvnet as pcn
from pyconvnet.engine import recorded

recorded.SLOW = recorded.LARGE = recorded.COPIED = 1e12
random = np.random.default_rng(0)
filters = random.standard_normal((32, 32, 4, 256), np.float32)  # of 4 MB: their memory goes back to the system
net = pcn.SimpleNN(layers=[pcn.Struct(type="conv", weights=[filters, np.zeros(256, np.float32)])])
net = pcn.deploy(net) if {deployed} else pcn.vl_simplenn_tidy(net)
x, w = random.standard_normal((32, 32, 4, 1), np.float32), net.layers[0].weights[0]
for _ in range(recorded.PATIENCE + 2):
    y = pcn.predict(net, x)
assert any(run for each in recorded._all for run in each._runs.values())
w.__setstate__((2 * w).__reduce__()[2])
found = pcn.predict(net, x)
print(np.allclose(found, 2 * y, rtol=1e-5, atol=1e-3))
"""
    done = python(code)
    assert done.stdout == "True\n", (done.returncode, done.stderr)
