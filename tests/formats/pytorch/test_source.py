"""Networks as source files for PyTorch: they run without pyconvnet, and what a file says in them is never code."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet import dagnn, models
from pyconvnet.formats import registry
from pyconvnet.records import Struct

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
from safetensors import safe_open  # noqa: E402

random = np.random.default_rng(3)
RUN = """
import sys
sys.modules["pyconvnet"] = None
import importlib.util, numpy, torch
spec = importlib.util.spec_from_file_location("net", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
net = module.load()
assert not net.training
given = numpy.load(sys.argv[2])
y = net(*[torch.from_numpy(given[name]) for name in given])
y = y if isinstance(y, tuple) else (y,)
numpy.savez(sys.argv[3], *[v.detach().numpy() for v in y])
"""


def turned(x):
    return np.array(np.asarray(x).transpose(3, 2, 0, 1), order="C")


def elsewhere(path, **inputs):
    """The outputs of the network in a file, run in a process that cannot import pyconvnet."""
    given, found = path.with_suffix(".in.npz"), path.with_suffix(".out.npz")
    np.savez(given, **inputs)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", RUN, str(path), str(given), str(found)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    with np.load(found) as outputs:
        return [outputs[name] for name in outputs]


def linted(path):
    ruff = os.path.join(os.path.dirname(sys.executable), "ruff")
    if not os.path.exists(ruff):
        pytest.skip("ruff is not installed")
    for arguments in (["check"], ["format", "--check", "--line-length=120"]):
        command = [ruff, *arguments, "--isolated", "--no-cache", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_chain_runs_without_pyconvnet(tmp_path):
    net = models.build("lenet", batchNormalization=True)
    pcn.save(tmp_path / "lenet.py", net)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lenet.py", "lenet.safetensors"]
    x = random.random((28, 28, 1, 2), np.float32)
    (y,) = elsewhere(tmp_path / "lenet.py", x=turned(x))
    assert np.abs(y - turned(pcn.predict(net, x))).max() < 1e-5
    linted(tmp_path / "lenet.py")
    text = (tmp_path / "lenet.py").read_text()
    assert "self.layer1 = nn.Conv2d(1, 20, (5, 5), bias=False)" in text and "AveragePool" not in text


@pytest.mark.parametrize("name", ["inception", "shared-weights", "stn"])
def test_a_graph_runs_without_pyconvnet(tmp_path, name):
    net = pcn.load(ROOT / "matlab_fixtures" / "dags" / f"{name}.mat")
    pcn.save(tmp_path / "net.py", net)
    module = pcn.to_torch(net)
    channels = next(m for m in module.modules() if isinstance(m, torch.nn.Conv2d)).in_channels
    x = random.random((2, channels, *((7, 7) if name == "stn" else (8, 8))), np.float32)
    theirs = module(torch.from_numpy(x))
    theirs = theirs if isinstance(theirs, tuple) else (theirs,)
    for ours, other in zip(elsewhere(tmp_path / "net.py", x=x), theirs):
        assert np.abs(ours - other.detach().numpy()).max() < 1e-6
    linted(tmp_path / "net.py")


def test_double_precision_and_values_that_are_no_numbers_are_kept(tmp_path):
    weights = [random.standard_normal((3, 3, 2, 4)), random.standard_normal(4)]
    layers = [
        Struct(type="conv", name="c", weights=weights),
        Struct(type="pool", name="p", pool=3, pad=2, stride=2, method="max"),
    ]
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))
    pcn.save(tmp_path / "net.py", net)
    x = random.standard_normal((7, 7, 2, 2))
    (y,) = elsewhere(tmp_path / "net.py", x=turned(x))
    assert y.dtype == np.float64 and np.abs(y - turned(pcn.predict(net, x))).max() < 1e-12


def test_what_a_file_calls_its_layers_is_never_code(tmp_path):
    evil = [
        'x"""; import os; os._exit(3)\n"""',
        "a\n        import os; os._exit(4)",
        "'",
        '"',
        "\\",
        "self",
        "F",
        "Net",
    ]
    net = dagnn.DagNN()
    for at, name in enumerate(evil):
        net.addLayer(name, dagnn.ReLU(), evil[at - 1] + "v" if at else "torch", name + "v")
    net.addLayer("sum", dagnn.Sum(), [evil[-1] + "v", evil[0] + "v"], "nn")
    pcn.save(tmp_path / "net.py", net)
    x = random.standard_normal((1, 2, 3, 4)).astype(np.float32)
    (y,) = elsewhere(tmp_path / "net.py", x=x)
    assert np.array_equal(y, 2 * np.maximum(x, 0))
    linted(tmp_path / "net.py")


def test_weights_have_the_state_dict_in_torchs_layout(tmp_path):
    net = models.build("lenet")
    pcn.save(tmp_path / "net.safetensors", net)
    expected = pcn.to_torch(net).state_dict()
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        assert file.metadata()["format"] == "pt"
        assert set(file.keys()) == set(expected)
        assert all(torch.equal(file.get_tensor(key), expected[key]) for key in expected)


def test_neither_file_can_be_loaded(tmp_path):
    pcn.save(tmp_path / "net.py", models.build("lenet"))
    with pytest.raises(ValueError, match=r"load: net\.py cannot be read: it is source"):
        pcn.load(tmp_path / "net.py")
    with pytest.raises(ValueError, match=r"net\.safetensors cannot be read: it holds weights without layers"):
        pcn.load(tmp_path / "net.safetensors")


def test_nothing_is_written_of_a_network_with_layers_that_have_no_counterpart(tmp_path):
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[Struct(type="zip", name="a"), Struct(type="relu", name="b")]))
    with pytest.raises(ValueError, match="save: these layers have no counterpart in torch: 'a'"):
        pcn.save(tmp_path / "net.py", net)
    assert not list(tmp_path.iterdir())


def test_damaged_weights_beside_the_source_are_named(tmp_path):
    net = models.build("lenet", seed=0, deployed=True)
    pcn.save(tmp_path / "net.py", net)
    beside = tmp_path / "net.safetensors"
    beside.write_bytes(beside.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"^net\.safetensors cannot be read as the weights of net.py: "):
        registry.run(tmp_path / "net.py", np.zeros((28, 28, 1, 1), np.float32))
