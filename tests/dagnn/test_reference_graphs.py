"""Graphs that MatConvNet 1.0-beta25 evaluated, measured and printed."""

import numpy as np
import pytest

from pyconvnet.arrays import is_empty
from pyconvnet.dagnn import DagNN

GRAPHS = ["fcn-skip", "inception", "resnet-block", "roi-two-losses", "shared-weights", "stn"]
TOLERANCE = 1e-4

PRINTS = {
    "all": {"All": True},
    "dependencies": {"Dependencies": True},
    "columns4": {"MaxNumColumns": 4},
    "somelayers": {"Layers": ["c1", "sum", "loss"]},
    "parameters": {"Layers": [], "Parameters": "*", "Variables": []},
    "latex": {"Format": "latex"},
    "csv": {"Format": "csv"},
}
SIZES = {"input": [8, 8, 3, 3], "label": [1, 1, 1, 3]}


def squeezed(x):
    """MATLAB drops ones at the end, and keeps vectors as it likes: compare without any."""
    return np.squeeze(np.asarray(x))


def assert_close(got, want, what):
    """Largest difference relative to the largest value."""
    if is_empty(want):
        assert is_empty(got), what
        return
    assert not is_empty(got), what
    got, want = squeezed(got), squeezed(want)
    assert got.shape == want.shape, what
    assert np.abs(got - want).max() <= TOLERANCE * np.abs(want).max() + 1e-12, what


@pytest.fixture(params=GRAPHS)
def graph(request, dags, read_mat):
    return request.param, DagNN.loadobj(read_mat(dags / f"{request.param}.mat")), dags / request.param


def test_values_and_derivatives_are_matconvnets(graph, read_mat):
    name, net, path = graph
    net.conserveMemory = False
    for run in read_mat(path.with_suffix(".ref.mat"))["runs"]:
        net.mode = run.mode
        net.eval(run.inputs, run.derOutputs)
        assert [i + 1 for i in net.getLayerExecutionOrder()] == run.executionOrder.ravel().tolist()
        assert [v.name for v in net.vars] == [v.name for v in run.vars]
        assert [p.name for p in net.params] == [p.name for p in run.params]
        for ours, theirs in zip(net.vars, run.vars):
            assert_close(ours.value, theirs.value, f"{name}: value of {ours.name}")
            if len(run.derOutputs):
                assert_close(ours.der, theirs.der, f"{name}: derivative of {ours.name}")
        for ours, theirs in zip(net.params, run.params):
            if len(run.derOutputs):
                assert_close(ours.der, theirs.der, f"{name}: derivative of {ours.name}")


def test_derivatives_are_the_same_while_memory_is_conserved(graph, read_mat):
    name, net, path = graph
    run = read_mat(path.with_suffix(".ref.mat"))["runs"][0]
    net.mode = run.mode
    net.eval(run.inputs, run.derOutputs)
    for ours, theirs in zip(net.params, run.params):
        assert_close(ours.der, theirs.der, f"{name}: derivative of {ours.name}")


def test_sizes_are_matconvnets(graph, read_mat):
    _, net, path = graph
    file = read_mat(path.with_suffix(".sizes.mat"))
    got = net.getVarSizes(file["sizes"])
    for size, var, want in zip(got, net.vars, file["vs"]):
        assert var.name == want.name
        np.testing.assert_array_equal(size, want.size.ravel())


def test_sizes_are_those_of_the_values(graph, read_mat):
    _, net, path = graph
    run = read_mat(path.with_suffix(".ref.mat"))["runs"][0]
    net.conserveMemory = False
    net.mode = run.mode
    net.eval(run.inputs)
    inputs = {n: (*x.shape, 1, 1)[:4] for n, x in zip(run.inputs[::2], run.inputs[1::2])}
    for size, var in zip(net.getVarSizes(inputs), net.vars):
        if var.fanin and var.fanout:
            assert size == (*var.value.shape, 1, 1)[:4], var.name


def test_the_printed_text_is_matconvnets(graph, read_mat, capsys):
    _, net, path = graph
    text = net.print(read_mat(path.with_suffix(".sizes.mat"))["sizes"])
    assert text == path.with_suffix(".print.txt").read_text()
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("which", PRINTS)
def test_print_takes_matlabs_options(which, dags, read_mat):
    net = DagNN.loadobj(read_mat(dags / "resnet-block.mat"))
    assert net.print(SIZES, **PRINTS[which]) == (dags / "print" / f"resnet-block.{which}.txt").read_text()


def test_print_without_arguments_leaves_the_variables_out(dags, read_mat):
    net = DagNN.loadobj(read_mat(dags / "resnet-block.mat"))
    assert net.print() == (dags / "print" / "resnet-block.nosizes.txt").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"Format": "pdf"}, "DagNN.print: Format must be one of 'ascii', 'latex', 'csv', 'dot', got 'pdf'"),
        ({"Layrs": "*"}, "DagNN.print: unknown option 'Layrs'; did you mean 'Layers'"),
        ({"Layers": ["conv99"]}, "no layer 'conv99'"),
        ({"MaxNumColumns": 0}, "must be a whole number from 1 up, got 0"),
    ],
)
def test_print_refuses_what_it_does_not_know(options, message, dags, read_mat):
    with pytest.raises(ValueError, match=message):
        DagNN.loadobj(read_mat(dags / "resnet-block.mat")).print(**options)


def test_receptive_fields_are_matconvnets(dags, read_mat):
    net = DagNN.loadobj(read_mat(dags / "resnet-block.mat"))
    file = read_mat(dags / "print" / "resnet-block.receptive-fields.mat")
    got = net.getVarReceptiveFields("input")
    assert net.getVarReceptiveFields(["input", 0])[1][0] == got[0]
    for name, var, field, want in zip(file["names"], net.vars, got, file["rf"], strict=True):
        assert name == var.name
        for key in ("size", "stride", "offset"):
            np.testing.assert_array_equal(np.array(field[key], float), want[key].ravel(), err_msg=f"{key} of {name}")


def test_what_is_saved_is_what_was_loaded(graph, read_mat):
    _, net, path = graph
    file = read_mat(path.with_suffix(".mat"))
    got = net.saveobj()
    assert list(got) == ["vars", "params", "layers", "meta"]
    for ours, theirs in zip(got.layers, file["layers"], strict=True):
        assert list(ours) == list(theirs)
        for field in ("name", "type", "inputs", "outputs", "params"):
            assert ours[field] == theirs[field], field
        fields = theirs.block if isinstance(theirs.block, dict) else {}
        assert set(ours.block) == set(fields), ours.name
        for field, value in fields.items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(np.ravel(ours.block[field])[: value.size], value.ravel()), field
            else:
                assert list(ours.block[field]) == list(value), field
    for ours, theirs in zip(got.params, file["params"], strict=True):
        assert list(ours) == list(theirs)
        # MATLAB drops dimensions of 1 at the end
        np.testing.assert_array_equal(ours.value.reshape(theirs.value.shape), theirs.value)
    assert [(v.name, v.precious) for v in got.vars] == [(v.name, bool(v.precious)) for v in file["vars"]]
