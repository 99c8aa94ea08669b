"""The opts of a block, or of a SimpleNN's record, come last as MATLAB's opts{:} do: they win over its properties."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.options import option_list

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 6, 2, 3))
ZERO = np.zeros_like(X)
F, B = RNG.standard_normal((3, 3, 2, 4)), RNG.standard_normal((1, 4))
T = RNG.standard_normal((3, 3, 4, 2))
GAIN, SHIFT = RNG.standard_normal((2, 1)), RNG.standard_normal((2, 1))
SCORES, LABELS, SIGNS = X[:1, :1], np.array([1, 2, 1]), np.sign(X[:1, :1])

# block, inputs, parameters, what the operator gives (in a chain of arguments with dzdy, or without)
CASES = {
    "Conv stride": (dagnn.Conv(size=[3, 3, 2, 4], opts=["cuDNN", "Stride", 2]), [X], [F, B],
                    lambda d: pcn.vl_nnconv(X, F, B, d, stride=2)),
    "Conv pad over pad": (dagnn.Conv(size=[3, 3, 2, 4], pad=2, opts=("pad", 1)), [X], [F, B],
                          lambda d: pcn.vl_nnconv(X, F, B, d, pad=1)),
    "Conv dilate": (dagnn.Conv(size=[3, 3, 2, 4], opts=("dilate", np.array([[2.0, 2]]))), [X], [F, B],
                    lambda d: pcn.vl_nnconv(X, F, B, d, dilate=2)),
    "ConvTranspose upsample": (dagnn.ConvTranspose(size=[3, 3, 4, 2], opts=["upsample", 2, "crop", 1]), [X], [T, B],
                               lambda d: pcn.vl_nnconvt(X, T, B, d, upsample=2, crop=1)),
    "ConvTranspose numGroups": (dagnn.ConvTranspose(size=[3, 3, 2, 2], opts=["numGroups", 2]), [X], [T[:, :, :2], B],
                                lambda d: pcn.vl_nnconvt(X, T[:, :, :2], B, d, numGroups=2)),
    "Pooling method": (dagnn.Pooling(poolSize=[2, 2], opts=["method", "avg", "stride", 2]), [X], [],
                       lambda d: pcn.vl_nnpool(X, 2, d, method="avg", stride=2)),
    "ReLU leak": (dagnn.ReLU(leak=0.5, opts=["leak", 0.1]), [X], [], lambda d: pcn.vl_nnrelu(X, d, leak=0.1)),
    "ReLU leak below 0": (dagnn.ReLU(opts=["leak", -0.1]), [X], [], lambda d: pcn.vl_nnrelu(X, d, leak=-0.1)),
    "BatchNorm epsilon": (dagnn.BatchNorm(numChannels=2, opts=["epsilon", 0.5]), [X], [GAIN, SHIFT],
                          lambda d: pcn.vl_nnbnorm(X, GAIN, SHIFT, d, epsilon=0.5)),
    "Loss normalise": (dagnn.Loss(opts=["normalise", False]), [SCORES, LABELS], [],
                       lambda d: pcn.vl_nnloss(SCORES, LABELS, d, normalise=False)),
    "Loss loss": (dagnn.Loss(opts=["loss", "mhinge"]), [SCORES, LABELS], [],
                  lambda d: pcn.vl_nnloss(SCORES, LABELS, d, loss="mhinge")),
    "Loss binary": (dagnn.Loss(opts=["loss", "logistic", "instanceWeights", np.abs(SCORES)]), [SCORES, SIGNS], [],
                    lambda d: pcn.vl_nnloss(SCORES, SIGNS, d, loss="logistic", instanceWeights=np.abs(SCORES))),
    "PDist noRoot": (dagnn.PDist(opts=["noRoot", True]), [X, ZERO], [],
                     lambda d: pcn.vl_nnpdist(X, ZERO, 2, d, noRoot=True, aggregate=True)),
    "PDist aggregate": (dagnn.PDist(opts=["aggregate", False]), [X, ZERO], [], lambda d: pcn.vl_nnpdist(X, ZERO, 2, d)),
}  # fmt: skip


def first(value):
    return value[0] if isinstance(value, (tuple, list)) else value


def graph(block, inputs, params):
    net = dagnn.DagNN()
    names = [f"in{i}" for i in range(len(inputs))]
    net.addLayer("k", block, names, "y", [f"p{i}" for i in range(len(params))])
    for param, value in zip(net.params, params):
        param.value = value
    return net, dict(zip(names, inputs))


@pytest.mark.parametrize("saved", [False, True], ids=["built", "saved"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_opts_of_a_block_win_in_value_derivative_and_size(case, saved, tmp_path):
    block, inputs, params, operator = case
    net, given = graph(block, inputs, params)
    if saved:
        pcn.save(tmp_path / "net.mat", net)
        net = pcn.load(tmp_path / "net.mat")
        assert len(net.layers[0].block.opts) == len(block.opts)
    wanted = first(operator(None))
    weights = RNG.standard_normal(wanted.shape)
    if wanted.size == 1:
        weights = np.ones(wanted.shape)
    net.eval(given, {"y": weights})
    y = net.vars["y"].value
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, rtol=1e-12)
    ders = operator(weights)
    ders = list(ders) if isinstance(ders, tuple) else [ders]
    np.testing.assert_allclose(net.vars["in0"].der, ders[0], rtol=1e-10, atol=1e-12)
    for param, der in zip(net.params, ders[1:]):
        np.testing.assert_allclose(param.der, der, rtol=1e-10, atol=1e-12)
    if not isinstance(block, dagnn.Loss):
        assert net.getVarSizes({"in0": X.shape})[net.getVarIndex("y")] == wanted.shape


RECORDS = {
    "conv": ({"weights": [F, B], "opts": ["stride", 2, "pad", 1]}, lambda: pcn.vl_nnconv(X, F, B, stride=2, pad=1)),
    "pool": ({"pool": 2, "method": "max", "opts": ["method", "avg"]}, lambda: pcn.vl_nnpool(X, 2, method="avg")),
    "convt": ({"weights": [T, B], "opts": ["upsample", 2]}, lambda: pcn.vl_nnconvt(X, T, B, upsample=2)),
}


@pytest.mark.parametrize("type", RECORDS)
def test_the_opts_of_a_record_win_in_a_chain_its_table_and_the_graph_of_it(type, tmp_path):
    fields, operator = RECORDS[type]
    net = pcn.vl_simplenn_tidy({"layers": [{"type": type, "name": "k", **fields}], "meta": {"inputSize": X.shape[:3]}})
    wanted = operator()
    info, _ = pcn.vl_simplenn_display(net, inputSize=X.shape)
    assert tuple(info.dataSize[:, 1]) == wanted.shape
    pcn.save(tmp_path / "net.mat", net)
    for each in (net, pcn.load(tmp_path / "net.mat")):
        np.testing.assert_allclose(pcn.vl_simplenn(each, X)[-1].x, wanted, rtol=1e-12)
        dag = dagnn.DagNN.fromSimpleNN(each)
        dag.eval({"x0": X})
        np.testing.assert_allclose(dag.vars["x1"].value, wanted, rtol=1e-12)
        np.testing.assert_allclose(pcn.vl_simplenn(dag.toSimpleNN(), X)[-1].x, wanted, rtol=1e-12)


def test_tables_follow_the_opts():
    layers = [
        {"type": "conv", "weights": [F, B], "stride": 1, "pad": 3, "opts": ["stride", 2, "pad", 1, "dilate", 2]},
        {"type": "pool", "pool": 2, "method": "max", "opts": ["method", "avg", "stride", 2]},
    ]
    info, text = pcn.vl_simplenn_display({"layers": layers}, inputSize=[17, 17, 2, 1])
    assert info.support.tolist() == [[5, 2], [5, 2]] and info.stride.tolist() == [[2, 2], [2, 2]]
    assert info.pad[:, 0].tolist() == [1, 1, 1, 1] and info.pad[:, 1].tolist() == [0, 0, 0, 0]
    assert info.receptiveFieldSize.tolist() == [[5, 7], [5, 7]]
    assert info.receptiveFieldOffset.tolist() == [[2, 3], [2, 3]]
    assert info.dataSize[:, 1:].T.tolist() == [[8, 8, 4, 1], [4, 4, 4, 1]]
    assert "apool" in text and "mpool" not in text
    (dilation,) = [row for row in text.splitlines() if "filt dilat" in row]
    assert dilation.split("|")[2].strip() == "2"

    net = dagnn.DagNN()
    net.addLayer("c", dagnn.Conv(size=[3, 3, 2, 4], opts=["stride", 2, "pad", [1, 0, 1, 0]]), "x", "y", ["f", "b"])
    rows = [row.replace(" ", "") for row in net.print(Format="csv").splitlines()]
    assert '"stride","2",' in rows and '"pad","1x0x1x0",' in rows
    field = net.getVarReceptiveFields("x")[1]
    assert (field.size, field.stride, field.offset) == ((3, 3), (2, 2), (1, 1))
    field = dagnn.ConvTranspose(size=[4, 4, 2, 2], opts=["upsample", 2, "crop", 1]).getReceptiveFields()
    assert field == dagnn.ConvTranspose(size=[4, 4, 2, 2], upsample=2, crop=1).getReceptiveFields()


@pytest.mark.parametrize(
    ("conv", "relu"), [(["stride", 2], []), (["cuDNN"], ["leak", 0.3]), (["CudnnWorkspaceLimit", 1e9], ["leak", 0])]
)
def test_layers_that_may_run_as_one_follow_the_opts(conv, relu):
    x, f, b = (a.astype(np.float32) for a in (X, F, B))
    net = dagnn.DagNN()
    net.addLayer("c", dagnn.Conv(size=f.shape, opts=conv), "x", "y", ["f", "b"])
    net.addLayer("r", dagnn.ReLU(opts=relu), "y", "z")
    net.params["f"].value, net.params["b"].value, net.mode = f, b, "test"
    net.eval({"x": x})
    options = dict(zip(conv[::2], conv[1::2])) if conv[0] == "stride" else {}
    wanted = pcn.vl_nnrelu(pcn.vl_nnconv(x, f, b, **options), **dict(zip(relu[::2], relu[1::2])))
    np.testing.assert_allclose(net.vars["z"].value, wanted, rtol=1e-5, atol=1e-6)


def test_a_rectifier_with_a_leak_below_zero_in_its_opts_keeps_its_input_for_backward():
    assert dagnn.ReLU(opts=["leak", -0.1]).backward_uses == "inputs"
    assert dagnn.ReLU(leak=-0.1, opts=["leak", 0.1]).backward_uses == "outputs"


def test_whether_a_loss_averages_and_what_predicts_follows_the_opts():
    assert dagnn.Loss().averages and not dagnn.Loss(opts=["normalise", False]).averages
    assert dagnn.Loss(opts=["loss", "Logistic"]).prediction == "sigmoid"
    net, given = graph(dagnn.Loss(opts=["normalise", False]), [SCORES, LABELS], [])
    net.eval(given)
    assert np.isclose(net.layers[0].block.average, pcn.vl_nnloss(SCORES, LABELS).item())


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (dagnn.Conv(size=[3, 3, 2, 4], opts=["strid", 2]), "vl_nnconv: unknown option 'strid'; did you mean 'stride'"),
        (dagnn.ReLU(opts=["lek", 2]), "vl_nnrelu: unknown option 'lek'; did you mean 'leak'"),
        (dagnn.Pooling(opts=["stride"]), "vl_nnpool: option 'stride' has no value"),
        (dagnn.Pooling(opts=[3]), "vl_nnpool: expected an option name, got int"),
    ],
)
def test_wrong_opts_are_refused_with_the_layer(block, message):
    net, given = graph(block, [X], [F, B] if isinstance(block, dagnn.Conv) else [])
    with pytest.raises((ValueError, TypeError), match=f"{message}.*in layer 'k'"):
        net.eval(given)


@pytest.mark.parametrize(
    ("opts", "items"),
    [
        ("cuDNN", ("cuDNN",)),
        ("", ()),
        (None, ()),
        ({}, ()),
        (np.zeros((0, 0)), ()),
        ([[]], ()),
        ([("cuDNN",)], ("cuDNN",)),
        ([["stride", 2]], ("stride", 2)),
        (np.array(["stride", 2], object), ("stride", 2)),
        (("stride", 2), ("stride", 2)),
        (["verbose"], ("verbose",)),
    ],
    ids=repr,
)
def test_opts_come_in_every_form_that_files_have(opts, items):
    assert option_list(opts) == items
    record = {"type": "pool", "pool": 2, "opts": opts}
    tidied = pcn.vl_simplenn_tidy({"layers": [record]})
    assert tidied.layers[0].opts == list(items)
    stride = 2 if "stride" in items else 1
    for net in (tidied, {"layers": [{**tidied.layers[0], "opts": opts}]}):
        assert np.array_equal(pcn.vl_simplenn(net, X)[-1].x, pcn.vl_nnpool(X, 2, stride=stride))


def test_a_loss_of_ones_own_keeps_options_that_vl_nnloss_does_not_know():
    class Margin(dagnn.Loss):
        def forward(self, inputs, params):
            return [np.full((1, 1, 1, 1), self.effective_options()["margin"])]

    net, given = graph(Margin(opts=["margin", 3.0]), [SCORES, LABELS], [])
    net.eval(given)
    assert net.vars["y"].value.item() == 3 and net.layers[0].block.averages


def test_an_option_that_is_set_after_the_layer_ran_counts_from_then_on():
    x = np.array([-2.0, 3.0]).reshape(1, 2, 1, 1)
    net = pcn.DagNN()
    net.addLayer("r", dagnn.ReLU(), "x", "y")
    block = net.layers["r"].block

    def run():
        net.eval({"x": x}, {"y": np.ones_like(x)})
        return net.vars["y"].value.ravel().tolist(), net.vars["x"].der.ravel().tolist()

    net.vars["y"].precious = True
    assert run() == ([0, 3], [0, 1])
    block.leak = 0.5
    assert run() == ([-1, 3], [0.5, 1])
    block.opts = ("leak", -0.25)  # backward must read the input now
    assert run() == ([0.5, 3], [-0.25, 1])
    block.opts = ["leak", 0.5]
    run()
    block.opts[1] = 0.75
    assert run() == ([-1.5, 3], [0.75, 1])
    block.opts = (["leak", 0.5],)
    run()
    block.opts[0][1] = 0.75
    assert run() == ([-1.5, 3], [0.75, 1])
    block.load(opts=(), leak=np.array([0.5]))
    run()
    block.leak[0] = 0.25
    assert run() == ([-0.5, 3], [0.25, 1])
    del block.leak
    assert run() == ([0, 3], [0, 1])
    block.effective_options()["leak"] = 1  # what the layer gives is the caller's own
    assert run() == ([0, 3], [0, 1])


def test_options_that_a_class_of_ones_own_computes_are_asked_each_time():
    class Warming(dagnn.ReLU, block=False):
        @property
        def leak(self):
            return 0.5 if warm else 0.0

    warm = []
    block, x = Warming(), -np.ones((1, 1, 1, 1))
    assert block.forward([x], [])[0].item() == 0
    warm.append(True)
    assert block.forward([x], [])[0].item() == -0.5
