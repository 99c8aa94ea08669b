"""cnn_train and cnn_train_dag repeat the runs that MatConvNet made: weights, statistics and checkpoints."""

from pathlib import Path

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.compat import matfile

RUNS = Path(__file__).parents[2] / "matlab_fixtures" / "train"
NAMES = sorted(p.stem for p in RUNS.glob("*.mat"))


def get_batch(imdb, batch):
    return imdb["images"]["data"][:, :, :, batch], imdb["images"]["labels"][:, batch]


def get_batch_dag(imdb, batch):
    images, labels = get_batch(imdb, batch)
    return ["input", images, "label", labels]


def close(ours, theirs, what, scale=None):
    theirs = np.asarray(theirs)
    ours = np.asarray(ours).reshape(theirs.shape, order="F")
    scale = scale or np.abs(theirs).max() or 1.0
    assert np.abs(ours - theirs).max() <= 1e-4 * scale, what


@pytest.fixture(params=NAMES)
def run(request):
    return request.param, matfile.read(RUNS / f"{request.param}.mat")


def test_there_are_runs_to_repeat():
    assert len(NAMES) == 16


def trained(name, ref, **more):
    from pyconvnet.formats import network_of

    dag = name.startswith("dagnn")
    train, batch = (pcn.cnn_train_dag, get_batch_dag) if dag else (pcn.cnn_train, get_batch)
    net = network_of(ref["net0"])
    return train(net, ref["imdb"], batch, *ref["options"], shuffle=False, verbose=False, **more)


def test_weights_and_statistics_agree_with_matconvnet(run, tmp_path):
    name, ref = run
    net, stats = trained(name, ref, expDir=tmp_path)
    if name.startswith("dagnn"):
        for saved in ref["net1"]["params"]:
            close(net.params[saved["name"]].value, saved["value"], saved["name"])
    else:
        for i, layer in enumerate(ref["net1"]["layers"]):
            for j, w in enumerate(layer["weights"]):
                # Biases before a bnorm have no derivative: what they come to is rounding, not compared with itself.
                idle = j == 1 and ref["net1"]["layers"][i + 1]["type"] == "bnorm"
                close(
                    net.layers[i].weights[j],
                    w,
                    (i, j),
                    scale=0.01 * np.abs(layer["weights"][0]).max() if idle else None,
                )
    for part in ("train", "val"):
        assert len(stats[part]) == len(ref["stats"][part]) == 3
        for ours, theirs in zip(stats[part], ref["stats"][part]):
            assert set(ours) == set(theirs)
            for key in set(theirs) - {"time"}:
                assert float(ours[key]) == pytest.approx(theirs[key].item(), rel=1e-4, abs=2e-6), (part, key)
    point = pcn.load_checkpoint(tmp_path / "net-epoch-3.mat")
    assert set(point) >= {"net", "state", "stats"}
    assert set(point["state"]) == set(ref["checkpoint"]["state"])
    for ours, theirs in zip(point["state"]["solverState"], ref["checkpoint"]["state"]["solverState"]):
        same_state(ours, theirs)


def same_state(ours, theirs):
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            same_state(a, b)
    elif isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for key in theirs:
            same_state(ours[key], theirs[key])
    else:
        theirs = np.asarray(theirs)
        assert np.abs(np.ravel(ours, "F") - np.ravel(theirs, "F")).max() <= 1e-3 * np.abs(theirs).max() + 1e-7
