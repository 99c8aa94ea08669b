"""Runs that are recorded: the bits of a run layer by layer, and never an old result."""

import os
import threading

import numpy as np
import pytest
from recorded_networks import SIZES, blocks, images, inception, layers_in_python, networks
from support import python

import pyconvnet as pcn
from pyconvnet.backends import cpu
from pyconvnet.backends.cpu import hardware
from pyconvnet.engine import recorded

pytestmark = pytest.mark.skipif(cpu.isa() == "plain", reason="compiled kernels are what is recorded")


@pytest.fixture
def layer_by_layer(monkeypatch):
    return layers_in_python(monkeypatch)


@pytest.mark.parametrize("name", SIZES)
def test_a_recorded_run_gives_the_bits_of_its_layers(name, layer_by_layer):
    net = networks(name)
    deployed = pcn.deploy(net)
    xs = images(name)
    expected = [pcn.predict(pcn.deploy(net), x) for x in xs]
    for x in xs:
        pcn.predict(deployed, x)
    ran = sum(layer_by_layer)
    for order in (np.ascontiguousarray, np.asfortranarray, lambda x: np.ascontiguousarray(x[::-1])[::-1]):
        for x, y in zip(xs, expected):
            before = x.tobytes()
            found = pcn.predict(deployed, order(x))
            assert found.tobytes() == y.tobytes() and x.tobytes() == before
    assert sum(layer_by_layer) == ran, "layers ran in Python"


def test_results_belong_to_the_caller():
    net = pcn.deploy(networks("lenet"))
    first, second, _ = images("lenet")
    pcn.predict(net, first), pcn.predict(net, first)
    y = pcn.predict(net, first)
    kept = y.copy()
    y2 = pcn.predict(net, second)
    assert y.tobytes() == kept.tobytes() != y2.tobytes()
    y[:] = 0
    assert pcn.predict(net, first).tobytes() == kept.tobytes()


def test_other_sizes_and_changed_layers_are_recorded_anew():
    net = pcn.deploy(inception())
    x, wide = images("inception")[0], np.ones((9, 30, 3, 1), np.float32)
    for _ in range(3):
        y, other = pcn.predict(net, x), pcn.predict(net, wide)
    assert y.shape == (20, 21, 48, 2) and other.shape == (9, 30, 48, 1)
    net.layers["r"].block.leak = 0.5
    net.layers["a"].block.stride = 2
    net.rebuild()
    expected = pcn.predict(pcn.deploy(net), x)
    for _ in range(3):
        assert pcn.predict(net, x).tobytes() == expected.tobytes()
    net.layers["r"].block.leak = 0
    assert pcn.predict(net, x).min() == 0 > expected.min()
    net.params["eb"].value = np.full(48, 3, np.float32)
    assert pcn.predict(net, x).tobytes() == pcn.predict(pcn.deploy(net), x).tobytes()


def test_a_record_that_is_edited_counts_from_the_next_call():
    net = pcn.deploy(blocks())
    x = images("blocks")[0]
    before = [pcn.predict(net, x) for _ in range(3)][-1]
    net.layers[5].leak = 0.9
    assert pcn.predict(net, x).tobytes() == pcn.predict(pcn.deploy(net), x).tobytes() != before.tobytes()
    net.layers[-3] = pcn.Struct(type="sigmoid")
    assert pcn.predict(net, x).tobytes() == pcn.predict(pcn.deploy(net), x).tobytes()


def test_precision_threads_and_clear_caches():
    net = pcn.deploy(blocks())
    x = images("blocks")[0]
    fast = [pcn.predict(net, x) for _ in range(3)][-1]
    with pcn.local_precision("high"):
        high = [pcn.predict(net, x) for _ in range(3)][-1]
        assert high.tobytes() == pcn.predict(pcn.deploy(net), x).tobytes() != fast.tobytes()
    with pcn.num_threads(1):
        assert np.allclose([pcn.predict(net, x) for _ in range(3)][-1], fast, atol=1e-5)
    pcn.clear_caches()
    assert pcn.predict(net, x).tobytes() == fast.tobytes()


@pytest.mark.skipif(not (hardware.has_amx() or hardware.has_bfloat16()), reason="levels give the same numbers")
def test_a_recording_is_for_the_level_it_was_made_on(monkeypatch):
    net = pcn.deploy(blocks())
    x = images("blocks")[0]
    with pcn.local_precision("bfloat16"):
        best = [pcn.predict(net, x) for _ in range(3)][-1]
        monkeypatch.setenv("PYCONVNET_CPU", "avx2")
        expected = pcn.predict(pcn.deploy(net), x)
        for _ in range(3):
            assert pcn.predict(net, x).tobytes() == expected.tobytes() != best.tobytes()
        monkeypatch.delenv("PYCONVNET_CPU")
        assert pcn.predict(net, x).tobytes() == best.tobytes()


def test_threads_share_a_recording():
    net = pcn.deploy(networks("letters"))
    xs = images("letters", 8)
    expected = [pcn.predict(net, x) for x in xs]
    faults = []

    def work(at):
        for _ in range(20):
            if pcn.predict(net, xs[at]).tobytes() != expected[at].tobytes():
                faults.append(at)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not faults


def test_what_a_kernel_does_not_compute_is_not_recorded(layer_by_layer):
    class Doubled(pcn.layers.ElementWise):
        def forward(self, inputs, params):
            return [2 * inputs[0]]

    net = inception()
    net.addLayer("twice", Doubled(), "r", "twice")
    net = pcn.deploy(net)
    x, y, z = images("inception")
    expected = [pcn.predict(pcn.deploy(net), v) for v in (x, y, z)]
    for _ in range(2):
        assert [pcn.predict(net, v).tobytes() for v in (x, y, z)] == [v.tobytes() for v in expected]
    assert min(layer_by_layer) > 0


def test_weights_that_may_change_are_read_at_every_call():
    net = blocks()
    x = images("blocks")[0]
    before = [pcn.predict(net, x) for _ in range(3)][-1]
    net.layers[0].weights[0][0, 0, 0, 0] += 1
    assert pcn.predict(net, x).tobytes() != before.tobytes()


def test_the_other_values_of_a_network_are_forgotten_as_ever():
    net = pcn.deploy(inception())
    x = images("inception")[0]
    net.vars["r"].precious = True
    for _ in range(4):
        net.eval({"x": x})
        assert [v.name for v in net.vars if v.value is not None] == ["r"]
    chain = pcn.deploy(blocks())
    small = images("blocks")[0]
    res = None
    for _ in range(4):
        res = pcn.vl_simplenn(chain, small, None, res, mode="test", conserveMemory=True)
        assert [r.x is not None for r in res] == [False] * (len(res) - 1) + [True]


@pytest.mark.parametrize("deployed", [True, False])
def test_outputs_that_no_layer_reads_keep_their_values(deployed, monkeypatch, layer_by_layer):
    """Of a graph that is asked for its variables by name, as in MATLAB."""
    for bound in ("SLOW", "LARGE", "COPIED"):
        monkeypatch.setattr(recorded, bound, 1e12)
    net = inception()
    net.addLayer("pooled", pcn.dagnn.Pooling(poolSize=[2, 2]), "d", "pooled")
    net = pcn.deploy(net) if deployed else net
    xs = images("inception")
    expected = []
    for x in xs:
        net.eval({"x": x})
        expected.append([net.vars[name].value.tobytes() for name in ("r", "pooled")])
    for _ in range(recorded.PATIENCE):
        for x, values in zip(xs, expected):
            net.eval({"x": x})
            assert [v.name for v in net.vars if v.value is not None] == ["r", "pooled"]
            assert [net.vars[name].value.tobytes() for name in ("r", "pooled")] == values
    assert layer_by_layer[-1] == 0, "layers ran in Python"


def test_the_last_layer_has_the_time_of_a_run():
    net, x = pcn.deploy(inception()), images("inception")[0]
    for _ in range(3):
        net.eval({"x": x})
    times = [layer.forwardTime for layer in net.layers]
    assert times[-1] > 0 and not any(times[:-1])
    chain, x = pcn.deploy(networks("lenet")), images("lenet")[0]
    for _ in range(3):
        res = pcn.vl_simplenn(chain, x, mode="test", conserveMemory=True)
    assert res[-2].time > 0 and not any(r.time for r in res[:-2])


@pytest.mark.parametrize("deployed", [True, False])
def test_moments_that_are_all_zero_are_those_of_each_batch(deployed):
    net = inception()
    net.params["nm"].value[:] = 0
    net = pcn.deploy(net) if deployed else net
    for _ in range(recorded.PATIENCE):
        for x in images("inception"):
            with pytest.warns(UserWarning, match="moments are all zero"):
                net.eval({"x": x})
                found = net.vars["r"].value
                whole = net.copy()
                whole.conserveMemory, whole.mode = False, "test"
                whole.eval({"x": x})
            np.testing.assert_allclose(found, whole.vars["r"].value, rtol=0, atol=2e-5 * abs(found).max())


def test_sizes_that_come_once_leave_little_behind():
    net = pcn.deploy(inception())
    net.vars["r"].precious = True
    for h in range(9, 89):
        net.eval({"x": np.ones((h, 9, 3, 1), np.float32)})
    kept = net._plan._recordings
    assert len(kept._waiting) == 16 * recorded.MOST and not kept._runs
    for h in range(80, 89):
        net.eval({"x": np.ones((h, 9, 3, 1), np.float32)})
    assert len(kept._runs) == recorded.MOST


def test_a_first_image_of_nan_is_no_excuse(layer_by_layer):
    net = pcn.deploy(networks("lenet"))
    bad, x, _ = images("lenet")
    bad[0, 0] = np.nan
    expected = pcn.predict(pcn.deploy(net), x)
    pcn.predict(net, bad), pcn.predict(net, bad)
    assert pcn.predict(net, x).tobytes() == expected.tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are spawned there")
def test_a_forked_process_plays_what_was_recorded_before():
    code = """
import os, numpy as np, pyconvnet as pcn
from pyconvnet import models
net, x = pcn.deploy(models.build("lenet", seed=0)), np.ones((28, 28, 1, 3), np.float32)
with pcn.num_threads(2):
    y = [pcn.predict(net, x) for _ in range(3)][-1]
    child = os.fork()
    if not child:
        os._exit(0 if pcn.predict(net, x).tobytes() == y.tobytes() else 1)
    print(os.waitpid(child, 0)[1], pcn.predict(net, x).tobytes() == y.tobytes())
"""
    done = python(code)
    assert done.stdout == "0 True\n", done.stderr
