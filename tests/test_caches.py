"""What is kept from call to call can be given back; the precision of a block is its own thread's."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.backends.cpu import _folded, hardware
from pyconvnet.engine import fusion
from pyconvnet.precision import get_precision


def network():
    random = np.random.default_rng(0)
    net = pcn.DagNN()
    net.addLayer("c", pcn.dagnn.Conv(size=[3, 3, 16, 32], pad=1), "x", "a", ["f", "b"])
    net.addLayer("n", pcn.dagnn.BatchNorm(numChannels=32), "a", "y", ["g", "h", "m"])
    net.initParams()
    net.params["m"].value = random.random((32, 2), np.float32) + 0.5
    net.mode = "test"
    return net, random.standard_normal((12, 12, 16, 2), np.float32)


@pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is packed on this CPU")
def test_all_that_is_kept_can_be_given_back_and_nothing_changes():
    from pyconvnet.backends.cpu import direct, filter_cache, layout

    net, x = network()
    net.eval({"x": x})
    before = net.vars["y"].value.copy()
    pcn.vl_nnconv(x, np.ones((1, 1, 16, 8), np.float32), None)  # not by Winograd's algorithm
    assert filter_cache._entries and _folded and fusion._known_plan.cache_info().currsize
    assert direct._plan.cache_info().currsize
    pcn.clear_caches()
    kept = (filter_cache._entries, _folded, layout._kept, layout._free)
    assert not any(kept)
    assert not direct._plan.cache_info().currsize and not fusion._known_plan.cache_info().currsize
    net.eval({"x": x})
    assert np.array_equal(net.vars["y"].value, before)


@pytest.mark.skipif(hardware.isa() == "plain", reason="nothing is folded on this CPU")
def test_a_folded_normalization_goes_with_its_network():
    pcn.clear_caches()
    net, x = network()
    net.eval({"x": x})
    assert len(_folded) == 1
    del net
    gc.collect()
    assert not _folded


def test_the_precision_of_a_block_ends_with_it_and_is_of_its_own_thread():
    with pcn.local_precision("high"):
        with pcn.local_precision("fast"):
            assert get_precision() == "fast"
        assert get_precision() == "high"
    assert get_precision() == "fast"
    both = Barrier(2)

    def seen(precision):
        with pcn.local_precision(precision):
            both.wait(10)
            found = get_precision()
            both.wait(10)
        return found

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(seen, ("high", "fast"))) == ["high", "fast"]
    names = "'fast', 'high', 'half', 'bfloat16'"
    with pytest.raises(ValueError, match=f"local_precision: precision must be one of {names}, got"):
        pcn.local_precision("exact").__enter__()


@pytest.mark.parametrize("trains", [False, True])
def test_another_thread_may_give_it_back_at_any_time(trains):
    net = pcn.models.build("lenet", seed=0)
    x = np.random.default_rng(0).standard_normal((28, 28, 1, 1), np.float32)
    net.layers[-1]["class"] = np.ones(1, np.float32)

    def run():
        if trains:
            return pcn.vl_simplenn(net, x, 1, mode="normal", conserveMemory=True)[0].dzdw[0].tobytes()
        return pcn.predict(net, x).tobytes()

    expected = run()
    ended = Event()

    def clear():
        while not ended.wait(0.001):
            pcn.clear_caches()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = Thread(target=clear)
    thread.start()
    try:
        assert {run() for _ in range(300)} == {expected}
    finally:
        ended.set()
        thread.join()
        sys.setswitchinterval(before)
