"""Train LeNet or network-in-network on CIFAR-10: MatConvNet's examples/cifar/cnn_cifar.m, line by line.

    python examples/cifar/train.py --data FOLDER [--model lenet|nin] [--network simplenn|dagnn] [--epochs E]
                                   [--no-contrast] [--no-whitening] [--out FOLDER]

The data are those of the binary version, cifar-10-batches-bin, in FOLDER (data/cifar) or below it. They are centred,
normalised in contrast and whitened as cnn_cifar.m does, which takes about 2.5 GB of memory.
The FOLDER of --out (data/cifar-MODEL) gets net-epoch-N.mat and net-train.pdf; the same command again goes on from the
last epoch there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.training import stats_table

FILES = {**{f"data_batch_{i}.bin": 1 for i in range(1, 6)}, "test_batch.bin": 3}
RECORD = 1 + 32 * 32 * 3  # a label, then the red, green and blue pixels, row by row


def main() -> None:
    args = arguments()
    try:
        imdb = cifar_imdb(args.data, contrast=args.contrast, whitening=args.whitening)
    except (OSError, ValueError) as error:
        sys.exit(f"train.py: {error}")

    name = {"lenet": "lenet-cifar", "nin": "nin"}[args.model]
    net = models.build(name, networkType=args.network, seed=0)
    net.meta.classes = pcn.Struct(name=imdb.meta.classes)
    simple = args.network == "simplenn"
    if simple:
        print(pcn.vl_simplenn_display(net, batchSize=100)[1])
    else:
        net.print({"input": [32, 32, 3, 100]})

    options = dict(net.meta.trainOpts)
    if args.epochs is not None:
        options["numEpochs"] = args.epochs
    train = pcn.cnn_train if simple else pcn.cnn_train_dag
    net, stats = train(
        net,
        imdb,
        simplenn_batch if simple else dagnn_batch,
        expDir=args.out or Path("data", f"cifar-{args.model}"),
        **options,
        val=np.flatnonzero(imdb.images.set == 3),
    )
    print(stats_table(stats))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", metavar="FOLDER", default="data/cifar", help="folder of cifar-10-batches-bin")
    parser.add_argument("--model", choices=("lenet", "nin"), default="lenet")
    parser.add_argument("--network", choices=("simplenn", "dagnn"), default="simplenn")
    parser.add_argument("--epochs", type=int, help="number of epochs (default: 45 for lenet, 83 for nin)")
    parser.add_argument("--no-contrast", dest="contrast", action="store_false", help="do not normalise contrast")
    parser.add_argument("--no-whitening", dest="whitening", action="store_false", help="do not whiten")
    parser.add_argument("--out", metavar="FOLDER", help="folder for checkpoints and curves")
    return parser.parse_args()


def simplenn_batch(imdb: pcn.Struct, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """getBatch of cnn_train: images, every other batch mirrored, and labels."""
    images = imdb.images.data[:, :, :, batch]
    if np.random.rand() > 0.5:  # the generator that cnn_train seeds
        images = np.fliplr(images)
    return images, imdb.images.labels[batch]


def dagnn_batch(imdb: pcn.Struct, batch: np.ndarray) -> dict[str, Any]:
    """getBatch of cnn_train_dag: the values of the graph's inputs."""
    images, labels = simplenn_batch(imdb, batch)
    return {"input": images, "label": labels}


def cifar_imdb(folder: str | Path, contrast: bool = True, whitening: bool = True) -> pcn.Struct:
    """The imdb of CIFAR-10: centred images, the five training files marked 1, the test file 3."""
    root = Path(folder)
    if (root / "cifar-10-batches-bin").is_dir():
        root /= "cifar-10-batches-bin"
    missing = [name for name in (*FILES, "batches.meta.txt") if not (root / name).is_file()]
    if missing:
        raise ValueError(
            f"no {missing[0]} in {root}; --data must be the folder of CIFAR-10's binary version, unpacked from "
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
        )
    images, labels = zip(*(read_batch(root / name) for name in FILES))
    marks = np.repeat(list(FILES.values()), [len(batch) for batch in labels])
    data = np.concatenate(images, axis=3, dtype=np.float32)

    data -= data[..., marks == 1].mean(axis=3, dtype=float, keepdims=True).astype(np.float32)
    if contrast:
        data = normalize_contrast(data)
    if whitening:
        data = whiten(data, marks == 1)

    classes = (root / "batches.meta.txt").read_text(encoding="utf-8").split()
    return pcn.Struct(
        images=pcn.Struct(data=data, labels=np.concatenate(labels), set=marks),
        meta=pcn.Struct(sets=["train", "val", "test"], classes=classes),
    )


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (32 x 32 x 3 x N, 0..255) and labels (1..10) of one .bin file."""
    content = np.fromfile(path, np.uint8)
    if content.size == 0 or content.size % RECORD:
        raise ValueError(f"{path.name} has {content.size} bytes, not a multiple of {RECORD}: it is not a CIFAR-10 file")
    records = content.reshape(-1, RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(2, 3, 1, 0)
    return images, records[:, 0] + np.float32(1)


def normalize_contrast(data: np.ndarray) -> np.ndarray:
    """Each image less its mean and over its standard deviation, of 40 at least, times the mean of all deviations.

    Coates, Lee and Ng, An analysis of single-layer networks in unsupervised feature learning, 2011.
    """
    z = data.reshape(-1, data.shape[3], order="F")
    z = z - z.mean(axis=0)
    deviation = z.std(axis=0, ddof=1)
    z *= deviation.mean() / np.maximum(deviation, 40)
    return z.reshape(data.shape, order="F")


def whiten(data: np.ndarray, train: np.ndarray) -> np.ndarray:
    """ZCA: pixels made uncorrelated over the training images, directions of a deviation below 10 kept small.

    The scale about preserves the norm. The sum of squares is over the number of all images, as in cnn_cifar.m.
    """
    z = data.reshape(-1, data.shape[3], order="F")
    w = z[:, train] @ z[:, train].T / z.shape[1]
    d2, v = np.linalg.eigh(w)
    d2 = np.maximum(d2, 0)
    scale = np.sqrt(d2.mean()) / np.maximum(np.sqrt(d2), 10)
    z = z.T @ ((v * scale) @ v.T).astype(np.float32)  # symmetric
    return z.T.reshape(data.shape, order="F")


if __name__ == "__main__":
    main()
