"""DagNN in files: the same bits come back, in the fields that MATLAB's DagNN.loadobj reads."""

import numpy as np
import pytest
import scipy.io
from support import FIXTURES

import pyconvnet as pcn
from pyconvnet.compat import matfile

NAMES = ["fcn-skip", "inception", "resnet-block", "roi-two-losses", "shared-weights", "stn"]


def facts(net):
    out = [(v.name, bool(v.precious)) for v in net.vars]
    out += [(p.name, float(p.learningRate), float(p.weightDecay), p.trainMethod) for p in net.params]
    out += [(e.name, e.inputs, e.outputs, e.params, repr(e.block)) for e in net.layers]
    return out


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_comes_back_to_the_bit(tmp_path, name):
    net = pcn.load(FIXTURES / "dags" / f"{name}.mat")
    net.meta = pcn.Struct(inputSize=np.array([[8.0, 8, 3]]), note="text")
    net.params[0].learningRate = 0.25
    pcn.save(tmp_path / "a.mat", net)
    again = pcn.load(tmp_path / "a.mat")
    assert facts(again) == facts(net)
    for a, b in zip(net.params, again.params):
        assert a.value.dtype == b.value.dtype and np.array_equal(np.ravel(a.value, "F"), np.ravel(b.value, "F"))
    assert again.meta.note == "text" and np.array_equal(again.meta.inputSize, [[8, 8, 3]])


@pytest.mark.parametrize("name", NAMES)
def test_the_fields_are_matlabs(tmp_path, name):
    """Names, nesting and array kinds of what we save equal those of what MatConvNet saved."""
    path = FIXTURES / "dags" / f"{name}.mat"
    pcn.save(tmp_path / "a.mat", pcn.load(path))
    ours, theirs = scipy.io.loadmat(tmp_path / "a.mat"), scipy.io.loadmat(path)
    for field in ("vars", "params", "layers"):
        assert ours[field].dtype.names == theirs[field].dtype.names
        assert ours[field].shape == theirs[field].shape
    for mine, yours in zip(ours["layers"].ravel(), theirs["layers"].ravel()):
        for part in ("name", "type"):
            assert mine[part][0] == yours[part][0]
        for part in ("inputs", "outputs", "params"):
            assert mine[part].dtype == object or not mine[part].size
            assert [n[0] for n in mine[part].ravel()] == [n[0] for n in yours[part].ravel()]
        assert set(mine["block"].dtype.names or ()) == set(yours["block"].dtype.names or ())


def test_under_net_and_with_state_and_stats(tmp_path):
    net = pcn.load(FIXTURES / "dags" / "resnet-block.mat")
    pcn.save(tmp_path / "a.mat", net, state=pcn.Struct(a=1), stats=pcn.Struct(train=2.0))
    point = pcn.load_checkpoint(tmp_path / "a.mat")
    assert facts(point.net) == facts(net) and float(np.ravel(point.stats.train)[0]) == 2
    assert isinstance(pcn.load(tmp_path / "a.mat"), pcn.DagNN)
    matfile.write(tmp_path / "b.mat", {"deep": net.saveobj()})
    assert facts(pcn.load(tmp_path / "b.mat")) == facts(net)


@pytest.mark.parametrize(
    "size, stored", [((1, 1, 500, 10), (500, 10)), ((3, 3, 64, 1), (3, 3, 64)), ((3, 3, 1, 1), (3, 3))]
)
def test_filters_get_the_four_dimensions_that_their_block_has(tmp_path, size, stored):
    net = pcn.DagNN()
    net.addLayer("c", pcn.dagnn.Conv(size=size, hasBias=False), "x", "y", "f")
    values = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    saved = net.saveobj()
    saved.params[0].value = values.reshape(stored, order="F")
    saved.layers[0].block.size = np.array([size], float) if size[3] > 1 else np.array([size[:3]], float)
    matfile.write(tmp_path / "a.mat", saved)
    again = pcn.load(tmp_path / "a.mat")
    assert np.array_equal(again.params["f"].value, values)
    x = np.ones((5, 5, size[2], 2), np.float32)
    again.eval({"x": x})
    assert np.allclose(again.vars["y"].value, pcn.vl_nnconv(x, values, None), atol=1e-4)


def test_files_of_scipy_that_drop_dimensions_load(tmp_path):
    """As MATLAB's own, but written by another program: 1x1x5x10 filters as 5x10, 3x3x4x1 as 3x3x4."""
    rng = np.random.default_rng(0)
    net = pcn.DagNN()
    net.addLayer("a", pcn.dagnn.Conv(size=(3, 3, 4, 1)), "x", "y", ["af", "ab"])
    net.addLayer("b", pcn.dagnn.ConvTranspose(size=(2, 2, 5, 1), upsample=(2, 2), hasBias=False), "y", "z", "bf")
    net.addLayer("c", pcn.dagnn.Conv(size=(1, 1, 5, 10), hasBias=False), "z", "w", "cf")
    net.initParams()
    for p in net.params:
        p.value = rng.standard_normal(p.value.shape).astype(np.float32)
    pcn.save(tmp_path / "a.mat", net)
    raw = {k: v for k, v in scipy.io.loadmat(tmp_path / "a.mat").items() if k in ("vars", "params", "layers")}
    for param in raw["params"].ravel():
        param["value"] = np.squeeze(param["value"]) if param["value"].ndim > 2 else param["value"]
    scipy.io.savemat(tmp_path / "b.mat", {"net": raw})
    again = pcn.load(tmp_path / "b.mat")
    assert facts(again) == facts(net)
    x = rng.standard_normal((6, 7, 4, 2)).astype(np.float32)
    for one in (net, again):
        one.eval({"x": x})
    assert [p.value.shape for p in again.params] == [p.value.shape for p in net.params]
    assert np.array_equal(net.vars["w"].value, again.vars["w"].value)


def test_tables_without_entries_are_struct_arrays_with_fields(tmp_path):
    """DagNN.loadobj calls fieldnames(s.params), which takes no cell."""
    net = pcn.DagNN()
    net.addLayer("r", pcn.dagnn.ReLU(), "x", "y")
    pcn.save(tmp_path / "a.mat", net)
    assert scipy.io.loadmat(tmp_path / "a.mat")["params"].dtype.names == (
        "name",
        "value",
        "learningRate",
        "weightDecay",
    )
    assert facts(pcn.load(tmp_path / "a.mat")) == facts(net)
    assert facts(pcn.DagNN.loadobj(tmp_path / "a.mat")) == facts(net), "as in MATLAB, a path will do"


def test_structs_as_scipy_reads_them_are_refused_with_what_to_do(tmp_path):
    raw = scipy.io.loadmat(FIXTURES / "dags" / "stn.mat")
    with pytest.raises(TypeError, match=r"structs must be as pyconvnet.load and compat.matfile.read give them"):
        pcn.DagNN.loadobj(raw)


@pytest.mark.parametrize("opts", ["cuDNN", "", np.zeros((0, 0)), ["cuDNN"]], ids=repr)
@pytest.mark.parametrize(
    "names", [lambda *n: list(n), lambda *n: n[0] if len(n) == 1 else list(n)], ids=["cell", "char"]
)
@pytest.mark.parametrize("nothing", [np.zeros((0, 0)), [], ""], ids=repr)
def test_files_of_other_programs_store_lists_as_they_like(tmp_path, opts, names, nothing):
    net = pcn.DagNN()
    net.addLayer("c", pcn.dagnn.Conv(size=[1, 1, 2, 3], hasBias=False), "x", "y", "f")
    net.addLayer("r", pcn.dagnn.ReLU(), "y", "z")
    net.initParams()
    saved = net.saveobj()
    for layer in saved.layers:
        layer.inputs, layer.outputs = names(*layer.inputs), names(*layer.outputs)
        layer.params = names(*layer.params) if layer.params else nothing
        layer.block.opts = opts
    matfile.write(tmp_path / "a.mat", {"net": saved})
    again = pcn.load(tmp_path / "a.mat")
    x = np.ones((2, 2, 2, 1), np.float32)
    for one in (net, again):
        one.eval({"x": x})
    assert np.array_equal(again.vars["z"].value, net.vars["z"].value)
    assert again.layers["r"].params == [] and again.getInputs() == ["x"]


def test_a_training_method_changed_by_hand_is_kept(tmp_path):
    net = pcn.load(FIXTURES / "dags" / "resnet-block.mat")
    net.params[0].trainMethod = "none"
    pcn.save(tmp_path / "a.mat", net)
    assert facts(pcn.load(tmp_path / "a.mat")) == facts(net)
    fields = scipy.io.loadmat(tmp_path / "a.mat")["params"].dtype.names
    assert fields == ("name", "value", "trainMethod", "learningRate", "weightDecay")


def test_a_block_of_the_users_own_is_kept_until_its_class_is_there(tmp_path):
    class Amplify(pcn.dagnn.ElementWise):
        factor = 2.0

        def forward(self, inputs, params):
            return [self.factor * inputs[0]]

        def backward(self, inputs, params, derOutputs):
            return [self.factor * derOutputs[0]], []

    net = pcn.DagNN()
    net.addLayer("a", Amplify(factor=3.0), "x", "y")
    net.addLayer("r", pcn.dagnn.ReLU(), "y", "z")
    pcn.save(tmp_path / "a.mat", net)
    pcn.layers.registry._BY_BLOCK.pop("Amplify")
    without = pcn.load(tmp_path / "a.mat")
    assert "Amplify" in pcn.dagnn.printing.describe(without)
    x = np.array([-1.0, 2.0], np.float32).reshape(1, 1, 2, 1)
    with pytest.raises(TypeError, match=r"block 'dagnn.Amplify' is not defined here \(the file holds factor\)"):
        without.eval({"x": x})
    pcn.save(tmp_path / "b.mat", without)
    pcn.layers.registry._BY_BLOCK["Amplify"] = Amplify
    for path in ("a.mat", "b.mat"):
        again = pcn.load(tmp_path / path)
        again.eval({"x": x}, {"z": np.ones_like(x)})
        assert np.array_equal(again.vars["z"].value.ravel(), [0, 6])


def test_properties_that_a_block_does_not_have_are_said_once_and_empty_ones_not_at_all():
    net = pcn.DagNN()
    for i in range(5):
        net.addLayer(f"r{i}", pcn.dagnn.ReLU(), f"x{i}", f"x{i + 1}")
    saved = net.saveobj()
    for layer in saved.layers:
        layer.block.update(exBackprop=np.array([[True]]), numInputs=np.empty((0, 0)))
    with pytest.warns(UserWarning) as said:
        pcn.DagNN.loadobj(saved)
    assert [str(w.message) for w in said] == [
        "DagNN.loadobj: ReLU has no property 'exBackprop'; it is left out (layers 'r0', 'r1', 'r2' and 2 more)"
    ]


def test_layers_without_name_or_type_are_refused_by_their_number():
    net = pcn.DagNN()
    net.addLayer("r", pcn.dagnn.ReLU(), "x", "y")
    saved = net.saveobj()
    saved.layers[0].type = np.zeros((0, 0))
    with pytest.raises(TypeError, match=r"loadobj: layers\(1\) must be a record with a name and a type, got a str"):
        pcn.DagNN.loadobj(saved)


def saved_graph():
    return pcn.load(FIXTURES / "dags" / "resnet-block.mat").saveobj()


@pytest.mark.parametrize("name", ["", 3.0, None])
@pytest.mark.parametrize("table", ["layers", "vars", "params"])
def test_a_record_without_a_name_is_refused_by_its_place(table, name):
    s = saved_graph()
    record = s[table][-1]
    if name is None:
        del record["name"]
    else:
        record.name = name
    if name == "" and table != "layers":
        with pytest.warns(UserWarning, match="'' is used by no layer"):
            pcn.DagNN.loadobj(s)
        return
    with pytest.raises(TypeError, match=rf"DagNN\.loadobj: {table}\({len(s[table])}\).* name"):
        pcn.DagNN.loadobj(s)


def test_two_parameters_of_one_name_are_said():
    s = saved_graph()
    other = pcn.Struct(s.params[0])
    other.value = np.zeros_like(other.value)
    s.params.append(other)
    with pytest.warns(UserWarning, match=f"parameter {other.name!r} stands there more than once"):
        net = pcn.DagNN.loadobj(s)
    assert not net.params[other.name].value.any()
