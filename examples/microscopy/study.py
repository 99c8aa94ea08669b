"""A four-class microscopy study: training curves, cross-validation over patients, confusion matrix, class map.

    python examples/microscopy/study.py [--out data/microscopy] [--patients 20] [--epochs 40] [--folds 5]

Tissue is generated (see tissue.py). A small convolutional network with dropout and weight decay is trained with the
patients of four folds and evaluated on the fifth, five times. What it writes into the output folder:

    curves.png         objective and errors of the first fold: training, validation and perimeter patches
    confusion.png      confusion matrix pooled over the folds, on patients that were not trained on
    filters.png        the filters of the first layer and their responses on one large image
    class-map.png      the network run fully convolutionally over that image
    report.html        all of it on one page (pyconvnet report)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tissue
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

import pyconvnet as pcn
from pyconvnet import crossvalidation, jitter
from pyconvnet.view import inside, plots


def build() -> pcn.SimpleNN:
    """conv 5x5, pool, conv 5x5, pool, conv 5x5, dropout, conv 1x1, softmax loss: 32 x 32 patches to four classes."""
    rng = np.random.default_rng(0)

    def conv(h, c, k, rate=1.0):
        f = (rng.standard_normal((h, h, c, k)) * np.sqrt(2 / (h * h * c))).astype(np.float32)
        b = np.zeros((1, k), np.float32)
        return {"type": "conv", "weights": [f, b], "stride": 1, "pad": 0, "learningRate": [rate, 2 * rate]}

    relu = {"type": "relu"}
    pool = {"type": "pool", "method": "max", "pool": [2, 2], "stride": 2, "pad": 0}
    layers = [conv(5, 3, 16), relu, pool, conv(5, 16, 24), relu, pool, conv(5, 24, 48), relu]
    layers += [{"type": "dropout", "rate": 0.5}, conv(1, 48, 4), {"type": "softmaxloss"}]
    net = pcn.SimpleNN(layers=[dict(layer) for layer in layers], meta=pcn.Struct(inputSize=[32, 32, 3]))
    net.meta.classes = pcn.Struct(name=tissue.CLASSES, description=tissue.CLASSES)
    return pcn.vl_simplenn_tidy(net)


change = jitter.compose(jitter.mirror(), jitter.mirror("vertical"), jitter.noise(0.03))


def get_batch(imdb, batch):
    """Images and labels; training images are turned over at random and get some noise."""
    images = imdb["images"]["data"][:, :, :, batch]
    if imdb["images"]["set"][batch[0]] == 1:
        images = change(images)
    return images, imdb["images"]["labels"][batch]


def main(arguments: list[str] | None = None) -> pcn.Struct:
    """Run the study and return what cross_validate gives."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=Path("data/microscopy"))
    options.add_argument("--patients", type=int, default=20, help="simulated patients (20)")
    options.add_argument("--each", type=int, default=12, help="patches of each class and patient (12)")
    options.add_argument("--epochs", type=int, default=40)
    options.add_argument("--folds", type=int, default=5)
    o = options.parse_args(arguments)
    o.out.mkdir(parents=True, exist_ok=True)

    imdb = tissue.database(o.patients, o.each)
    images = imdb["images"]
    print(
        f"{images['labels'].size} patches of {o.patients} patients, {int(images['perimeter'].sum())} at the perimeter"
    )
    print(pcn.vl_simplenn_display(build())[1])
    result = crossvalidation.cross_validate(
        build,
        imdb,
        get_batch,
        folds=o.folds,
        groups=images["patient"],
        images=np.flatnonzero(~images["perimeter"]),
        expDir=o.out,
        evalSets=lambda inside_fold: {
            "perimeter": np.flatnonzero(
                images["perimeter"] & np.isin(images["patient"], np.unique(images["patient"][inside_fold]))
            )
        },
        batchSize=48,
        numEpochs=o.epochs,
        learningRate=[0.02] * (2 * o.epochs // 3) + [0.004] * (o.epochs - 2 * o.epochs // 3),
        weightDecay=0.001,
        errorFunction="multiclass",
        plotStatistics=False,
        verbose=False,
    )
    print(crossvalidation.summary_text(result))

    first = result.folds[0]
    # Of four classes, one of the best five is always right: no top5err.
    plots.save(plots.training_curves(first.stats, names=["objective", "top1err"]), o.out / "curves.png")
    plots.save(plots.confusion(result.confusion, tissue.CLASSES), o.out / "confusion.png")
    draw_slide(first.net, o.out)
    from pyconvnet.report import report

    print(f"report: {report(o.out)}")
    return result


def draw_slide(net: pcn.SimpleNN, out: Path) -> None:
    """Filters, responses and class map on one large image of a patient nobody trained on."""
    picture, classes = tissue.slide(tissue.Patient(99))
    size = 32
    net.layers = net.layers[:-1]
    # Half the receptive field is added at each side, so that the map covers the whole image.
    padded = np.pad(picture, ((size // 2, size // 2 - 1), (size // 2, size // 2 - 1), (0, 0)), mode="symmetric")
    scores = pcn.vl_simplenn(net, padded[..., None], mode="test")[-1].x[..., 0]
    found = scores.argmax(axis=2) + 1
    truth = classes[::4, ::4][: found.shape[0], : found.shape[1]]
    print(
        f"class map {found.shape[0]}x{found.shape[1]} of a {picture.shape[0]}x{picture.shape[1]} slide, "
        f"{np.mean(found == truth):.3f} right"
    )

    figure, axes = plots.figure(1, 3, 3.4, 3.9)
    colours = ListedColormap(["#7b3294", "#f1a340", "#a6dba0", "#404040"])
    plots.picture(picture * 0.5 + 0.5, axes[0, 0], "slide, 256 x 256 pixels")
    for ax, classes, title in zip(axes[0, 1:], (truth, found), ("true classes", "class map of the network")):
        plots.picture(classes, ax, title, cmap=colours, vmin=1, vmax=4)
    patches = [Patch(color=colours(k), label=name) for k, name in enumerate(tissue.CLASSES)]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False)
    plots.save(figure, out / "class-map.png")

    figure, axes = plots.figure(1, 2, 4.0, 4.3)
    plots.picture(inside.filters(net), axes[0, 0], "first-layer filters")
    maps = inside.responses(net, picture, 0)
    plots.picture(pcn.vl_imarraysc(maps, spacing=4), axes[0, 1], "their responses on the slide")
    plots.save(figure, out / "filters.png")


if __name__ == "__main__":
    main()
