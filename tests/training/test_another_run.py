"""A checkpoint of another run in the same folder is refused; what is an ordinary continuation goes on."""

import warnings

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.training import run_metadata


def draw(*shape):
    return (np.random.default_rng(sum(shape)).standard_normal(shape) / 10).astype(np.float32)


def layers(filters=4, stride=1, method="max", rate=0.3, depth=1, middle="relu", name="c1"):
    conv = {"type": "conv", "name": name, "weights": [draw(3, 3, 1, filters), np.zeros(filters, np.float32)]}
    return [
        {**conv, "stride": stride, "pad": 1},
        *[{"type": middle} for _ in range(depth)],
        {"type": "pool", "name": "p", "pool": 2, "stride": 2, "method": method},
        {"type": "dropout", "name": "d", "rate": rate},
        {"type": "conv", "name": "c2", "weights": [draw(8 // stride // 2, 8 // stride // 2, filters, 3), np.zeros(3)]},
        {"type": "softmaxloss", "name": "loss"},
    ]


def network(kind="simplenn", **changed):
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers(**changed)))
    for layer in net.layers:
        layer.weights = [np.asarray(w, np.float32) for w in layer.weights]
    return net if kind == "simplenn" else pcn.DagNN.fromSimpleNN(net, canonicalNames=True)


def imdb(count=40, seed=0, classes=("a", "b", "c")):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 3 + 1).astype(float)
    data = rng.standard_normal((8, 8, 1, count)).astype(np.float32)
    marks = np.where(np.arange(count) % 4 == 3, 2, 1)
    return {"images": {"data": data, "labels": labels, "set": marks}, "meta": {"classes": list(classes)}}


def fit(folder, net=None, data=None, **options):
    options = {"batchSize": 10, "learningRate": 0.01, "verbose": False, "plotStatistics": False, **options}
    net = network() if net is None else net
    data = imdb() if data is None else data

    def batch(imdb, images):
        x, labels = imdb["images"]["data"][..., images], imdb["images"]["labels"][images]
        return {"input": x, "label": labels} if hasattr(net, "params") else (x, labels)

    train = pcn.cnn_train_dag if hasattr(net, "params") else pcn.cnn_train
    return train(net, data, batch, expDir=folder, **options)


OTHERS = [
    ({"filters": 5}, "sizes of weights are 3x3x1x5, .*in the checkpoint 3x3x1x4", "3x3x1x5, in the checkpoint 3x3x1x4"),
    ({"stride": 2}, "stride is 2.*, in the checkpoint 1", "layer 'c1': stride is 2.*, in the checkpoint 1"),
    ({"method": "avg"}, r"'p' \(pool\): method is avg, in the checkpoint max", "layer 'p': method is avg"),
    ({"depth": 3}, "the network has 8 layers, that of the checkpoint 6; layer 3", "is not in the checkpoint"),
    ({"depth": 0}, "the network has 5 layers, that of the checkpoint 6; layer 2", "of the checkpoint is not in the"),
    ({"middle": "sigmoid"}, r"layer 2 is 'layer2' \(sigmoid\), in .* \(relu\)", "is a Sigmoid, .* a ReLU"),
    ({"name": "first"}, r"layer 1 is 'first' \(conv\), in the checkpoint 'c1' \(conv\)", "layer 'first' is not in"),
]


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
@pytest.mark.parametrize("changed, chain, graph", OTHERS, ids=[str(o[0]) for o in OTHERS])
def test_another_network_is_refused_also_where_nothing_is_left_to_train(tmp_path, kind, changed, chain, graph):
    fit(tmp_path, network(kind), numEpochs=1)
    held = [p.name for p in sorted(tmp_path.iterdir())]
    for epochs in (1, 2):
        with pytest.raises(
            ValueError, match=r"net-epoch-1\.mat is of another run: .*" + (chain, graph)[kind == "dagnn"]
        ):
            fit(tmp_path, network(kind, **changed), numEpochs=epochs)
    with pytest.raises(ValueError, match="continue_=False to start over, or continue_='force'"):
        fit(tmp_path, network(kind, **changed), numEpochs=1, train=np.nan)
    assert [p.name for p in sorted(tmp_path.iterdir())] == held
    net, stats = fit(tmp_path, network(kind, **changed), numEpochs=2, continue_="force")
    first = net.params[0].value if kind == "dagnn" else net.layers[0].weights[0]
    assert first.shape == (3, 3, 1, 4) and len(stats.train) == 2
    _, stats = fit(tmp_path, network(kind, **changed), numEpochs=2, continue_=False)
    assert len(stats.train) == 2
    fit(tmp_path, network(kind, **changed), numEpochs=3)


def test_a_checkpoint_of_the_other_kind_is_refused_even_by_force(tmp_path):
    fit(tmp_path, network("dagnn"), numEpochs=1)
    for given in (True, "force"):
        with pytest.raises(ValueError, match=r"net-epoch-1\.mat holds a DagNN, net is a SimpleNN: give another expDir"):
            fit(tmp_path, numEpochs=2, continue_=given)


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
def test_other_wiring_and_rates(tmp_path, kind):
    fit(tmp_path, network(kind), numEpochs=1)
    if kind == "dagnn":
        net = network(kind)
        net.renameVar(net.layers["c1"].outputs[0], "elsewhere")
        with pytest.raises(ValueError, match="layer 'c1': outputs are elsewhere, in the checkpoint "):
            fit(tmp_path, net, numEpochs=2)
    with pytest.warns(UserWarning, match="the network of the checkpoint, where .*: rate is 0.5, in the checkpoint 0.3"):
        net, _ = fit(tmp_path, network(kind, rate=0.5), numEpochs=2)
    dropout = net.layers["d"].block if kind == "dagnn" else net.layers[3]
    assert np.ravel(dropout.rate).tolist() == [0.3]


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
def test_ordinary_continuations_go_on_without_a_warning(tmp_path, kind, capsys):
    fit(tmp_path, network(kind), numEpochs=1)
    longer, before = imdb(60), imdb()
    longer["images"]["labels"][:40] = before["images"]["labels"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(tmp_path, network(kind), numEpochs=2, learningRate=[0.1, 0.05], batchSize=7, momentum=0.5, weightDecay=0)
        fit(tmp_path, network(kind), numEpochs=3, solver="sgd", randomSeed=5, numSubBatches=2, prefetch=True)
        fit(tmp_path, network(kind), longer, numEpochs=4, stopOnNaN=False, verbose=True, nesterovUpdate=True)
        assert "options changed since the checkpoint: batchSize" not in capsys.readouterr().out
        fit(tmp_path, network(kind), longer, numEpochs=5, learningRate=0.5, verbose=True)
        assert "learningRate [0.01] -> [0.5], nesterovUpdate True -> False" in capsys.readouterr().out
        # half of the images, as in active learning; and more of them that were never validated on
        fit(tmp_path, network(kind), longer, numEpochs=6, train=np.flatnonzero(longer["images"]["set"] == 1)[:20])
        _, stats = fit(tmp_path, network(kind), longer, numEpochs=7, evalSets={"all": np.arange(60)})
    assert len(stats.train) == 7


def named(*names):
    net = network(depth=len(names) - 4)
    bare = [{k: v for k, v in layer.items() if k != "name"} for layer in net.layers]
    layers = [{**layer, "name": name} if name else layer for layer, name in zip(bare, (*names, "loss"))]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


@pytest.mark.parametrize(
    "names, tidied",
    [
        (["c1", None, "p", "d", "c2"], "layer2"),
        (["layer2", None, "p", "d", "c2"], "layer2_1"),
        (["layer2", None, "layer2_1", "d", "c2"], "layer2_2"),
    ],
)
def test_a_name_that_tidy_gave_may_be_changed_and_comes_in_place_of_another(tmp_path, names, tidied):
    own = [names[0], "middle", *names[2:]]
    assert named(*names).layers[1].name == tidied
    fit(tmp_path / "named", named(*names), numEpochs=1)
    assert len(fit(tmp_path / "named", named(*own), numEpochs=2)[1].train) == 2
    fit(tmp_path / "unnamed", named(*own), numEpochs=1)
    assert len(fit(tmp_path / "unnamed", named(*names), numEpochs=2)[1].train) == 2


@pytest.mark.parametrize("name", ["layer2_1", "layer2_0", "layer2_x", "Layer2", "layer"])
def test_a_name_that_tidy_would_not_have_given_is_the_users(tmp_path, name):
    """Beside none called layer2 there is no need for layer2_1: stages of blocks are called so."""
    fit(tmp_path, named("c1", name, "p", "d", "c2"), numEpochs=1)
    with pytest.raises(ValueError, match=f"layer 2 is 'r' .relu., in the checkpoint '{name}' .relu."):
        fit(tmp_path, named("c1", "r", "p", "d", "c2"), numEpochs=2)
    beside = named("c1", "r", "layer2", "d", "c2")
    with pytest.raises(ValueError, match=f"layer 2 is 'r' .relu., in the checkpoint '{name}' .relu."):
        fit(tmp_path, beside, numEpochs=2)


def test_settings_written_in_another_form_are_the_same():
    from pyconvnet.training.resume import _simple

    for field, forms in {
        "pad": (1, [1, 1, 1, 1], np.ones((1, 4), np.uint8), np.array([[1.0]])),
        "stride": ((2, 1), [2, 1], np.array([[2.0, 1.0]])),
        "size": ((5, 5, 3, 1), [5, 5, 3], np.array([[5.0, 5.0, 3.0]])),
        "method": ("max", "Max", ["max"]),
        "opts": ((), None, [], "cuDNN", ["cuDNN", "CudnnWorkspaceLimit", 1e9], np.zeros((0, 0))),
    }.items():
        assert len({_simple(field, form) for form in forms}) == 1, field
    assert _simple("stride", (2, 1)) != _simple("stride", 2) and _simple("opts", ["NoRoot", True]) != ()


@pytest.mark.parametrize("kind", ["simplenn", "dagnn"])
def test_another_imdb_is_refused(tmp_path, kind):
    fit(tmp_path, network(kind), numEpochs=1)
    for data, message in (
        (imdb(seed=1), "images.labels of imdb are others than before"),
        (imdb(30), "imdb has 30 images, before 40"),
        (imdb(classes="acb"), "the classes of imdb are a, c, b, before a, b, c"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(tmp_path, network(kind), data, numEpochs=2)
        fit(tmp_path, network(kind), data, numEpochs=2, train=np.nan)  # evaluation trains on nothing
    fit(tmp_path, network(kind), imdb(seed=1), numEpochs=2, continue_="force")
    assert len(fit(tmp_path, network(kind), imdb(seed=1), numEpochs=3)[1].train) == 3


def test_images_that_were_trained_on_are_not_validated_on(tmp_path):
    first, second = np.arange(30), np.arange(10, 40)
    fit(tmp_path, numEpochs=1, train=first, val=np.arange(30, 40))
    # both to train and to validate on is asked for in so many words
    fit(tmp_path, numEpochs=2, train=first, val=np.arange(20, 40))
    fit(tmp_path, numEpochs=3, train=second, val=np.nan)
    for _ in range(2):
        with pytest.raises(ValueError, match="10 of the 10 images to validate on were trained on before"):
            fit(tmp_path, numEpochs=4, train=second, val=np.arange(10))
    fit(tmp_path, numEpochs=4, train=second, val=np.arange(10), continue_="force")
    fit(tmp_path, numEpochs=5, train=second, val=np.arange(10))


def test_another_solver_is_refused_though_its_state_would_fit(tmp_path):
    fit(tmp_path, numEpochs=1, solver="adagrad")
    for solver, name in ((None, "sgd"), ("sgd", "sgd"), ("rmsprop", "rmsprop"), ("adam", "adam")):
        with pytest.raises(ValueError, match=f"the solver is {name}, before adagrad"):
            fit(tmp_path, numEpochs=2, solver=solver)
    seen = []

    def see(net, opts, state):
        seen.append(state.solverState[0][0].copy())

    options = {"continue_": "force", "learningRate": 1e-9, "solver": "sgd", "postEpochFn": see}
    fit(tmp_path, numEpochs=2, **options)
    sums = pcn.load_checkpoint(tmp_path / "net-epoch-1.mat").state.solverState[0][0]
    fit(None, pcn.load_checkpoint(tmp_path / "net-epoch-1.mat").net, numEpochs=1, randomSeed=1, **options)
    assert sums.shape == seen[0].shape and np.all(sums >= 0)
    assert np.array_equal(seen[0], seen[1]), "momentum began at 0, not at adagrad's sums of squares"


def test_a_solver_without_state_may_change(tmp_path):
    fit(tmp_path, numEpochs=1, solver="adagrad", saveSolverState=False)
    assert len(fit(tmp_path, numEpochs=2, solver="adam")[1].train) == 2


@pytest.mark.parametrize("text", [None, "{broken", '{"options": {"batchSize": 3}, "classes": ["a", "b", "c"]}'])
def test_without_run_metadata_of_this_release_the_network_decides(tmp_path, text):
    fit(tmp_path, numEpochs=1)
    path = tmp_path / run_metadata.NAME
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ValueError, match="3x3x1x5, 5, in the checkpoint 3x3x1x4, "):
        fit(tmp_path, network(filters=5), imdb(seed=1), numEpochs=2)
    assert len(fit(tmp_path, data=imdb(seed=1), numEpochs=2)[1].train) == 2


def test_what_a_users_block_counts_is_no_difference(tmp_path):
    class Counted(dagnn.Layer):
        calls = 0
        size = (1, 2)

        def forward(self, inputs, params):
            self.calls += 1
            return [inputs[0]]

        def backward(self, inputs, params, derOutputs):
            return [derOutputs[0]], []

    def graph():
        net = network("dagnn")
        out = net.layers["d"].outputs[0]
        net.setLayerInputs("c2", ["counted"])
        net.addLayer("counter", Counted(), out, "counted")
        return net

    fit(tmp_path, graph(), numEpochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net, _ = fit(tmp_path, graph(), numEpochs=2)
    assert net.layers["counter"].block.calls == 8


def test_starting_over_tells_of_later_checkpoints_that_stay(tmp_path):
    fit(tmp_path, numEpochs=2)
    with pytest.warns(UserWarning, match=r"where net-epoch-2\.mat of an earlier run stays: a later call would go on"):
        fit(tmp_path, numEpochs=1, continue_=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(tmp_path, numEpochs=2, continue_=False)


def test_layers_of_types_not_known_here_are_compared_by_type_and_weights():
    def net(size, kind):
        layer = {"type": "".join(kind), "name": "a", "weights": [draw(1, 1, size, 2)], "taps": size}
        return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[layer]))

    from pyconvnet.training.resume import _networks

    assert _networks(net(3, ["mine", "x"]), net(3, ["mine", "x"])) == ([], [])
    assert _networks(net(3, ["mine", "x"]), net(3, ["mine", "y"]))[0] == [
        "layer 1 is 'a' (minex), in the checkpoint 'a' (miney)"
    ]
    assert "1x1x3x2, in the checkpoint 1x1x4x2" in _networks(net(3, ["mine"]), net(4, ["mine"]))[0][0]


def test_opts_of_a_block_are_the_same_in_a_program_and_in_a_file(tmp_path):
    random = np.random.default_rng(0)
    x, labels = random.standard_normal((2, 2, 3, 20)).astype(np.float32), np.arange(20) % 4 + 1

    def run(epochs):
        net = pcn.DagNN()
        net.addLayer("c", pcn.dagnn.Conv(size=[2, 2, 3, 4], opts=["cuDNN"]), "input", "p", ["f", "b"])
        net.addLayer("o", pcn.dagnn.Loss(), ["p", "label"], "objective")
        net.addLayer("t", pcn.dagnn.Loss(loss="topkerror", opts=["topK", 2]), ["p", "label"], "top2err")
        net.params["f"].value, net.params["b"].value = np.ones((2, 2, 3, 4), np.float32), np.zeros((4, 1), np.float32)
        imdb = {"images": {"set": np.ones(20)}}
        options = {"expDir": tmp_path, "batchSize": 10, "verbose": False, "plotStatistics": False}
        return pcn.cnn_train_dag(
            net, imdb, lambda imdb, b: {"input": x[..., b], "label": labels[b]}, numEpochs=epochs, **options
        )[1]

    run(1)
    assert len(run(2).train) == 2
