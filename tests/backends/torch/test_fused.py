"""Layers that run as one on tensors give what they give one by one, also after their weights changed in place."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import backends

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("no_hidden_copies")


def some(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def network(device):
    """Two convolutions with all that may follow one; a strided 1 x 1 that lets pixels be left out."""
    dag = pcn.DagNN()
    for i, (size, at, to) in enumerate([((3, 3, 2, 4), "x", "a"), ((3, 3, 4, 4), "a", "b")]):
        dag.addLayer(
            f"conv{i}", pcn.dagnn.Conv(size=size, pad=1, hasBias=i == 0), at, f"{to}1", [f"f{i}", f"b{i}"][: 2 - i]
        )
        dag.addLayer(f"bn{i}", pcn.dagnn.BatchNorm(numChannels=4), f"{to}1", f"{to}2", [f"g{i}", f"o{i}", f"m{i}"])
        if i:
            dag.addLayer("sum", pcn.dagnn.Sum(), ["b2", "a"], "b3")
        dag.addLayer(f"relu{i}", pcn.dagnn.ReLU(), "b3" if i else "a2", to)
    dag.addLayer("last", pcn.dagnn.Conv(size=(1, 1, 4, 3), stride=2, hasBias=False), "b", "y", ["f2"])
    dag.rebuild()
    for i, p in enumerate(dag.params):
        size = {"f0": (3, 3, 2, 4), "f1": (3, 3, 4, 4), "f2": (1, 1, 4, 3)}.get(
            p.name, (4, 2) if "m" in p.name else (4, 1)
        )
        p.value = some(*size, seed=i) + (3 if "m" in p.name else 0)
    dag.mode = "test"
    dag.move(device)
    return dag


def value(dag, device):
    dag.eval({"x": pcn.gpuArray(some(6, 7, 2, 3, seed=99), device)})
    return pcn.gather(dag.vars["y"].value)


@pytest.fixture
def asked(monkeypatch, device):
    """How often a kernel for several layers ran."""
    backend = backends.of(pcn.gpuArray([1.0], device))
    found, real = [], backend.fused_conv
    monkeypatch.setattr(backend, "fused_conv", lambda *args: found.append(args) or real(*args))
    return found


def test_a_graph_runs_fused_as_numpys_plain_kernels_run_it(device, asked):
    expected = value(network("cpu"), "cpu")
    np.testing.assert_allclose(value(network(device), device), expected, rtol=1e-12, atol=1e-12)
    assert len(asked) == 3
    whole = network(device)
    whole.conserveMemory = False
    np.testing.assert_allclose(value(whole, device), expected, rtol=1e-12, atol=1e-12)
    assert len(asked) == 3


@pytest.mark.parametrize("name", ["f1", "b0", "g1", "o0", "m1"])
def test_weights_that_change_in_place_count_at_once(device, name):
    dag, other = network(device), network("cpu")
    value(dag, device)
    dag.params[name].value *= 2
    other.params[name].value = other.params[name].value * 2
    np.testing.assert_allclose(value(dag, device), value(other, "cpu"), rtol=1e-12, atol=1e-12)
    dag.params[name].value = dag.params[name].value * 0.5
    np.testing.assert_allclose(value(dag, device), value(network("cpu"), "cpu"), rtol=1e-12, atol=1e-12)


def test_moments_of_zeros_are_told_of_as_on_the_cpu(device):
    dag = network(device)
    dag.params["m1"].value *= 0
    with pytest.warns(UserWarning, match="the moments are all zero"):
        value(dag, device)


def test_normalized_with_another_precision_is_refused_by_name(device):
    dag = network(device)
    dag.params["g1"].value = dag.params["g1"].value.to(torch.float32)
    with pytest.raises(TypeError, match=r"vl_nnbnorm: g is torch.float32 where x is torch.float64"):
        value(dag, device)
