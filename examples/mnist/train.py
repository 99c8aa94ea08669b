"""Train LeNet on handwritten digits: MatConvNet's examples/mnist/cnn_mnist.m, line by line.

    python examples/mnist/train.py [--imdb PATH] [--bn] [--network simplenn|dagnn] [--epochs E] [--out FOLDER]

The imdb is a MATLAB file, such as cnn_mnist.m leaves in its folder: images.data 28 x 28 x 1 x N, images.labels 1..10,
images.set 1 (train) or 3 (test; 2 where there is no 3). Without one, scikit-learn's 1797 small digits are enlarged.
FOLDER (data/mnist-baseline-NETWORK[-bnorm]) gets net-epoch-N.mat and net-train.pdf; the same command again goes on
from the last epoch there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.compat.matlab import imresize
from pyconvnet.training import stats_table


def main() -> None:
    args = arguments()
    try:
        imdb = pcn.imdb.load_imdb(args.imdb) if args.imdb else digits_imdb()
        prepare(imdb)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"train.py: {error}")

    net = models.build("lenet", batchNormalization=args.bn, networkType=args.network, seed=0)
    net.meta.classes = pcn.Struct(name=[str(digit) for digit in range(10)])
    simple = args.network == "simplenn"
    if simple:
        print(pcn.vl_simplenn_display(net, batchSize=100)[1])
    else:
        net.print({"input": [28, 28, 1, 100]})

    options = dict(net.meta.trainOpts)
    if args.epochs is not None:
        options["numEpochs"] = args.epochs
    test = 3 if np.any(imdb.images.set == 3) else 2
    train = pcn.cnn_train if simple else pcn.cnn_train_dag
    net, stats = train(
        net,
        imdb,
        simplenn_batch if simple else dagnn_batch,
        expDir=args.out or Path("data", f"mnist-baseline-{args.network}" + args.bn * "-bnorm"),
        **options,
        val=np.flatnonzero(imdb.images.set == test),
    )
    print(stats_table(stats))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--imdb", metavar="PATH", help="imdb.mat of 28 x 28 digits (default: scikit-learn's digits)")
    parser.add_argument("--bn", action="store_true", help="batch normalization after the first three convolutions")
    parser.add_argument("--network", choices=("simplenn", "dagnn"), default="simplenn")
    parser.add_argument("--epochs", type=int, help="number of epochs (default: 20)")
    parser.add_argument("--out", metavar="FOLDER", help="folder for checkpoints and curves")
    return parser.parse_args()


def simplenn_batch(imdb: pcn.Struct, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """getBatch of cnn_train: images and labels."""
    return imdb.images.data[:, :, :, batch], imdb.images.labels[batch]


def dagnn_batch(imdb: pcn.Struct, batch: np.ndarray) -> dict[str, Any]:
    """getBatch of cnn_train_dag: the values of the graph's inputs."""
    return {"input": imdb.images.data[:, :, :, batch], "label": imdb.images.labels[batch]}


def digits_imdb() -> pcn.Struct:
    """scikit-learn's 8 x 8 digits as an imdb of 28 x 28 ones, 0..255; the last fifth, by other writers, is the test."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(
            "no digits to train on: give --imdb PATH (a MATLAB imdb.mat), or pip install scikit-learn for its digits"
        ) from None
    digits = load_digits()
    small = np.moveaxis(digits.images, 0, -1) * (255 / 16)
    data = np.clip(imresize(small, [28, 28]), 0, 255).astype(np.float32)
    count = data.shape[-1]
    marks = np.where(np.arange(count) < count - count // 5, 1, 3)
    images = pcn.Struct(data=data[:, :, None, :], labels=digits.target + 1.0, set=marks)
    return pcn.Struct(images=images, meta=pcn.Struct(sets=["train", "val", "test"]))


def prepare(imdb: pcn.Struct) -> None:
    """Give images the scale of cnn_mnist.m: 0..255 less the mean training image. Those with a data_mean have it."""
    images = imdb.images
    missing = [name for name in ("data", "labels", "set") if name not in images]
    if missing:
        raise ValueError(f"the imdb has no images.{missing[0]}; it has {', '.join(images)}")
    count = images.set.size
    if images.labels.size != count or images.data.shape[:3] != (28, 28, 1) or images.data.shape[3] < count:
        size = " x ".join(map(str, images.data.shape))
        raise ValueError(
            f"the imdb has images.data of {size}, {images.labels.size} labels and {count} marks in images.set; "
            "they must be 28 x 28 x 1 x N, N and N"
        )
    if not np.any(images.set == 1):
        raise ValueError("the imdb has no image to train on: no 1 in images.set")
    images.data = np.array(images.data[..., :count], np.float32, order="F")
    if "data_mean" not in images:
        if images.data.max() <= 1:
            images.data *= 255
        images.data_mean = images.data[..., images.set == 1].mean(axis=3, dtype=float, keepdims=True).astype(np.float32)
        images.data -= images.data_mean


if __name__ == "__main__":
    main()
