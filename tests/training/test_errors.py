"""What goes wrong in a training is said where it happens, and leaves nothing behind."""

import threading
import warnings

import numpy as np
import pytest

import pyconvnet as pcn


def imdb(labels=None):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 3 + 1.0 if labels is None else labels
    data = rng.standard_normal((8, 8, 1, 40)).astype(np.float32)
    data[2:4] += labels
    return {"images": {"data": data, "labels": labels, "set": np.where(np.arange(40) < 30, 1, 2)}}


def get_batch(imdb, batch):
    return imdb["images"]["data"][..., batch], imdb["images"]["labels"][batch]


def network(last="softmaxloss"):
    rng = np.random.default_rng(1)
    conv = [(rng.standard_normal(s) / 10).astype(np.float32) for s in ((3, 3, 1, 4), (6, 6, 4, 3))]
    return pcn.SimpleNN(
        layers=[
            {"type": "conv", "name": "first", "weights": [conv[0], np.zeros(4, np.float32)]},
            {"type": "relu"},
            {"type": "conv", "name": "second", "weights": [conv[1], np.zeros(3, np.float32)]},
            {"type": last, "name": "end"},
        ]
    )


def fit(net=None, getBatch=get_batch, **options):
    options = {"expDir": None, "batchSize": 10, "numEpochs": 1, "verbose": False, "learningRate": 0.01, **options}
    return pcn.cnn_train(net or network(), imdb(), getBatch, **options)


def fit_dag(net=None, loss="objective", gain=1, **options):
    net = net or pcn.DagNN.fromSimpleNN(network(), canonicalNames=True)
    net.renameVar("objective", loss)

    def batch(imdb, images):
        x, labels = get_batch(imdb, images)
        return {"input": x * gain, "label": labels}

    options = {"expDir": None, "batchSize": 10, "numEpochs": 1, "verbose": False, "learningRate": 0.01, **options}
    return pcn.cnn_train_dag(net, imdb(), batch, derOutputs={loss: 1}, **options)


@pytest.mark.parametrize(
    "found, error, message",
    [
        (None, TypeError, r"getBatch must return \(images, labels\), got NoneType"),
        (([[0.0]], [1]), TypeError, "getBatch must return images as an array, got list"),
        ((np.zeros((8, 8, 1, 3), np.uint8), [1, 2, 3]), TypeError, "got uint8: convert it first"),
        ((np.zeros((8, 8, 3), np.float32), [1, 2, 3]), ValueError, r"1 images \(8x8x3: H x W x C x N\) and 3 labels"),
    ],
)
def test_a_batch_of_another_form_is_refused(found, error, message):
    with pytest.raises(error, match=message):
        fit(getBatch=lambda imdb, batch: found)


@pytest.mark.parametrize("prefetch", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_getBatch_comes_out_and_leaves_no_thread(prefetch, error):
    calls = []

    def batch(imdb, images):
        calls.append(images)
        if len(calls) == 3:
            raise error("third batch")
        return get_batch(imdb, images)

    with pytest.raises(error, match="third batch"):
        fit(getBatch=batch, prefetch=prefetch)
    assert not [t for t in threading.enumerate() if t.name.startswith("getBatch")]


def test_images_of_another_precision_than_the_weights_are_refused_with_the_way_out():
    def double(imdb, batch):
        images, labels = get_batch(imdb, batch)
        return images.astype(float), labels

    message = r"getBatch gave images of float64, but the weights of layer 1 'first' are float32: give images.astype\(np"
    with pytest.raises(TypeError, match=rf"cnn_train: {message}\.float32\)"):
        fit(getBatch=double)
    with pytest.raises(TypeError, match=message):
        fit(getBatch=double, train=np.nan, checkLabels=False)
    net = network()
    for i in (0, 2):
        net.layers[i]["weights"] = [w.astype(float) for w in net.layers[i]["weights"]]
    with pytest.raises(TypeError, match=r"images of float32, but .* are float64: give images.astype\(np\.float64\)"):
        fit(net)
    assert fit(net, getBatch=double)[0].layers[0].weights[0].dtype == float
    with pytest.raises(
        TypeError, match=r"cnn_train_dag: getBatch gave images of float64, .* layer 'first' are float32"
    ):
        fit_dag(gain=np.ones(1))


@pytest.mark.parametrize("again, effect", [(True, "sets the learning rate to 1"), (np.False_, "ends the training")])
def test_a_truth_value_of_postEpochFn_does_what_it_does_in_matlab_and_is_told(again, effect):
    with pytest.warns(UserWarning, match=rf"postEpochFn returned {bool(again)}, which {effect}.*return None to go on"):
        _, stats = fit(numEpochs=2, postEpochFn=lambda *args: again, stopOnNaN=False)
    assert len(stats.train) == 1 + bool(again)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(numEpochs=2, postEpochFn=lambda *args: 0.001)
        fit(numEpochs=2, postEpochFn=lambda *args: None)


def test_an_objective_that_is_not_finite_is_traced_to_where_it_began():
    linear = network()
    del linear.layers[1]
    with pytest.raises(FloatingPointError, match="the images that getBatch gave are not finite in epoch 1, batch 1/3"):
        fit(linear, getBatch=lambda imdb, batch: (get_batch(imdb, batch)[0] * np.float32(np.nan), [1] * 10))
    net = network()
    net.layers[2]["weights"][1][0] = np.inf
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match=r"1/3; weights of layer 3 'second' \(conv\) are not finite"),
    ):
        fit(net)
    net = network()
    net.layers[0]["weights"][0] *= np.float32(3e38)
    net.layers[2]["weights"][0] *= np.float32(3e38)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=r"came out of layer 1 'first' \(conv\)"):
        fit(net)


def test_a_graph_is_watched_whatever_its_objective_is_called():
    linear = network()
    del linear.layers[1]
    net = pcn.DagNN.fromSimpleNN(linear, canonicalNames=True)
    with pytest.raises(FloatingPointError, match="getBatch gave are not finite in epoch 1, batch 1/3"):
        fit_dag(net, loss="cost", gain=np.float32(np.nan))
    net = pcn.DagNN.fromSimpleNN(linear, canonicalNames=True)
    net.params[1].value[0] = np.nan
    with pytest.raises(FloatingPointError, match=f"batch 1/3; parameter '{net.params[1].name}' is not finite"):
        fit_dag(net, loss="cost")


def test_images_that_are_not_finite_are_told_in_their_batch_where_a_rectifier_hides_them():
    def broken(imdb, batch):
        return get_batch(imdb, batch)[0] * np.float32(np.nan if 5 in batch else 1), get_batch(imdb, batch)[1]

    with pytest.raises(FloatingPointError, match="the images that getBatch gave are not finite in epoch 1, batch 2/3"):
        fit(getBatch=broken)
    _, stats = fit(getBatch=broken, stopOnNaN=False)
    assert np.isfinite(stats["train"][0]["objective"])


def test_weights_that_are_not_finite_are_told_at_the_end_of_the_epoch_where_a_rectifier_hides_them():
    net = network()
    net["layers"][0]["weights"][0][0] = np.nan
    with pytest.raises(FloatingPointError, match=r"epoch 1 is not finite; weights of layer 1 'first' .* are not"):
        fit(net)
    net = pcn.DagNN.fromSimpleNN(network(), canonicalNames=True)
    net.params[1].value[0] = np.nan
    with pytest.raises(FloatingPointError, match=f"epoch 1 is not finite; parameter '{net.params[1].name}' is not"):
        fit_dag(net, loss="cost")


def test_a_network_of_the_other_kind_or_without_a_loss_is_refused():
    with pytest.raises(TypeError, match="got a DagNN; cnn_train_dag trains that"):
        fit(pcn.DagNN())
    with pytest.raises(TypeError, match="must be a DagNN, got SimpleNN; cnn_train trains"):
        pcn.cnn_train_dag(network(), imdb(), get_batch)
    with pytest.raises(ValueError, match=r"the last layer 'end' \(softmax\) is not a loss"):
        fit(network("softmax"))


def test_labels_and_outputs_of_a_graph_are_checked_before_the_first_batch():
    net = pcn.DagNN.fromSimpleNN(network(), canonicalNames=True)

    def batch(imdb, images):
        return ["input", get_batch(imdb, images)[0], "label", get_batch(imdb, images)[1]]

    options = {"expDir": None, "batchSize": 10, "numEpochs": 1, "verbose": False}
    for labels, message in (
        (np.arange(40) % 3, "images.labels run from 0 to 2 for 3 classes: they seem to be 0-based"),
        (np.arange(40) % 3 + 2, "labels of the batch go up to 4, but the network has 3 classes"),
    ):
        with pytest.raises(ValueError, match=message):
            pcn.cnn_train_dag(net, imdb(labels.astype(float)), batch, **options)
    with pytest.raises(TypeError, match="got a tuple without names"):
        pcn.cnn_train_dag(net, imdb(), get_batch, **options)
    with pytest.raises(ValueError, match="derOutputs must have at least one output to descend"):
        pcn.cnn_train_dag(net, imdb(), batch, derOutputs={}, **options)


def test_distances_and_losses_of_the_users_own_train_and_resume(tmp_path):
    def forward(layer, before, after):
        after.x = np.sum((before.x - layer["class"]) ** 2, dtype=np.float32).reshape(1, 1, 1, 1)
        return after

    def backward(layer, before, after):
        before.dzdx = 2 * (before.x - layer["class"]) * after.dzdx
        return before

    def itself(imdb, images):
        x = imdb["images"]["data"][..., images]
        return x, x

    def auto_encoder(**last):
        f = [np.full(s, 0.3, np.float32) for s in ((2, 2, 1, 3), (2, 2, 1, 3))]
        return pcn.SimpleNN(
            layers=[
                {"type": "conv", "weights": [f[0], np.zeros(3, np.float32)], "stride": 2},
                {"type": "convt", "weights": [f[1], np.zeros(1, np.float32)], "upsample": 2, "crop": 0},
                last,
            ]
        )

    found = []
    for last in (
        {"type": "pdist", "noRoot": True, "aggregate": True},
        {"type": "pdist", "noRoot": True, "aggregate": False},
        {"type": "custom", "forward": forward, "backward": backward},
    ):
        options = {"errorFunction": "none", "learningRate": 1e-3, "expDir": tmp_path / str(len(found))}
        fit(auto_encoder(**last), itself, numEpochs=1, **options)
        _, stats = fit(auto_encoder(**last), itself, numEpochs=3, **options)
        found.append([epoch.objective for epoch in stats.train])
    assert np.allclose(found, found[0], rtol=1e-5) and found[0][2] < found[0][0]


def test_errorFunction_and_errorLabels_take_one_of_each():
    _, stats = fit(errorFunction=lambda opts, labels, res: 5.0, errorLabels="mine")
    assert stats.train[0].mine == pytest.approx(0.5)
    with pytest.raises(TypeError, match="errorFunction must be a name or a function, got int"):
        fit(errorFunction=3)
    with pytest.raises(ValueError, match="errorLabels names 2 errors, the function gave 1"):
        fit(errorFunction=lambda opts, labels, res: 5.0, errorLabels=["a", "b"])


def half_step(w=None, state=None, grad=None, opts=None, lr=None):
    """A solver as users write one, with plain Python numbers."""
    if w is None:
        return {"gain": 0.5}
    steps = state["steps"] + 1 if isinstance(state, dict) else 1
    return w - np.float64(lr) * opts["gain"] * grad, {"steps": steps}


def test_a_solver_of_the_users_own_goes_on_from_a_checkpoint(tmp_path):
    whole = fit(expDir=tmp_path / "a", numEpochs=3, solver=half_step, solverOpts={"gain": 2})[0]
    fit(expDir=tmp_path / "b", numEpochs=1, solver=half_step, solverOpts={"gain": 2})
    parts = fit(expDir=tmp_path / "b", numEpochs=3, solver=half_step, solverOpts={"gain": 2})[0]
    for a, b in zip(whole.layers, parts.layers):
        assert all(
            v.dtype == np.float32 and np.array_equal(v, w.reshape(v.shape))
            for v, w in zip(a.get("weights") or [], b.get("weights") or [])
        )
    state = pcn.load_checkpoint(tmp_path / "b" / "net-epoch-3.mat").state.solverState
    assert state[0][0].steps == 9


@pytest.mark.parametrize("solver", [lambda w, s: w, lambda *a: 3])
def test_what_is_no_solver_is_refused(solver):
    with pytest.raises(TypeError, match="returns a dict of its default options"):
        fit(solver=solver)
    with pytest.raises(TypeError, match=r"the solver must return \(w, state\), got ndarray"):
        fit(solver=lambda *args: args[0] if args else {})


def test_another_solver_does_not_go_on_from_a_checkpoint(tmp_path):
    fit(expDir=tmp_path, solver="adadelta")
    (tmp_path / "training.json").unlink()  # as beside a checkpoint of MATLAB's: the solver's state alone tells
    with pytest.raises(ValueError, match="holds no solver state of adam; give the solver that it was trained with"):
        fit(expDir=tmp_path, solver="adam", numEpochs=2)
    with pytest.raises(ValueError, match=r"has the fields g_sqr, delta_sqr, but there is no solver="):
        fit(expDir=tmp_path, numEpochs=2)


def test_drafts_of_a_killed_run_are_swept_away(tmp_path):
    for name in (
        "net-epoch-3.mat0123abcd.part",
        "net-train.pdf9f9f9f9f.part",
        "training.json00000000.part",
        "mine.part",
    ):
        (tmp_path / name).write_bytes(b"half")
    fit(expDir=tmp_path)
    assert [p.name for p in tmp_path.glob("*.part")] == ["mine.part"]
