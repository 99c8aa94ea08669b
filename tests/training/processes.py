"""One of several processes that train together, for test_distributed.py: python processes.py RUN FOLDER.

Each writes what it has into FOLDER/CASE-RANK.npz.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

import pyconvnet as pcn
from pyconvnet import jitter
from pyconvnet.training import team

change = jitter.compose(jitter.translate(1), jitter.noise(0.1))


def draw(*shape):
    return (np.random.default_rng(sum(shape)).standard_normal(shape) / 10).astype(np.float32)


def letters(count=46):
    labels = np.arange(count) % 3 + 1
    data = np.random.default_rng(0).standard_normal((8, 8, 1, count)).astype(np.float32)
    data[2:4] += labels
    marks = np.where(np.arange(count) < 29, 1, 2)
    return pcn.Struct(images=pcn.Struct(data=data, labels=labels.astype(np.float32), set=marks))


def get_batch(imdb, batch):
    x = imdb.images.data[..., batch]
    return (change(x) if imdb.images.set[batch[0]] == 1 else x), imdb.images.labels[batch]


def get_named(imdb, batch):
    x, labels = get_batch(imdb, batch)
    return {"input": x, "label": labels}


def simple(bnorm=False):
    between = {"type": "bnorm", "weights": [np.ones((4, 1), np.float32), np.zeros((4, 1), np.float32)]}
    layers = [
        {"type": "conv", "weights": [draw(4, 4, 1, 4), np.zeros((1, 4), np.float32)], "stride": 4},
        *([{**between, "learningRate": np.array([[1, 1, 0.1]])}] if bnorm else []),
        {"type": "relu"},
        {"type": "dropout", "rate": 0.3},
        {"type": "conv", "weights": [draw(2, 2, 4, 3), np.zeros((1, 3), np.float32)]},
        {"type": "softmaxloss"},
    ]
    return pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))


def graph(bnorm=False):
    net = pcn.DagNN.fromSimpleNN(simple(bnorm), canonicalNames=True)
    net.addLayer("error", pcn.dagnn.Loss(loss="classerror"), [net.layers[-1].inputs[0], "label"], "error")
    return net


def fit(kind="simplenn", bnorm=False, getBatch=None, **options):
    """Weights, and statistics without times, as two vectors."""
    given = {"batchSize": 10, "numEpochs": 2, "learningRate": 0.05, "plotStatistics": False, "expDir": None}
    given |= {"verbose": False, **options}
    if kind == "dagnn":
        net, stats = pcn.cnn_train_dag(graph(bnorm), letters(), getBatch or get_named, **given)
        weights = [p.value for p in net.params]
    else:
        net, stats = pcn.cnn_train(simple(bnorm), letters(), getBatch or get_batch, **given)
        weights = [w for layer in net.layers for w in layer.get("weights", [])]
    rows = [row[k] for name in ("train", "val") for row in stats[name] for k in sorted(set(row) - {"time"})]
    return np.concatenate([np.ravel(w) for w in weights]), np.array(rows)


def folds(folder=None, **options):
    """The weights of all folds, and the predictions."""
    given = {"numEpochs": 2, "batchSize": 10, "verbose": False, "plotStatistics": False, **options}
    found = pcn.cross_validate(graph, letters(), get_named, folds=3, expDir=folder, **given)
    return np.concatenate([p.value.ravel() for fold in found.folds for p in fold.net.params]), found.predictions


# name -> options of fit; numSubBatches is that of one process, shared out over several
CASES = {
    "dropout, jitter, an odd last batch": {},
    "adam, sub-batches, prefetch": {"solver": "adam", "numSubBatches": 6, "prefetch": True},
    "batch normalisation": {"bnorm": True, "numSubBatches": 6},
    "a graph with batch normalisation": {"kind": "dagnn", "bnorm": True, "numSubBatches": 6},
    "processes without an image": {"kind": "dagnn", "batchSize": 1, "numEpochs": 1},
    "tensors": {"gpus": "torch:cpu", "bnorm": True, "numSubBatches": 6},
    "no further than the last layers": {"backPropDepth": 3, "batchSize": 2},
}


def rank():
    return int(os.environ["RANK"])


def keep(folder, name, weights, rows):
    np.savez(Path(folder, f"{name}-{rank()}"), weights=weights, rows=rows)


def equal(folder):
    for name, options in CASES.items():
        parts = options.get("numSubBatches", 1) // int(os.environ["WORLD_SIZE"])
        keep(folder, name, *fit(**{**options, "numSubBatches": max(parts, 1)}))


def slower(net, opts, state):
    return 0.02 if opts["epoch"] == 1 else None


def killed(folder):
    """An unbroken run, and one in which the last process dies in the third epoch."""
    keep(folder, "whole", *fit(numEpochs=4, postEpochFn=slower, expDir=Path(folder, "whole")))
    seen = 0

    def batch(imdb, images):
        nonlocal seen
        seen += imdb.images.set[images[0]] == 1
        if rank() == int(os.environ["WORLD_SIZE"]) - 1 and seen == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return get_batch(imdb, images)

    fit(getBatch=batch, numEpochs=4, postEpochFn=slower, expDir=Path(folder, "killed"))


def resumed(folder):
    keep(folder, "resumed", *fit(numEpochs=4, postEpochFn=slower, expDir=Path(folder, "killed")))


def shared_folds(folder):
    keep(folder, "folds", *folds(Path(folder, "folds")))


def machines(folder):
    """A run of two machines; then a long one, for the cable to be pulled."""
    keep(folder, "machines", *fit())
    team.BEAT, team.SILENCE = 0.5, 4.0

    def slow(imdb, images):
        time.sleep(0.1)
        return get_batch(imdb, images)

    fit(getBatch=slow, numEpochs=1000, expDir=Path(folder, f"machine {rank()}"))


def refused(folder):
    """What has to end in an error, one line for each; then the user's own process group."""
    import torch.distributed as dist

    def missing(imdb, images):
        if rank() == 1:
            raise OSError("no such file")
        return get_batch(imdb, images)

    def endless(imdb, images):
        x, labels = get_batch(imdb, images)
        return (x * np.float32("nan") if rank() == 1 else x), labels

    for options in ({"batchSize": 10 + rank()}, {"bnorm": rank() == 1}, {"getBatch": missing}, {"getBatch": endless}):
        try:
            fit(**options)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
    rates = []
    again = {"numEpochs": 3, "postEpochFn": lambda net, opts, state: rates.append(opts["learningRate"]) or 0.1 + rank()}
    fit(**again)
    print(rates)
    dist.init_process_group("gloo")
    keep(folder, "own group", *fit())
    print(dist.is_initialized())
    dist.destroy_process_group()


if __name__ == "__main__":
    {f.__name__: f for f in (equal, killed, resumed, refused, shared_folds, machines)}[sys.argv[1]](sys.argv[2])
