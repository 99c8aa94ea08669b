"""vl_simplenn gives MatConvNet's outputs and derivatives, layer by layer."""

from pathlib import Path

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.compat import matfile

NETS = Path(__file__).parents[2] / "matlab_fixtures" / "nets"
NAMES = ["all-layers", "pdist", "mini-vgg", "lenet", "lenet-cifar", "old-format"]


def agree(ours, theirs, what):
    if theirs is None or np.size(theirs) == 0:
        assert ours is None or np.size(ours) == 0, what
        return
    assert ours is not None, what
    ours = np.ravel(ours, "F")
    assert ours.size == theirs.size, what
    assert np.abs(ours - theirs.ravel("F")).max() <= 1e-4 * np.abs(theirs).max(), what


def run_of(net, run):
    if np.size(run.label):
        net.layers[-1]["class"] = run.label
    return pcn.vl_simplenn(net, run.x, run.dzdy, None, *run.options)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_derivatives_are_matconvnets(name):
    net = pcn.load(NETS / f"{name}.mat")
    runs = matfile.read(NETS / f"{name}.ref.mat")["runs"]
    assert runs
    for run in runs:
        res = run_of(net, run)
        left = run.get("x_after", run.forward)
        for i, result in enumerate(res):
            agree(result.x, left[i], f"x of {i}")
            agree(result.dzdx, run.dzdx[i], f"dzdx of {i}")
            assert len(result.dzdw) == len(run.dzdw[i])
            for j, d in enumerate(run.dzdw[i]):
                if isinstance(d, dict) or np.size(d):
                    compare(result.dzdw[j], d, f"dzdw of {i}, {j}")


def compare(ours, theirs, what):
    if isinstance(theirs, dict):
        assert np.size(ours) == np.prod(theirs["shape"]), what
        gap = np.abs(np.ravel(ours, "F")[::101] - theirs["values"].ravel()).max()
        assert gap <= 1e-4 * theirs["largest"].item(), what
    else:
        agree(ours, theirs, what)


def test_batch_normalization_agrees_where_matconvnets_variance_can_be_trusted():
    """In the last bnorm of lenet-bn the batch is two pixels a channel, and some pairs nearly equal.

    MatConvNet takes the variance as the mean of squares less the square of the mean in single precision, and its sigma
    is up to 2 % off there. Every layer is run on MatConvNet's own input; of that one the pairs far enough apart are
    compared. Biases with a bnorm after them have no derivative but rounding: they are compared with its summands.
    """
    net = pcn.load(NETS / "lenet-bn.mat")
    for run in matfile.read(NETS / "lenet-bn.ref.mat")["runs"]:
        mode = run.options[1] if run.options else "normal"
        compared = 0
        for i, layer in enumerate(net.layers[:-1]):
            part = pcn.SimpleNN(layers=[layer])
            dzdy = run.dzdx[i + 1]
            x, y = run.forward[i], run.forward[i + 1]
            res = pcn.vl_simplenn(part, x, dzdy, mode=mode)
            sound = np.ones(1, bool)
            if layer.type == "bnorm" and x.shape[0] == 1:
                sound = np.abs(x[..., 0] - x[..., 1]).ravel() > 0.3 * np.abs(x).max()
                assert 10 < sound.sum() < 500
            agree(res[1].x[:, :, sound] if sound.size > 1 else res[1].x, y[:, :, sound] if sound.size > 1 else y, i)
            compared += 1
            if sound.size == 1:
                agree(res[0].dzdx, run.dzdx[i], f"dzdx of {i}")
                for j, (ours, theirs) in enumerate(zip(res[0].dzdw, run.dzdw[i])):
                    if np.size(theirs) and j == 1:
                        summands = np.abs(dzdy).sum(axis=(0, 1, 3)).max()
                        assert np.abs(ours.ravel() - theirs.ravel()).max() <= 1e-6 * summands
                    elif isinstance(theirs, dict) or np.size(theirs):
                        compare(ours, theirs, f"dzdw of {i}")
        assert compared == len(net.layers) - 1


def test_an_old_network_is_tidied_as_matconvnet_does():
    ours = pcn.load(NETS / "old-format.mat")
    theirs = matfile.read(NETS / "old-format.tidy.mat")
    theirs = theirs.get("net", theirs)
    assert list(ours.meta) == list(theirs["meta"])
    for mine, other in zip(ours.layers, theirs["layers"], strict=True):
        assert set(mine) == set(other)
        for field, value in other.items():
            if field == "weights":
                for a, b in zip(mine.weights, value, strict=True):
                    np.testing.assert_array_equal(np.ravel(a, "F"), np.ravel(b, "F"))
            elif isinstance(value, np.ndarray):
                np.testing.assert_array_equal(np.ravel(mine[field]), np.ravel(value), err_msg=field)
            else:
                assert mine[field] == value, field
