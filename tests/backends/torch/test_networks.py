"""Networks of MatConvNet's and real ones give on PyTorch tensors what they give on numpy arrays, forward and back."""

from pathlib import Path

import numpy as np
import pytest
from support import FIXTURES, ROOT

import pyconvnet as pcn
from pyconvnet import devices
from pyconvnet.compat import matfile
from pyconvnet.networks.base import moved, network

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("no_hidden_copies", "exact_power")
NETS = ["all-layers", "pdist", "mini-vgg", "lenet", "lenet-cifar", "lenet-bn", "old-format"]
GRAPHS = ["fcn-skip", "inception", "resnet-block", "roi-two-losses", "shared-weights", "stn"]
MODELS = ROOT.parent / "shared" / "models"


def same(ours, theirs, what, tolerance):
    """Largest difference relative to the largest value; 1e-4 at least: that of biases before a bnorm is rounding."""
    if theirs is None:
        assert ours is None, what
        return
    assert isinstance(ours, torch.Tensor), what
    assert tuple(ours.shape) == theirs.shape, what
    gap = np.abs(pcn.gather(ours) - theirs).max(initial=0)
    assert gap <= tolerance * max(np.abs(theirs).max(initial=0), 1e-4), (what, gap)


def in_double(net):
    for layer in net.layers:
        if layer.get("weights"):
            layer.weights = [np.asarray(w, np.float64) for w in layer.weights]
    return net


# In single precision the batch of two pixels in the last bnorm of lenet-bn leaves 1e-3 of numpy's derivatives open.
@pytest.mark.parametrize(
    ("name", "real"), [(n, r) for n in NETS for r in (np.float32, np.float64) if (n, r) != ("lenet-bn", np.float32)]
)
def test_chains_of_matconvnet(name, device, real):
    net = pcn.load(FIXTURES / "nets" / f"{name}.mat")
    net = in_double(net) if real == np.float64 else net
    tolerance = 1e-8 if real == np.float64 else 2e-5
    for run in matfile.read(FIXTURES / "nets" / f"{name}.ref.mat")["runs"]:
        if np.size(run.label):
            net.layers[-1]["class"] = run.label
        x = np.asarray(run.x, real)
        found = []
        for place in ("cpu", device):
            pcn.rng.seed(0)
            moved = pcn.vl_simplenn_move(net, place)
            found.append(pcn.vl_simplenn(moved, pcn.gpuArray(x, place), run.dzdy, mode="normal"))
        for i, (theirs, ours) in enumerate(zip(*found)):
            same(ours.x, theirs.x, f"x of {i}", tolerance)
            if i + 1 < len(found[0]) or theirs.dzdx is not None:
                same(ours.dzdx, theirs.dzdx, f"dzdx of {i}", tolerance)
            for j, (a, b) in enumerate(zip(ours.dzdw, theirs.dzdw, strict=True)):
                same(a, b, f"dzdw of {i}, {j}", tolerance)


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_of_matconvnet(name, device):
    net = pcn.DagNN.loadobj(str(FIXTURES / "dags" / f"{name}.mat"))
    for run in matfile.read(FIXTURES / "dags" / f"{name}.ref.mat")["runs"]:
        found = []
        for place in ("cpu", device):
            graph = net.copy()
            graph.conserveMemory, graph.mode = False, run.mode
            graph.move(place)
            values = {k: v for k, v in zip(run.inputs[::2], run.inputs[1::2])}
            images = {k: pcn.gpuArray(v, place) for k, v in values.items() if v.dtype == np.float32 and "lab" not in k}
            pcn.rng.seed(0)
            graph.eval({**values, **images}, run.derOutputs)
            found.append(graph)
        for theirs, ours in zip(found[0].vars, found[1].vars):
            if theirs.fanin:
                same(ours.value, theirs.value, f"value of {ours.name}", 2e-5)
                same(ours.der, theirs.der, f"derivative of {ours.name}", 2e-5)
        for theirs, ours in zip(found[0].params, found[1].params):
            same(ours.der, theirs.der, f"derivative of {ours.name}", 2e-5)


def networks_with_their_size():
    return sorted(p for p in MODELS.glob("*.mat") if p.stat().st_size < 60e6) if MODELS.is_dir() else []


@pytest.mark.parametrize("path", networks_with_their_size(), ids=lambda p: Path(p).stem)
def test_real_networks(path, device):
    net = pcn.load(path)
    height, width = (int(v) for v in np.ravel(net.meta.get("inputSize", (64, 64)))[:2])
    depth = next(w[0].shape[2] for _, w in network(net).weights() if w)
    x = np.random.default_rng(0).standard_normal((height, width, depth, 2)).astype(np.float32)
    y = pcn.predict(net, x)
    ours = pcn.predict(moved("test", net, devices.full_name("test", device)), pcn.gpuArray(x, device))
    same(ours, y, path.stem, 2e-5)


def test_images_and_network_on_two_devices_are_refused_by_both_names(device):
    net = pcn.load(FIXTURES / "nets" / "lenet.mat")
    x = np.zeros((28, 28, 1, 1), np.float32)
    there = str(pcn.gpuArray(x, device).device)
    with pytest.raises(TypeError, match=rf"f is an array of torch on {there} where .* of numpy; all must be the same"):
        pcn.predict(pcn.vl_simplenn_move(net, device), x)
    with pytest.raises(TypeError, match=rf"f is an array of numpy where .* of torch on {there}; all must be the same"):
        pcn.predict(net, pcn.gpuArray(x, device))
    with pytest.raises(TypeError, match=rf"f is on {there} where the other arrays are on meta; all must be the same"):
        pcn.predict(pcn.vl_simplenn_move(net, device), torch.zeros(28, 28, 1, 1, device="meta"))


def test_moving_leaves_the_network_given_as_it_is(device):
    net = pcn.load(FIXTURES / "nets" / "lenet.mat")
    there = pcn.vl_simplenn_move(net, device)
    assert isinstance(net.layers[0].weights[0], np.ndarray) and isinstance(there.layers[0].weights[0], torch.Tensor)
    assert pcn.vl_simplenn_move(there, device) is there
    with torch.no_grad():
        there.layers[0].weights[0].zero_()
    assert net.layers[0].weights[0].any()
    back = pcn.vl_simplenn_move(there, "cpu")
    assert not back.layers[0].weights[0].any()
    np.testing.assert_array_equal(back.layers[-2].weights[0], net.layers[-2].weights[0])


def test_a_graph_moves_in_place_and_copies_stay_where_it_is(device):
    dag = pcn.DagNN.loadobj(str(FIXTURES / "dags" / "resnet-block.mat"))
    values = [p.value.copy() for p in dag.params]
    dag.move(device)
    assert dag.device == dag.copy().device == device
    assert all(isinstance(p.value, torch.Tensor) for g in (dag, dag.copy()) for p in g.params)
    dag.move("cpu")
    for p, value in zip(dag.params, values):
        np.testing.assert_array_equal(p.value, value)


@pytest.mark.parametrize("graph", [False, True], ids=["chain", "graph"])
def test_tables_and_predictions_are_those_of_the_cpu(graph, device):
    net = pcn.load(FIXTURES / "nets" / "lenet.mat")
    net = pcn.DagNN.fromSimpleNN(net, canonicalNames=True) if graph else net
    there = moved("test", net, devices.full_name("test", device))
    shown = [
        [repr(n), n._repr_html_(), network(n).table(), pcn.vl_simplenn_diagnose(n)] for n in (net, there) if not graph
    ]
    shown = shown or [[repr(n), n._repr_html_(), network(n).table()] for n in (net, there)]
    assert shown[0] == shown[1]
    np.testing.assert_array_equal(network(there).filters(None), network(net).filters(None))
    x = np.random.default_rng(0).standard_normal((28, 28, 1, 1)).astype(np.float32)
    ours, theirs = pcn.predict(there, pcn.gpuArray(x, device)), pcn.predict(net, x)
    numbers = [[best.number for best in pcn.best_classes(n, y)] for n, y in ((there, ours), (net, theirs))]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("name", ["nets/all-layers", "dags/resnet-block"])
def test_a_network_on_a_device_is_saved_as_one_in_main_memory(name, device, tmp_path):
    net = pcn.load(FIXTURES / f"{name}.mat")
    pcn.save(tmp_path / "host.mat", net)
    if isinstance(net, pcn.DagNN):
        net.move(device)
    else:
        net = pcn.vl_simplenn_move(net, device)
    pcn.save(tmp_path / "device.mat", net)
    head = 128  # of which the first 116 bytes hold the time
    assert (tmp_path / "device.mat").read_bytes()[head:] == (tmp_path / "host.mat").read_bytes()[head:]
    values = net.params if isinstance(net, pcn.DagNN) else []
    assert all(isinstance(p.value, torch.Tensor) for p in values)
