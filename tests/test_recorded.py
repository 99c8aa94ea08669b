"""Runs that are recorded: the bits of a run layer by layer, and never an old result."""

import os
import threading

import numpy as np
import pytest
from support import python

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.backends import cpu
from pyconvnet.backends.cpu import filter_cache
from pyconvnet.engine import recorded, run
from pyconvnet.models.sentence import LETTERS

pytestmark = pytest.mark.skipif(cpu.isa() == "plain", reason="compiled kernels are what is recorded")
SIZES = {"letters": (32, 32, 1, 2), "lenet": (28, 28, 1, 3), "blocks": (40, 33, 3, 1), "inception": (20, 21, 3, 2)}


def networks(name):
    if name == "letters":
        return pcn.load(LETTERS)
    if name == "lenet":
        return models.build("lenet", seed=0)
    return blocks() if name == "blocks" else inception()


def conv(random, *size, **options):
    filters = random.standard_normal(size, np.float32) / np.float32(np.sqrt(np.prod(size[:3])))
    return pcn.Struct(type="conv", weights=[filters, random.standard_normal(size[3], np.float32)], **options)


def blocks():
    """Direct convolution, Winograd's, fully connected in both memory orders, both poolings, LRN, sigmoid, softmax."""
    random = np.random.default_rng(0)
    last = conv(random, 4, 3, 32, 300)
    last.weights[0] = np.asfortranarray(last.weights[0])
    layers = [
        conv(random, 3, 3, 3, 16, pad=[1, 1, 1, 1], stride=[1, 1]),
        pcn.Struct(type="relu"),
        pcn.Struct(type="normalize", param=[5, 1, 0.1, 0.75]),
        pcn.Struct(type="pool", method="max", pool=[3, 3], stride=[2, 2], pad=[0, 1, 0, 1]),
        conv(random, 3, 3, 16, 32, pad=[1, 1, 1, 1], stride=[1, 1]),
        pcn.Struct(type="relu", leak=0.1),
        pcn.Struct(type="pool", method="avg", pool=[2, 2], stride=[5, 5], pad=[0, 0, 0, 0]),
        pcn.Struct(type="dropout", rate=0.5),
        last,
        pcn.Struct(type="sigmoid"),
        conv(random, 1, 1, 300, 400),
        pcn.Struct(type="relu"),
        conv(random, 1, 1, 400, 7),
        pcn.Struct(type="softmaxloss"),
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


def inception():
    """Branches that are joined and added up, and normalizations that stay."""
    net, random = pcn.DagNN(), np.random.default_rng(1)
    net.addLayer("a", pcn.dagnn.Conv(size=[3, 3, 3, 16], pad=1), "x", "a", ["af", "ab"])
    net.addLayer("b", pcn.dagnn.Conv(size=[1, 1, 16, 24], pad=0), "a", "b", ["bf", "bb"])
    net.addLayer("c", pcn.dagnn.Conv(size=[3, 3, 16, 24], pad=1), "a", "c", ["cf", "cb"])
    net.addLayer("d", pcn.dagnn.Concat(), ["b", "c"], "d")
    net.addLayer("n", pcn.dagnn.BatchNorm(numChannels=48), "d", "n", ["ng", "nb", "nm"])
    net.addLayer("e", pcn.dagnn.Conv(size=[3, 3, 48, 48], pad=1), "n", "e", ["ef", "eb"])
    net.addLayer("s", pcn.dagnn.Sum(), ["e", "d"], "s")
    net.addLayer("r", pcn.dagnn.ReLU(), "s", "r")
    net.initParams()
    for param in net.params:
        param.value = random.standard_normal(param.value.shape, np.float32) / 5
    net.params["nm"].value = abs(net.params["nm"].value) + 1
    net.mode = "test"
    return net


def images(name, count=3):
    random = np.random.default_rng(7)
    return [random.standard_normal(SIZES[name], np.float32) for _ in range(count)]


@pytest.fixture
def layer_by_layer(monkeypatch):
    """How many layers ran in Python, in each run."""
    ran = []
    forward = run.forward
    for module in (run, recorded, __import__("pyconvnet.dagnn.evaluate", fromlist=["evaluate"])):
        monkeypatch.setattr(module, "forward", lambda *given: ran.append(forward(*given)) or ran[-1])
    return ran


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


class TestWeightsThatMayChange:
    """Networks that were not deployed are recorded too, and their weights are read before each run."""

    @pytest.fixture(autouse=True)
    def always_worth_it(self, monkeypatch):
        for bound in ("SLOW", "LARGE", "COPIED"):
            monkeypatch.setattr(recorded, bound, 1e12)

    @pytest.mark.parametrize("name", SIZES)
    def test_a_recorded_run_gives_the_bits_of_its_layers(self, name, layer_by_layer):
        net, xs = networks(name), images(name)
        fresh = networks(name)
        expected = []
        for x in xs:
            pcn.clear_caches()  # nothing is recorded
            expected.append(pcn.predict(fresh, x))
        for _ in range(recorded.PATIENCE):
            pcn.predict(net, xs[0])
        pcn.predict(net, xs[0])
        ran = sum(layer_by_layer)
        for x, y in zip(xs, expected):
            assert pcn.predict(net, x).tobytes() == y.tobytes()
        assert sum(layer_by_layer) == ran, "layers ran in Python"

    @pytest.mark.parametrize("name", SIZES)
    def test_any_weight_that_is_edited_in_place_counts_from_the_next_call(self, name):
        net, x = networks(name), images(name)[0]
        for _ in range(recorded.PATIENCE + 2):
            pcn.predict(net, x)
        for weights in self.weights_of(net):
            place = tuple(n // 2 for n in weights.shape)
            old = weights[place]
            weights[place] = 3 * old + 7
            changed = pcn.predict(net, x)
            pcn.clear_caches()
            assert changed.tobytes() == pcn.predict(net, x).tobytes()
            weights[place] = old
            for _ in range(recorded.PATIENCE + 2):
                pcn.predict(net, x)

    @staticmethod
    def weights_of(net):
        if hasattr(net, "params"):
            return [param.value for param in net.params]
        return [w for layer in net.layers for w in layer.get("weights") or ()]

    @pytest.mark.parametrize("name", SIZES)
    def test_weights_are_read_once_a_call(self, name, monkeypatch):
        pcn.clear_caches()
        net, x = networks(name), images(name)[0]
        for _ in range(recorded.PATIENCE + 2):
            pcn.predict(net, x)
        read = []
        kernel = filter_cache._checksums
        monkeypatch.setattr(filter_cache, "_checksums", lambda *given: read.append(given) or kernel(*given))
        pcn.predict(net, x)
        (run,) = (run for each in recorded._all for run in each._runs.values() if run is not None)
        entries = {form.entry for form in kernel.forms.values()}
        played = {call[0] for call in run.recording.calls if type(call) is tuple}
        assert len(read) == 1 and played and not entries & played

    @pytest.mark.filterwarnings("ignore:Setting the strides:DeprecationWarning")
    def test_weights_whose_elements_are_taken_in_another_order(self):
        net = networks("letters")
        x, filters = images("letters")[0], net.layers[0].weights[0]
        for _ in range(recorded.PATIENCE + 2):
            pcn.predict(net, x)
        filters.strides = (filters.strides[1], filters.strides[0], *filters.strides[2:])
        y = pcn.predict(net, x)
        pcn.clear_caches()
        assert y.tobytes() == pcn.predict(net, x).tobytes()

    def test_weights_that_change_to_and_fro_between_two_sizes_of_images(self):
        """Kept forms of filters that a recording counts on are not written over."""
        net, x = networks("lenet"), images("lenet")[0]
        wide = np.ones((30, 28, 1, 2), np.float32)
        filters = net.layers[2].weights[0]
        first, other = filters.copy(), filters[::-1].copy()
        for _ in range(recorded.PATIENCE + 2):
            y = pcn.predict(net, x)
        for _ in range(3):
            filters[...] = other
            pcn.predict(net, wide)
            filters[...] = first
            assert pcn.predict(net, x).tobytes() == y.tobytes()

    def test_each_change_makes_it_wait_twice_as_long(self, layer_by_layer):
        net, x = networks("lenet"), images("lenet")[0]
        waits = []
        for turn in range(3):
            net.layers[0].weights[0][...] *= 1 + turn
            for count in range(100):
                ran = sum(layer_by_layer)
                pcn.predict(net, x)
                if sum(layer_by_layer) == ran:
                    waits.append(count)
                    break
        assert waits[1] - 1 == 2 * (waits[0] - 1) and waits[2] - 1 == 4 * (waits[0] - 1)

    def test_training_and_validation_take_turns(self):
        """A network that learns gives the predictions of its newest weights."""
        net, x = networks("letters"), images("letters")[0]
        for _ in range(3):
            for _ in range(2 * recorded.PATIENCE):
                y = pcn.predict(net, x)
            for w in self.weights_of(net):
                w -= 0.01 * np.sign(w)
            assert pcn.predict(net, x).tobytes() != y.tobytes()

    @pytest.mark.parametrize("bound", ["SLOW", "LARGE", "COPIED"])
    def test_long_runs_and_large_images_are_not_worth_it(self, monkeypatch, layer_by_layer, bound):
        monkeypatch.setattr(recorded, bound, 0)
        net, x = networks("lenet"), images("lenet")[0]
        for _ in range(3 * recorded.PATIENCE):
            pcn.predict(net, x)
        assert all(layer_by_layer)

    def test_weights_in_memory_with_gaps_are_computed_layer_by_layer(self, layer_by_layer):
        net, x = networks("lenet"), images("lenet")[0]
        expected = pcn.predict(net, x)
        net.layers[2].weights[0] = np.repeat(net.layers[2].weights[0], 2, axis=0)[::2]
        for _ in range(2 * recorded.PATIENCE):
            assert pcn.predict(net, x).tobytes() == expected.tobytes()
        assert all(layer_by_layer)

    def test_filters_that_one_layer_reads_where_they_lie_and_another_in_a_form_of_its_own(self):
        net, random = pcn.DagNN(), np.random.default_rng(0)
        for name in "ab":  # fully connected for the small image
            block = pcn.dagnn.Conv(size=[8, 8, 16, 64], hasBias=False)
            net.addLayer(name, block, f"x{name}", f"y{name}", ["f"])
            net.vars[f"y{name}"].precious = True
        net.params["f"].value = random.standard_normal((8, 8, 16, 64), np.float32)
        net.mode = "test"
        images = {f"x{name}": random.standard_normal((n, n, 16, 1), np.float32) for name, n in (("a", 8), ("b", 12))}
        for _ in range(recorded.PATIENCE + 2):
            net.eval(images)
        assert any(net._plan._recordings._runs.values())
        net.params["f"].value *= 2
        net.eval(images)
        found = [net.vars[name].value.copy() for name in ("ya", "yb")]
        pcn.clear_caches()
        net.eval(images)
        assert [net.vars[name].value.tobytes() for name in ("ya", "yb")] == [y.tobytes() for y in found]

    def test_large_images_through_layers_without_weights_are_not_copied(self, layer_by_layer, monkeypatch):
        """A recording would copy image and result, which takes longer than such a layer."""
        monkeypatch.undo()
        net = pcn.SimpleNN(layers=[pcn.Struct(type="relu", leak=0)])
        x = np.ones((512, 512, 4, 1), np.float32)
        for _ in range(2 * recorded.PATIENCE):
            pcn.predict(net, x)
        assert all(layer_by_layer)
