"""Training on a device, for which tensors on the CPU stand in: weights, statistics and files are those of numpy's."""

import numpy as np
import pytest
import tensors
from support import FIXTURES

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.compat import matfile
from pyconvnet.formats import network_of

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("no_hidden_copies", "exact_power")
RUNS = sorted(p.stem for p in (FIXTURES / "train").glob("*.mat"))
USUAL = {"batchSize": 6, "learningRate": 0.01, "verbose": False, "plotStatistics": False}


@pytest.fixture
def late(monkeypatch):
    """The CPU as a device that Python is ahead of."""
    from pyconvnet.backends.torch import Torch

    monkeypatch.setattr(Torch, "asynchronous", lambda self, x: True)


def weights_of(net):
    if isinstance(net, pcn.DagNN):
        return [p.value for p in net.params]
    return [w for layer in net.layers for w in layer.get("weights") or ()]


def same(ours, theirs, tolerance):
    for i, (a, b) in enumerate(zip(weights_of(ours), weights_of(theirs), strict=True)):
        assert isinstance(a, np.ndarray), "the network comes back to the CPU"
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0) <= tolerance * max(np.abs(b).max(initial=0), 1e-3), i


def same_statistics(ours, theirs, tolerance):
    for part in theirs:
        for a, b in zip(ours[part], theirs[part], strict=True):
            assert list(a) == list(b)
            for field in set(b) - {"time"}:
                assert isinstance(a[field], (int, float))
                assert a[field] == pytest.approx(b[field], rel=tolerance, abs=1e-9), field


def reference_batch(imdb, batch):
    return imdb["images"]["data"][:, :, :, batch], imdb["images"]["labels"][:, batch]


@pytest.mark.parametrize("name", RUNS)
def test_runs_of_matconvnet_are_repeated_on_a_device(name, device):
    ref = matfile.read(FIXTURES / "train" / f"{name}.mat")
    dag = name.startswith("dagnn")
    train = pcn.cnn_train_dag if dag else pcn.cnn_train

    def batch(imdb, images):
        x, labels = reference_batch(imdb, images)
        return {"input": x, "label": labels} if dag else (x, labels)

    options = {"shuffle": False, "verbose": False, "expDir": None}
    net, stats = train(network_of(ref["net0"]), ref["imdb"], batch, *ref["options"], gpus=device, **options)
    theirs = ref["net1"]["params"] if dag else ref["net1"]["layers"]
    for i, saved in enumerate(theirs):
        pairs = (
            [(net.params[saved["name"]].value, saved["value"])] if dag else zip(net.layers[i].weights, saved["weights"])
        )
        for j, (ours, w) in enumerate(pairs):
            # biases before a bnorm have no derivative: what they come to is rounding
            idle = not dag and j == 1 and theirs[i + 1]["type"] == "bnorm"
            scale = 0.01 * np.abs(saved["weights"][0]).max() if idle else np.abs(w).max() or 1.0
            assert np.abs(ours.ravel("F") - w.ravel("F")).max() <= 1e-4 * scale, (i, j)
    for part in ("train", "val"):
        for ours, theirs in zip(stats[part], ref["stats"][part], strict=True):
            for key in set(theirs) - {"time"}:
                assert float(ours[key]) == pytest.approx(theirs[key].item(), rel=1e-4, abs=2e-6), (part, key)


def lenet(dropout=False):
    net = models.build("lenet", seed=0)
    for layer in net.layers:
        if layer.get("weights"):
            layer.weights = [np.asarray(w, np.float64) for w in layer.weights]
    if dropout:
        net.layers.insert(-2, pcn.Struct(type="dropout", rate=0.4, name="drop"))
    return net


def imdb():
    return {"images": {"set": np.r_[np.ones(14), 2 * np.ones(8)], "labels": np.arange(22) % 10 + 1.0}}


def images(imdb, batch):
    x = np.random.default_rng(1).standard_normal((28, 28, 1, 22))
    return x[..., batch], imdb["images"]["labels"][batch]


def named(imdb, batch):
    x, labels = images(imdb, batch)
    return {"input": x, "label": labels}


def run(graph, epochs, **options):
    options = {**USUAL, "numEpochs": epochs, "expDir": None, **options}
    net = lenet(dropout=True)
    if not graph:
        return pcn.cnn_train(net, imdb(), images, **options)
    dag = pcn.DagNN.fromSimpleNN(net, canonicalNames=True)
    dag.addLayer("error", pcn.dagnn.Loss(loss="classerror"), ["prediction", "label"], "error")
    return pcn.cnn_train_dag(dag, imdb(), named, **options)


@pytest.mark.parametrize("graph", [False, True], ids=["chain", "graph"])
@pytest.mark.parametrize(
    "options",
    [{}, {"solver": "adam"}, {"numSubBatches": 2, "nesterovUpdate": True}, {"prefetch": True, "solver": "adadelta"}],
    ids=str,
)
def test_a_device_trains_to_the_weights_of_the_cpu(device, graph, options):
    """Also with dropout: masks are drawn by numpy wherever the network is."""
    ours, stats = run(graph, 2, gpus=device, **options)
    theirs, stats0 = run(graph, 2, **options)
    same(ours, theirs, 1e-8)
    same_statistics(stats, stats0, 1e-8)


@pytest.mark.parametrize("graph", [False, True], ids=["chain", "graph"])
def test_statistics_that_are_read_one_batch_late_are_the_same(late, graph, capsys):
    ours, stats = run(graph, 2, gpus="torch:cpu", numSubBatches=2, verbose=True)
    lines = [line.split(" Hz ")[1] for line in capsys.readouterr().out.splitlines() if " Hz " in line]
    theirs, stats0 = run(graph, 2, numSubBatches=2, verbose=True)
    assert lines == [line.split(" Hz ")[1] for line in capsys.readouterr().out.splitlines() if " Hz " in line]
    same(ours, theirs, 2e-11)
    same_statistics(stats, stats0, 2e-11)


def test_confusions_and_binary_errors_are_counted_late_too(late, tmp_path):
    from pyconvnet.training import labels, run_metadata

    for place in ("cpu", "torch:cpu"):
        run(False, 1, gpus=place, expDir=tmp_path / place.replace(":", ""))
    counts = [run_metadata.read(tmp_path / folder)["confusion"]["val"] for folder in ("cpu", "torchcpu")]
    assert counts[0] == counts[1] and np.sum(counts[0]) == 8
    scores = np.array([0.5, -1, 2, -3]).reshape(1, 1, 1, 4)
    res = [pcn.Struct(x=pcn.gpuArray(scores, "torch")), None]
    assert labels.binary(None, [1, 1, -1, -1], res).tolist() == [2]


def test_multiclass_errors_are_the_same_on_a_device(late):
    from pyconvnet.training import labels

    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (3, 4, 7, 5)).astype(float)
    scores[0, 0, :, 0] = np.nan
    given = rng.integers(0, 9, (3, 4, 1, 5)).astype(float)  # 0 is left out, 8 is no class
    for target in (given, np.concatenate([given, rng.uniform(0, 2, given.shape)], 2), np.arange(5.0)):
        here, there = (
            labels.multiclass(None, target, [pcn.Struct(x=x), None]) for x in (scores, pcn.gpuArray(scores, "torch"))
        )
        np.testing.assert_allclose(there.numpy(), here, rtol=1e-12)


def test_an_objective_that_is_not_finite_is_told_with_its_batch(late):
    def broken(imdb, batch):
        x, labels = images(imdb, batch)
        return (x * np.nan if 13 in batch else x), labels

    options = {**USUAL, "numEpochs": 1, "expDir": None, "shuffle": False, "gpus": "torch:cpu"}
    with pytest.raises(FloatingPointError, match=r"not finite in epoch 1, batch 3/3; the images of the batch"):
        pcn.cnn_train(lenet(), imdb(), broken, **options)


@pytest.mark.parametrize("graph", [False, True], ids=["chain", "graph"])
def test_a_run_goes_on_from_another_device_and_writes_the_same_files(device, graph, tmp_path):
    run(graph, 1, expDir=tmp_path / "host")
    whole, stats0 = run(graph, 3, expDir=tmp_path / "host")
    run(graph, 1, gpus=device, expDir=tmp_path / "mixed", plotDiagnostics=True)
    run(graph, 2, expDir=tmp_path / "mixed")
    ours, stats = run(graph, 3, gpus=device, expDir=tmp_path / "mixed")
    same(ours, whole, 1e-8)
    same_statistics(stats, stats0, 1e-8)
    points = [matfile.read(tmp_path / folder / "net-epoch-3.mat") for folder in ("mixed", "host")]
    compare(*points, "file")


def compare(ours, theirs, where):
    """The same fields, of the same types and shapes, and the same numbers to rounding."""
    assert type(ours) is type(theirs), where
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for field in theirs:
            if field != "time":
                compare(ours[field], theirs[field], f"{where}.{field}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for i, (a, b) in enumerate(zip(ours, theirs)):
            compare(a, b, f"{where}[{i}]")
    elif isinstance(theirs, np.ndarray):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), where
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9, err_msg=where)
    else:
        assert ours == theirs, where


def test_a_graph_is_on_the_cpu_again_when_training_fails(device):
    dag = pcn.DagNN.fromSimpleNN(lenet(), canonicalNames=True)

    def broken(imdb, batch):
        raise KeyError("no such file")

    with pytest.raises(KeyError):
        pcn.cnn_train_dag(dag, imdb(), broken, gpus=device, expDir=None, **USUAL)
    assert all(isinstance(p.value, np.ndarray) for p in dag.params) and dag.device == "cpu"


def test_gpus_that_are_not_there_are_refused_before_anything_runs(monkeypatch):
    from pyconvnet.backends.torch import places

    monkeypatch.setattr(places, "accelerators", lambda: ["cuda:0"])
    with pytest.raises(
        ValueError, match=r"^cnn_train: gpus=\[1\]: there is one GPU here; GPUs count from 0: gpus=\[0\]"
    ):
        pcn.cnn_train(lenet(), imdb(), images, gpus=[1], expDir=None, **USUAL)
    with pytest.raises(ValueError, match=r"^cnn_train_dag: gpus=\[0, 1\]: "):
        run(True, 1, gpus=[0, 1])


@pytest.mark.gpu
def test_batches_that_are_copied_ahead_arrive_whole():
    tensors.require("gpu")
    from pyconvnet.backends.torch import places, transfer

    device = places.device(places.accelerators()[0])
    if device.type != "cuda":
        pytest.skip("batches are copied ahead to GPUs of NVIDIA and AMD")
    for shape in ((64, 64, 3, 32), (7,)):
        a = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        np.testing.assert_array_equal(pcn.gather(transfer.Departed(a, device).arrive()), a)
