"""Memory that a machine cannot have is not asked for: the system might give it, and end the process later."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends.cpu import hardware


@pytest.mark.skipif(hardware.isa() == "plain", reason="numpy asks for it")
def test_a_result_larger_than_the_memory_of_the_machine_is_refused():
    x, f = np.ones((4, 4, 3, 1), np.float32), np.ones((1, 1, 3, 4), np.float32)
    with pytest.raises(MemoryError, match="GB are needed at once, and this machine has"):
        pcn.vl_nnconv(x, f, None, pad=10_000_000)
    net = pcn.SimpleNN(layers=[pcn.Struct(type="conv", name="wide", weights=[f, np.zeros(4, np.float32)], pad=10**7)])
    with pytest.raises(ValueError, match=r"GB are needed at once.*in layer 1 'wide'"):
        pcn.vl_simplenn(net, x)
