"""Networks that were not deployed are recorded too, and their weights are read before each run."""

import numpy as np
import pytest
from recorded_networks import SIZES, images, layers_in_python, networks

import pyconvnet as pcn
from pyconvnet.backends import cpu
from pyconvnet.backends.cpu import filter_cache
from pyconvnet.engine import recorded

pytestmark = pytest.mark.skipif(cpu.isa() == "plain", reason="compiled kernels are what is recorded")
COPIED = recorded.COPIED


@pytest.fixture(autouse=True)
def always_worth_it(monkeypatch):
    for bound in ("SLOW", "LARGE", "COPIED"):
        monkeypatch.setattr(recorded, bound, 1e12)


@pytest.fixture
def layer_by_layer(monkeypatch):
    return layers_in_python(monkeypatch)


def weights_of(net):
    if hasattr(net, "params"):
        return [param.value for param in net.params]
    return [w for layer in net.layers for w in layer.get("weights") or ()]


@pytest.mark.parametrize("name", SIZES)
def test_a_recorded_run_gives_the_bits_of_its_layers(name, layer_by_layer):
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
def test_any_weight_that_is_edited_in_place_counts_from_the_next_call(name):
    net, x = networks(name), images(name)[0]
    for _ in range(recorded.PATIENCE + 2):
        pcn.predict(net, x)
    for weights in weights_of(net):
        place = tuple(n // 2 for n in weights.shape)
        old = weights[place]
        weights[place] = 3 * old + 7
        changed = pcn.predict(net, x)
        pcn.clear_caches()
        assert changed.tobytes() == pcn.predict(net, x).tobytes()
        weights[place] = old
        for _ in range(recorded.PATIENCE + 2):
            pcn.predict(net, x)


@pytest.mark.parametrize("name", SIZES)
def test_weights_are_read_once_a_call(name, monkeypatch):
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
def test_weights_whose_elements_are_taken_in_another_order():
    net = networks("letters")
    x, filters = images("letters")[0], net.layers[0].weights[0]
    for _ in range(recorded.PATIENCE + 2):
        pcn.predict(net, x)
    filters.strides = (filters.strides[1], filters.strides[0], *filters.strides[2:])
    y = pcn.predict(net, x)
    pcn.clear_caches()
    assert y.tobytes() == pcn.predict(net, x).tobytes()


def test_weights_that_change_to_and_fro_between_two_sizes_of_images():
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


def test_each_change_makes_it_wait_twice_as_long(layer_by_layer):
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


def test_training_and_validation_take_turns():
    """A network that learns gives the predictions of its newest weights."""
    net, x = networks("letters"), images("letters")[0]
    for _ in range(3):
        for _ in range(2 * recorded.PATIENCE):
            y = pcn.predict(net, x)
        for w in weights_of(net):
            w -= 0.01 * np.sign(w)
        assert pcn.predict(net, x).tobytes() != y.tobytes()


@pytest.mark.parametrize("bound", ["SLOW", "LARGE", "COPIED"])
def test_long_runs_and_large_images_are_not_worth_it(monkeypatch, layer_by_layer, bound):
    monkeypatch.setattr(recorded, bound, 0)
    net, x = networks("lenet"), images("lenet")[0]
    for _ in range(3 * recorded.PATIENCE):
        pcn.predict(net, x)
    assert all(layer_by_layer)


def test_weights_in_memory_with_gaps_are_computed_layer_by_layer(layer_by_layer):
    net, x = networks("lenet"), images("lenet")[0]
    expected = pcn.predict(net, x)
    net.layers[2].weights[0] = np.repeat(net.layers[2].weights[0], 2, axis=0)[::2]
    for _ in range(2 * recorded.PATIENCE):
        assert pcn.predict(net, x).tobytes() == expected.tobytes()
    assert all(layer_by_layer)


def test_filters_that_one_layer_reads_where_they_lie_and_another_in_a_form_of_its_own():
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


def test_large_images_through_layers_without_weights_are_not_copied(layer_by_layer, monkeypatch):
    """A recording would copy an image in MATLAB's memory order, which takes longer than such a layer."""
    monkeypatch.setattr(recorded, "COPIED", COPIED / 64)  # whatever else the machine does
    net = pcn.SimpleNN(layers=[pcn.Struct(type="relu", leak=0)])
    x = np.ones((512, 512, 4, 1), np.float32, order="F")
    for _ in range(2 * recorded.PATIENCE):
        pcn.predict(net, x)
    assert layer_by_layer and all(layer_by_layer)
