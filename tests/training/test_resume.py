"""Checkpoints: what is in them, going on from them, those of MATLAB, and broken ones."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from support import ROOT

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.training import run_metadata

MODELS = ROOT.parent / "shared" / "models"


def letters(count=60, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes + 1
    data = rng.standard_normal((32, 32, 1, count)).astype(np.float32)
    data[4:12] += labels
    marks = np.where(np.arange(count) < 2 * count // 3, 1, 2)
    return pcn.Struct(
        images=pcn.Struct(data=data, labels=labels.astype(np.float32), set=marks),
        meta=pcn.Struct(classes=["one", "two", "three"]),
    )


def get_batch(imdb, batch):
    return imdb.images.data[..., batch], imdb.images.labels[batch]


def small(kind="simplenn"):
    layers = [
        {"type": "conv", "weights": [draw(8, 8, 1, 4), np.zeros((1, 4), np.float32)], "stride": 8},
        {"type": "bnorm", "weights": [np.ones((4, 1), np.float32), np.zeros((4, 1), np.float32)]},
        {"type": "relu"},
        {"type": "dropout", "rate": 0.3},
        {"type": "conv", "weights": [draw(4, 4, 4, 3), np.zeros((1, 3), np.float32)]},
        {"type": "softmaxloss"},
    ]
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))
    net.layers[1].learningRate = np.array([[1, 1, 0.1]])
    if kind == "simplenn":
        return net
    graph = pcn.DagNN.fromSimpleNN(net, canonicalNames=True)
    graph.addLayer("error", pcn.dagnn.Loss(loss="classerror"), [graph.layers[-1].inputs[0], "label"], "error")
    return graph


def draw(*shape):
    return (np.random.default_rng(sum(shape)).standard_normal(shape) / 10).astype(np.float32)


def weights_of(net):
    if hasattr(net, "params"):
        return [p.value for p in net.params]
    return [w for layer in net.layers for w in layer.weights]


def fit(kind, folder, epochs, **options):
    options = {"batchSize": 15, "learningRate": 0.05, "verbose": False, "plotStatistics": False, **options}
    if kind == "simplenn":
        return pcn.cnn_train(small(), letters(), get_batch, expDir=folder, numEpochs=epochs, **options)

    def batch(imdb, images):
        x, labels = get_batch(imdb, images)
        return {"x0": x, "label": labels} if "x0" in names else {names[0]: x, "label": labels}

    net = small("dagnn")
    names = [n for n in net.getInputs() if n != "label"]
    return pcn.cnn_train_dag(net, letters(), batch, expDir=folder, numEpochs=epochs, **options)


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
@pytest.mark.parametrize("solver", [None, "adam"])
def test_a_run_that_was_interrupted_ends_with_the_bits_of_one_that_was_not(tmp_path, kind, solver):
    whole, stats = fit(kind, tmp_path / "whole", 4, solver=solver)
    fit(kind, tmp_path / "parts", 2, solver=solver)
    again, more = fit(kind, tmp_path / "parts", 4, solver=solver)
    for a, b in zip(weights_of(whole), weights_of(again)):
        assert a.dtype == b.dtype and np.array_equal(a, b.reshape(a.shape))
    for name in ("train", "val"):
        assert len(more[name]) == 4
        for a, b in zip(stats[name], more[name]):
            assert {k: v for k, v in a.items() if k != "time"} == {k: v for k, v in b.items() if k != "time"}


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_learning_rate_that_postEpochFn_gave_is_kept(tmp_path, kind, first):
    """One given early and then left alone, one list, one given just before the run was interrupted."""
    seen = []

    def rate(net, opts, state):
        seen.append(opts["learningRate"])
        return {1: 0.02, 2: [1, 1, 0.01, 0.03]}.get(opts["epoch"])

    whole, _ = fit(kind, tmp_path / "whole", 4, postEpochFn=rate)
    assert seen == [0.05, 0.02, 0.01, 0.03]
    fit(kind, tmp_path / "parts", first, postEpochFn=rate)
    parts, _ = fit(kind, tmp_path / "parts", 4, postEpochFn=rate)
    assert seen[4:] == seen[:4]
    assert all(np.array_equal(a, b.reshape(a.shape)) for a, b in zip(weights_of(whole), weights_of(parts)))


def test_a_learning_rate_that_postEpochFn_gave_gives_way_to_another_option(tmp_path, capsys):
    seen = []

    def rate(net, opts, state):
        seen.append(opts["learningRate"])
        return {1: 0.02, 3: 0}.get(opts["epoch"])

    fit("simplenn", tmp_path, 2, postEpochFn=rate)
    fit("simplenn", tmp_path, 9, postEpochFn=rate)  # stopped by 0, which is no rate to go on with
    fit("simplenn", tmp_path, 4, postEpochFn=rate, verbose=True)
    said = capsys.readouterr().out
    assert "learningRate is 0.02, as postEpochFn gave it after epoch 1" in said and "options changed" not in said
    fit("simplenn", tmp_path, 5, postEpochFn=rate, learningRate=0.04, verbose=True)
    said = capsys.readouterr().out
    assert "options changed since the checkpoint: learningRate [0.05] -> [0.04]" in said and "gave it" not in said
    assert seen == [0.05, 0.02, 0.02, 0.02, 0.04]


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
def test_a_learning_rate_that_postEpochFn_gave_outlasts_epochs_without_it(tmp_path, kind, capsys):
    seen = []

    def rate(net, opts, state):
        seen.append(opts["learningRate"])
        return {1: 0.02, 2: 0.03, 5: 0.01}.get(opts["epoch"])

    def see(net, opts, state):
        seen.append(opts["learningRate"])

    fit(kind, tmp_path, 2, postEpochFn=rate)
    fit(kind, tmp_path, 3, verbose=True)
    assert "gave it" not in capsys.readouterr().out
    assert run_metadata.read(tmp_path)["rates"] == {"1": [0.02], "2": [0.03]}
    fit(kind, tmp_path, 5, postEpochFn=rate)
    assert run_metadata.read(tmp_path)["rates"] == {"1": [0.02], "2": [0.03], "5": [0.01]}
    # epochs that are trained once more get their rates once more
    for epoch in (4, 5):
        (tmp_path / f"net-epoch-{epoch}.mat").unlink()
    fit(kind, tmp_path, 4)
    assert run_metadata.read(tmp_path)["rates"] == {"1": [0.02], "2": [0.03]}
    fit(kind, tmp_path, 5, postEpochFn=see)
    assert seen == [0.05, 0.02, 0.03, 0.03, 0.03]


def test_another_learningRate_ends_the_rates_also_without_postEpochFn(tmp_path):
    seen = []

    def see(net, opts, state):
        seen.append(opts["learningRate"])
        return 0.02 if opts["epoch"] == 1 else None

    fit("simplenn", tmp_path, 1, postEpochFn=see)
    fit("simplenn", tmp_path, 2, learningRate=0.04)
    fit("simplenn", tmp_path, 3, learningRate=0.04, postEpochFn=see)
    assert seen == [0.05, 0.04]


@pytest.mark.parametrize("damage", [{"one": [0.02]}, {"1": []}, {"1": [None]}, {"1": 0.02}, [0.02], "none"])
def test_rates_in_damaged_run_metadata_are_no_rates(tmp_path, damage):
    seen = []

    def rate(net, opts, state):
        seen.append(opts["learningRate"])
        return 0.02

    fit("simplenn", tmp_path, 1, postEpochFn=rate)
    notes = run_metadata.read(tmp_path)
    assert notes["rates"] == {"1": [0.02]}
    run_metadata.write(tmp_path, **{**notes, "rates": damage})
    fit("simplenn", tmp_path, 2, postEpochFn=rate)
    assert seen == [0.05, 0.05]


def test_nothing_is_trained_again_once_all_epochs_are_there(tmp_path):
    net, _ = fit("simplenn", tmp_path, 2)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    again, more = fit("simplenn", tmp_path, 2)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(net), weights_of(again))) and len(more.train) == 2


def test_continue_false_starts_over(tmp_path):
    fit("simplenn", tmp_path, 2)
    with pytest.warns(UserWarning, match="starting over in") as told:
        assert len(fit("simplenn", tmp_path, 1, continue_=False)[1].train) == 1
    assert Path(told[0].filename) == Path(__file__)  # the line that called the training


def test_a_broken_last_checkpoint_is_skipped_with_a_warning(tmp_path):
    whole, _ = fit("simplenn", tmp_path / "whole", 3)
    fit("simplenn", tmp_path / "broken", 2)
    path = tmp_path / "broken" / "net-epoch-2.mat"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.warns(UserWarning, match=r"skipping the checkpoint net-epoch-2\.mat, which cannot be read"):
        again, _ = fit("simplenn", tmp_path / "broken", 3)
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(whole), weights_of(again)))


def test_a_checkpoint_has_matlabs_fields_for_scipy_as_well(tmp_path):
    fit("simplenn", tmp_path, 2)
    found = scipy.io.loadmat(tmp_path / "net-epoch-2.mat")
    assert {"net", "state", "stats"} <= set(found)
    train = found["stats"]["train"][0, 0]
    assert train.shape == (1, 2) and {"objective", "top1err", "num", "time"} <= set(train.dtype.names)
    assert "solverState" in found["state"].dtype.names
    assert not list(tmp_path.glob("*.part"))


def test_the_run_metadata_holds_settings_versions_and_the_last_confusion_matrix(tmp_path):
    _, stats = fit("simplenn", tmp_path, 2, evalSets={"again": np.arange(40, 60)})
    notes = run_metadata.read(tmp_path)
    assert notes["options"]["batchSize"] == 15 and notes["versions"]["pyconvnet"] == pcn.__version__
    assert notes["classes"] == ["one", "two", "three"]
    matrix = np.array(notes["confusion"]["val"])
    assert matrix.sum() == 20 and matrix.sum(axis=1).tolist() == [6, 7, 7]
    assert np.isclose(1 - np.trace(matrix) / 20, stats.val[-1].top1err)
    assert notes["confusion"]["again"] == notes["confusion"]["val"]


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
def test_curves_and_diagnostics_are_drawn_after_each_epoch(tmp_path, kind):
    pytest.importorskip("matplotlib")
    fit(kind, tmp_path, 1, plotStatistics=True, plotDiagnostics=True)
    for name in ("net-train.pdf", "net-diagnostics.pdf"):
        assert (tmp_path / name).read_bytes().startswith(b"%PDF")


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit("simplenn", None, 1)
    assert not list(tmp_path.iterdir())


def test_prefetching_changes_no_bit(tmp_path):
    a, b = (fit("simplenn", None, 2, prefetch=p)[0] for p in (False, True))
    assert all(np.array_equal(v, w) for v, w in zip(weights_of(a), weights_of(b)))


@pytest.mark.parametrize("prefetch", [False, True])
def test_jitter_repeats_when_training_is_resumed(tmp_path, prefetch):
    change = pcn.jitter.compose(pcn.jitter.translate(1), pcn.jitter.noise(0.1))

    def jittered(imdb, batch):
        images, labels = get_batch(imdb, batch)
        return change(images), labels

    options = {"batchSize": 15, "verbose": False, "plotStatistics": False, "prefetch": prefetch}
    whole, _ = pcn.cnn_train(small(), letters(), jittered, expDir=tmp_path / "a", numEpochs=2, **options)
    pcn.cnn_train(small(), letters(), jittered, expDir=tmp_path / "b", numEpochs=1, **options)
    parts, _ = pcn.cnn_train(small(), letters(), jittered, expDir=tmp_path / "b", numEpochs=2, **options)
    assert all(np.array_equal(a, b.reshape(a.shape)) for a, b in zip(weights_of(whole), weights_of(parts)))


def test_weights_kept_from_an_earlier_epoch_stay_as_they_were(tmp_path):
    kept = []

    def keep(net, params, state):
        arrays = [*weights_of(net), *(m for layer in state.solverState for m in layer if np.size(m) > 1)]
        kept.append([(a, a.copy()) for a in arrays])

    fit("simplenn", tmp_path, 3, postEpochFn=keep)
    assert len(kept) == 3 and all(np.array_equal(a, b) for pairs in kept for a, b in pairs)


def test_evaluation_takes_the_last_checkpoint_and_writes_nothing(tmp_path):
    _, stats = fit("simplenn", tmp_path, 2)
    before = {p.name for p in tmp_path.iterdir()}
    _, again = fit("simplenn", tmp_path, 3, train=np.nan)
    assert again.val[-1].objective == pytest.approx(stats.val[-1].objective, rel=1e-6) and len(again.val) == 3
    assert {p.name for p in tmp_path.iterdir()} == before


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs ../shared/models")
@pytest.mark.parametrize(
    "path, epoch, size", [("cones/checkpoint-epoch-44", 44, (33, 33, 1)), ("zoo/plates-epoch-50", 50, (20, 20, 1))]
)
def test_training_goes_on_from_a_checkpoint_that_matlab_wrote(tmp_path, path, epoch, size):
    (tmp_path / f"net-epoch-{epoch}.mat").write_bytes((MODELS / f"{path}.mat").read_bytes())
    before = pcn.load_checkpoint(tmp_path / f"net-epoch-{epoch}.mat")
    rng = np.random.default_rng(0)
    classes = next(a.weights[0].shape[3] for a in before.net.layers[::-1] if a.type == "conv")
    imdb = {
        "images": {
            "data": rng.uniform(0, 255, (*size, 20)).astype(np.float32),
            "labels": np.arange(20) % classes + 1.0,
            "set": np.arange(20) % 2 + 1,
        }
    }

    def batch(imdb, images):
        return imdb["images"]["data"][..., images], imdb["images"]["labels"][images]

    net, stats = pcn.cnn_train(
        before.net, imdb, batch, expDir=tmp_path, numEpochs=epoch + 1, batchSize=10, learningRate=1e-6, verbose=False
    )
    assert len(stats.train) == epoch + 1 and np.isfinite(stats.train[-1].objective)
    for old, new in zip(before.net.layers, net.layers):
        assert [w.shape for w in old.weights] == [w.shape for w in new.weights]
        # the third are the moments of a bnorm, which follow these very different images
        assert all(np.allclose(a, b, atol=1e-2) for a, b in zip(old.weights[:2], new.weights[:2]))
    last = max(i for i, layer in enumerate(net.layers) if layer.type == "conv")
    assert not np.array_equal(net.layers[last].weights[0], before.net.layers[last].weights[0])
    assert (tmp_path / f"net-epoch-{epoch + 1}.mat").is_file()


def test_models_are_not_changed_by_training(tmp_path):
    net = models.build("ocr", seed=0)
    first = net.layers[0].weights[0].copy()
    imdb = letters(20)
    pcn.cnn_train(net, imdb, get_batch, expDir=None, numEpochs=1, batchSize=10, verbose=False)
    assert np.array_equal(net.layers[0].weights[0], first)
